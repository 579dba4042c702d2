//! `imap` and `imap_unordered`: results as an iterator, over an input that may be endless.

use crate::call::POSITIONS;
use crate::error::{SubmitError, TaskError};
use crate::pool::Pool;
use crate::stream::{Order, Stream};
use crate::window::Window;
use mp_core::transfer::{Callable, Captures, Target, Transferable};
use mp_core::word::Deadline;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// How [`Pool::imap_with`] reads its input.
///
/// Python: the arguments `chunksize` and `buffersize` of `Pool.imap`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "it is an argument of imap_with"]
pub struct ImapOptions {
    chunk_size: usize,
    look_ahead: Option<usize>,
}

impl Default for ImapOptions {
    fn default() -> Self {
        ImapOptions::new()
    }
}

impl ImapOptions {
    /// One item to a worker at a time; 64 chunks for each worker, and at least 256, are read ahead. While results are
    /// taken very fast (more than 500,000 a second), up to 4,096 items are.
    pub const fn new() -> ImapOptions {
        ImapOptions { chunk_size: 1, look_ahead: None }
    }

    /// So many items go to a worker together, at least 1. More are worth it for short tasks. Python: `chunksize`.
    #[doc(alias = "chunksize")]
    pub const fn chunk_size(mut self, items: usize) -> Self {
        self.chunk_size = items;
        self
    }

    /// At most so many items, at least 1, are read of the input before their results are taken. Python: `buffersize`,
    /// which is unbounded if it is not given.
    #[doc(alias = "buffersize")]
    pub const fn look_ahead(mut self, items: usize) -> Self {
        self.look_ahead = Some(items);
        self
    }

    /// Chunk size, and how the items ahead are bounded.
    pub(crate) fn window(self, workers: usize) -> Result<(usize, Window), SubmitError> {
        let (chunk, look_ahead) = self.checked(workers)?;
        let size = (look_ahead as u64).min(POSITIONS / 2);
        Ok((chunk, Window::new(size, self.look_ahead.is_some())))
    }

    /// Chunk size and look-ahead.
    pub(crate) fn checked(self, workers: usize) -> Result<(usize, usize), SubmitError> {
        let default = (64 * workers).max(256).saturating_mul(self.chunk_size);
        let look_ahead = self.look_ahead.unwrap_or(default);
        if self.chunk_size == 0 || look_ahead == 0 {
            return Err(SubmitError::ChunkSize);
        }
        Ok((self.chunk_size, look_ahead))
    }
}

impl Pool {
    /// Calls `function` with each item in the workers. The result is an iterator over the values, in the order of the
    /// input.
    ///
    /// The input is read by the thread that takes the results, a bounded number of items ahead, so it may be endless
    /// and may borrow. An input of known length that fits is read at once; of another one, which may be slow to come,
    /// one chunk for each worker. A failed task is an `Err` at its place; those after it follow.
    ///
    /// ```no_run
    /// fn square(x: u64) -> u64 {
    ///     x * x
    /// }
    ///
    /// let pool = mp_pool::Pool::new(4)?;
    /// let large = pool.imap(square, 0..)?.map(Result::unwrap).find(|square| *square > 1000);
    /// assert_eq!(large, Some(1024));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// An input that waits for a result that was not taken yet waits for ever: submit such tasks one by one
    /// ([`apply_async`](Pool::apply_async)). After [`close`](Pool::close) the results of the items that were read are
    /// given, then [`TaskError::Closed`] if there are others.
    ///
    /// Python: `Pool.imap`, which reads the whole input at once.
    ///
    /// # Errors
    /// The pool takes no tasks, or the function cannot be called in another process.
    pub fn imap<F, I, R, Kind>(&self, function: F, items: I) -> Result<Imap<I::IntoIter, R>, SubmitError>
    where
        F: Target<(I::Item,), Output = R> + Callable<(I::Item,), Kind>,
        I: IntoIterator<Item: Serialize + DeserializeOwned>,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.plain().stream(function, items, ImapOptions::new(), Order::OfInput)
    }

    /// Calls `function` with each item in the workers. The result is an iterator over the values, each as soon as it is
    /// there. The input is read as by [`imap`](Pool::imap).
    ///
    /// ```no_run
    /// fn length(path: String) -> Option<u64> {
    ///     Some(std::fs::metadata(path).ok()?.len())
    /// }
    ///
    /// let pool = mp_pool::Pool::new(4)?;
    /// for length in pool.imap_unordered(length, std::env::args().skip(1))? {
    ///     println!("{:?}", length?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Python: `Pool.imap_unordered`.
    ///
    /// # Errors
    /// As [`imap`](Pool::imap).
    pub fn imap_unordered<F, I, R, Kind>(
        &self,
        function: F,
        items: I,
    ) -> Result<Imap<I::IntoIter, R>, SubmitError>
    where
        F: Target<(I::Item,), Output = R> + Callable<(I::Item,), Kind>,
        I: IntoIterator<Item: Serialize + DeserializeOwned>,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.plain().stream(function, items, ImapOptions::new(), Order::OfCompletion)
    }

    /// Is [`imap`](Pool::imap) with a chunk size and a look-ahead of one's own.
    ///
    /// Python: `Pool.imap(chunksize, buffersize)`.
    ///
    /// # Errors
    /// [`SubmitError::ChunkSize`] if one of them is 0; else as [`imap`](Pool::imap).
    pub fn imap_with<F, I, R, Kind>(
        &self,
        function: F,
        items: I,
        options: ImapOptions,
    ) -> Result<Imap<I::IntoIter, R>, SubmitError>
    where
        F: Target<(I::Item,), Output = R> + Callable<(I::Item,), Kind>,
        I: IntoIterator<Item: Serialize + DeserializeOwned>,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.plain().stream(function, items, options, Order::OfInput)
    }

    /// Is [`imap_unordered`](Pool::imap_unordered) with a chunk size and a look-ahead of one's own.
    ///
    /// Python: `Pool.imap_unordered(chunksize, buffersize)`.
    ///
    /// # Errors
    /// [`SubmitError::ChunkSize`] if one of them is 0; else as [`imap`](Pool::imap).
    pub fn imap_unordered_with<F, I, R, Kind>(
        &self,
        function: F,
        items: I,
        options: ImapOptions,
    ) -> Result<Imap<I::IntoIter, R>, SubmitError>
    where
        F: Target<(I::Item,), Output = R> + Callable<(I::Item,), Kind>,
        I: IntoIterator<Item: Serialize + DeserializeOwned>,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.plain().stream(function, items, options, Order::OfCompletion)
    }
}

/// The results of [`Pool::imap`] and [`Pool::imap_unordered`], as they come.
///
/// An item whose arguments cannot be serialised is [`TaskError::Failed`] at its place. If the input panics, the results
/// of the items before it are given; then `next` panics with the same payload. A worker that dies costs the item that
/// it had begun ([`TaskError::WorkerDied`]).
///
/// Dropped, what no worker has taken yet is not begun.
///
/// Python: `multiprocessing.pool.IMapIterator`.
#[doc(alias = "IMapIterator")]
#[doc(alias = "IMapUnorderedIterator")]
#[must_use = "the input is read as the results are taken"]
pub struct Imap<I, R> {
    stream: Stream<I>,
    value: PhantomData<fn() -> R>,
}

impl<I, R> Imap<I, R> {
    pub(crate) fn of(stream: Stream<I>) -> Self {
        Imap { stream, value: PhantomData }
    }
}

impl<I, R> Imap<I, R>
where
    I: Iterator<Item: Serialize + DeserializeOwned>,
    R: DeserializeOwned,
{
    /// Waits for the next result, at most `timeout`. The time that the input takes to give an item is not bounded.
    ///
    /// Python: `IMapIterator.next(timeout)`.
    ///
    /// # Errors
    /// [`TaskError::Timeout`] if it has not come. Nothing is lost: ask again.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<Result<R, TaskError>> {
        self.stream.next(Deadline::after(timeout), TaskError::Timeout)
    }

    /// The next result, without waiting for it. Python: `IMapIterator.next(0)`.
    ///
    /// # Errors
    /// [`TaskError::WouldBlock`] if it has not come. Nothing is lost: ask again.
    pub fn try_next(&mut self) -> Option<Result<R, TaskError>> {
        self.stream.next(Deadline::after(Duration::ZERO), TaskError::WouldBlock)
    }
}

impl<I, R> Iterator for Imap<I, R>
where
    I: Iterator<Item: Serialize + DeserializeOwned>,
    R: DeserializeOwned,
{
    type Item = Result<R, TaskError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.stream.next(None, TaskError::Timeout)
    }
}

impl<I, R> std::iter::FusedIterator for Imap<I, R>
where
    I: Iterator<Item: Serialize + DeserializeOwned>,
    R: DeserializeOwned,
{
}

impl<I, R> fmt::Debug for Imap<I, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imap").finish_non_exhaustive()
    }
}
