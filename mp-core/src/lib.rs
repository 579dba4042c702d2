//! The ground floor of the family: processes, handles, shared memory, words, and the system itself.
//!
//! | module, bottom to top | what it is for                                                          |
//! |-----------------------|-------------------------------------------------------------------------|
//! | [`error`]             | the errors that every floor shares                                      |
//! | [`word`]              | the traits that algorithms are written over; deadlines                  |
//! | `sys`                 | the system: one function per call; internal, hidden, and may change     |
//! | [`mem`]               | shared mappings and what may live in them                               |
//! | [`transfer`]          | values, handles and functions on their way to another process           |
//! | `component`           | the registry of what has state of its own: at a fork, at the end        |
//! | [`finalize`]          | what is done at a process's orderly end                                 |
//! | [`popen`]             | the three start methods                                                 |
//! | [`process`]           | `Process`, `Child`, `current_process`, `active_children`                |
//!
//! A module uses those above it in the table. Most programs need [`Process`] alone:
//!
//! ```no_run
//! fn square(x: u64) -> u64 {
//!     x * x
//! }
//!
//! let child = mp_core::Process::new(square, (7,)).start()?;
//! assert_eq!(child.join()?, 49);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(clippy::unwrap_used)]

mod component;
pub mod error;
pub mod finalize;
pub mod mem;
pub mod popen;
pub mod process;
#[doc(hidden)]
pub mod sys;
pub mod transfer;
mod waitable;
pub mod word;

pub use error::{AlreadySetError, CodecError, CreateError, MemError, OsError, OutOfRangeError};
/// Of the crate `log`: what [`log_to_stderr`] and [`Logger`] take.
pub use log::{Level, LevelFilter};
pub use popen::{
    ForkIsSafe, StartError, StartMethod, force_start_method, get_all_start_methods, get_start_method,
    replace_forkserver, set_forkserver_preload, set_start_method,
};
pub use process::{
    AnyChild, AuthKey, Child, CloseError, CurrentProcess, Ended, JoinError, Logger, ParentProcess, Process,
    Run, active_children, cpu_count, current_process, get_logger, log_to_stderr, parent_process, scope,
    set_authkey, usable_cpu_count,
};
pub use waitable::Waitable;

/// For `mp`, which has a derive of its own.
#[doc(hidden)]
pub mod without_derives {
    pub use crate::mem::shared_ref::Shareable;
}
