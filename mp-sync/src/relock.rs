//! The lock of a value or an array, which its holder may acquire again: so the short forms (`get`, `set`) work
//! under a guard, as in Python.
//!
//! A reference from one guard must not live beside a write, or another `&mut`, through a second guard. The
//! borrow checker does not see that, since both guards borrow only the handle. So the lock counts the
//! references that its holder's guards have lent, as `RefCell` does:
//!
//! ```text
//!   NOTHING ──deref──► SHARED, 1 ──deref of another guard──► SHARED, 2 ──► …
//!      └────deref_mut──► MUT          (a conflicting reference panics, and changes nothing)
//!      ◄──── the guard that lent is dropped
//! ```
//!
//! The count is the note of `raw/rlock.rs`: MUT, or the number of guards that have lent a shared reference.
//!
//! # When a process dies
//! As for the lock inside: the next holder begins with a count of 0.
//!
//! # Tested by
//! The lock: the models of `raw/rlock.rs`. The count belongs to one thread: the tests below, and
//! tests/relock.rs.

use crate::cell::RLockCell;
use crate::raw::{Acquired, Hold};
use mp_core::word::Deadline;

/// The kind of references that a guard has lent, which may live as long as the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lent {
    /// No reference.
    Nothing = 0,
    /// Shared references.
    Shared = 1,
    /// Mutable references.
    Mut = 2,
}

const MUT: u32 = 1 << 31;

/// The lock of this module. All zeros is a free lock.
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct RelockCell {
    lock: RLockCell,
}

impl RelockCell {
    /// A guard of the holder that had lent `from` lends `to` from now on.
    ///
    /// # Panics
    /// If `to` conflicts with what the thread's other guards have lent. Nothing is changed then.
    #[inline]
    fn lend(&self, from: Lent, to: Lent) {
        let others = self.lent_by_others(from);
        match to {
            Lent::Nothing => self.set_lent(others),
            Lent::Shared if others & MUT == 0 => self.set_lent(others.wrapping_add(1)),
            Lent::Mut if others == 0 => self.set_lent(MUT),
            Lent::Shared | Lent::Mut => refuse(),
        }
    }

    #[inline]
    fn lent_by_others(&self, mine: Lent) -> u32 {
        // The count may be any number if another process has overwritten it: no arithmetic here may panic.
        match mine {
            Lent::Nothing => self.lent(),
            Lent::Shared => self.lent().saturating_sub(1),
            Lent::Mut => 0,
        }
    }

    /// Releases the lock, and what a guard had lent. Changes nothing if the calling thread does not hold the
    /// lock (a copy of a guard in a child that the program forked by itself).
    #[inline]
    pub(crate) fn release_lent(&self, lent: Lent) {
        self.lock.release_noting(|| {
            if lent != Lent::Nothing {
                self.lend(lent, Lent::Nothing);
            }
        });
    }

    /// Ends what a guard had lent, when the guard is given away and the lock stays held.
    pub(crate) fn take_back(&self, lent: Lent) {
        if self.lock.held_by_me() {
            self.lend(lent, Lent::Nothing);
        }
    }

    /// Whether a short-lived reference of this kind conflicts with no other.
    ///
    /// # Panics
    /// If it conflicts.
    #[inline]
    fn may_lend(&self, to: Lent) {
        let forbids = if to == Lent::Mut { u32::MAX } else { MUT };
        if self.lent() & forbids != 0 {
            refuse();
        }
    }

    #[inline]
    fn lent(&self) -> u32 {
        self.lock.note()
    }

    #[inline]
    fn set_lent(&self, lent: u32) {
        self.lock.set_note(lent);
    }
}

/// What data beside a lock needs from the lock.
pub(crate) trait Keeper {
    fn held_by_me(&self) -> bool;
    /// A reference of this `kind` is about to be made. The holder's guard had lent `before`, and lends `now`.
    /// If `now` is nothing, the reference is short-lived, and nothing else of the thread runs meanwhile. Panics
    /// if it conflicts with what other guards have lent, of a lock that a thread can hold more than once.
    #[inline]
    fn refer(&self, kind: Lent, before: Lent, now: Lent) {
        let _ = (kind, before, now);
    }
}

impl Keeper for crate::cell::LockCell {
    #[inline]
    fn held_by_me(&self) -> bool {
        self.held_by_me()
    }
}

impl Keeper for RelockCell {
    #[inline]
    fn held_by_me(&self) -> bool {
        self.lock.held_by_me()
    }

    #[inline]
    fn refer(&self, kind: Lent, before: Lent, now: Lent) {
        if now == Lent::Nothing {
            self.may_lend(kind);
        } else if before != now {
            self.lend(before, now);
        }
    }
}

#[cold]
fn refuse() -> ! {
    panic!(
        "another guard of this thread has lent out a reference to the data: use that guard, or drop it first"
    )
}

impl Hold for RelockCell {
    #[inline]
    fn acquire(&self, until: Option<Deadline>) -> Option<Acquired> {
        self.lock.acquire(until)
    }
    #[inline]
    fn try_acquire(&self) -> Option<Acquired> {
        self.lock.try_acquire()
    }
    #[inline]
    fn release(&self) -> bool {
        self.lock.release()
    }
    fn set_died(&self) {
        self.lock.set_died();
    }
    fn clear_died(&self) {
        self.lock.clear_died();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn refused(lock: &RelockCell, from: Lent, to: Lent) -> bool {
        let before = lock.lent();
        let refused = catch_unwind(AssertUnwindSafe(|| lock.lend(from, to))).is_err();
        assert!(!refused || lock.lent() == before);
        refused
    }

    #[test]
    fn many_shared_or_one_mutable() {
        let lock = RelockCell::default();
        assert_eq!(lock.acquire(None), Some(Acquired::Clean));
        // Two guards read; neither may write.
        lock.lend(Lent::Nothing, Lent::Shared);
        lock.lend(Lent::Nothing, Lent::Shared);
        assert!(refused(&lock, Lent::Shared, Lent::Mut));
        assert!(refused(&lock, Lent::Nothing, Lent::Mut));
        // One is gone: the other may.
        lock.lend(Lent::Shared, Lent::Nothing);
        lock.lend(Lent::Shared, Lent::Mut);
        assert!(refused(&lock, Lent::Nothing, Lent::Shared));
        assert!(refused(&lock, Lent::Nothing, Lent::Mut));
        lock.lend(Lent::Mut, Lent::Nothing);
        lock.lend(Lent::Nothing, Lent::Mut);
        assert!(lock.release());
    }

    #[test]
    fn without_the_lock_nothing_is_changed() {
        let lock = RelockCell::default();
        lock.set_lent(1);
        lock.release_lent(Lent::Shared);
        lock.take_back(Lent::Shared);
        assert_eq!(lock.lent(), 1);
    }
}
