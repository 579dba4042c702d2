//! What locks have in common: traits for guards and for conditions, which work over any lock.

use super::lock::{Acquired, RawLock};
use super::rlock::RawRLock;
use mp_core::word::{Deadline, Owned};

/// A lock that its holder can release while it waits for a condition.
pub trait Lend {
    /// Whether the calling thread holds it.
    fn is_mine(&self) -> bool;
    /// Releases the lock, which the calling thread holds, however often it has acquired it. Returns how
    /// often.
    fn lend(&self) -> u32;
    /// Reacquires the lock, as often as [`lend`](Lend::lend) returned.
    fn take_back(&self, depth: u32) -> Acquired;
}

impl<O: Owned> Lend for RawLock<O> {
    fn is_mine(&self) -> bool {
        self.held_by_me()
    }

    fn lend(&self) -> u32 {
        u32::from(self.release())
    }

    fn take_back(&self, _depth: u32) -> Acquired {
        loop {
            if let Some(taken) = self.acquire(None) {
                return taken;
            }
        }
    }
}

impl<O: Owned> Lend for RawRLock<O> {
    fn is_mine(&self) -> bool {
        self.depth() > 0
    }

    fn lend(&self) -> u32 {
        self.release_all()
    }

    fn take_back(&self, depth: u32) -> Acquired {
        self.acquire_as_before(depth)
    }
}

/// A lock as its guard uses it: the methods of [`RawLock`] of the same names.
pub trait Hold {
    /// See [`RawLock::acquire`].
    fn acquire(&self, until: Option<Deadline>) -> Option<Acquired>;
    /// See [`RawLock::try_acquire`].
    fn try_acquire(&self) -> Option<Acquired>;
    /// See [`RawLock::release`].
    fn release(&self) -> bool;
    /// See [`RawLock::set_died`].
    fn set_died(&self);
    /// See [`RawLock::clear_died`].
    fn clear_died(&self);
}

macro_rules! hold {
    ($($lock:ident)*) => {$(
        impl<O: Owned> Hold for $lock<O> {
            #[inline]
            fn acquire(&self, until: Option<Deadline>) -> Option<Acquired> {
                self.acquire(until)
            }
            #[inline]
            fn try_acquire(&self) -> Option<Acquired> {
                self.try_acquire()
            }
            #[inline]
            fn release(&self) -> bool {
                self.release()
            }
            fn set_died(&self) {
                self.set_died();
            }
            fn clear_died(&self) {
                self.clear_died();
            }
        }
    )*};
}
hold!(RawLock RawRLock);
