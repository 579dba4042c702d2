//! `imap` and `imap_unordered` of a pool of threads: the rules are those of a [`Stream`](crate::stream::Stream).

use super::call::{Call, Chunk};
use super::function::ThreadFunction;
use super::tasks::ThreadTasks;
use crate::error::{SubmitError, TaskError};
use crate::imap::ImapOptions;
use crate::input::Input;
use crate::stream::Order;
use crate::watch::Watch;
use mp_core::word::Deadline;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The results of [`ThreadPool::imap`](crate::ThreadPool::imap) and its relatives, as they come.
///
/// If the input panics, the results of the items before it are given; then `next` panics with the same payload.
/// Dropped, what no thread has taken yet is not begun.
///
/// Python: `multiprocessing.pool.IMapIterator`.
#[must_use = "the input is read as the results are taken"]
pub struct ThreadImap<I: Iterator, F, R> {
    call: Call<F>,
    input: Input<I>,
    chunk: usize,
    look_ahead: usize,
    /// The numbers of chunks that are done. `None`: they are taken in the order of the input.
    watch: Option<Arc<Watch>>,
    /// By number, in the order of the input.
    chunks: BTreeMap<usize, Chunk<R>>,
    submitted: usize,
    /// Results that were taken off their chunk.
    held: VecDeque<Result<R, TaskError>>,
    /// Items whose results were not given.
    outstanding: usize,
}

impl<I, F, R> ThreadImap<I, F, R>
where
    I: Iterator<Item: Send + 'static>,
    F: ThreadFunction<(I::Item,), Output = R>,
    R: Send + 'static,
{
    pub(super) fn new(
        tasks: ThreadTasks<'_>,
        function: F,
        input: I,
        options: ImapOptions,
        order: Order,
    ) -> Result<Self, SubmitError> {
        let threads = tasks.crew().size();
        let (chunk, look_ahead) = options.checked(threads)?;
        let call = Call::begin(tasks, function, F::state())?;
        call.know_length(input.size_hint());
        let mut imap = ThreadImap {
            call,
            input: Input::new(input),
            chunk,
            look_ahead,
            watch: (order == Order::OfCompletion).then(Arc::default),
            chunks: BTreeMap::new(),
            submitted: 0,
            held: VecDeque::new(),
            outstanding: 0,
        };
        // The threads begin before the first result is asked for.
        for _ in 0..imap.input.chunks_at_once(look_ahead, threads) {
            if imap.may_read() {
                imap.read_chunk();
            }
        }
        Ok(imap)
    }

    fn may_read(&self) -> bool {
        !self.input.has_ended() && self.outstanding < self.look_ahead
    }

    fn read_chunk(&mut self) {
        let (most, mut items) = (self.chunk.min(self.look_ahead - self.outstanding), Vec::new());
        while items.len() < most
            && let Some(item) = self.input.read_one()
        {
            items.push(item);
        }
        if self.input.has_ended() {
            self.call.end_input();
        }
        if items.is_empty() {
            return;
        }
        match self.call.submit(items, |function, item| function.call((item,))) {
            Ok(chunk) => {
                if let Some(watch) = &self.watch {
                    chunk.results.task().watch(watch, self.submitted);
                }
                self.outstanding += chunk.items;
                self.chunks.insert(self.submitted, chunk);
                self.submitted += 1;
            }
            Err(error) => self.input.refuse(error),
        }
    }

    /// The next result; `late` at the deadline.
    fn next_until(&mut self, until: Option<Deadline>, late: TaskError) -> Option<Result<R, TaskError>> {
        loop {
            if !self.held.is_empty() || self.take_chunk(Deadline::after(Duration::ZERO)) {
                if self.may_read() && 2 * (self.outstanding - self.held.len()) < self.look_ahead {
                    self.read_chunk();
                }
                self.outstanding -= 1;
                return self.held.pop_front();
            }
            if self.may_read() {
                self.read_chunk();
            } else if self.chunks.is_empty() {
                return self.input.ended();
            } else if !self.take_chunk(until) {
                return Some(Err(late));
            }
        }
    }

    /// Takes the results of the next chunk; `false`: it is not done by then, or there is none.
    fn take_chunk(&mut self, until: Option<Deadline>) -> bool {
        let number = match &self.watch {
            _ if self.chunks.is_empty() => None,
            None => {
                let next = self.chunks.first_key_value();
                next.filter(|(_, chunk)| chunk.results.task().wait(until)).map(|(number, _)| *number)
            }
            // No thread tells a copy. What it had not taken is lost, in any order.
            Some(_) if !self.call.is_owned() => self.chunks.first_key_value().map(|(number, _)| *number),
            Some(watch) => watch.next(until, || {}),
        };
        let chunk = number.and_then(|number| self.chunks.remove(&number));
        self.held.extend(chunk.iter().flat_map(Chunk::take));
        !self.held.is_empty()
    }

    /// Waits for the next result, at most `timeout`. Python: `IMapIterator.next(timeout)`.
    ///
    /// # Errors
    /// [`TaskError::Timeout`] if it has not come. Nothing is lost: ask again.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<R, TaskError>> {
        self.next_until(Deadline::after(timeout), TaskError::Timeout)
    }

    /// The next result, without waiting for it. Python: `IMapIterator.next(0)`.
    ///
    /// # Errors
    /// [`TaskError::WouldBlock`] if it has not come. Nothing is lost: ask again.
    pub fn try_next(&mut self) -> Option<Result<R, TaskError>> {
        self.next_until(Deadline::after(Duration::ZERO), TaskError::WouldBlock)
    }
}

impl<I, F, R> Iterator for ThreadImap<I, F, R>
where
    I: Iterator<Item: Send + 'static>,
    F: ThreadFunction<(I::Item,), Output = R>,
    R: Send + 'static,
{
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_until(None, TaskError::Timeout)
    }
}

impl<I, F, R> std::iter::FusedIterator for ThreadImap<I, F, R>
where
    I: Iterator<Item: Send + 'static>,
    F: ThreadFunction<(I::Item,), Output = R>,
    R: Send + 'static,
{
}

/// What has not begun is not begun any more.
impl<I: Iterator, F, R> Drop for ThreadImap<I, F, R> {
    fn drop(&mut self) {
        self.chunks.values().for_each(|chunk| chunk.results.task().cancel());
    }
}

impl<I: Iterator, F, R> fmt::Debug for ThreadImap<I, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadImap").finish_non_exhaustive()
    }
}
