//! Processes (Python: `multiprocessing.Process` and what stands around it).
//!
//! ```text
//!   Process::new(f, args) ──start──►  Child<R>  ──join──►  Ok(R) | Err(JoinError)
//!     name, daemon, method              │
//!                                       └─ is_alive, exitcode, pid, sentinel, terminate, kill, interrupt
//! ```
//!
//! | file           | what                                                                |
//! |----------------|---------------------------------------------------------------------|
//! | `builder.rs`   | `Process`: what is to run, and `start`                               |
//! | `child.rs`     | `Child<R>`: a started process                                        |
//! | `join_error.rs` | why it gave no value                                                |
//! | `any_child.rs` | `AnyChild`: a started process without the type of its value          |
//! | `table.rs`     | the children that live: `active_children`, reaping, the end          |
//! | `current.rs`   | `current_process`, `parent_process`, names                           |
//! | `bootstrap.rs` | a child from its first line to its last                              |
//! | `authkey.rs`   | the family's secret                                                  |
//! | `family.rs`    | the family's number                                                  |
//! | `logging.rs`   | `get_logger`, `log_to_stderr`                                        |
//! | `scope.rs`     | `scope`: forked processes that work on what is borrowed              |
//! | `caught.rs`    | calling several functions in one child                               |
//! | `panics.rs`    | what a panic said, and where it was                                  |

mod any_child;
pub(crate) mod authkey;
pub(crate) mod bootstrap;
mod builder;
mod caught;
mod child;
mod cpus;
pub(crate) mod current;
mod ending;
pub(crate) mod family;
mod join_error;
mod logging;
pub(crate) mod panics;
mod scope;
pub(crate) mod table;

pub use crate::sys::process::Ended;
pub use any_child::AnyChild;
pub use authkey::{AuthKey, set_authkey};
pub use builder::{ForkProcess, Process, Run};
pub use caught::{CaughtError, begin_call, call_caught, call_caught_onto, call_many_caught, caught};
pub use child::{Child, CloseError};
pub use cpus::{cpu_count, usable_cpu_count};
pub use current::{CurrentProcess, ParentProcess, args_os, current_process, parent_process};
pub use family::Family;
pub use join_error::{At, JoinError};
pub use logging::{Logger, TARGET, get_logger, log_to_stderr};
pub use panics::note_panics;
pub use scope::{Scope, scope};
pub use table::active_children;
