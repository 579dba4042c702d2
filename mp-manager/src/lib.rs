//! Shared objects behind a server process, reached by proxies that travel (Python: `multiprocessing.managers`).
//!
//! | file           | what                                                                |
//! |----------------|----------------------------------------------------------------------|
//! | `manager.rs`   | [`Manager`]: starts the server, makes objects                        |
//! | `proxy/`       | [`DictProxy`], [`ListProxy`], [`LockProxy`]                          |
//! | `client.rs`    | one call: this thread's connection to the server                    |
//! | `protocol.rs`  | requests and replies; pure                                          |
//! | `server.rs`    | the server process: the door, a thread a client                     |
//! | `object/`      | what the server keeps: dict, list, lock                             |
//! | `error.rs`     | what can go wrong                                                   |
//!
//! The design note beside this crate's code, README.md, has one call from proxy to server and back.

#![forbid(unsafe_code)]

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
