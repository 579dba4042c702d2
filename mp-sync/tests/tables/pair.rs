//! What a lock guards in the models, so that a fault shows.

use crate::world::{AtomicU32, point};
use mp_core::word::Ordering;
use mp_sync::raw::Acquired;

/// Two numbers that are equal whenever no thread is changing them. Relaxed, so that only a lock orders them: a missing
/// Acquire or Release shows as an old number.
#[derive(Default)]
pub(crate) struct Pair(AtomicU32, AtomicU32);

impl Pair {
    /// Adds one to each, with a point of death between. ORDERING: Relaxed throughout: see the type.
    pub(crate) fn add_one(&self, how: Acquired) {
        let number = self.read(how);
        self.0.store(number + 1, Ordering::Relaxed);
        point();
        self.1.store(number + 1, Ordering::Relaxed);
    }

    /// The first of them. ORDERING: Relaxed throughout: see the type.
    pub(crate) fn read(&self, how: Acquired) -> u32 {
        let (first, second) = (self.0.load(Ordering::Relaxed), self.1.load(Ordering::Relaxed));
        assert!(first == second || how == Acquired::OwnerDied, "half a change in a clean lock");
        first
    }

    /// Their value while no thread is changing them. ORDERING: Relaxed: see the type.
    pub(crate) fn get(&self) -> u32 {
        self.1.load(Ordering::Relaxed)
    }
}
