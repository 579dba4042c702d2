//! Who takes a name away, and when.
//!
//! ```text
//!  OWNED by pid and start ──last handle dropped──────────────► unlinked
//!     │      │    │
//!     │      │    └─ close ──► OWNED, unused ──process ends──► unlinked
//!     │      └─ persist ──► NOBODY'S
//!     └─ unlink ──────────► NOBODY'S
//! ```
//!
//! The owner is a process, by its id and start: a forked copy of a handle is not the owner's, and neither is one in
//! a later process with the same id.
//! A name may have passed to somebody else meanwhile (unlinked by anybody, then made anew). So before it is taken
//! away unasked, it is looked at once more: it must still be the same file.
//!
//! # When a process dies
//! Killed, the owner leaves its names behind.

use crate::name::Name;
use mp_core::finalize;
use mp_core::sys::identity::Identity;
use mp_core::sys::shm;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A name that this process made.
pub(crate) struct Ownership {
    name: Name,
    /// Device and inode.
    file: (u64, u64),
    state: Mutex<State>,
}

struct State {
    /// `None`: nobody's.
    owner: Option<Identity>,
    /// The name stays although no handle is left here.
    closed: bool,
}

/// What this process owns, for its orderly end.
static OWNED: Mutex<Vec<Arc<Ownership>>> = Mutex::new(Vec::new());

impl Ownership {
    pub(crate) fn begin(name: Name, file: (u64, u64)) -> Arc<Ownership> {
        let state = Mutex::new(State { owner: Some(Identity::me()), closed: false });
        let ownership = Arc::new(Ownership { name, file, state });
        lock(&OWNED).push(Arc::clone(&ownership));
        end_with_this_process();
        ownership
    }

    /// The name is to stay until the process ends.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
    }

    /// The name is not ours to take away any more.
    pub(crate) fn give_up(self: &Arc<Self>) {
        lock(&self.state).owner = None;
        lock(&OWNED).retain(|other| !Arc::ptr_eq(self, other));
    }

    /// The last handle has been dropped.
    pub(crate) fn dropped(self: &Arc<Self>) {
        if !lock(&self.state).closed {
            self.end();
            lock(&OWNED).retain(|other| !Arc::ptr_eq(self, other));
        }
    }

    /// Takes the name away, if it is ours.
    fn end(&self) {
        let Some(owner) = lock(&self.state).owner.take() else { return };
        if owner.is_me() && self.is_still_the_same() {
            // Nobody can be told, and somebody else may have been faster.
            let _ = shm::unlink(self.name.with_slash());
        }
    }

    fn is_still_the_same(&self) -> bool {
        shm::file_of(self.name.with_slash()).is_ok_and(|file| file == self.file)
    }
}

/// Once in each process: a forked child inherits no exit handlers.
fn end_with_this_process() {
    static REGISTERED: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    // ORDERING: Relaxed: the id is all there is.
    if REGISTERED.swap(pid, Ordering::Relaxed) != pid {
        finalize::at_exit(|| {
            // ORDERING: Relaxed, as above. What is made from here on needs a handler of its own.
            REGISTERED.store(0, Ordering::Relaxed);
            let all = std::mem::take(&mut *lock(&OWNED));
            all.iter().for_each(|ownership| ownership.end());
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
