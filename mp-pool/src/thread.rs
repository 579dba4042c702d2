//! Threads of the pool's own.

use mp_core::sys::signal;
use std::io;
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
