//! Shared objects behind a server process, used through proxies that can be sent (Python: `multiprocessing.managers`).
//!
//! | file           | what                                                                |
//! |----------------|----------------------------------------------------------------------|
//! | `manager/`     | [`Manager`]: starts the server, makes objects                        |
//! | `builder.rs`   | `ManagerBuilder`: managers at an address (feature `listener`)        |
//! | `proxy/`       | the typed proxies                                                    |
//! | `shared.rs`    | [`Shared`]: objects of a user's type                                 |
//! | `client/`      | this process's connection, references, and how they travel           |
//! | `packed.rs`    | values on their way, and the proxies inside of them                  |
//! | `protocol/`    | requests and replies; plain data                                     |
//! | `server/`      | the server process: clients, calls, jobs                             |
//! | `slots/`       | calls through shared memory                                          |
//! | `object/`      | the objects in the server                                            |
//! | `pickled/`     | CPython's manager protocol, the server's side (feature `pickle`)     |
//! | `python/`      | the same, the client's side: `PythonManager`                         |
//! | `error.rs`     | the errors                                                           |
//!
//! The design note beside this crate's code, README.md, has one call from proxy to server and back.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used)]

#[cfg(feature = "listener")]
mod builder;
mod client;
mod error;
mod manager;
mod object;
mod packed;
#[cfg(feature = "pickle")]
mod pickled;
mod protocol;
mod proxy;
#[cfg(feature = "pickle")]
mod python;
mod restart;
mod server;
mod shared;
mod slots;

/// What the code that `#[shared]` writes needs.
#[doc(hidden)]
pub use serde as __serde;

/// For fuzzers alone.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::server::entry::Dispatcher;
}

#[cfg(feature = "listener")]
pub use builder::ManagerBuilder;
#[cfg(feature = "listener")]
pub use error::ConnectManagerError;
pub use error::{ManagerError, StartManagerError};
pub use manager::{Initialized, Manager};
pub use mp_derive::shared;
pub use proxy::{
    ArrayProxy, AsyncResultProxy, BarrierProxy, ConditionLock, ConditionProxy, ConditionProxyGuard,
    DictBatch, DictIter, DictProxy, EventProxy, IteratorProxy, KeyOf, ListIter, ListProxy, LockProxy,
    LockProxyGuard, MapResultProxy, NamespaceProxy, Number, PoolProxy, Proxy, QueueProxy, RLockProxy,
    RLockProxyGuard, RemoteIter, SemaphorePermit, SemaphoreProxy, SetProxy, ValueProxy,
};
#[cfg(feature = "pickle")]
pub use python::{
    FromPython, PythonDict, PythonError, PythonEvent, PythonException, PythonKeys, PythonList, PythonLock,
    PythonLockGuard, PythonManager, PythonNamespace, PythonProxy, PythonQueue, PythonRLock, PythonRLockGuard,
    PythonValue,
};
pub use restart::Restart;
pub use shared::{Arguments, CallMethodError, ObjectProxy, Returned, Shared};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
