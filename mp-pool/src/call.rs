//! A call: its input is read, packed, and submitted in batches.
//!
//! ```text
//!   input ──pack──► a batch of 16 items, of 32 … up to 64 KiB ──submit──► dispatch ──► wait until the board has it,
//!     ▲                                                                                if the call may wait
//!     └────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! The first batches are small, so that the workers begin while the rest is packed.

use crate::buffer::{Leases, packing};
use crate::code;
use crate::dispatch::{Batch, Dispatch};
use crate::error::{SubmitError, TaskError};
use crate::job::Job;
use crate::lead::Interrupted;
use crate::order::InOrder;
use crate::output::TaskNumber;
use crate::record::{put_item, take_item};
use crate::result::Waited;
use crate::supervisor::Shared;
use mp_core::CodecError;
use mp_core::transfer::{Handle, Message, Target, as_lone_block};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A batch is submitted when it has so many bytes.
pub(crate) const MOST_BYTES: usize = 64 << 10;
/// A batch has at most so many chunks: what is finished is collected between two, and the board is filled.
const MOST_CHUNKS: usize = 256;
/// Chunks for each worker, where that is for the call to say.
const CHUNKS: usize = 4;
/// The same for calls that report how far they are.
const STEPS: usize = 100;
/// Items of the first batch.
const FIRST: usize = 16;
/// An item is known by the low bits of its position: an endless input has more than they can tell apart, but not at
/// once.
pub(crate) const POSITIONS: u64 = (1 << 31) - 1;

/// A call of which not all is submitted.
pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) job: Arc<Job>,
    /// Items submitted.
    pub(crate) submitted: u64,
    /// The board did not hold all when the last batch was submitted.
    pub(crate) full: bool,
    /// What was submitted is wanted.
    pub(crate) complete: bool,
    /// Its number, if what its tasks write, or when they ran, is attributed to them.
    number: Option<u64>,
    input_ended: bool,
}

/// The items that are packed and not submitted.
#[derive(Default)]
pub(crate) struct Packed {
    pub(crate) items: u32,
    pub(crate) bytes: Vec<u8>,
}

impl Shared {
    /// Appends an item to packed ones, and its handles to a vector that has none. Gives what its buffers need.
    #[inline]
    pub(crate) fn put<A: Serialize + DeserializeOwned>(
        &self,
        number: Option<TaskNumber>,
        item: &A,
        bytes: &mut Vec<u8>,
        handles: &mut Vec<Handle>,
    ) -> Result<Option<Leases>, Box<CodecError>> {
        let put = || put_item(number, item, bytes, handles);
        let (put, leases) = packing(self.returned.as_ref(), put);
        put.map(|()| leases)
    }
}

impl Call {
    /// Begins a call; `job` makes its job of the packed code.
    pub(crate) fn begin<F, A>(
        shared: &Arc<Shared>,
        function: &F,
        job: impl FnOnce(Arc<[u8]>) -> Arc<Job>,
    ) -> Result<Call, SubmitError>
    where
        F: Target<A>,
        F::Output: Serialize + DeserializeOwned,
        A: Serialize + DeserializeOwned,
    {
        Call::begin_named::<F, A>(shared, function, std::any::type_name::<F>(), job)
    }

    /// As [`begin`](Call::begin), where the user knows the function by another name than that of its type.
    pub(crate) fn begin_named<F, A>(
        shared: &Arc<Shared>,
        function: &F,
        name: &'static str,
        job: impl FnOnce(Arc<[u8]>) -> Arc<Job>,
    ) -> Result<Call, SubmitError>
    where
        F: Target<A>,
        F::Output: Serialize + DeserializeOwned,
        A: Serialize + DeserializeOwned,
    {
        shared.check_process()?;
        shared.dispatch().phase.check()?;
        let code = code::packed::<F, A>(function, shared.state())?;
        let number = shared.number_call(name);
        let (shared, job) = (Arc::clone(shared), job(code));
        if let Some(number) = number {
            job.set_call(number);
        }
        if job.work().is_some() {
            shared.dispatch().reporting += 1;
        }
        Ok(Call { shared, job, submitted: 0, full: false, complete: false, number, input_ended: false })
    }

    /// The number of the next item that is packed, behind so many that are.
    #[inline]
    pub(crate) fn number_of(&self, packed: u32) -> Option<TaskNumber> {
        let item = self.submitted + u64::from(packed);
        self.number.map(|call| TaskNumber { call, item })
    }

    /// Submits all items; what the board does not hold waits in this process.
    ///
    /// # Errors
    /// An item that cannot be packed ends the call: those before it are cancelled, or done.
    pub(crate) fn submit<A>(
        &mut self,
        items: impl Iterator<Item = A>,
        chunk_size: Option<usize>,
        workers: usize,
    ) -> Result<(), SubmitError>
    where
        A: Serialize + DeserializeOwned,
    {
        if chunk_size == Some(0) {
            return Err(SubmitError::ChunkSize);
        }
        let workers = self.know_length(&items, workers);
        let chunk = chunk_size.or_else(|| known_chunk_size(&items, workers));
        self.all(items, chunk, workers, |_| Ok(()))
    }

    /// Submits all items, reads on only when the board holds what was read, and gives each result as soon as it can, in
    /// the order of the input.
    pub(crate) fn run<A, R>(
        mut self,
        items: impl Iterator<Item = A>,
        workers: usize,
        mut interrupted: Option<Interrupted<'_>>,
        each: impl FnMut(Result<R, TaskError>),
    ) -> Result<(), SubmitError>
    where
        A: Serialize + DeserializeOwned,
        R: DeserializeOwned,
    {
        let workers = self.know_length(&items, workers);
        let (chunk, mut results) = (known_chunk_size(&items, workers), InOrder::new(each));
        let submitted = self.all(items, chunk, workers, |call| {
            let (job, mut is_full) = (&*call.job, call.full);
            // What is done is decoded while workers go on: its memory is used again, and little is left to do at the
            // end.
            if call.shared.board.has_finished() {
                call.shared.look_for(job);
            }
            if !is_full {
                results.take(job);
            }
            while is_full {
                call.shared.wait_interruptible(job, &mut interrupted, |dispatch| {
                    is_full = dispatch.is_full_for(job);
                    !is_full || job.has_pieces()
                })?;
                results.take(job);
            }
            Ok(())
        });
        // What was submitted goes on.
        self.complete = matches!(submitted, Err(SubmitError::Interrupted));
        submitted?;
        let Waited { job, shared } = self.waited();
        loop {
            let is_settled = job.is_settled();
            results.take(&job);
            if is_settled {
                return Ok(());
            }
            shared.wait_interruptible(&job, &mut interrupted, |_| job.is_settled() || job.has_pieces())?;
        }
    }

    /// Reports how many items there are. Gives for how many workers the items are to be shared out: for more of them
    /// where it reports.
    fn know_length(&self, items: &impl Iterator, workers: usize) -> usize {
        let Some(work) = self.job.work() else { return workers };
        work.know_length(items.size_hint());
        STEPS / CHUNKS * workers
    }

    fn all<A>(
        &mut self,
        items: impl Iterator<Item = A>,
        chunk: Option<usize>,
        workers: usize,
        mut wait: impl FnMut(&Self) -> Result<(), SubmitError>,
    ) -> Result<(), SubmitError>
    where
        A: Serialize + DeserializeOwned,
    {
        let (mut packed, mut most) = (Packed::default(), FIRST);
        // How many there are is not known: as if there were as many more as there were so far.
        let chunk = |so_far: usize| chunk.unwrap_or_else(|| default_chunk_size(so_far, workers)).max(1);
        let mut handles = Vec::new();
        for item in items {
            // One with a number is not its bytes alone.
            let block = as_lone_block(&item).filter(|_| self.number.is_none());
            if let Some(content) = block.filter(|content| content.len() >= MOST_BYTES / 4) {
                let chunk = chunk(self.submitted as usize + packed.items as usize);
                self.submit_batch(std::mem::take(&mut packed), chunk)?;
                self.submit_block(content)?;
                wait(self)?;
                continue;
            }
            let before = packed.bytes.len();
            let number = self.number_of(packed.items);
            let put = self.shared.put(number, &item, &mut packed.bytes, &mut handles);
            let leases = put.map_err(|error| *error)?;
            packed.items += 1;
            let alone = !handles.is_empty() || leases.is_some();
            if alone {
                let beside = (std::mem::take(&mut handles), leases);
                self.submit_alone(&mut packed, before, beside, chunk(most))?;
            }
            if packed.items as usize >= most || packed.bytes.len() >= MOST_BYTES {
                let chunk = chunk(self.submitted as usize + packed.items as usize);
                most = most.saturating_mul(2).min(MOST_CHUNKS.saturating_mul(chunk));
                self.submit_batch(std::mem::take(&mut packed), chunk)?;
                wait(self)?;
            } else if alone {
                wait(self)?;
            }
        }
        let chunk = chunk(self.submitted as usize + packed.items as usize);
        self.submit_batch(packed, chunk)
    }

    /// The last item has something beside its bytes: with handles it goes by message. It begins after the bytes of
    /// those `before` it.
    pub(crate) fn submit_alone(
        &mut self,
        packed: &mut Packed,
        before: usize,
        beside: (Vec<Handle>, Option<Leases>),
        chunk: usize,
    ) -> Result<(), SubmitError> {
        if self.shared.is_elsewhere() {
            return Err(SubmitError::Handles);
        }
        let Packed { items, mut bytes } = std::mem::take(packed);
        let (handles, leases) = beside;
        if handles.is_empty() {
            let item = bytes.split_off(before);
            self.submit_batch(Packed { items: items - 1, bytes }, chunk)?;
            return self.submit_beside(Packed { items: 1, bytes: item }, 1, None, leases);
        }
        let item = take_item(&mut &bytes[before..]).unwrap_or_default().to_vec();
        bytes.truncate(before);
        self.submit_batch(Packed { items: items - 1, bytes }, chunk)?;
        let message = Message { bytes: item, handles };
        self.submit_beside(Packed { items: 1, bytes: Vec::new() }, 1, Some(Arc::new(message)), leases)
    }

    pub(crate) fn submit_batch(&mut self, packed: Packed, chunk: usize) -> Result<(), SubmitError> {
        self.submit_beside(packed, chunk, None, None)
    }

    fn submit_beside(
        &mut self,
        packed: Packed,
        chunk: usize,
        message: Option<Arc<Message>>,
        leases: Option<Leases>,
    ) -> Result<(), SubmitError> {
        let Packed { items, bytes } = packed;
        if items == 0 {
            return Ok(());
        }
        let one_by_one = self.job.options.is_one_by_one() || self.job.ahead() > 0;
        let chunk = if one_by_one { 1 } else { u32::try_from(chunk).unwrap_or(u32::MAX) };
        let first = (self.submitted & POSITIONS) as u32;
        let batch = Batch { message, leases, ..Batch::new(&self.job, first, items, chunk, bytes) };
        self.submit_by(items, |dispatch| dispatch.submit(batch))
    }

    /// An item that is bytes by itself.
    fn submit_block(&mut self, content: &[u8]) -> Result<(), SubmitError> {
        let (job, first) = (Arc::clone(&self.job), (self.submitted & POSITIONS) as u32);
        self.submit_by(1, |dispatch| dispatch.submit_block(&job, first, content))
    }

    fn submit_by(
        &mut self,
        items: u32,
        submit: impl FnOnce(&mut Dispatch) -> Result<(), SubmitError>,
    ) -> Result<(), SubmitError> {
        self.shared.check_process()?;
        let mut dispatch = self.shared.dispatch();
        let submitted = submit(&mut dispatch);
        self.full = dispatch.is_full_for(&self.job);
        self.shared.tell(&mut dispatch);
        self.shared.hand_on(&dispatch);
        drop(dispatch);
        submitted?;
        self.submitted += u64::from(items);
        Ok(())
    }

    /// The input has ended.
    pub(crate) fn waited(mut self) -> Waited {
        (self.complete, self.input_ended) = (true, true);
        self.job.end_input();
        Waited { job: Arc::clone(&self.job), shared: Arc::clone(&self.shared) }
    }
}

impl Call {
    /// Has it report no more once all that was submitted is settled.
    fn end_report(&self) {
        if !self.input_ended {
            self.job.end_input();
        }
        let mut dispatch = self.shared.dispatch();
        dispatch.end_report(&self.job);
        self.shared.hand_on(&dispatch);
    }
}

/// An item could not be packed, or the input panicked: the results of the others are not wanted.
impl Drop for Call {
    fn drop(&mut self) {
        if !self.complete && self.submitted > 0 {
            self.shared.withdraw(&self.job);
        }
        if self.job.work().is_some() && !self.shared.is_copied() {
            self.end_report();
        }
    }
}

/// How many items go to a worker together: each worker gets about four chunks, as Python does it.
pub(crate) fn default_chunk_size(items: usize, workers: usize) -> usize {
    items.div_ceil(CHUNKS * workers).max(1)
}

/// The same, where the input says how many there are.
fn known_chunk_size(items: &impl Iterator, workers: usize) -> Option<usize> {
    match items.size_hint() {
        (least, Some(most)) if least == most => Some(default_chunk_size(least, workers)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_as_pythons() {
        assert_eq!(default_chunk_size(100, 4), 7);
        assert_eq!(default_chunk_size(1, 4), 1);
        assert_eq!(default_chunk_size(0, 4), 1);
        assert_eq!(default_chunk_size(1000, 200), 2);
    }

    #[test]
    fn an_input_of_unknown_length_has_no_chunk_size_yet() {
        assert_eq!(known_chunk_size(&(0..100), 4), Some(7));
        assert_eq!(known_chunk_size(&(0..100).filter(|x| x % 2 == 0), 4), None);
    }
}
