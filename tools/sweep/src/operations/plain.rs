//! A lock that does not survive its holder: the proof that the sweep can fail.

use super::lock::{Found, Lockable, Play, Step};
use crate::sweep::scene::Operation;
use mp_core::mem::SharedRef;
use mp_core::sys::futex::FutexWord;
use mp_core::word::{Deadline, Ordering, Wake, Word};
use std::time::Duration;

pub(super) fn operations() -> Vec<Operation> {
    let mut operation = Operation::new("plain.lock", |_| Play::<PlainLock>::scene(Step::AcquireAndRelease));
    // No other process will ever come: a short limit shows it as well as a long one.
    operation.limit = Duration::from_millis(300);
    operation.hidden = true;
    vec![operation]
}

const FREE: u32 = 0;
const HELD: u32 = 1;

/// A word, and no owner.
struct PlainLock(SharedRef<FutexWord>);

impl PlainLock {
    fn taken(&self, until: Option<Deadline>) -> bool {
        // ORDERING: Acquire, pairs with the Release in `release`.
        while self.0.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_err() {
            if self.0.wait(HELD, until) == Wake::TimedOut {
                return false;
            }
        }
        true
    }
}

impl Lockable for PlainLock {
    fn new() -> Self {
        PlainLock(SharedRef::create("mp-sweep-plain").expect("a sweep needs shared memory"))
    }

    fn take(&self, hold: &dyn Fn()) -> Found {
        self.acquire();
        hold();
        self.release();
        Found::Clean
    }

    fn take_within(&self, timeout: Duration) -> Found {
        if !self.taken(Deadline::after(timeout)) {
            return Found::Busy;
        }
        self.release();
        Found::Clean
    }

    fn acquire(&self) {
        self.taken(None);
    }

    fn release(&self) {
        // ORDERING: Release, pairs with the Acquire in `taken`.
        self.0.swap(FREE, Ordering::Release);
        self.0.wake(1);
    }

    fn locked(&self) -> bool {
        // ORDERING: Acquire: a process that sees it free sees what its last holder did.
        self.0.load(Ordering::Acquire) == HELD
    }
}
