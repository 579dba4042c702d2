//! Models of the lock that many may hold to read.

use crate::tables::Pair;
use crate::world::{Fuse, TimedLooks, set_looks, spawn};
use mp_core::word::Owned;
use mp_model::{AnyOwned, soon};
use mp_sync::raw::{Acquired, RawRwLock};
use std::sync::Arc;

struct Shared<O: Owned> {
    lock: RawRwLock<O, 2>,
    pair: Pair,
}

fn shared<O: AnyOwned>() -> Arc<Shared<O>> {
    Arc::new(Shared { lock: RawRwLock::default(), pair: Pair::default() })
}

impl<O: Owned> Shared<O> {
    fn write(&self) -> Acquired {
        let found = self.lock.write(None).expect("no deadline");
        self.pair.add_one(found);
        self.lock.clear_died();
        assert!(self.lock.release());
        found
    }

    fn read(&self) -> (u32, Acquired) {
        let (place, found) = self.lock.read(None).expect("no deadline");
        let number = self.pair.read(found);
        assert!(self.lock.leave(place));
        (number, found)
    }
}

/// One writes and one reads.
pub(crate) fn rwlock_readers_see_whole_writes<O: AnyOwned>() {
    let shared = shared::<O>();
    let other = shared.clone();
    let other = spawn(&Fuse::never(), move || other.write());
    assert!(shared.read().0 <= 1);
    assert_eq!(other.join(), Some(Acquired::Clean));
    assert_eq!(shared.read(), (1, Acquired::Clean));
    assert!(!shared.lock.release() && !shared.lock.leave(0) && !shared.lock.leave(7));
}

/// Two write.
pub(crate) fn rwlock_writers_exclude_each_other<O: AnyOwned>() {
    let shared = shared::<O>();
    let other = shared.clone();
    let other = spawn(&Fuse::never(), move || other.write());
    assert_eq!(shared.write(), Acquired::Clean);
    other.join();
    assert_eq!(shared.read(), (2, Acquired::Clean));
}

/// Readers do not wait for each other; a writer whose time is up leaves no trace.
pub(crate) fn rwlock_readers_share_and_writers_give_up<O: AnyOwned>() {
    let shared = shared::<O>();
    let (place, _) = shared.lock.read(None).expect("no thread writes");
    let others = [true, false].map(|writes| {
        let other = shared.clone();
        spawn(&Fuse::never(), move || {
            if writes {
                assert_eq!(other.lock.write(soon()), None);
            } else {
                assert_eq!(other.read(), (0, Acquired::Clean));
            }
        })
    });
    others.into_iter().for_each(|other| assert!(other.join().is_some()));
    assert!(shared.lock.leave(place));
    assert_eq!(shared.write(), Acquired::Clean);
}

/// A writer that dies is told to the next, and a reader.
pub(crate) fn rwlock_dead_writer<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let shared = shared::<O>();
    let victim = shared.clone();
    let victim = spawn(fuse, move || victim.write());
    // Told to both, since a reader cannot clear it; or to neither, if it died elsewhere or not yet.
    let (read, written) = (shared.read().1, shared.write());
    assert!(read == Acquired::Clean || written == Acquired::OwnerDied);
    victim.join();
}

/// A dead reader keeps no thread out, and has damaged nothing.
pub(crate) fn rwlock_dead_reader<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let shared = shared::<O>();
    let victim = shared.clone();
    let victim = spawn(fuse, move || victim.read());
    assert_eq!(shared.write(), Acquired::Clean);
    victim.join();
}
