//! A lock and what it guards, in models of two or three and in crowds.

use super::Pair;
use mp_core::word::Owned;
use mp_model::AnyOwned;
use mp_sync::raw::{Acquired, RawLock};
use std::sync::Arc;

pub(crate) type Locked<O> = Arc<(RawLock<O>, Pair)>;

pub(crate) fn locked<O: AnyOwned>() -> Locked<O> {
    Arc::new((RawLock::default(), Pair::default()))
}

/// One visit.
pub(crate) fn add_one<O: Owned>(locked: &Locked<O>) {
    let how = locked.0.acquire(None).expect("no deadline");
    inside(locked, how);
}

/// The work of a thread that holds the lock, and its release.
pub(crate) fn inside<O: Owned>(locked: &Locked<O>, how: Acquired) {
    assert!(locked.0.held_by_me());
    locked.1.add_one(how);
    locked.0.clear_died();
    assert!(locked.0.release());
}
