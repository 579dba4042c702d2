//! ForkHandler: a function that runs in each forked child, registered when the state that it renews is first used.
//!
//! There is no `Once` in it. A child that another thread forks in the middle of a `Once` waits without end for a thread
//! that it does not have. Here the flag is set after the registration, so two threads, or a thread and such a child,
//! may both register the handler: it runs twice in a child then, and must bear that.

use super::process;
use std::sync::atomic::{AtomicBool, Ordering};

/// See the module.
#[derive(Debug)]
pub struct ForkHandler {
    handler: extern "C" fn(),
    is_registered: AtomicBool,
}

impl ForkHandler {
    /// Not registered yet.
    pub const fn new(handler: extern "C" fn()) -> ForkHandler {
        ForkHandler { handler, is_registered: AtomicBool::new(false) }
    }

    /// Registers the handler, unless that was done before.
    pub fn register(&self) {
        // ORDERING: Relaxed, twice: a thread that does not see the flag registers the handler again.
        if !self.is_registered.load(Ordering::Relaxed) {
            process::at_fork_in_child(self.handler);
            self.is_registered.store(true, Ordering::Relaxed);
        }
    }
}
