//! Typed and bytes connections between processes, framed as CPython frames them (Python:
//! `multiprocessing.connection`).
//!
//! ```text
//!  pipe()          Connection<A, B> ◄════════ stream socket ════════► Connection<B, A>
//!  pipe_simplex()  Receiver<T>      ◄════════ stream socket ═════════ Sender<T>
//!  Listener        Connection<A, B> ◄═ socket, after a handshake ════► Connection<B, A>      Client
//!
//!  send_bytes      [ length: i32, big-endian ][ bytes …………………………………………………… ]
//!  send            [ length: i32, big-endian ][ handles: u32 ][ the value, in postcard ]
//!                    └── the handles' descriptors, by SCM_RIGHTS
//! ```
//!
//! Either end can be sent to another process, also through another connection. The kernel holds what is under
//! way, so a sender may exit, and a killed one leaves nothing behind but the end of its stream.
//!
//! | feature    | what                                                                  | adds                 |
//! |------------|-----------------------------------------------------------------------|----------------------|
//! | `listener` | [`Listener`], [`Client`], [`Address`], challenges                     | HMAC, SHA-2, SHA-3   |
//! | `md5`      | their handshake with CPython up to 3.11; implies `listener`           | MD5                  |
//! | `pickle`   | CPython's objects over a connection                                   | integers of any size |
//!
//! None is on by default: a user of [`pipe()`] compiles no cryptography.
//!
//! | file            | what                                                              |
//! |-----------------|-------------------------------------------------------------------|
//! | `connection.rs` | [`Connection`]: the calls, and how an end travels                 |
//! | `listener/`     | [`Listener`]: where others connect to                             |
//! | `client.rs`     | [`Client`]: connecting to it                                      |
//! | `address.rs`    | [`Address`]: a path, an abstract name, a port                     |
//! | `handshake/`    | how both prove to have the same key, pure          |
//! | `challenge.rs`  | [`deliver_challenge`], [`answer_challenge`]: its halves alone     |
//! | `key.rs`        | the key of a listener or client                                   |
//! | `pipe.rs`       | [`pipe()`], [`pipe_simplex`]                                      |
//! | `wait.rs`       | [`wait()`]: which of several are ready                            |
//! | `wait_set.rs`   | [`WaitSet`]: which of many that are kept together are             |
//! | `frame.rs`      | lengths and partial messages, pure                     |
//! | `end.rs`        | one end in this process: frames on a socket, a lock each way      |
//! | `outgoing.rs`   | its sending half                                                  |
//! | `incoming.rs`   | its receiving half                                                |
//! | `spin.rs`       | the spin on a socket before a sleep                               |
//! | `patience.rs`   | how long a call may sleep                                         |
//! | `error.rs`      | [`SendError`], [`RecvError`], [`PollError`]                       |
//! | `pickle/`       | CPython's objects, as data                                        |
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(clippy::unwrap_used)]
#![cfg_attr(
    not(feature = "listener"),
    allow(rustdoc::broken_intra_doc_links, reason = "the tables name what the feature adds")
)]

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "listener")]
mod address;
#[cfg(feature = "listener")]
mod challenge;
#[cfg(feature = "listener")]
mod client;
mod connection;
mod end;
mod error;
#[doc(hidden)]
pub mod frame;
#[cfg(feature = "listener")]
#[doc(hidden)]
pub mod handshake;
mod incoming;
#[cfg(feature = "listener")]
mod key;
#[cfg(feature = "listener")]
mod listener;
mod outgoing;
mod patience;
#[cfg(feature = "pickle")]
pub mod pickle;
mod pipe;
mod spin;
mod wait;
mod wait_set;

#[cfg(feature = "listener")]
pub use address::Address;
#[cfg(feature = "listener")]
pub use challenge::{
    answer_challenge, answer_challenge_timeout, deliver_challenge, deliver_challenge_timeout,
};
#[cfg(feature = "listener")]
pub use client::{Client, ClientBuilder, ConnectError};
#[doc(hidden)]
pub use connection::Whole;
pub use connection::{Connection, DEFAULT_LIMIT};
pub use error::{PollError, RecvError, SendError};
#[cfg(feature = "listener")]
pub use handshake::{AuthenticationError, HandshakeError};
#[cfg(feature = "listener")]
pub use listener::{AcceptError, BindError, Listener, ListenerBuilder};
pub use pipe::{NoRecv, NoSend, Receiver, Sender, pipe, pipe_simplex};
pub use wait::{try_wait, wait, wait_timeout};
pub use wait_set::{AddError, WaitSet};

#[cfg(feature = "listener")]
pub use mp_core::AuthKey;
/// What a user of this crate alone needs of the ground floor: processes, what can be waited for, and the system's
/// errors.
pub use mp_core::{CodecError, OsError, Process, Waitable};
