//! What is done when a process ends in an orderly way (Python: `multiprocessing.util.Finalize`, `atexit`).
//!
//! The order: the handlers registered here, the last one first; then daemon children are killed and the others
//! joined; then the template is let go. It is done by a process that returns from `main`, calls
//! `std::process::exit`, or is a child of this library that comes to its end, by return, panic or exit. A killed
//! process does none of it: what must not be left behind is never a handler's business. A copy of this process that other
//! code made by `fork(2)` has no handlers and no children, so its exit does none of it either.

use crate::popen::{forkserver, raw_fork};
use crate::process::table;
use crate::sys;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};

type Handler = Box<dyn FnOnce() + Send>;

static HANDLERS: Mutex<Vec<Handler>> = Mutex::new(Vec::new());

/// Registers what this process is to do at its end. A forked child does not inherit it, and neither does a copy that
/// other code makes by `fork(2)`.
///
/// Python: `atexit.register`.
pub fn at_exit(handler: impl FnOnce() + Send + 'static) {
    install();
    HANDLERS.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(handler));
}

/// Has [`run`] called at the process's orderly end.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| sys::process::at_exit(at_process_exit));
    raw_fork::install();
}

extern "C" fn at_process_exit() {
    run();
}

/// Does what is to be done; a second call finds nothing left.
#[inline]
pub(crate) fn run() {
    // A copy that was made by the bare system call has nothing to do for the original.
    if !raw_fork::is_the_owner() {
        return;
    }
    loop {
        let handler = HANDLERS.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(handler) = handler else { break };
        // A handler that panics has printed its message; the others are done all the same.
        let _ = catch_unwind(AssertUnwindSafe(handler));
    }
    let all_have_ended = table::end_all();
    forkserver::let_go(all_have_ended);
}

static AFTER_FORK: Mutex<Vec<fn()>> = Mutex::new(Vec::new());

/// Has `handler` called in each child that this process starts by `Fork`, before the child's own work.
///
/// Python: `multiprocessing.util.register_after_fork`.
pub fn register_after_fork(handler: fn()) {
    AFTER_FORK.lock().unwrap_or_else(PoisonError::into_inner).push(handler);
}

type Hold = fn() -> Box<dyn Any>;

static HELD_OVER_FORK: Mutex<Vec<Hold>> = Mutex::new(Vec::new());

/// Has what `lock` gives (guards of locks, which it has waited for) held over each fork that other threads see, so
/// that none of them is inside, and let go on both sides.
pub fn hold_over_fork(lock: Hold) {
    HELD_OVER_FORK.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
}

/// Before any lock of this crate: inside those others these are taken.
pub(crate) fn hold_others() -> impl Sized {
    let others = HELD_OVER_FORK.lock().unwrap_or_else(PoisonError::into_inner);
    let guards: Vec<Box<dyn Any>> = others.iter().map(|lock| lock()).collect();
    (guards, others)
}

/// Held over a fork that other threads see.
pub(crate) fn hold() -> impl Sized {
    let handlers = HANDLERS.lock().unwrap_or_else(PoisonError::into_inner);
    (handlers, AFTER_FORK.lock().unwrap_or_else(PoisonError::into_inner))
}

/// In a forked child, once it is itself.
#[inline]
pub(crate) fn run_after_fork() {
    let handlers = AFTER_FORK.lock().unwrap_or_else(PoisonError::into_inner).clone();
    handlers.into_iter().for_each(|handler| handler());
}

/// In a forked child: the parent's handlers are not ours. Forgotten rather than dropped, since dropping what
/// they captured could do the parent's work.
#[inline]
pub(crate) fn after_fork() {
    std::mem::forget(std::mem::take(&mut *HANDLERS.lock().unwrap_or_else(PoisonError::into_inner)));
}
