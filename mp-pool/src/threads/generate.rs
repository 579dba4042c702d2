//! Tasks of threads that yield many results: what the program sees, and the consumer. The values go by `channel.rs`.

use super::call::{Call, Room};
use super::channel::Channel;
use super::function::ThreadFunction;
use super::pool::ThreadPool;
use super::tasks::ThreadTasks;
use crate::copies::lost_to_copy;
use crate::error::{SubmitError, TaskError};
use crate::future::Future;
use crate::generate::{GenerateOptions, Generated, YieldError, Yielder};
use crate::input::Input;
use mp_core::word::Deadline;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

impl ThreadPool {
    /// Calls `function` with each item and a [`Yielder`] in the threads: a task that yields many results. The result is
    /// an iterator over what is yielded, as it comes, and over the end of each task.
    ///
    /// ```
    /// use mp_pool::{Generated, ThreadPool, YieldError, Yielder};
    ///
    /// fn count(to: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    ///     (0..to).try_for_each(|x| results.yield_(x))
    /// }
    ///
    /// let pool = ThreadPool::new(2)?;
    /// let mut sum = 0;
    /// for event in pool.generate(count, [10, 100])? {
    ///     match event {
    ///         Generated::Value { value, .. } => sum += value,
    ///         Generated::End { outcome, .. } => outcome?,
    ///     }
    /// }
    /// assert_eq!(sum, 45 + 4950);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The rules are those of [`Pool::generate`](crate::Pool::generate), and the values need not be serialisable.
    ///
    /// Python has no counterpart; Ray: a task with `num_returns="streaming"`.
    ///
    /// # Errors
    /// As [`imap`](ThreadPool::imap).
    pub fn generate<F, I, T>(
        &self,
        function: F,
        items: I,
    ) -> Result<ThreadGenerate<I::IntoIter, F, T>, SubmitError>
    where
        F: ThreadFunction<(I::Item, Yielder<T>), Output = Result<(), YieldError>>,
        I: IntoIterator<Item: Send + 'static>,
        T: Send + 'static,
    {
        self.generate_with(function, items, GenerateOptions::new())
    }

    /// Is [`generate`](ThreadPool::generate) with bounds of one's own.
    ///
    /// # Errors
    /// [`SubmitError::ChunkSize`] if one of them is 0; else as [`generate`](ThreadPool::generate).
    pub fn generate_with<F, I, T>(
        &self,
        function: F,
        items: I,
        options: GenerateOptions,
    ) -> Result<ThreadGenerate<I::IntoIter, F, T>, SubmitError>
    where
        F: ThreadFunction<(I::Item, Yielder<T>), Output = Result<(), YieldError>>,
        I: IntoIterator<Item: Send + 'static>,
        T: Send + 'static,
    {
        self.plain().generate(function, items, options)
    }
}

impl ThreadTasks<'_> {
    /// Is [`ThreadPool::generate_with`] with the options. [`GenerateOptions::new`] gives what [`ThreadPool::generate`]
    /// has.
    ///
    /// # Errors
    /// As [`ThreadPool::generate_with`].
    pub fn generate<F, I, T>(
        &self,
        function: F,
        items: I,
        reading: GenerateOptions,
    ) -> Result<ThreadGenerate<I::IntoIter, F, T>, SubmitError>
    where
        F: ThreadFunction<(I::Item, Yielder<T>), Output = Result<(), YieldError>>,
        I: IntoIterator<Item: Send + 'static>,
        T: Send + 'static,
    {
        let (ahead, look_ahead) = reading.checked(self.crew().size())?;
        let (call, items) = (Call::begin(*self, function, F::state())?, items.into_iter());
        call.know_length(items.size_hint());
        let mut generate = ThreadGenerate {
            call,
            input: Input::new(items),
            look_ahead,
            channel: Arc::new(Channel::new(ahead)),
            grants: u64::from(ahead / 2).max(1),
            tasks: HashMap::new(),
            came: VecDeque::new(),
        };
        // A task that waits in `yield_` does not hold up the end of its pool.
        self.crew().will_stop(&generate.channel);
        // The threads begin before the first result is asked for.
        for _ in 0..generate.input.chunks_at_once(look_ahead, self.crew().size()) {
            generate.read_if_there_is_room(look_ahead);
        }
        Ok(generate)
    }
}

/// What comes of tasks that yield, in threads: see [`ThreadPool::generate`]. Each item that was read of the input has
/// one [`Generated::End`].
///
/// If the input panics, what the items before it give comes first; then `next` panics with the same payload.
///
/// Dropped, what no thread has taken yet is not begun, and tasks that run end at their next `yield_`, which returns
/// [`YieldError::Stopped`].
#[must_use = "the input is read as the results are taken"]
pub struct ThreadGenerate<I, F, T> {
    call: Call<F>,
    input: Input<I>,
    look_ahead: usize,
    channel: Arc<Channel<T>>,
    /// So many values are taken before the task is told.
    grants: u64,
    /// The tasks that have not ended, by the position of their item.
    tasks: HashMap<u64, Task>,
    /// What was taken off the channel, and is not given yet.
    came: VecDeque<Generated<T>>,
}

struct Task {
    /// How many of its values were given.
    values: u64,
    future: Future<Result<(), YieldError>>,
}

impl<I, F, T> ThreadGenerate<I, F, T>
where
    I: Iterator<Item: Send + 'static>,
    F: ThreadFunction<(I::Item, Yielder<T>), Output = Result<(), YieldError>>,
    T: Send + 'static,
{
    /// Waits for what comes next, at most `timeout`. The time that the input takes to give an item is not bounded.
    ///
    /// # Errors
    /// [`TaskError::Timeout`] if it has not come. Nothing is lost: ask again.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<Generated<T>, TaskError>> {
        self.next_until(Deadline::after(timeout), TaskError::Timeout)
    }

    /// What comes next, without waiting for it.
    ///
    /// # Errors
    /// [`TaskError::WouldBlock`] if it has not come. Nothing is lost: ask again.
    pub fn try_next(&mut self) -> Option<Result<Generated<T>, TaskError>> {
        self.next_until(Deadline::after(Duration::ZERO), TaskError::WouldBlock)
    }

    /// Gives up what is left: nothing more is read of the input, and tasks that run end at their next `yield_`, since a
    /// thread cannot be killed. What has arrived still comes, then the end of each item, as [`TaskError::Cancelled`].
    pub fn cancel(&mut self) {
        self.input.end();
        self.call.end_input();
        self.give_up();
    }

    /// Reads an item, if fewer than so many have not ended; whether it has.
    fn read_if_there_is_room(&mut self, most: usize) -> bool {
        if self.input.has_ended() || self.tasks.len() >= most {
            return false;
        }
        let Some(item) = self.input.read_one() else {
            self.call.end_input();
            return false;
        };
        let (number, channel) = (self.call.submitted, Arc::clone(&self.channel));
        let submitted = self.call.submit_one(Room::Any, move |function: Arc<F>| {
            channel.begin(number);
            function.call((item, Yielder::in_thread(channel, number)))
        });
        let future = match submitted {
            Ok(future) => future,
            Err(error) => {
                self.input.refuse(error);
                return false;
            }
        };
        let (task, channel) = (Arc::clone(future.task()), Arc::clone(&self.channel));
        self.tasks.insert(number, Task { values: 0, future: future.clone() });
        // Behind all its values.
        future.task().call_back(Box::new(move || channel.end(number, task.take())));
        true
    }

    fn next_until(
        &mut self,
        until: Option<Deadline>,
        late: TaskError,
    ) -> Option<Result<Generated<T>, TaskError>> {
        loop {
            if !self.call.is_owned() {
                return self.next_in_copy();
            }
            if self.came.is_empty() {
                self.came = self.channel.take(Deadline::after(Duration::ZERO));
            }
            if let Some(event) = self.came.pop_front() {
                self.given(&event);
                self.read_if_there_is_room(self.look_ahead.div_ceil(2));
                return Some(Ok(event));
            }
            if self.read_if_there_is_room(self.look_ahead) {
                continue;
            }
            if self.tasks.is_empty() {
                return self.input.ended();
            }
            self.came = self.channel.take(until);
            if self.came.is_empty() {
                return Some(Err(late));
            }
        }
    }

    /// What was taken off the channel; then the tasks that had not ended are lost. A thread of the original's may have
    /// had the lock of the channel when the copy was made.
    #[cold]
    fn next_in_copy(&mut self) -> Option<Result<Generated<T>, TaskError>> {
        self.input.end();
        if let Some(event) = self.came.pop_front() {
            match &event {
                Generated::Value { item, .. } => {
                    self.tasks.get_mut(item).into_iter().for_each(|task| task.values += 1)
                }
                Generated::End { item, .. } => drop(self.tasks.remove(item)),
            }
            return Some(Ok(event));
        }
        let item = *self.tasks.keys().min()?;
        let values = self.tasks.remove(&item)?.values;
        Some(Ok(Generated::End { item, values, outcome: Err(lost_to_copy()) }))
    }

    fn given(&mut self, event: &Generated<T>) {
        match event {
            Generated::Value { item, .. } => {
                let Some(task) = self.tasks.get_mut(item) else { return };
                task.values += 1;
                if task.values.is_multiple_of(self.grants) {
                    self.channel.grant(*item, task.values);
                }
            }
            Generated::End { item, .. } => {
                self.tasks.remove(item);
            }
        }
    }
}

impl<I, F, T> ThreadGenerate<I, F, T> {
    fn give_up(&self) {
        if !self.call.is_owned() {
            return;
        }
        self.channel.stop(&TaskError::Cancelled);
        self.tasks.values().for_each(|task| task.future.task().cancel());
    }
}

impl<I, F, T> Iterator for ThreadGenerate<I, F, T>
where
    I: Iterator<Item: Send + 'static>,
    F: ThreadFunction<(I::Item, Yielder<T>), Output = Result<(), YieldError>>,
    T: Send + 'static,
{
    type Item = Generated<T>;

    fn next(&mut self) -> Option<Generated<T>> {
        // Without a deadline it is never late.
        self.next_until(None, TaskError::Timeout)?.ok()
    }
}

impl<I, F, T> std::iter::FusedIterator for ThreadGenerate<I, F, T>
where
    I: Iterator<Item: Send + 'static>,
    F: ThreadFunction<(I::Item, Yielder<T>), Output = Result<(), YieldError>>,
    T: Send + 'static,
{
}

impl<I, F, T> Drop for ThreadGenerate<I, F, T> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<I, F, T> fmt::Debug for ThreadGenerate<I, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadGenerate").finish_non_exhaustive()
    }
}
