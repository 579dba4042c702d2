//! A client of CPython's manager protocol: objects of a `SyncManager` that a Python program has started, or of this
//! library's server, as a Python program would use them (Python: `multiprocessing.managers`).
//!
//! ```text
//!   a request of the server   a connection of its own: create, incref, decref, number_of_objects
//!   a call on an object       the calling thread's connection, which is what the server's locks know it by
//! ```
//! A proxy has one reference, which its last clone gives back when it is dropped.
//!
//! | file            | what                                                     |
//! |-----------------|----------------------------------------------------------|
//! | `manager.rs`    | [`PythonManager`]                                        |
//! | `memory.rs`     | named memory that ends with the manager                  |
//! | `proxy.rs`      | [`PythonProxy`]: any object, by the names of its methods |
//! | `containers.rs` | typed proxies of dicts, lists, namespaces, values        |
//! | `waiting.rs`    | typed proxies of queues, locks, events                   |
//! | `convert.rs`    | [`FromPython`]                                           |
//! | `link.rs`       | the way to the server, and its replies                   |
//! | `error.rs`      | [`PythonError`]                                          |
//!
//! # When a process dies
//! The *server*: each call returns [`PythonError::Gone`]. The *client*: as each Python program; a Python server keeps
//! its references, and the locks that it held, for ever.

mod containers;
mod convert;
mod error;
mod link;
mod manager;
mod memory;
mod proxy;
mod waiting;

pub use containers::{PythonDict, PythonKeys, PythonList, PythonNamespace, PythonValue};
pub use convert::FromPython;
pub use error::{PythonError, PythonException};
pub use manager::PythonManager;
pub use proxy::PythonProxy;
pub use waiting::{PythonEvent, PythonLock, PythonLockGuard, PythonQueue, PythonRLock, PythonRLockGuard};
