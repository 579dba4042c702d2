//! Queues between processes, on a ring in shared memory, without a feeder thread (Python:
//! `multiprocessing.queues`).
//!
//! | file          | what                                                                   |
//! |---------------|------------------------------------------------------------------------|
//! | `queue.rs`    | [`Queue`]: construction, sizes, close, shutdown, transfer              |
//! | `put.rs`      | its puts: one value, many at once                                      |
//! | `get.rs`      | its gets, and [`Iter`]                                                 |
//! | `batch.rs`    | [`Batch`]: items that were got together                                |
//! | `bytes.rs`    | puts and gets of bytes in the caller's memory                          |
//! | `simple.rs`   | [`SimpleQueue`]: put, get, empty                                       |
//! | `joinable.rs` | [`JoinableQueue`]: items are reported done, and that can be waited for |
//! | `joinable_calls.rs` | the calls of a [`Queue`] on a [`JoinableQueue`]                   |
//! | `fixed.rs`    | [`FixedQueue`]: plain values, without serialisation                    |
//! | `producer.rs` | [`Producer`]: a counted producer, whose end is the end of the stream   |
//! | `channel.rs`  | what all of these use: bytes in, bytes out, closing                    |
//! | `worker.rs`   | this process as a worker: the slot of its tasks                        |
//! | `memory.rs`   | the ring's memory in this process, and the packets beside it           |
//! | `share.rs`    | the queues of this process: handles of one queue share its mapping     |
//! | `ring/`       | the algorithm, generic over words and memory                           |
//! | `error.rs`    | the errors                                                             |
//!
//! A value is serialised in the caller, so the caller gets its error. It is copied into the ring under a
//! short lock that survives the death of its holder, and published by one store. A killed producer leaves no
//! half item. A killed consumer loses at most the items that it had taken. Handles in a value (locks, queues,
//! connections) travel beside the ring; the kernel holds them in flight, so their sender may exit.

#![deny(clippy::unwrap_used)]

mod batch;
mod bytes;
mod channel;
mod error;
mod fixed;
mod get;
mod joinable;
mod joinable_calls;
mod memory;
mod producer;
mod put;
mod queue;
mod ring;
mod share;
mod simple;
mod worker;

pub use batch::Batch;
pub use error::{GetError, NotPutError, PutError, PutManyError, TasksError};
pub use fixed::{FixedIter, FixedQueue};
pub use get::Iter;
pub use joinable::{JoinableQueue, Task};
pub use producer::Producer;
pub use queue::{BuildQueue, Queue, QueueBuilder};
pub use simple::SimpleQueue;

/// What a user of this crate alone needs of the ground floor: processes, and the errors of memory and of values.
pub use mp_core::{CodecError, CreateError, MemError, Process};

/// The most handles that one item can carry.
pub const MOST_HANDLES: usize = 250;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
