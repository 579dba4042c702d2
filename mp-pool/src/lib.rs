//! A pool of worker processes in which a killed worker costs one task (Python: `multiprocessing.pool`).
//!
//! | file            | what                                                                     |
//! |-----------------|--------------------------------------------------------------------------|
//! | `pool.rs`       | [`Pool`]: `map`, `apply`, their `_async`; `close`, `terminate`, `join`   |
//! | `builder.rs`    | [`PoolBuilder`]                                                          |
//! | `result.rs`     | [`AsyncResult`], [`MapResult`]                                           |
//! | `task.rs`       | chunks, and what pool and worker tell each other; pure                   |
//! | `dispatch.rs`   | which task is with which worker; what a death costs                      |
//! | `restarts.rs`   | when a worker is replaced, and when the pool gives up; pure              |
//! | `supervisor.rs` | the two threads: results in; dead workers noticed and replaced           |
//! | `worker.rs`     | what a worker does                                                       |
//!
//! The design note beside this crate's code, README.md, has the four actors and their messages.

#![forbid(unsafe_code)]

mod builder;
mod dispatch;
mod error;
mod pool;
mod restarts;
mod result;
mod supervisor;
mod task;
mod worker;

pub use builder::PoolBuilder;
pub use error::{MapError, NewPoolError, StillRunning, SubmitError, TaskError};
pub use pool::Pool;
pub use result::{AsyncResult, MapResult};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
