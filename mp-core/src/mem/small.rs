//! Small objects: locks, events and semaphores that a process makes share pages, and with them descriptors.
//!
//! ```text
//!  payload:  [ next | kind of unit 0 | kind of unit 1 | … ][ unit 0 ][ unit 1 ] … [ unit 28 ]
//!                                                           a lock    an event
//! ```
//!
//! A page is a shared object like any other: a sealed memfd that lives while a process has it mapped or a message
//! in flight holds its descriptor. The kernel counts these, whatever dies. So there is no count for each unit, and
//! nothing that a killed process could leave: a unit is allocated once, and all units end with their page. An
//! object keeps at most one page, as it would by itself.
//!
//! | word    | written by                | meaning                                                 |
//! |---------|---------------------------|---------------------------------------------------------|
//! | `next`  | the maker of an object    | units allocated; beyond the last: the page is full      |
//! | `kinds` | the maker, once           | the kind of the object that begins in the unit; 0: none |
//!
//! A forked copy makes its objects in pages of its own. `next` is in the page, so a copy that cannot be told from its
//! original still takes other units. A process also remembers its own progress: a peer that sets `next` back does not
//! make it allocate a unit twice.
//!
//! # When a process dies
//! Between `next` and the kind: the unit is lost until its page ends.
//! # Tested by
//! below, mp-sync/tests/descriptors.rs

use super::mapping::{Kind, Mapping};
use super::shared_ref::SharedRef;
use crate::error::MemError;
use crate::sys::memory::PAGE;
use crate::sys::owning_process::OwningProcess;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

/// Two cache lines, as lines are fetched in pairs: objects do not slow each other.
const UNIT: usize = 128;
const UNITS: usize = 29;
/// The words in front of the units.
const WORDS: usize = 256;
/// The size of the largest small object in bytes.
pub(super) const LARGEST: usize = 2 * UNIT;

/// `next`, then the kinds.
type Words = [AtomicU64; 1 + UNITS];

const _: () = assert!(size_of::<Words>() <= WORDS && WORDS.is_multiple_of(UNIT));
const _: () = assert!(Mapping::header_bytes() + WORDS + UNITS * UNIT == PAGE);

/// The layout of a page of small objects.
struct Page;

/// The page for this process's next object.
struct Current {
    /// The process that made it: a forked copy makes its objects in pages of its own.
    owner: OwningProcess,
    page: Weak<Mapping>,
    /// Units that it has allocated, or seen allocated.
    next: usize,
}

static CURRENT: Mutex<Option<Current>> = Mutex::new(None);

/// Space for a new object, all zeros: its mapping, and its offset in the payload.
pub(super) fn take(kind: Kind, bytes: usize) -> Result<(Arc<Mapping>, usize), MemError> {
    let units = bytes.div_ceil(UNIT).max(1);
    // Only tried: a fork beside other threads can leave a child a lock that no thread releases.
    let mut current = CURRENT.try_lock().ok();
    if let Some(Some(current)) = current.as_deref_mut()
        && current.owner.is_current()
        && let Some(page) = current.page.upgrade()
        && let Some(unit) = take_units(&page, current.next, units, kind)?
    {
        current.next = unit + units;
        return Ok((page, offset(unit)));
    }
    let page = Mapping::create("mp-objects", Kind::of::<Page>(), WORDS + UNITS * UNIT)?;
    let unit = take_units(&page, 0, units, kind)?.ok_or(MemError::NotOurs("a new page is full"))?;
    if let Some(current) = current.as_deref_mut() {
        *current = Some(Current {
            owner: OwningProcess::current(),
            page: Arc::downgrade(&page),
            next: unit + units,
        });
    }
    Ok((page, offset(unit)))
}

/// `None`: there is no space, or `next` was changed.
fn take_units(
    page: &Arc<Mapping>,
    least: usize,
    units: usize,
    kind: Kind,
) -> Result<Option<usize>, MemError> {
    let words = SharedRef::<Words>::at(Arc::clone(page), 0)?;
    // ORDERING: Relaxed: only that each unit is allocated once. Sending the object orders its contents.
    let unit = words[0].fetch_add(units as u64, Ordering::Relaxed);
    let unit = usize::try_from(unit).unwrap_or(usize::MAX);
    if unit < least || unit > UNITS - units {
        return Ok(None);
    }
    // ORDERING: Relaxed: sending the object orders it.
    words[1 + unit].store(kind.to_bits(), Ordering::Relaxed);
    Ok(Some(unit))
}

fn offset(unit: usize) -> usize {
    WORDS + unit * UNIT
}

/// The kind of all pages.
pub(crate) fn page_kind() -> Kind {
    Kind::of::<Page>()
}

/// Whether an object of this kind begins at this offset of a page from another process.
pub(crate) fn check(
    page: &Arc<Mapping>,
    offset: usize,
    kind: Kind,
    expected: &'static str,
) -> Result<(), MemError> {
    let words = SharedRef::<Words>::at(Arc::clone(page), 0)?;
    let unit = offset.checked_sub(WORDS).filter(|bytes| bytes.is_multiple_of(UNIT)).map(|bytes| bytes / UNIT);
    let unit = unit.filter(|unit| *unit < UNITS).ok_or(MemError::NotOurs("no object begins there"))?;
    // ORDERING: Relaxed: written before the object was sent.
    if words[1 + unit].load(Ordering::Relaxed) == kind.to_bits() {
        Ok(())
    } else {
        Err(MemError::TypeMismatch { expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn page() -> Arc<Mapping> {
        Mapping::create("test", page_kind(), WORDS + UNITS * UNIT).unwrap()
    }

    fn kind() -> Kind {
        Kind::of::<AtomicU64>()
    }

    #[test]
    fn each_unit_is_handed_out_once() {
        let page = page();
        let all: Vec<usize> = (0..).map_while(|_| take_units(&page, 0, 1, kind()).unwrap()).collect();
        assert_eq!(all, (0..UNITS).collect::<Vec<usize>>());
        assert_eq!(take_units(&page, 0, 1, kind()).unwrap(), None);
    }

    #[test]
    fn what_needs_two_units_does_not_reach_beyond_the_page() {
        let page = page();
        let all: Vec<usize> = (0..).map_while(|_| take_units(&page, 0, 2, kind()).unwrap()).collect();
        assert_eq!((all.len(), all.last()), (UNITS / 2, Some(&(UNITS - 3))));
    }

    #[test]
    fn a_peer_that_sets_it_back_gets_no_unit_handed_out_twice() {
        let page = page();
        assert_eq!(take_units(&page, 0, 1, kind()).unwrap(), Some(0));
        let words = SharedRef::<Words>::at(Arc::clone(&page), 0).unwrap();
        for garbage in [0, u64::MAX, 1 << 40, UNITS as u64] {
            // ORDERING: Relaxed: one thread.
            words[0].store(garbage, Ordering::Relaxed);
            assert_eq!(take_units(&page, 1, 1, kind()).unwrap(), None, "{garbage}");
        }
    }

    #[test]
    fn an_object_begins_where_it_was_made_and_is_what_it_was_made() {
        let page = page();
        take_units(&page, 0, 2, kind()).unwrap();
        check(&page, WORDS, kind(), "u64").unwrap();
        let other = check(&page, WORDS, Kind::of::<u8>(), "u8");
        assert!(matches!(other, Err(MemError::TypeMismatch { expected: "u8" })));
        for offset in [0, 8, WORDS - UNIT, WORDS + 1, WORDS + UNIT, WORDS + UNITS * UNIT, usize::MAX] {
            assert!(check(&page, offset, kind(), "u64").is_err(), "{offset}");
        }
    }

    #[test]
    fn objects_share_a_page_while_one_of_them_lives() {
        let objects: Vec<_> = (0..4 * UNITS).map(|_| take(kind(), 8).unwrap()).collect();
        let places: BTreeSet<_> = objects.iter().map(|(page, at)| (Arc::as_ptr(page).addr(), *at)).collect();
        assert_eq!(places.len(), 4 * UNITS);
        let pages: BTreeSet<_> = places.iter().map(|(page, _)| page).collect();
        // Other tests of this program take units, too, and may have the lock when this one tries it.
        assert!(pages.len() < 2 * UNITS, "{} pages", pages.len());
    }
}
