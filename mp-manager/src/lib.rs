//! Shared objects behind a server process, used through proxies that can be sent (Python: `multiprocessing.managers`).
//!
//! | file           | what                                                                |
//! |----------------|----------------------------------------------------------------------|
//! | `manager.rs`   | [`Manager`]: starts the server, makes objects                        |
//! | `proxy/`       | [`DictProxy`], [`ListProxy`], [`LockProxy`]                          |
//! | `client.rs`    | one call: this thread's connection to the server                    |
//! | `protocol.rs`  | requests and replies; pure                                          |
//! | `server.rs`    | the server process: accept socket, a thread for each client         |
//! | `object/`      | the objects in the server: dict, list, lock                         |
//! | `error.rs`     | the errors                                                          |
//!
//! The design note beside this crate's code, README.md, has one call from proxy to server and back.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used)]

mod client;
mod error;
mod manager;
mod object;
mod protocol;
mod proxy;
mod server;

pub use error::{ManagerError, StartManagerError};
pub use manager::Manager;
pub use proxy::{DictProxy, ListProxy, LockProxy, LockProxyGuard};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
