//! Shared objects that a process has inherited from another pid namespace: it must not acquire anything in
//! them.
//!
//! Thread ids of two namespaces can be equal. So the child would take its parent's lock for its own, and other
//! processes would take the child for dead. A fork by this library is refused beforehand; this is for a fork of
//! the program's own. In such a child every id has a tag above the bits of real ids, another one each time a
//! namespace is left, so it equals no inherited id. An acquire in an inherited object panics: no correct result
//! exists, and these calls have no error for it. Objects that the child makes are its own, and are used without
//! the kernel's list, which knows untagged ids only.

use super::identity::IDS;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// Between the ids and the flags of a lock's word.
static TAG: AtomicU32 = AtomicU32::new(0);
const MOST: u32 = 0xFF * IDS;

static RANGES: Mutex<Vec<Range<usize>>> = Mutex::new(Vec::new());

/// What ids of this process have above their bits; 0 where nothing was inherited from elsewhere.
pub(super) fn tag() -> u32 {
    // ORDERING: Relaxed: it changes only just after a fork, with one thread.
    TAG.load(Ordering::Relaxed)
}

/// From here on these addresses are not to be used. In a forked child, first thing.
pub(super) fn forbid(ranges: Vec<Range<usize>>) {
    // ORDERING: as in `tag`.
    TAG.store((tag() + IDS).min(MOST), Ordering::Relaxed);
    forbid_only(ranges);
}

/// These addresses, and no others, are not to be used.
pub(crate) fn forbid_only(ranges: Vec<Range<usize>>) {
    *RANGES.lock().unwrap_or_else(PoisonError::into_inner) = ranges;
}

/// These addresses are mapped no more.
pub(crate) fn allow(range: &Range<usize>) {
    if tag() != 0 {
        RANGES.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| other != range);
    }
}

/// Refuses what lies in an object that was inherited from another pid namespace.
///
/// # Panics
/// If it does.
#[cold]
pub fn refuse<T>(what: &T) {
    let at = std::ptr::from_ref(what) as usize;
    let inherited =
        || RANGES.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|range| range.contains(&at));
    assert!(
        tag() == 0 || !inherited(),
        "this process was forked into another pid namespace and uses a shared object of its parent, whose ids mean \
         other processes: fork before unshare(CLONE_NEWPID) or setns, or make the object in the child"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_change_of_namespace_nothing_is_refused() {
        refuse(&0_u32);
        assert_eq!(tag(), 0);
    }

    #[test]
    fn tags_stand_between_ids_and_flags() {
        assert_eq!(MOST + IDS - 1, (1 << 30) - 1);
    }
}
