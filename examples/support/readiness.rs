//! Connections in tokio's coroutines: one that waits for a message yields to the others, on the same thread.
//!
//! # Safety
//! The one invariant: a descriptor is open for as long as tokio knows it.
#![allow(unsafe_code)]

use mp::RecvError;
use std::os::fd::AsFd;
use tokio::io::{Interest, unix::AsyncFd};

/// What `look` (a `try_recv`) finds once it is wholly there, or nothing at the end of the stream; and how often it was
/// looked for in vain.
///
/// A look never sleeps. It takes what has come, and [`RecvError::Empty`] says that this is no whole message yet:
/// the connection keeps it, and the next look goes on there. Only then may the readiness be cleared. What comes
/// later sets it again, and what came before the look was taken by it.
pub(crate) async fn received<T>(
    line: &impl AsFd,
    look: impl Fn() -> Result<T, RecvError>,
) -> mp::Result<(Option<T>, u32)> {
    // SAFETY: a `BorrowedFd` is open for as long as it is borrowed, which is longer than `ready` lives.
    let ready = unsafe { AsyncFd::register_with_interest(line.as_fd(), Interest::READABLE) };
    let ready = ready.map_err(|error| mp::Error::from_error(&error))?;
    let mut misses = 0;
    loop {
        let mut guard = ready.readable().await?;
        match look() {
            Ok(found) => return Ok((Some(found), misses)),
            Err(RecvError::Closed) => return Ok((None, misses)),
            Err(RecvError::Empty) => guard.clear_ready(),
            Err(error) => return Err(error.into()),
        }
        misses += 1;
    }
}
