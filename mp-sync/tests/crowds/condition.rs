//! Crowds at the condition: a shelf with room for two, between one producer and several consumers.

use super::{all, crowd};
use crate::world::{AtomicU32, Fuse, TimedLooks, set_looks, spawn};
use mp_core::word::{Deadline, Ordering, Owned};
use mp_model::{AnyOwned, soon};
use mp_sync::raw::{Acquired, RawCondition, RawLock};
use std::sync::Arc;

const ROOM: u32 = 2;
const BROUGHT: u32 = 4;

/// Relaxed, so that only the lock orders it.
struct Shelf<O: Owned> {
    lock: RawLock<O>,
    more: RawCondition<O, 4>,
    fewer: RawCondition<O, 4>,
    items: AtomicU32,
    closed: AtomicU32,
}

fn shelf<O: AnyOwned>() -> Arc<Shelf<O>> {
    Arc::new(Shelf {
        lock: RawLock::default(),
        more: RawCondition::default(),
        fewer: RawCondition::default(),
        items: AtomicU32::default(),
        closed: AtomicU32::default(),
    })
}

/// ORDERING: Relaxed throughout: see the type.
impl<O: Owned> Shelf<O> {
    fn enter(&self) {
        if self.lock.acquire(None) == Some(Acquired::OwnerDied) {
            self.lock.clear_died();
        }
    }

    fn leave(&self) {
        assert!(self.lock.release());
    }

    fn items(&self) -> u32 {
        self.items.load(Ordering::Relaxed)
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed) != 0
    }

    /// Waits; comes back at a timed look too, when there is something to come back for.
    fn wait(&self, which: &RawCondition<O, 4>, until: Option<Deadline>, look: impl Fn() -> bool) {
        let waited = which.wait_unless(&self.lock, until, look).expect("there are places");
        if waited.lock == Acquired::OwnerDied {
            self.lock.clear_died();
        }
    }

    fn bring(&self, items: u32) {
        for _ in 0..items {
            self.enter();
            while self.items() == ROOM {
                self.wait(&self.fewer, None, || self.items() < ROOM);
            }
            self.items.store(self.items() + 1, Ordering::Relaxed);
            self.more.notify(1);
            self.leave();
        }
    }

    /// Waits until all is taken, and says that no more comes.
    fn close(&self) {
        self.enter();
        while self.items() > 0 {
            self.wait(&self.fewer, None, || self.items() == 0);
        }
        self.closed.store(1, Ordering::Relaxed);
        self.more.notify(u32::MAX);
        self.leave();
    }

    /// Takes until it is closed, or is late; gives how many.
    fn take(&self, until: Option<Deadline>) -> u32 {
        let mut taken = 0;
        loop {
            self.enter();
            let there = self.items() > 0;
            if there {
                self.items.store(self.items() - 1, Ordering::Relaxed);
                self.fewer.notify(u32::MAX);
                taken += 1;
            } else if !self.is_closed() {
                self.wait(&self.more, until, || self.items() > 0 || self.is_closed());
            }
            let done = self.items() == 0 && (self.is_closed() || until.is_some());
            self.leave();
            if done {
                return taken;
            }
        }
    }
}

/// Each item wakes one, and each is taken once; by no timer.
pub(crate) fn condition_crowd_takes_each_item_once<O: AnyOwned>() {
    let shelf = shelf::<O>();
    let its = shelf.clone();
    let takers = crowd(3, move |_| its.take(None));
    let its = shelf.clone();
    let bringers = crowd(2, move |_| its.bring(BROUGHT / 2));
    all(bringers);
    shelf.close();
    assert_eq!(all(takers).iter().sum::<u32>(), BROUGHT);
}

/// Some are in a hurry: what was meant for them goes to others.
pub(crate) fn condition_crowd_goes_on_without_the_late<O: AnyOwned>() {
    let shelf = shelf::<O>();
    let its = shelf.clone();
    let takers = crowd(4, move |number| its.take(if number < 2 { soon() } else { None }));
    shelf.bring(BROUGHT);
    shelf.close();
    assert_eq!(all(takers).iter().sum::<u32>(), BROUGHT);
}

/// A consumer dies: the others go on, and what it took no other has.
pub(crate) fn condition_crowd_dead_taker<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let shelf = shelf::<O>();
    let its = shelf.clone();
    let victim = spawn(fuse, move || its.take(None));
    let its = shelf.clone();
    let takers = crowd(2, move |_| its.take(None));
    shelf.bring(BROUGHT);
    shelf.close();
    let (taken, victims) = (all(takers).iter().sum::<u32>(), victim.join());
    assert!(
        taken <= BROUGHT && victims.is_none_or(|victims| taken + victims == BROUGHT),
        "{taken} {victims:?}"
    );
}

/// The producer dies: the items that it had put are there, and no others.
pub(crate) fn condition_crowd_dead_bringer<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let shelf = shelf::<O>();
    let its = shelf.clone();
    let victim = spawn(fuse, move || its.bring(BROUGHT / 2));
    let its = shelf.clone();
    let takers = crowd(3, move |_| its.take(None));
    shelf.bring(BROUGHT / 2);
    let lived = victim.join().is_some();
    shelf.close();
    let taken = all(takers).iter().sum::<u32>();
    assert!(taken == BROUGHT || (!lived && (BROUGHT / 2..BROUGHT).contains(&taken)), "{taken}");
}
