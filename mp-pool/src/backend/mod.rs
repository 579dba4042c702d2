//! Backends: pools whose workers run elsewhere, by the same calls.
//!
//! ```text
//!   dispatch ── the board ──► worker processes of this host
//!                    └──────► remote.rs ── channel ── link (a Backend's) ── channel ── host.rs ──► a worker process
//! ```
//!
//! | file         | what                                                                        |
//! |--------------|-----------------------------------------------------------------------------|
//! | `mod.rs`     | [`Backend`] and [`Link`]: what a backend brings                             |
//! | `message.rs` | what pool and host say to each other                                        |
//! | `channel.rs` | each message once, and in order, over a link that may lose and double        |
//! | `peer.rs`    | a channel, its link and the clock                                           |
//! | `remote.rs`  | the pool's side: it takes from the board what a worker on a host is to do    |
//! | `host.rs`    | the host's side: [`serve`]                                                  |
//!
//! Dispatch is the same for all workers: what is pending, cancelled, retried, late, of a higher priority is decided by
//! the board and the caller (README.md of this crate). What differs is behind one worker's index: a process that maps
//! the board, or a thread of this process that takes for a worker at the other end of a link.

mod channel;
mod host;
mod message;
mod peer;
mod remote;

pub use host::{ServeError, serve};
pub(crate) use remote::RemoteWorker;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Where the workers of a pool run, for [`PoolBuilder::backend`](crate::PoolBuilder::backend): it opens a link to a
/// host for each of them. There the same program calls [`serve`] with the other end.
///
/// The calls of a pool and of an executor work as with workers of this host: `map`, `imap`, futures, deadlines,
/// cancellation, retries, priorities, initializers. What needs the memory of this host is refused: `memory_limit`,
/// `cpus`, `on_output`, `trace`, `fork_from`, `generate`, and locks, queues and shared memory in arguments or results.
///
/// While a worker is at a task, what the pool wants of it (the deadline is over, the task is cancelled, the pool is
/// terminated) is sent to its host within 10 ms. A result that arrives before the worker is killed stands. So a
/// deadline is kept to about 10 ms and the time that a packet takes.
///
/// Not in Python. Ray, Dask: a cluster's address.
pub trait Backend: Send + Sync + 'static {
    /// Opens a link for a new worker of this index: the first one, or the successor of one that has ended. It is not to
    /// wait for the host.
    ///
    /// # Errors
    /// There is no host for it. While the pool is built, that is the error of the build. Later the pool tries again,
    /// and is broken after eight failures in a row.
    fn open(&self, worker: usize) -> io::Result<Box<dyn Link>>;
}

/// One end of a link, which carries packets.
///
/// A packet may be lost, delayed, overtaken or doubled, on the way there and back. It may not be changed, and no other
/// program may be able to send one: what arrives names functions to be called. A link that was silent for five seconds
/// counts as lost; then the worker at its other end is killed, and what it may have begun ends as
/// [`TaskError::WorkerDied`](crate::TaskError::WorkerDied).
pub trait Link: Send {
    /// Sends a packet, or loses it. Does not wait for the other end.
    ///
    /// # Errors
    /// The other end is gone. What it has sent before is received.
    fn send(&mut self, packet: &[u8]) -> io::Result<()>;

    /// The next packet that has arrived; `None`: none did within `timeout`.
    ///
    /// # Errors
    /// Nothing will arrive any more.
    fn receive(&mut self, timeout: Duration) -> io::Result<Option<Vec<u8>>>;

    /// Bytes of the longest packet that it carries, at least 64. Longer messages are cut. Default: 64 KiB.
    fn longest(&self) -> usize {
        64 << 10
    }
}

/// A backend, as a pool has it.
#[derive(Clone)]
pub(crate) struct Behind(pub(crate) Arc<dyn Backend>);

impl fmt::Debug for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backend")
    }
}
