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

/// A worker that has begun nothing. Chunks are counted from 1.
pub(crate) const NOTHING_BEGUN: u64 = 0;

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
    fn no_mark_is_nothing() {
        assert_ne!(mark(1, 0), NOTHING_BEGUN);
        assert_ne!(mark(1, 0), mark(0, 1));
    }
}
