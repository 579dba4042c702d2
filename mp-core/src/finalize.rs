//! The orderly end of a process: exit handlers and fork handlers (Python: `multiprocessing.util.Finalize`,
//! `atexit`).
//!
//! The order: the handlers registered here, the last one first; then daemon children are killed and the others
//! joined; then the template is released. A process does this when it returns from `main`, calls
//! `std::process::exit`, or is a child of this library that returns, panics or exits. A killed process does
//! none of it, so no handler is responsible for what must not be left behind. A copy of this process that other
//! code made by `fork(2)` has no handlers and no children, so its exit does none of it either.

use crate::component::{self, Component, Hold, Rank, Steps};
use crate::popen::raw_fork;
use crate::sys;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

type Handler = Box<dyn FnOnce() + Send>;

static HANDLERS: Mutex<Vec<Handler>> = Mutex::new(Vec::new());

/// Held over a fork by the component.
fn handlers() -> MutexGuard<'static, Vec<Handler>> {
    HANDLERS.lock().unwrap_or_else(PoisonError::into_inner)
}

static COMPONENT: Component = Component::new(
    Rank::ExitHandlers,
    Steps { hold: Some(|| Box::new((handlers(), after_fork()))), forget: Some(forget), ..Steps::NONE },
);

/// Registers a handler for this process's exit. A forked child does not inherit it, and neither does a copy
/// that other code makes by `fork(2)`.
///
/// Python: `atexit.register`.
pub fn at_exit(handler: impl FnOnce() + Send + 'static) {
    install();
    handlers().push(Box::new(handler));
}

/// Lets the process call [`run`] at its exit.
pub(crate) fn install() {
    // No `Once`: a child that another thread forks in the middle of one would wait for it without end.
    static IS_INSTALLED: AtomicBool = AtomicBool::new(false);
    COMPONENT.register();
    // ORDERING: Relaxed, twice: a thread that does not see the flag installs the call again, which finds nothing left.
    if !IS_INSTALLED.load(Ordering::Relaxed) {
        sys::process::at_exit(at_process_exit);
        IS_INSTALLED.store(true, Ordering::Relaxed);
    }
    raw_fork::install();
}

extern "C" fn at_process_exit() {
    run();
}

/// Runs the exit handlers and ends the children; a second call finds nothing left.
#[inline]
pub(crate) fn run() {
    // In a copy that was made by the bare system call: the handlers are the original's.
    if !raw_fork::is_the_owner() {
        return;
    }
    loop {
        let handler = handlers().pop();
        let Some(handler) = handler else { break };
        // A handler that panics has printed its message; the others run nevertheless.
        let _ = catch_unwind(AssertUnwindSafe(handler));
    }
    component::exit_all();
}

static AFTER_FORK: Mutex<Vec<fn()>> = Mutex::new(Vec::new());

/// Held over a fork with the handlers.
fn after_fork() -> MutexGuard<'static, Vec<fn()>> {
    AFTER_FORK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers a handler that runs in each child that this process starts by `Fork`, before the child's own work.
///
/// Python: `multiprocessing.util.register_after_fork`.
pub fn register_after_fork(handler: fn()) {
    COMPONENT.register();
    after_fork().push(handler);
}

/// Locks of another crate of the family that are held over each fork, so that no other thread is inside.
#[doc(hidden)]
pub struct HeldOverFork(Component);

impl HeldOverFork {
    /// `hold` acquires them. What it returns is dropped on both sides.
    pub const fn new(hold: Hold) -> HeldOverFork {
        HeldOverFork(Component::new(Rank::Registered, Steps { hold: Some(hold), ..Steps::NONE }))
    }

    /// Registers them, unless that was done before. Called before each first use of what they guard. `true`: this
    /// call has registered them.
    pub fn register(&self) -> bool {
        self.0.register()
    }
}

/// In a forked child, after the parent's state was forgotten.
#[inline]
pub(crate) fn run_after_fork() {
    let handlers = after_fork().clone();
    handlers.into_iter().for_each(|handler| handler());
}

/// In a copy of this process: forgets the original's handlers. They are not dropped, since the drop of what they
/// captured could do the original's work.
fn forget() {
    std::mem::forget(std::mem::take(&mut *handlers()));
}
