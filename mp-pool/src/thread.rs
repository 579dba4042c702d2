//! Threads of the pool's own, the waits of threads, and what wakes one that polls.

use mp_core::OsError;
use mp_core::sys::fd::{pipe, set_nonblocking};
use mp_core::sys::signal;
use mp_core::word::Deadline;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
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

/// Wakes a thread that polls.
#[derive(Debug)]
pub(crate) struct WakePipe(File);

impl WakePipe {
    /// With the end that is readable once the thread is woken.
    pub(crate) fn new() -> Result<(WakePipe, File), OsError> {
        let (read, write) = pipe()?;
        set_nonblocking(write.as_fd(), true)?;
        Ok((WakePipe(write.into()), read.into()))
    }

    pub(crate) fn wake(&self) {
        // A full pipe wakes it, too.
        let _ = (&self.0).write(&[0]);
    }
}
