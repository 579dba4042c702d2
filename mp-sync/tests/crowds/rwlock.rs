//! Crowds at the lock that many may hold to read.

use super::{all, crowd};
use crate::tables::Pair;
use crate::world::{AtomicU32, Fuse, TimedLooks, set_looks, spawn};
use mp_core::word::{Deadline, Ordering, Owned};
use mp_model::{AnyOwned, soon};
use mp_sync::raw::{Acquired, RawRwLock};
use std::sync::Arc;

struct Shared<O: Owned> {
    /// As many slots as there are threads: a thread without a slot to wait in is never notified, and wakes by itself.
    lock: RawRwLock<O, 6>,
    pair: Pair,
    /// How many read now.
    reading: AtomicU32,
}

fn shared<O: AnyOwned>() -> Arc<Shared<O>> {
    Arc::new(Shared { lock: RawRwLock::default(), pair: Pair::default(), reading: AtomicU32::default() })
}

impl<O: Owned> Shared<O> {
    /// `false`: the deadline passed first.
    fn write(&self, until: Option<Deadline>) -> bool {
        let Some(found) = self.lock.write(until) else { return false };
        // ORDERING: Relaxed: the lock orders it.
        assert!(self.reading.load(Ordering::Relaxed) == 0 || found == Acquired::OwnerDied);
        self.pair.add_one(found);
        self.lock.clear_died();
        assert!(self.lock.release());
        true
    }

    /// `false`: the deadline passed first.
    fn read(&self, until: Option<Deadline>) -> bool {
        let Some((place, found)) = self.lock.read(until) else { return false };
        // ORDERING: Relaxed: the lock orders it against the writers.
        self.reading.fetch_add(1, Ordering::Relaxed);
        self.pair.read(found);
        self.reading.fetch_sub(1, Ordering::Relaxed);
        assert!(self.lock.read_by_me(place) && self.lock.leave(place));
        true
    }
}

/// Three read and three write.
pub(crate) fn rwlock_crowd_sees_whole_writes<O: AnyOwned>() {
    let shared = shared::<O>();
    let its = shared.clone();
    let others = crowd(5, move |number| match number % 2 {
        0 => its.read(None) && its.read(None),
        _ => its.write(None),
    });
    assert!(shared.write(None));
    assert_eq!(all(others), [true; 5]);
    assert_eq!(shared.pair.get(), 3);
}

/// Threads that give up leave no trace.
pub(crate) fn rwlock_crowd_some_give_up<O: AnyOwned>() {
    let shared = shared::<O>();
    let its = shared.clone();
    let others = crowd(4, move |number| match number {
        0 => its.read(soon()),
        1 => its.write(soon()),
        2 => its.read(None),
        _ => its.write(None),
    });
    assert!(shared.write(None));
    let came = all(others);
    assert!(came[2] && came[3]);
    assert_eq!(shared.pair.get(), 2 + u32::from(came[1]));
    assert!(shared.write(soon()) && shared.read(soon()));
}

/// A dead writer keeps no thread out, and its half change is reported.
pub(crate) fn rwlock_crowd_dead_writer<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let shared = shared::<O>();
    let its = shared.clone();
    let victim = spawn(fuse, move || its.write(None));
    let its = shared.clone();
    let others = crowd(3, move |number| if number == 0 { its.write(None) } else { its.read(None) });
    assert!(shared.write(None));
    assert_eq!(all(others), [true; 3]);
    victim.join();
    assert!(shared.write(None));
}

/// A dead reader keeps no thread out.
pub(crate) fn rwlock_crowd_dead_reader<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let shared = shared::<O>();
    let its = shared.clone();
    let victim = spawn(fuse, move || {
        let (place, _) = its.lock.read(None).expect("no deadline");
        its.lock.leave(place)
    });
    let its = shared.clone();
    let others = crowd(3, move |number| if number == 0 { its.read(None) } else { its.write(None) });
    assert!(shared.write(None));
    assert_eq!(all(others), [true; 3]);
    assert_eq!(shared.pair.get(), 3);
    victim.join();
}
