//! A hook: what is done when a job is settled.

use crate::watch::Watch;
use mp_core::process::caught;
use std::sync::Weak;

/// The program's own code, which knows its job.
pub(crate) type Callback = Box<dyn FnOnce() + Send>;

/// What is done when a job is settled.
pub(crate) enum Hook {
    /// The program's code, which the feeder calls.
    Callback(Callback),
    /// A thread that waits for several jobs is told that this one, by its number for it, is settled.
    Watch(Weak<Watch>, usize),
}

impl Hook {
    /// Keeps it with others, and gives how many of these it dropped: no thread waits for them any more.
    pub(crate) fn keep(self, hooks: &mut Vec<Hook>) -> usize {
        let before = hooks.len();
        hooks.retain(|hook| !matches!(hook, Hook::Watch(watch, _) if watch.strong_count() == 0));
        let dropped = before - hooks.len();
        hooks.push(self);
        dropped
    }

    /// Its job is settled: tells the thread that waits, or gives the program's code that is to be called.
    pub(crate) fn settled(self) -> Option<Callback> {
        match self {
            Hook::Callback(callback) => Some(callback),
            Hook::Watch(watch, number) => {
                if let Some(watch) = watch.upgrade() {
                    watch.add(number);
                }
                None
            }
        }
    }
}

/// Calls the program's code.
pub(crate) fn call_settled(callback: Option<Callback>) {
    if let Some(callback) = callback {
        // The panic hook has told of a panic.
        let _ = caught(callback);
    }
}
