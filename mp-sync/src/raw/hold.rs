//! What locks have in common, for guards and for conditions, which take any.

use super::lock::{Acquired, RawLock};
use super::rlock::RawRLock;
use mp_core::word::{Deadline, Owned};

/// A lock that its holder can lend to others while he waits.
pub trait Lend {
    /// Whether the calling thread holds it.
    fn is_mine(&self) -> bool;
    /// Gives it to others, however often the calling thread, which holds it, has taken it; gives how often that was.
    fn lend(&self) -> u32;
    /// Takes it again, as often as [`lend`](Lend::lend) said.
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

/// A lock as its guard sees it. What each does is said at [`RawLock`]'s methods of the same name.
pub trait Hold {
    /// As [`RawLock::acquire`].
    fn acquire(&self, until: Option<Deadline>) -> Option<Acquired>;
    /// As [`RawLock::try_acquire`].
    fn try_acquire(&self) -> Option<Acquired>;
    /// As [`RawLock::release`].
    fn release(&self) -> bool;
    /// As [`RawLock::set_died`].
    fn set_died(&self);
    /// As [`RawLock::clear_died`].
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
