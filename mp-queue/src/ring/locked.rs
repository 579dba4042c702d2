//! Locked: one side's lock, held.

use mp_core::word::Owned;
use mp_sync::raw::RawLock;

/// Releases the lock when dropped. A thread that unwinds keeps it: the kernel frees it when the thread ends.
/// (So the model makes a thread die.)
pub(super) struct Locked<'a, O: Owned>(&'a RawLock<O>);

impl<'a, O: Owned> Locked<'a, O> {
    /// The lock, which the caller has just acquired.
    #[inline]
    pub(super) fn new(acquired: &'a RawLock<O>) -> Self {
        Locked(acquired)
    }

    /// The caller has repaired what a dead holder left: the next holder is not told of it.
    pub(super) fn clear_died(&self) {
        self.0.clear_died();
    }
}

impl<O: Owned> Drop for Locked<'_, O> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.0.release();
        }
    }
}
