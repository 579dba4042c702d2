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
    /// The length of the last of them in pages, if it is the whole one; else 0.
    whole_pages: W,
}

impl<W: Word> Limits<W> {
    /// Sets the most items (0: no limit), the number of segments, and the length of the whole one in pages (0:
    /// there is none).
    pub(crate) fn set(&self, items: u32, segments: usize, whole_pages: usize) {
        // ORDERING: Relaxed, all three: the memory is not shared yet.
        self.items.store(items, Ordering::Relaxed);
        self.segments.store(segments as u32, Ordering::Relaxed);
        self.whole_pages.store(whole_pages as u32, Ordering::Relaxed);
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

    /// The length of the whole segment in pages, 0: there is none; unchecked.
    pub(crate) fn whole_pages(&self) -> usize {
        self.whole_pages.load(Ordering::Relaxed) as usize
    }
}
