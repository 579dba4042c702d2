//! Locked: a lock of a structure with a journal, held.

use super::RawLock;
use mp_core::word::Owned;

/// Releases the lock when dropped. A thread that panics while it holds it keeps it: the kernel frees it when the thread
/// ends. (So the model makes a thread die.) A call by a destructor, while the thread unwinds, is as any other.
#[doc(hidden)]
pub struct Locked<'a, O: Owned> {
    lock: &'a RawLock<O>,
    was_unwinding: bool,
}

impl<'a, O: Owned> Locked<'a, O> {
    /// The lock, which the caller has just acquired.
    #[inline]
    pub fn new(acquired: &'a RawLock<O>) -> Self {
        Locked { lock: acquired, was_unwinding: std::thread::panicking() }
    }

    /// The caller has repaired what a dead holder left: the next holder is not told of it.
    pub fn clear_died(&self) {
        self.lock.clear_died();
    }
}

impl<O: Owned> Drop for Locked<'_, O> {
    #[inline]
    fn drop(&mut self) {
        if self.was_unwinding || !std::thread::panicking() {
            self.lock.release();
        }
    }
}
