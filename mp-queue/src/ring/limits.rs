//! The limits of a queue.

use mp_core::word::{Ordering, Word};

/// Limits of the queue. Written once, before the queue is shared.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Limits<W> {
    /// The most items; 0: no limit.
    items: W,
    /// The number of segments that the queue may have.
    segments: W,
    /// 1: the last of them is the whole one.
    whole: W,
}

impl<W: Word> Limits<W> {
    /// Sets the most items (0: no limit), the number of segments, and whether the last is the whole one.
    pub(crate) fn set(&self, items: u32, segments: usize, has_whole: bool) {
        // ORDERING: Relaxed, all three: the memory is not shared yet.
        self.items.store(items, Ordering::Relaxed);
        self.segments.store(segments as u32, Ordering::Relaxed);
        self.whole.store(has_whole.into(), Ordering::Relaxed);
    }

    /// The most items; 0: no limit.
    #[inline]
    pub(crate) fn items(&self) -> u32 {
        // ORDERING: Relaxed, here and below: written once, before the queue was shared.
        self.items.load(Ordering::Relaxed)
    }

    /// The number of segments; unchecked.
    pub(crate) fn segments(&self) -> usize {
        self.segments.load(Ordering::Relaxed) as usize
    }

    /// Whether the last segment is the whole one.
    pub(crate) fn has_whole(&self) -> bool {
        self.whole.load(Ordering::Relaxed) != 0
    }
}
