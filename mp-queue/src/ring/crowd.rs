//! The ring in shuttle: four to six threads in schedules drawn at random, and one of them killed before each of its
//! accesses; and with faults, which must show. What loom has no time for.
//!
//! A lost wake is a deadlock, which shuttle reports. `MP_SHUTTLE_ITERATIONS` draws more. Left out, as in model.rs: hops
//! between segments.

use super::layout::{Layout, Slot};
use super::{Alone, Memory, NotTaken, Ring, UNIT, WordOf};
use mp_core::word::{Ordering, Word};
use mp_model::shuttle::{
    FaultyOwned, Fuse, Looks, ModelLong, ModelOwned, Report, explore, iterations, point, set_looks, spawn,
    sweep,
};
use mp_model::{AnyOwned, DiesUnseenInTheLock, NoNoteIsLeft, NobodyIsWoken};
use std::panic::{UnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

/// Units that the crowds get by with.
const UNITS: usize = 24;

/// One segment, of which only the beginning is there.
struct CrowdMemory<O: AnyOwned> {
    /// Boxed, since the checker's stacks are small.
    layout: Box<Layout<O, ModelLong>>,
    /// Locked for one access at a time, which no thread sees another in.
    units: Vec<Mutex<[u8; UNIT]>>,
    slots: [Slot<O::Word, ModelLong>; 1],
}

impl<O: AnyOwned> Memory for CrowdMemory<O> {
    type Owned = O;
    type Long = ModelLong;
    const WARM: usize = 0;

    fn layout(&self) -> &Layout<O, ModelLong> {
        &self.layout
    }
    fn slots(&self) -> &[Slot<WordOf<Self>, ModelLong>] {
        &self.slots
    }
    fn segments(&self) -> usize {
        1
    }
    fn units(&self, _: usize) -> u32 {
        1 << 15
    }
    fn load(&self, _: usize, offset: usize) -> u64 {
        point();
        u64::from_le_bytes(*self.units[offset / UNIT].lock().unwrap())
    }
    fn store(&self, _: usize, offset: usize, unit: u64) {
        point();
        *self.units[offset / UNIT].lock().unwrap() = unit.to_le_bytes();
    }
    fn write(&self, _: usize, offset: usize, bytes: &[u8]) {
        for (unit, bytes) in self.units[offset / UNIT..].iter().zip(bytes.chunks(UNIT)) {
            point();
            *unit.lock().unwrap() = bytes.try_into().expect("the models write whole units");
        }
    }
    fn read(&self, _: usize, offset: usize, len: usize, into: &mut Vec<u8>) {
        for unit in &self.units[offset / UNIT..(offset + len) / UNIT] {
            point();
            into.extend_from_slice(&*unit.lock().unwrap());
        }
    }
    fn reserve(&self, _: usize) -> bool {
        false
    }
    fn release(&self, _: usize) {}
}

type Shared<O> = Arc<Ring<CrowdMemory<O>>>;

fn ring<O: AnyOwned>(most: u32) -> Shared<O> {
    let units = (0..UNITS).map(|_| Mutex::default()).collect();
    let layout: Box<Layout<O, ModelLong>> = Box::default();
    layout.limits.items.store(most, Ordering::Relaxed);
    Arc::new(Ring(CrowdMemory { layout, units, slots: [Slot::default()] }))
}

fn put<O: AnyOwned>(ring: &Shared<O>, value: u64) {
    assert_eq!(ring.until_room(None, || ring.put([&value.to_le_bytes()[..]], None)), Ok(1));
}

fn take<O: AnyOwned>(ring: &Shared<O>) -> u64 {
    let taken = ring.until_item(None, || {
        let mut bytes = Vec::new();
        ring.take(&mut bytes, &mut Alone, None)?;
        Ok::<_, NotTaken>(u64::from_le_bytes(bytes.try_into().expect("a whole record")))
    });
    taken.unwrap()
}

/// Two put two each, with room for two at a time; three take.
fn each_item_is_taken_once<O: AnyOwned>() {
    let ring = ring::<O>(2);
    let putters = [10, 20].map(|first| {
        let ring = Arc::clone(&ring);
        spawn(&Fuse::never(), move || (1..=2).for_each(|item| put(&ring, first + item)))
    });
    let takers = [1, 1, 2].map(|count| {
        let ring = Arc::clone(&ring);
        spawn(&Fuse::never(), move || (0..count).map(|_| take(&ring)).collect::<Vec<_>>())
    });
    putters.into_iter().for_each(|putter| putter.join().unwrap());
    let taken = takers.map(|taker| taker.join().unwrap());
    for taken in &taken {
        assert!(taken.len() < 2 || taken[0] / 10 != taken[1] / 10 || taken[0] < taken[1], "{taken:?}");
    }
    let mut all = taken.concat();
    all.sort_unstable();
    assert_eq!(all, [11, 12, 21, 22]);
    assert_eq!(ring.items(), 0);
}

/// Wherever a putter dies, its record is there whole or not at all, and everybody goes on.
fn a_dead_putter_stops_nobody<O: AnyOwned>(fuse: &Fuse) {
    set_looks(Looks::AfterDeath);
    let ring = ring::<O>(2);
    let its = Arc::clone(&ring);
    let victim = spawn(fuse, move || put(&its, 1));
    let takers = [(); 2].map(|()| {
        let ring = Arc::clone(&ring);
        spawn(&Fuse::never(), move || take(&ring))
    });
    let its = Arc::clone(&ring);
    let other = spawn(&Fuse::never(), move || put(&its, 2));
    put(&ring, 3);
    other.join().unwrap();
    let finished = victim.join().is_some();
    let mut got: Vec<u64> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
    got.extend((0..ring.items()).map(|_| take(&ring)));
    got.sort_unstable();
    assert!(got == [1, 2, 3] || (got == [2, 3] && !finished), "{got:?}");
}

/// Wherever a taker dies, it has taken one record at most, and everybody goes on.
fn a_dead_taker_stops_nobody<O: AnyOwned>(fuse: &Fuse) {
    set_looks(Looks::AfterDeath);
    let ring = ring::<O>(2);
    let its = Arc::clone(&ring);
    let victim = spawn(fuse, move || take(&its));
    let takers = [(); 2].map(|()| {
        let ring = Arc::clone(&ring);
        spawn(&Fuse::never(), move || take(&ring))
    });
    (1..=3).for_each(|item| put(&ring, item));
    let mut got: Vec<u64> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
    let his = victim.join();
    got.extend(his);
    got.extend((0..ring.items()).map(|_| take(&ring)));
    got.sort_unstable();
    got.dedup();
    assert!(got.len() == 3 || (got.len() == 2 && his.is_none()), "{got:?}");
}

/// Schedules; with deaths, a part of them for each point of death.
fn usual() -> usize {
    iterations(200)
}

fn print(name: &str, report: Report) {
    println!("{name:<38} {report}");
}

#[test]
fn crowds_put_and_take() {
    print("each_item_is_taken_once", explore(usual(), each_item_is_taken_once::<ModelOwned>));
    print("a_dead_putter_stops_nobody", sweep(usual(), a_dead_putter_stops_nobody::<ModelOwned>));
    print("a_dead_taker_stops_nobody", sweep(usual(), a_dead_taker_stops_nobody::<ModelOwned>));
}

fn is_caught(name: &str, run: impl FnOnce() -> Report + UnwindSafe) -> bool {
    let caught = catch_unwind(run).is_err();
    println!("{name:<72} {}", if caught { "caught" } else { "SURVIVED" });
    caught
}

#[test]
fn faults_show() {
    let many = 20 * usual();
    assert!(is_caught("each_item_is_taken_once in NobodyIsWoken", move || {
        explore(many, each_item_is_taken_once::<FaultyOwned<NobodyIsWoken>>)
    }));
    // Who goes to sleep does not say so.
    assert!(is_caught("each_item_is_taken_once in NoNoteIsLeft", move || {
        explore(many, each_item_is_taken_once::<FaultyOwned<NoNoteIsLeft>>)
    }));
    assert!(is_caught("a_dead_putter_stops_nobody in DiesUnseenInTheLock", move || {
        sweep(many, a_dead_putter_stops_nobody::<FaultyOwned<DiesUnseenInTheLock>>)
    }));
}
