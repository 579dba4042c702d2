//! Queues between processes, on a ring in shared memory, without a feeder thread (Python:
//! `multiprocessing.queues`).
//!
//! | file          | what                                                                   |
//! |---------------|------------------------------------------------------------------------|
//! | `queue.rs`    | [`Queue`]: put, get, qsize, close, shutdown                            |
//! | `producer.rs` | [`Producer`]: one of those whose end is the end of the stream          |
//! | `batch.rs`    | [`Batch`]: items that were got together                                  |
//! | `channel.rs`  | what all of these stand on: bytes in, bytes out, and who may still     |
//! | `memory.rs`   | the ring's memory in this process, and the packets beside it           |
//! | `ring/`       | the algorithm, generic over words and memory                           |
//! | `error.rs`    | what can go wrong                                                      |
//!
//! A value is serialised in the caller, so its error is the caller's; it is copied into the ring under a short lock
//! that survives its holder, and published by one store. A killed producer leaves nothing half-done; a killed
//! consumer takes at most the one item it had taken. Handles in a value (locks, queues, connections) travel beside
//! the ring, where the kernel holds them while they are in flight, so their sender may exit.

mod batch;
mod channel;
mod error;
mod memory;
mod producer;
mod queue;
mod ring;

pub use batch::Batch;
pub use error::{GetError, NewQueueError, PutError, PutRefusal};
pub use producer::Producer;
pub use queue::{Iter, Queue, QueueBuilder};

/// Handles that one item can carry.
pub const MOST_HANDLES: usize = 250;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
