//! Chunks, and what pool and worker tell each other.

use crate::error::Failure;
use mp_core::transfer::{Code, Message};
use serde::{Deserialize, Serialize};

/// Several items of one call, handed to a worker together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Chunk {
    /// Of this pool; never used again.
    pub(crate) id: u32,
    pub(crate) code: Code,
    /// (position among the call's items, packed arguments)
    pub(crate) items: Vec<(u32, Message)>,
}

/// From the pool to one worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    Run(Chunk),
    Stop,
}

/// From the workers to the pool, and from its own threads: all in one queue, in order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// An item is done.
    Done { chunk: u32, index: u32, outcome: Result<Message, Failure> },
    /// The initializer failed, so the worker ends.
    NotReady { reason: String },
    /// The oldest order that this worker has not done could not be received, so the worker ends.
    Unreadable { worker: u32, reason: String },
    /// From the watcher: this worker has ended. All that it said stands before this.
    Ended { worker: u32 },
}

/// How many items go to a worker together: each worker gets about four chunks, as Python does it.
pub(crate) fn default_chunk_size(items: usize, workers: usize) -> usize {
    items.div_ceil(4 * workers).max(1)
}

/// What a worker writes into shared memory before it begins an item, so that its death can be laid to that item.
pub(crate) fn mark(chunk: u32, index: u32) -> u64 {
    u64::from(chunk) << 32 | u64::from(index)
}

/// The item that a mark names: (chunk, index).
pub(crate) fn marked(mark: u64) -> (u32, u32) {
    ((mark >> 32) as u32, mark as u32)
}

/// The mark of a worker that is not ready for its first task. Chunks are counted from 1.
pub(crate) const NOT_READY: u64 = 0;
/// The mark of a worker that is ready and has begun nothing.
pub(crate) const READY: u64 = 1;

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
    fn a_mark_names_its_item_and_no_other_state() {
        for item in [(1, 0), (1, 1), (7, u32::MAX), (u32::MAX, 3)] {
            assert_eq!(marked(mark(item.0, item.1)), item);
            assert!(![NOT_READY, READY].contains(&mark(item.0, item.1)));
        }
    }
}
