//! Queues between processes, on a ring in shared memory, without a feeder thread (Python:
//! `multiprocessing.queues`).
//!
//! | file          | what                                                                   |
//! |---------------|------------------------------------------------------------------------|
//! | `queue.rs`    | [`Queue`]: how it is made, sizes, close, shutdown, how it travels      |
//! | `put.rs`      | its puts: one value, many at once                                      |
//! | `get.rs`      | its gets, and [`Iter`]                                                 |
//! | `batch.rs`    | [`Batch`]: items that were got together                                |
//! | `bytes.rs`    | puts and gets of bytes in the caller's memory                          |
//! | `simple.rs`   | [`SimpleQueue`]: put, get, empty                                       |
//! | `joinable.rs` | [`JoinableQueue`]: items are reported done, and that can be waited for |
//! | `fixed.rs`    | [`FixedQueue`]: plain values, without serialisation                    |
//! | `producer.rs` | [`Producer`]: one of those whose end is the end of the stream          |
//! | `channel.rs`  | what all of these stand on: bytes in, bytes out, and who may still     |
//! | `worker.rs`   | this process, as one that takes tasks                                  |
//! | `memory.rs`   | the ring's memory in this process, and the packets beside it           |
//! | `share.rs`    | the queues that this process has: what arrives again shares these      |
//! | `ring/`       | the algorithm, generic over words and memory                           |
//! | `error.rs`    | what can go wrong                                                      |
//!
//! A value is serialised in the caller, so its error is the caller's; it is copied into the ring under a short lock
//! that survives its holder, and published by one store. A killed producer leaves nothing half-done; a killed
//! consumer takes at most the one item it had taken. Handles in a value (locks, queues, connections) travel beside
//! the ring, where the kernel holds them while they are in flight, so their sender may exit.

mod batch;
mod bytes;
mod channel;
mod error;
mod fixed;
mod get;
mod joinable;
mod memory;
mod producer;
mod put;
mod queue;
mod ring;
mod share;
mod simple;
mod worker;

pub use batch::Batch;
pub use error::{GetError, NewQueueError, PutError, PutRefusal, TaskDoneError, TasksError};
pub use fixed::FixedQueue;
pub use get::Iter;
pub use joinable::{JoinableQueue, Task};
pub use producer::Producer;
pub use queue::{Queue, QueueBuilder};
pub use simple::SimpleQueue;

/// Handles that one item can carry.
pub const MOST_HANDLES: usize = 250;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
