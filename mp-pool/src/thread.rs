//! Threads of the pool's own, the waits of threads, and what wakes one that polls.

use mp_core::OsError;
use mp_core::sys::eventfd;
use mp_core::sys::signal;
use mp_core::word::Deadline;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Condvar, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

/// Starts a thread that holds back all signals: these are for the program's own threads.
pub(crate) fn spawn(name: &str, life: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    // A thread begins with what its maker holds back.
    let before = signal::blocked();
    signal::hold_back_all();
    let thread = Builder::new().name(name.to_owned()).spawn(life);
    signal::set_blocked(&before);
    thread
}

/// A number for the calling thread, not 0, which no other living thread of this process has.
pub(crate) fn here() -> usize {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| std::ptr::from_ref(here).addr())
}

/// Sleeps until the condition variable is notified, or the deadline.
pub(crate) fn sleep<'a, T>(
    changed: &Condvar,
    now: MutexGuard<'a, T>,
    until: Option<Deadline>,
) -> MutexGuard<'a, T> {
    match until.map(Deadline::remaining) {
        None => changed.wait(now).unwrap_or_else(PoisonError::into_inner),
        Some(left) => changed.wait_timeout(now, left).unwrap_or_else(PoisonError::into_inner).0,
    }
}

/// Wakes a thread that polls, or has ended. No pipe: a write to one without a reader sends SIGPIPE, which ends a
/// program that does not ignore it.
#[derive(Debug)]
pub(crate) struct WakeEvent(OwnedFd);

impl WakeEvent {
    /// With what is readable once the thread is woken, until it is read. Reading never waits.
    pub(crate) fn new() -> Result<(WakeEvent, File), OsError> {
        let event = eventfd::eventfd()?;
        let wakes = event.try_clone();
        let wakes = wakes.map_err(|source| OsError { call: "fcntl(F_DUPFD_CLOEXEC)", source })?;
        Ok((WakeEvent(event), wakes.into()))
    }

    pub(crate) fn wake(&self) {
        eventfd::set(self.0.as_fd());
    }
}
