//! The orderly end of a process: exit handlers and fork handlers (Python: `multiprocessing.util.Finalize`,
//! `atexit`).
//!
//! The order: the handlers registered here, the last one first; then daemon children are killed and the others
//! joined; then the template is released. A process does this when it returns from `main`, calls
//! `std::process::exit`, or is a child of this library that returns, panics or exits. A killed process does
//! none of it, so no handler is responsible for what must not be left behind. A copy of this process that other
//! code made by `fork(2)` has no handlers and no children, so its exit does none of it either.

use crate::popen::{forkserver, raw_fork};
use crate::process::table;
use crate::sys;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};

type Handler = Box<dyn FnOnce() + Send>;

static HANDLERS: Mutex<Vec<Handler>> = Mutex::new(Vec::new());

/// Registers a handler for this process's exit. A forked child does not inherit it, and neither does a copy
/// that other code makes by `fork(2)`.
///
/// Python: `atexit.register`.
pub fn at_exit(handler: impl FnOnce() + Send + 'static) {
    install();
    HANDLERS.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(handler));
}

/// Lets the process call [`run`] at its exit.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| sys::process::at_exit(at_process_exit));
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
        let handler = HANDLERS.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(handler) = handler else { break };
        // A handler that panics has printed its message; the others run nevertheless.
        let _ = catch_unwind(AssertUnwindSafe(handler));
    }
    let all_have_ended = table::end_all();
    forkserver::release_template(all_have_ended);
}

static AFTER_FORK: Mutex<Vec<fn()>> = Mutex::new(Vec::new());

/// Registers a handler that runs in each child that this process starts by `Fork`, before the child's own work.
///
/// Python: `multiprocessing.util.register_after_fork`.
pub fn register_after_fork(handler: fn()) {
    AFTER_FORK.lock().unwrap_or_else(PoisonError::into_inner).push(handler);
}

type Hold = fn() -> Box<dyn Any>;

static HELD_OVER_FORK: Mutex<Vec<Hold>> = Mutex::new(Vec::new());

/// Registers a function that acquires locks, which are held over each fork, so that no other thread is inside. What it
/// returns is dropped on both sides.
#[doc(hidden)]
pub fn hold_over_fork(lock: Hold) {
    HELD_OVER_FORK.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
}

/// Acquires those locks, before any lock of this crate: code under them takes the locks of this crate.
pub(crate) fn hold_others() -> impl Sized {
    let others = HELD_OVER_FORK.lock().unwrap_or_else(PoisonError::into_inner);
    let guards: Vec<Box<dyn Any>> = others.iter().map(|lock| lock()).collect();
    (guards, others)
}

/// Held over a fork beside other threads.
pub(crate) fn hold() -> impl Sized {
    let handlers = HANDLERS.lock().unwrap_or_else(PoisonError::into_inner);
    (handlers, AFTER_FORK.lock().unwrap_or_else(PoisonError::into_inner))
}

/// In a forked child, after the parent's state was forgotten.
#[inline]
pub(crate) fn run_after_fork() {
    let handlers = AFTER_FORK.lock().unwrap_or_else(PoisonError::into_inner).clone();
    handlers.into_iter().for_each(|handler| handler());
}

/// In a forked child: forgets the parent's handlers. They are not dropped, since the drop of what they captured
/// could do the parent's work.
#[inline]
pub(crate) fn after_fork() {
    std::mem::forget(std::mem::take(&mut *HANDLERS.lock().unwrap_or_else(PoisonError::into_inner)));
}
