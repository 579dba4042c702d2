//! Tasks that yield many results, and the iterator over what they yield.
//!
//! ```text
//!   items ──read──► tasks ─► a worker: yield_, yield_, … return
//!                             │ waits while it is `ahead` values before the consumer
//!                             ▼
//!   consumer:  Value { item, value } … Value … End { item, values, outcome }        one End for each item
//! ```
//!
//! | file         | what                                                          |
//! |--------------|---------------------------------------------------------------|
//! | `mod.rs`     | what the program sees, and the consumer                       |
//! | `yielder.rs` | a worker's part                                               |
//! | `ring.rs`    | how values go, through the memory of the task's slot          |
//! | `dispatch/generators.rs` | from a worker's messages to the values of a task  |
//! | `board/turns.rs` | how far ahead a worker may be                             |

#[cfg(test)]
mod damage;
mod ring;
mod yielder;

pub(crate) use ring::{Reader, Several, Writer, ring_room};
pub(crate) use yielder::{Current, Open, begin, end_task};
pub use yielder::{YieldError, Yielder};

use crate::call::{Call, POSITIONS};
use crate::dispatch::{TurnOf, Values, Yielded};
use crate::error::{SubmitError, TaskError};
use crate::job::{Job, decoded, decoded_short};
use crate::pool::Pool;
use crate::stream::{Next, Order, Stream};
use crate::supervisor::Shared;
use crate::tasks::Tasks;
use crate::window::Window;
use mp_core::transfer::{Callable, Captures, Target, Transferable};
use mp_core::word::Deadline;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;
use yielder::Generating;

/// How [`Pool::generate_with`] reads its input, and how far its tasks are ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "it is an argument of generate_with"]
pub struct GenerateOptions {
    ahead: usize,
    look_ahead: Option<usize>,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        GenerateOptions::new()
    }
}

impl GenerateOptions {
    /// 16 values of each task, and 4 tasks for each worker, are ahead of the consumer.
    pub const fn new() -> GenerateOptions {
        GenerateOptions { ahead: 16, look_ahead: None }
    }

    /// A task yields at most so many values, at least 1, before they are taken; then it waits.
    pub const fn ahead(mut self, values: usize) -> Self {
        self.ahead = values;
        self
    }

    /// At most so many items, at least 1, are read of the input before their tasks have ended and their values are
    /// taken.
    pub const fn look_ahead(mut self, items: usize) -> Self {
        self.look_ahead = Some(items);
        self
    }

    pub(crate) fn checked(self, workers: usize) -> Result<(u32, usize), SubmitError> {
        /// More would be no bound.
        const MOST: usize = 1 << 20;
        let look_ahead = self.look_ahead.unwrap_or(4 * workers);
        if self.ahead == 0 || look_ahead == 0 {
            return Err(SubmitError::ChunkSize);
        }
        Ok((self.ahead.min(MOST) as u32, look_ahead))
    }
}

impl Pool {
    /// Calls `function` with each item and a [`Yielder`] in the workers: a task that yields many results. The result is
    /// an iterator over what is yielded, as it comes, and over the end of each task.
    ///
    /// ```no_run
    /// use mp_pool::{Generated, Pool, YieldError, Yielder};
    ///
    /// fn lines(path: String, results: Yielder<String>) -> Result<(), YieldError> {
    ///     for line in std::fs::read_to_string(path).unwrap().lines() {
    ///         results.yield_(line.to_owned())?;
    ///     }
    ///     Ok(())
    /// }
    ///
    /// let pool = Pool::new(4)?;
    /// for event in pool.generate(lines, std::env::args().skip(1))? {
    ///     match event {
    ///         Generated::Value { item, value } => println!("{item}: {value}"),
    ///         Generated::End { item, outcome: Err(error), values } => eprintln!("{item}: {error}, after {values}"),
    ///         Generated::End { .. } => {}
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Values of one item come in the order in which it yielded them, and before its end; those of several items come
    /// mixed. A task whose values are not taken waits in `yield_`, after 16 of them; so an endless generator takes
    /// bounded memory. The input is read as by [`imap_unordered`](Pool::imap_unordered).
    ///
    /// A task that waits keeps its worker. When all workers have such tasks, other calls of the pool do not go on until
    /// values are taken: a thread that reads two iterators in turn, as by `zip`, needs a pool for each, or takes
    /// values by [`try_next`](Generate::try_next).
    ///
    /// **When a worker dies**, what its task had yielded is given, each value once, and then
    /// [`TaskError::WorkerDied`]. Such a task is never tried again.
    ///
    /// A [deadline](crate::TaskOptions::deadline) counts from the task's begin to its end, waits for the consumer
    /// included. A generator works with [`with_state`](crate::with_state) too: `fn(&mut State, item, Yielder<T>)`.
    ///
    /// Python has no counterpart; Ray: a task with `num_returns="streaming"`.
    ///
    /// # Errors
    /// As [`imap`](Pool::imap); [`SubmitError::Generator`] if the pool has a [backend](crate::PoolBuilder::backend).
    pub fn generate<F, I, T, Kind>(
        &self,
        function: F,
        items: I,
    ) -> Result<Generate<I::IntoIter, T>, SubmitError>
    where
        F: Target<(I::Item, Yielder<T>), Output = Result<(), YieldError>> + Callable<(I::Item,), Kind>,
        I: IntoIterator<Item: Serialize + DeserializeOwned>,
        T: Transferable + 'static,
    {
        let () = Captures::<F>::NOTHING;
        self.plain().generating(function, items, GenerateOptions::new())
    }

    /// Is [`generate`](Pool::generate) with bounds of one's own.
    ///
    /// # Errors
    /// [`SubmitError::ChunkSize`] if one of them is 0; else as [`generate`](Pool::generate).
    pub fn generate_with<F, I, T, Kind>(
        &self,
        function: F,
        items: I,
        options: GenerateOptions,
    ) -> Result<Generate<I::IntoIter, T>, SubmitError>
    where
        F: Target<(I::Item, Yielder<T>), Output = Result<(), YieldError>> + Callable<(I::Item,), Kind>,
        I: IntoIterator<Item: Serialize + DeserializeOwned>,
        T: Transferable + 'static,
    {
        let () = Captures::<F>::NOTHING;
        self.plain().generating(function, items, options)
    }
}

impl Tasks<'_> {
    /// Is [`Pool::generate_with`] with the options. [`GenerateOptions::new`] gives what [`Pool::generate`] has.
    ///
    /// # Errors
    /// [`SubmitError::Generator`] if the options have a [`Retry`](crate::Retry), or the pool has a
    /// [backend](crate::PoolBuilder::backend); else as [`Pool::generate_with`].
    pub fn generate<F, I, T, Kind>(
        &self,
        function: F,
        items: I,
        reading: GenerateOptions,
    ) -> Result<Generate<I::IntoIter, T>, SubmitError>
    where
        F: Target<(I::Item, Yielder<T>), Output = Result<(), YieldError>> + Callable<(I::Item,), Kind>,
        I: IntoIterator<Item: Serialize + DeserializeOwned>,
        T: Transferable + 'static,
    {
        let () = Captures::<F>::NOTHING;
        self.generating(function, items, reading)
    }

    fn generating<F, I, T>(
        &self,
        function: F,
        items: I,
        reading: GenerateOptions,
    ) -> Result<Generate<I::IntoIter, T>, SubmitError>
    where
        F: Target<(I::Item, Yielder<T>), Output = Result<(), YieldError>>,
        I: IntoIterator<Item: Serialize + DeserializeOwned>,
        T: Serialize + DeserializeOwned + 'static,
    {
        let (pool, options) = (self.pool(), self.options());
        let bounds = reading.checked(pool.processes())?;
        if options.retry.is_some() {
            return Err(SubmitError::Generator("is not tried again: leave the retry out of its options"));
        }
        if pool.shared().is_elsewhere() {
            return Err(SubmitError::Generator(
                "needs workers on this host: make the pool without a backend",
            ));
        }
        let begin = |code| self.job(code, true, bounds.0);
        Generate::begin(pool.shared(), begin, function, items, bounds)
    }
}

/// What comes of tasks that yield: see [`Pool::generate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Generated<T> {
    /// A value that the task of an item has yielded.
    Value {
        /// The item's position in the input.
        item: u64,
        /// The value.
        value: T,
    },
    /// The end of the task of an item: once for each, behind its values.
    End {
        /// The item's position in the input.
        item: u64,
        /// How many values it has given.
        values: u64,
        /// Whether it returned, or why it ended. An error that it returned is [`TaskError::Failed`].
        outcome: Result<(), TaskError>,
    },
}

/// The results of [`Pool::generate`], as they come. Each item that was read of the input has one [`Generated::End`].
///
/// An item whose arguments cannot be serialised ends as [`TaskError::Failed`]. If the input panics, what the items
/// before it give comes first; then `next` panics with the same payload. A value that cannot be received or decoded
/// ends its task as [`TaskError::Value`], and its worker goes on.
///
/// A task that waits for its values to be taken is not done, and [`Pool::join`] waits for it. A thread that joins while
/// it holds the iterator itself gets [`JoinPoolError::Untaken`](crate::JoinPoolError::Untaken).
///
/// Dropped, what no worker has taken yet is not begun, and tasks that run end at their next `yield_`, which returns
/// [`YieldError::Stopped`]. [`cancel`](Generate::cancel) also ends those that do not yield.
#[must_use = "the input is read as the results are taken"]
pub struct Generate<I, T> {
    stream: Stream<I>,
    /// So many values are taken before the task is told.
    grants: u32,
    /// Values of one item that have come, and are given next.
    current: Option<AtHand>,
    /// The items that have yielded, and have not ended, but for that one.
    running: HashMap<u64, Running>,
    value: PhantomData<fn() -> T>,
}

/// A task that has yielded.
struct Running {
    values: u64,
    /// How many it was told of that were taken.
    granted: u64,
    /// Why it is to end: a value of it was lost.
    lost: Option<TaskError>,
}

/// Values of a task that have come.
struct AtHand {
    item: u64,
    by: TurnOf,
    values: Values,
    running: Running,
}

impl<I, T> Generate<I, T>
where
    I: Iterator<Item: Serialize + DeserializeOwned>,
    T: Serialize + DeserializeOwned + 'static,
{
    /// Begins a call; `job` makes its job of the packed code. Its tasks may be so many values ahead, and so many items
    /// are read ahead.
    pub(crate) fn begin<F>(
        shared: &Arc<Shared>,
        job: impl FnOnce(Arc<[u8]>) -> Arc<Job>,
        function: F,
        items: impl IntoIterator<IntoIter = I, Item = I::Item>,
        (ahead, look_ahead): (u32, usize),
    ) -> Result<Generate<I, T>, SubmitError>
    where
        F: Target<(I::Item, Yielder<T>), Output = Result<(), YieldError>>,
    {
        let window = Window::new((look_ahead as u64).min(POSITIONS / 2), true);
        let (task, name) = (Generating::<F, T>::new(function), std::any::type_name::<F>());
        let call = Call::begin_named::<_, (I::Item,)>(shared, &task, name, job)?;
        let workers = shared.processes();
        let stream = Stream::new(call, items.into_iter(), Order::OfCompletion, (1, window), workers);
        let grants = (ahead / 2).max(1);
        stream.taken_here();
        Ok(Generate { stream, grants, current: None, running: HashMap::new(), value: PhantomData })
    }
}

impl<I, T> Generate<I, T>
where
    I: Iterator<Item: Serialize + DeserializeOwned>,
    T: DeserializeOwned,
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

    /// Gives up what is left: nothing more is read of the input, and the workers of tasks that run are killed. What has
    /// arrived still comes, then the end of each item, as [`TaskError::Cancelled`].
    pub fn cancel(&mut self) {
        self.stream.cancel();
    }

    fn next_until(
        &mut self,
        until: Option<Deadline>,
        late: TaskError,
    ) -> Option<Result<Generated<T>, TaskError>> {
        self.stream.taken_here();
        if self.stream.is_copied() {
            self.current = None;
        }
        loop {
            if let Some((item, value)) = self.next_value() {
                return Some(Ok(Generated::Value { item, value }));
            }
            match self.stream.next_piece(until)? {
                Next::Late => return Some(Err(late)),
                Next::Yielded { item, yielded } => {
                    let Yielded { by, values } = *yielded;
                    let running = self.running.remove(&item).unwrap_or(Running::NEW);
                    self.current = Some(AtHand { item, by, values, running });
                }
                Next::Ended { item, outcome } => {
                    let Running { values, lost, .. } = self.running.remove(&item).unwrap_or(Running::NEW);
                    let outcome = lost.map_or_else(|| flat(outcome), Err);
                    return Some(Ok(Generated::End { item, values, outcome }));
                }
            }
        }
    }

    /// The next one of those that have come.
    fn next_value(&mut self) -> Option<(u64, T)> {
        let AtHand { item, by, values, running } = self.current.as_mut()?;
        // One that was lost ends its task: nothing is given behind it.
        let next = if running.lost.is_none() { values.next() } else { None };
        match next {
            Some(Ok(value)) => {
                running.values += 1;
                if running.values - running.granted >= self.grants.into() {
                    running.granted = running.values;
                    // The low bits: the worker counts with as many.
                    self.stream.grant(*by, running.values as u32);
                }
                return Some((*item, value));
            }
            Some(Err(error)) => {
                running.lost = Some(error);
                self.stream.stop(*by);
            }
            None => {}
        }
        let AtHand { item, running, .. } = self.current.take()?;
        self.running.insert(item, running);
        None
    }
}

impl Values {
    #[inline]
    fn next<T: DeserializeOwned>(&mut self) -> Option<Result<T, TaskError>> {
        match self {
            Values::Several(several) => several.next().map(decoded_short),
            Values::One(_) => {
                let Values::One(value) = std::mem::replace(self, Values::Several(Several::none())) else {
                    return None;
                };
                Some(value.and_then(|message| decoded(&message.bytes, message.handles)))
            }
        }
    }
}

impl Running {
    const NEW: Running = Running { values: 0, granted: 0, lost: None };
}

/// The end of a task that yields, whose value is what its function returned.
pub(crate) fn flat(outcome: Result<Result<(), YieldError>, TaskError>) -> Result<(), TaskError> {
    match outcome? {
        Ok(()) => Ok(()),
        Err(YieldError::Stopped) => Err(TaskError::Cancelled),
        Err(YieldError::Failed(reason)) => Err(TaskError::Failed(reason)),
    }
}

impl<I, T> Iterator for Generate<I, T>
where
    I: Iterator<Item: Serialize + DeserializeOwned>,
    T: DeserializeOwned,
{
    type Item = Generated<T>;

    fn next(&mut self) -> Option<Generated<T>> {
        // Without a deadline it is never late.
        self.next_until(None, TaskError::Timeout)?.ok()
    }
}

impl<I, T> std::iter::FusedIterator for Generate<I, T>
where
    I: Iterator<Item: Serialize + DeserializeOwned>,
    T: DeserializeOwned,
{
}

impl<I, T> Drop for Generate<I, T> {
    fn drop(&mut self) {
        self.stream.stop_all();
    }
}

impl<I, T> fmt::Debug for Generate<I, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generate").finish_non_exhaustive()
    }
}
