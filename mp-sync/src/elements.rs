//! Elements: an array's memory, with and without a lock.
//!
//! ```text
//!  payload:  [ lock, length | …… ][ element 0 | element 1 | …………… | element n-1 ]
//!            0                    128 (a cache line, two where lines are fetched in pairs)
//! ```
//!
//! The length is read once, when the array is made or received, and checked against the size of the memory,
//! which is sealed. From then on each handle has its own.
//!
//! # When a process dies
//! Nothing is to be repaired here: the lock reports the death, and elements without a lock keep what was last
//! written.

use crate::cell::ArrayHead;
use mp_core::MemError;
use mp_core::OutOfRangeError;
use mp_core::mem::{Kind, Mapping, SharedRef, SharedSlice, Structure};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::ops::{Bound, Deref, Range, RangeBounds};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The offset of the elements.
const BEGIN: usize = 128;
const _: () = assert!(size_of::<ArrayHead>() <= BEGIN);

/// A head and the `C`s behind it. (A `C` is an element in a cell.)
pub(crate) struct Elements<C> {
    pub(crate) head: SharedRef<ArrayHead>,
    row: SharedSlice<C>,
}

impl<C: Structure> Elements<C> {
    /// `len` elements of zeros. Compiles only if an element has bytes: a length could not be checked
    /// otherwise.
    pub(crate) fn zeroed(name: &str, len: usize) -> Result<Self, MemError> {
        const { assert!(size_of::<C>() > 0, "an array of elements without bytes") };
        // A length that overflows is more memory than there is.
        let bytes = len.saturating_mul(size_of::<C>()).saturating_add(BEGIN);
        let mapping = Mapping::create(name, Elements::<C>::kind(), bytes)?;
        // ORDERING: Relaxed: it is not shared yet; sending it orders what was written before.
        SharedRef::<ArrayHead>::at(Arc::clone(&mapping), 0)?.len.store(len as u64, Ordering::Relaxed);
        Elements::within(mapping)
    }

    fn kind() -> Kind {
        Kind::of::<(ArrayHead, C)>()
    }

    fn within(mapping: Arc<Mapping>) -> Result<Self, MemError> {
        let head = SharedRef::<ArrayHead>::at(Arc::clone(&mapping), 0)?;
        // ORDERING: Relaxed: whatever is read is checked, below.
        let len = usize::try_from(head.len.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        Ok(Elements { head, row: SharedSlice::at(mapping, BEGIN, len)? })
    }

    /// The range as indices, if the elements are there.
    pub(crate) fn range(&self, range: impl RangeBounds<usize>) -> Result<Range<usize>, OutOfRangeError> {
        let start = match range.start_bound() {
            Bound::Included(&start) => start,
            Bound::Excluded(&before) => before.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(&last) => last.saturating_add(1),
            Bound::Excluded(&end) => end,
            Bound::Unbounded => self.row.len(),
        };
        let there = start <= end && end <= self.row.len();
        if there { Ok(start..end) } else { Err(OutOfRangeError::new(start, end, self.row.len())) }
    }

    /// The range of `count` elements from `index` on.
    pub(crate) fn span(&self, index: usize, count: usize) -> Result<Range<usize>, OutOfRangeError> {
        self.range(index..index.saturating_add(count))
    }
}

impl<C: Structure> Deref for Elements<C> {
    type Target = [C];
    #[inline]
    fn deref(&self) -> &[C] {
        &self.row
    }
}

impl<C> Clone for Elements<C> {
    fn clone(&self) -> Self {
        Elements { head: self.head.clone(), row: self.row.clone() }
    }
}

/// Within a transfer only.
impl<C: Structure> Serialize for Elements<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.row.mapping().serialize(serializer)
    }
}

impl<'de, C: Structure> Deserialize<'de> for Elements<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = std::any::type_name::<C>();
        let mapping = mp_core::transfer::attach(deserializer, Elements::<C>::kind(), expected)?;
        // The maker of an array reserves all of it. Without this check a sender could claim any length at no
        // cost.
        mapping.is_whole().and_then(|()| Elements::within(mapping)).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn a_length_that_memory_does_not_bear_is_refused() {
        let elements = Elements::<AtomicU32>::zeroed("test", 10).unwrap();
        let message = || mp_core::transfer::pack(&elements).unwrap();
        let receive = |message: mp_core::transfer::Message| {
            mp_core::transfer::unpack::<Elements<AtomicU32>>(&message.bytes, message.handles)
        };
        let room = (elements.row.mapping().payload_bytes() - BEGIN) / size_of::<AtomicU32>();
        for (len, fits) in [(0, true), (10, true), (room, true), (room + 1, false)] {
            elements.head.len.store(len as u64, Ordering::Relaxed);
            let received = receive(message());
            assert_eq!(received.map(|received| received.len()).ok(), fits.then_some(len));
        }
        for len in [u64::MAX, u64::MAX / 4, u64::MAX / 4 + 1, 1 << 62, 1 << 63] {
            elements.head.len.store(len, Ordering::Relaxed);
            assert!(receive(message()).is_err(), "{len}");
        }
        // An existing handle keeps its length.
        assert_eq!(elements.len(), 10);
    }

    #[test]
    fn ranges_are_those_of_slices() {
        let elements = Elements::<AtomicU32>::zeroed("test", 5).unwrap();
        assert_eq!(elements.range(..), Ok(0..5));
        assert_eq!(elements.range(1..=4), Ok(1..5));
        assert_eq!(elements.range((Bound::Excluded(1), Bound::Unbounded)), Ok(2..5));
        assert_eq!(elements.range(5..), Ok(5..5));
        assert_eq!(elements.range(6..), Err(OutOfRangeError::new(6, 5, 5)));
        assert_eq!(elements.range(..=5), Err(OutOfRangeError::new(0, 6, 5)));
        #[allow(clippy::reversed_empty_ranges, reason = "that it is refused is what is tested")]
        let reversed = elements.range(3..2);
        assert_eq!(reversed, Err(OutOfRangeError::new(3, 2, 5)));
        assert_eq!(elements.range(..=usize::MAX), Err(OutOfRangeError::new(0, usize::MAX, 5)));
        assert_eq!(elements.span(usize::MAX, 2), Err(OutOfRangeError::new(usize::MAX, usize::MAX, 5)));
    }
}
