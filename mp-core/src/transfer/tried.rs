//! Which types this process has tried to read back: the first value of a type is, before it is sent.
//!
//! ```text
//!  word per type, in a table that only grows:   0 ──first value──► the type's address
//! ```
//!
//! A type is known by the address of a function that is made for it. Two types may share one if the function is the
//! same for both; then they are read in the same way, and one answer is right for both. A type without a place, when
//! the table is full, is tried each time.
//!
//! # When a process dies
//! The table is the process's own. A forked child has what its parent had tried.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A power of two.
const PLACES: usize = 4096;
/// So many places in a row are looked at.
const LOOKS: usize = 16;

pub(super) struct Tried {
    places: [AtomicUsize; PLACES],
}

impl Tried {
    pub(super) const fn new() -> Tried {
        Tried { places: [const { AtomicUsize::new(0) }; PLACES] }
    }

    /// Whether the type at this address has been entered.
    #[inline]
    pub(super) fn has(&self, address: usize) -> bool {
        for place in self.row(address) {
            // ORDERING: Relaxed: the word alone is the message, and trying a type twice does no harm.
            match place.load(Ordering::Relaxed) {
                0 => return false,
                found if found == address => return true,
                _ => {}
            }
        }
        false
    }

    /// Enters the type at this address.
    #[cold]
    pub(super) fn enter(&self, address: usize) {
        for place in self.row(address) {
            // ORDERING: Relaxed, both: as in `has`.
            match place.compare_exchange(0, address, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(found) if found == address => return,
                Err(_) => {}
            }
        }
    }

    #[inline]
    fn row(&self, address: usize) -> impl Iterator<Item = &AtomicUsize> {
        // Functions begin at multiples of 16.
        let first = (address >> 4).wrapping_mul(0x9E37_79B9_7F4A_7C15_u64 as usize) >> (usize::BITS - 12);
        (0..LOOKS).map(move |step| &self.places[(first + step) % PLACES])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_known_once_it_is_entered() {
        let tried = Tried::new();
        let addresses: Vec<usize> = (1..=200).map(|at| 0x5555_0000_1000 + at * 48).collect();
        for (at, &address) in addresses.iter().enumerate() {
            assert!(!tried.has(address));
            tried.enter(address);
            tried.enter(address);
            assert!(addresses[..=at].iter().all(|&address| tried.has(address)));
        }
    }

    #[test]
    fn a_type_without_a_place_is_tried_each_time() {
        let tried = Tried::new();
        for place in &tried.places {
            // ORDERING: Relaxed: one thread.
            place.store(1, Ordering::Relaxed);
        }
        tried.enter(0x1000);
        assert!(!tried.has(0x1000));
    }
}
