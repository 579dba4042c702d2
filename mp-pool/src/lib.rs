//! A pool of worker processes in which a killed worker costs one task (Python: `multiprocessing.pool`).
//!
//! | file            | what                                                                     |
//! |-----------------|--------------------------------------------------------------------------|
//! | `pool.rs`       | [`Pool`]: `map`, `apply`, their `_async`; `close`, `terminate`, `join`   |
//! | `builder.rs`    | [`PoolBuilder`]                                                          |
//! | `options.rs`    | [`TaskOptions`]: a deadline, [`Retry`], a priority for each task          |
//! | `tasks.rs`      | [`Tasks`]: the calls of a pool, with options                             |
//! | `result.rs`     | [`AsyncResult`], [`MapResult`]                                           |
//! | `imap.rs`       | [`Imap`]: results as an iterator, of [`Pool::imap`] and others           |
//! | `fork_from.rs`  | a pool whose workers are forked with captured data                       |
//! | `statistics.rs` | [`Statistics`]: what each worker has done                                |
//! | `resize.rs`     | a pool that grows and shrinks                                            |
//! | `idle.rs`       | workers leave while there is nothing to do                               |
//! | `place.rs`      | [`worker_index`]; the CPU and the niceness of a worker                    |
//! | `executor.rs`   | [`ProcessPoolExecutor`]                                                  |
//! | `future.rs`     | [`futures::Future`]                                                      |
//! | `futures.rs`    | [`futures::wait`], [`futures::as_completed`]                              |
//! | `hook.rs`       | what is done when a job is settled                                       |
//! | `watch.rs`      | one thread waits for the first of several tasks                          |
//! | `thread.rs`     | threads of the pool's own, and how threads wait and are woken            |
//! | `threads/`      | [`ThreadPool`], [`ThreadPoolExecutor`]                                   |
//! | `pipeline/`     | [`pipeline::Pipeline`]: named steps, in threads or in processes          |
//! | `generate/`     | tasks that yield many results                                            |
//! | `output/`       | what tasks write, and their log records, with the task                   |
//! | `trace/`        | which worker ran which task when, as a file                              |
//! | `progress/`     | [`progress::Progress`]: how far some work is, and a bar                  |
//! | `stream.rs`     | reading the input of an [`Imap`] a bounded number of items ahead          |
//! | `held.rs`       | the results that a stream has, and has not given yet                     |
//! | `window.rs`     | how many items a stream reads ahead                                      |
//! | `input.rs`      | an input that is read item by item, its panic and its end                |
//! | `call.rs`       | from an input to batches of packed items                                 |
//! | `lone.rs`       | a call of one item, by a shorter way                                     |
//! | `code.rs`       | the code of a function, packed once for calls that follow each other     |
//! | `copies.rs`     | forked copies of the pool's process, and of a worker                      |
//! | `job.rs`        | what has become of a call's items                                        |
//! | `pieces.rs`     | its results, in the order in which they came                             |
//! | `order.rs`      | results in the order of the input, decoded as they come                  |
//! | `decoded.rs`    | the value of a result, or why there is none                              |
//! | `backend/`      | [`backend::Backend`]: workers on other hosts, behind links                |
//! | `process.rs`    | a worker's process, here or elsewhere, as the pool holds it              |
//! | `dispatch/`     | which items are where; what a death costs                                |
//! | `board/`        | the words that pool and workers share: slots, lanes, sleepers            |
//! | `lead.rs`       | of the threads that wait for results, one waits at the board             |
//! | `restarts.rs`   | when a worker is replaced, and when the pool gives up                    |
//! | `supervisor.rs` | what the pool's threads share; the start of a worker                     |
//! | `watcher.rs`    | the thread that sees what workers say, and how they end                  |
//! | `limits.rs`     | the memory and the age of a worker                                       |
//! | `buffer/`       | [`Buffer`]: arguments and results that are read where they lie           |
//! | `lent.rs`       | long results that stay in the arena until they are read                  |
//! | `line.rs`       | what goes between pool and worker beside shared memory                   |
//! | `memory.rs`, `arena.rs`, `record.rs` | the shared bytes: where, which, what                |
//! | `worker/`       | what a worker does                                                       |
//! | `steps.rs`      | all of it without threads and processes, for the kill sweep              |
//!
//! The design note beside this crate's code, README.md, has the path of a task, and what becomes of it.

#![deny(clippy::unwrap_used)]

mod arena;
pub mod backend;
mod board;
mod buffer;
mod builder;
mod call;
mod code;
mod copies;
mod decoded;
mod dispatch;
mod error;
mod executor;
mod fork_from;
mod future;
pub mod futures;
mod generate;
mod held;
mod hook;
mod idle;
mod imap;
mod input;
mod job;
mod lead;
mod lent;
mod limits;
mod line;
mod lone;
mod memory;
mod options;
mod order;
mod output;
mod pieces;
pub mod pipeline;
mod place;
mod pool;
mod process;
pub mod progress;
mod record;
mod resize;
mod restarts;
mod result;
mod statistics;
#[cfg(feature = "steps")]
#[doc(hidden)]
pub mod steps;
mod stream;
mod supervisor;
mod tasks;
mod thread;
mod threads;
mod trace;
mod watch;
mod watcher;
mod window;
mod worker;

pub use buffer::{Buffer, BufferMut, buffer};
pub use builder::PoolBuilder;
pub use error::{JoinPoolError, MapError, NewPoolError, SubmitError, TaskError};
pub use executor::ProcessPoolExecutor;
pub use generate::{Generate, GenerateOptions, Generated, YieldError, Yielder};
pub use imap::{Imap, ImapOptions};
pub use options::{Retry, TaskOptions};
pub use output::{TaskNumber, TaskOutput, TaskOutputKind, TaskRecord};
pub use place::worker_index;
pub use pool::Pool;
pub use resize::ResizeError;
pub use result::{AsyncResult, MapResult};
pub use statistics::{Statistics, WorkerStatistics};
pub use tasks::Tasks;

/// What a user of this crate alone needs of the ground floor: start methods, how a worker ended, and errors.
pub use mp_core::mem::Shareable;
pub use mp_core::transfer::{StateCall, Stateful, with_state};
pub use mp_core::{CodecError, Ended, Level, LevelFilter, MemError, OsError, StartError, StartMethod};

pub use threads::{
    ThreadFunction, ThreadGenerate, ThreadImap, ThreadMapResult, ThreadPool, ThreadPoolBuilder,
    ThreadPoolExecutor, ThreadResult, ThreadTarget, ThreadTasks,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
