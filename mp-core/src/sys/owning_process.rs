//! OwningProcess: the process that a value in private memory belongs to, told apart from its forked copies.
//!
//! A forked copy inherits handles of what is the original's alone: a child to reap, a connection in use, a server to
//! shut down. A process id does not tell the two apart: process 1 of a container that forks into a new pid namespace
//! has a child with the id 1. So the number of forks on the way to this process stands beside the id.
//!
//! | the copy is made by                | seen by                         |
//! |------------------------------------|---------------------------------|
//! | `fork`                             | the number of forks             |
//! | the bare system call (no handlers) | the id, within one namespace    |
//!
//! The answer is kept in a word that the kernel clears in each copy (`wiped`): to ask for the id is a system call, and
//! the answer is wanted at each call of a manager.
//!
//! It is valid within one process and its copies only. For shared memory there is
//! [`Identity`](super::identity::Identity).

use super::fork_handler::ForkHandler;
use super::wiped;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwningProcess(u64);

/// Forks between the process that asked first and this one.
static FORKS: AtomicU32 = AtomicU32::new(0);

extern "C" fn after_fork() {
    // ORDERING: Relaxed: one thread only, just after fork.
    FORKS.fetch_add(1, Ordering::Relaxed);
    // Another handler may have asked before this one.
    if let Some(word) = wiped::word() {
        // ORDERING: Relaxed: as above.
        word.store(0, Ordering::Relaxed);
    }
}

impl OwningProcess {
    /// The calling process.
    #[inline]
    pub fn current() -> OwningProcess {
        let word = wiped::word();
        // ORDERING: Relaxed: the value is all there is; each thread that finds none puts the same one there.
        if let Some(known) = word.map(|word| word.load(Ordering::Relaxed)).filter(|known| *known != 0) {
            return OwningProcess(known);
        }
        let current = OwningProcess::ask();
        if let Some(word) = word {
            // ORDERING: as above.
            word.store(current.0, Ordering::Relaxed);
        }
        current
    }

    #[cold]
    fn ask() -> OwningProcess {
        // Registered twice, it counts each fork twice.
        static AT_FORK: ForkHandler = ForkHandler::new(after_fork);
        AT_FORK.register();
        // ORDERING: Relaxed: it changes only just after a fork, with one thread.
        let forks = FORKS.load(Ordering::Relaxed);
        OwningProcess(u64::from(std::process::id()) << 32 | u64::from(forks))
    }

    /// Whether it is the calling process.
    #[inline]
    pub fn is_current(self) -> bool {
        self == OwningProcess::current()
    }
}

/// Whether something was done in this process yet: a forked copy begins anew.
#[derive(Debug)]
pub struct OncePerProcess(AtomicU64);

impl OncePerProcess {
    /// Not done yet.
    pub const fn new() -> OncePerProcess {
        OncePerProcess(AtomicU64::new(0))
    }

    /// `true` for the first call in each process, and for the first one after [`again`](OncePerProcess::again).
    pub fn is_first(&self) -> bool {
        let current = OwningProcess::current().0;
        // ORDERING: Relaxed: the value is all there is.
        self.0.swap(current, Ordering::Relaxed) != current
    }

    /// The next call is a first one again.
    pub fn again(&self) {
        // ORDERING: as above. No process has the id 0.
        self.0.store(0, Ordering::Relaxed);
    }
}

impl Default for OncePerProcess {
    fn default() -> OncePerProcess {
        OncePerProcess::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_first_time_once_and_once_more_after_that() {
        let once = OncePerProcess::new();
        assert_eq!([once.is_first(), once.is_first(), once.is_first()], [true, false, false]);
        once.again();
        assert_eq!([once.is_first(), once.is_first()], [true, false]);
    }
}
