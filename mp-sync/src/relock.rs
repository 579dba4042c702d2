//! The lock of a value or an array, which its holder may take again: so that the short forms (`get`, `set`) work under a
//! guard, as Python's do.
//!
//! A reference that came out of one guard must not live beside a write, or another `&mut`, through a second one. No borrow
//! checker sees that, since both guards borrow the handle only. So the lock counts what its holder's guards have lent, as
//! `RefCell` does:
//!
//! ```text
//!   NOTHING ──deref──► SHARED, 1 ──deref of another guard──► SHARED, 2 ──► …
//!      └────deref_mut──► MUT          (what does not fit panics, and changes nothing)
//!      ◄──── the guard that lent is dropped
//! ```
//!
//! The count is the note of `raw/rlock.rs`: MUT, or how many guards have lent a shared reference.
//!
//! # When a process dies
//! As with the lock inside: the next holder begins with a count of 0.
//! # Tested by
//! The lock: the models of `raw/rlock.rs`. What is lent has one thread: the tests below, and tests/relock.rs.

use crate::cell::RLockCell;
use crate::raw::{Acquired, Hold};
use mp_core::word::Deadline;

/// What a guard has given out, and may have out as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lent {
    /// No reference.
    Nothing = 0,
    /// Shared ones.
    Shared = 1,
    /// Mutable ones.
    Mut = 2,
}

const MUT: u32 = 1 << 31;

/// How it works is said at the top of its file. All zeros is a free lock.
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct RelockCell {
    lock: RLockCell,
}

impl RelockCell {
    /// A guard of the holder's, which had lent `from`, lends `to` from now on.
    ///
    /// # Panics
    /// Where that does not go with what the thread's other guards have lent; nothing is changed then.
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
        // Any number at all, if another process has written over it: no arithmetic here may panic.
        match mine {
            Lent::Nothing => self.lent(),
            Lent::Shared => self.lent().saturating_sub(1),
            Lent::Mut => 0,
        }
    }

    /// Gives the lock back, and what a guard had lent. For one who does not hold it (a copy of a guard in a child that the
    /// program forked by itself) nothing is changed.
    #[inline]
    pub(crate) fn release_lent(&self, lent: Lent) {
        self.lock.release_after(|| {
            if lent != Lent::Nothing {
                self.lend(lent, Lent::Nothing);
            }
        });
    }

    /// Takes back what a guard had lent that is given away without its lock.
    pub(crate) fn take_back(&self, lent: Lent) {
        if self.lock.held_by_me() {
            self.lend(lent, Lent::Nothing);
        }
    }

    /// Whether a reference of this kind may be there for a moment.
    ///
    /// # Panics
    /// If not.
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

/// What data beside a lock asks of it.
pub(crate) trait Keeper {
    fn held_by_me(&self) -> bool;
    /// A reference of this `kind` is about to be there. The holder's guard had lent `before`, and lends `now`; if that is
    /// nothing, the reference is there for a moment only, in which nothing else of the thread runs. Panics if it does not
    /// go with what other guards have lent: of a lock that a thread can hold more than once.
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
    fn whoever_does_not_hold_it_changes_nothing() {
        let lock = RelockCell::default();
        lock.set_lent(1);
        lock.release_lent(Lent::Shared);
        lock.take_back(Lent::Shared);
        assert_eq!(lock.lent(), 1);
    }
}
