//! Pools of threads, with the face of the pools of processes.
//!
//! | file          | what                                                             |
//! |---------------|------------------------------------------------------------------|
//! | `pool.rs`     | [`ThreadPool`]                                                   |
//! | `executor.rs` | [`ThreadPoolExecutor`]                                           |
//! | `builder.rs`  | [`ThreadPoolBuilder`]                                            |
//! | `tasks.rs`    | [`ThreadTasks`]: the calls of both, with options                 |
//! | `result.rs`   | [`ThreadResult`], [`ThreadMapResult`]                            |
//! | `imap.rs`     | [`ThreadImap`]: results as an iterator                           |
//! | `generate.rs` | [`ThreadGenerate`]: what comes of tasks that yield               |
//! | `channel.rs`  | what such tasks yield, on its way                                |
//! | `call.rs`     | one call, and the chunks that its items go in                    |
//! | `task.rs`     | one task: its function, then what became of it                   |
//! | `report.rs`   | what a task tells a progress                                     |
//! | `crew.rs`     | the threads, and when they end                                   |
//! | `seat.rs`     | one thread of them, and what it has done                         |
//! | `queue.rs`    | the tasks that wait, by priority                                 |
//! | `function.rs` | functions that are called with a tuple of arguments              |

mod builder;
mod call;
mod channel;
mod crew;
mod executor;
mod function;
mod generate;
mod imap;
mod pool;
mod queue;
mod report;
mod result;
mod seat;
mod task;
mod tasks;

pub use builder::ThreadPoolBuilder;
pub(crate) use channel::Channel;
pub use executor::ThreadPoolExecutor;
pub use function::{ThreadFunction, ThreadTarget};
pub use generate::ThreadGenerate;
pub use imap::ThreadImap;
pub use pool::ThreadPool;
pub use result::{ThreadMapResult, ThreadResult};
pub use tasks::ThreadTasks;
