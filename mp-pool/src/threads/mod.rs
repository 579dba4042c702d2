//! Pools of threads, with the face of the pools of processes.
//!
//! | file          | what                                                             |
//! |---------------|------------------------------------------------------------------|
//! | `pool.rs`     | [`ThreadPool`]                                                   |
//! | `imap.rs`     | [`ThreadImap`]: its results as an iterator                       |
//! | `executor.rs` | [`ThreadPoolExecutor`]                                           |
//! | `builder.rs`  | [`ThreadPoolBuilder`]                                            |
//! | `chunk.rs`    | items of one call that one thread does, one after the other       |
//! | `crew.rs`     | the threads, and the queue that they take tasks from             |
//! | `task.rs`     | one task: its function, then what became of it                   |
//! | `function.rs` | functions that are called with a tuple of arguments              |

mod builder;
mod chunk;
mod crew;
mod executor;
mod function;
mod imap;
mod pool;
mod task;

pub use builder::ThreadPoolBuilder;
pub use executor::ThreadPoolExecutor;
pub use function::{ThreadFunction, ThreadTarget};
pub use imap::ThreadImap;
pub use pool::ThreadPool;
