//! The ring in the model checker: every schedule with up to three preemptions, and with a thread killed before each
//! of its accesses.
//!
//! A lost wake is a deadlock, which loom reports. The bytes are cells that loom tracks, so a commit without its
//! ordering is a data race that it sees. `MP_LOOM_BOUND=4` walks further. The models with three threads stay one
//! preemption behind, which makes seconds of minutes.
//!
//! Left out: hops between segments (tests.rs has them in one thread).

use super::layout::{Layout, Slot};
use super::{Alone, Beside, Memory, NotTaken, Refused, Ring, UNIT, Worker};
use loom::cell::Cell;
use mp_core::word::{Ordering, Word};
use mp_model::loom::{
    self as world, Fuse, Looks, ModelLong, ModelOwned, ModelWord, bound, explore, set_looks, spawn, sweep,
};
use std::rc::Rc;

/// Units that the models get by with.
const UNITS: usize = 12;

/// One segment, of which only the beginning is there.
struct ModelMemory {
    /// Boxed, since the checker's stacks are small.
    layout: Box<Layout<ModelOwned, ModelLong>>,
    units: Vec<Cell<[u8; UNIT]>>,
    slots: Vec<Slot<ModelWord, ModelLong>>,
}

impl Memory for ModelMemory {
    type Owned = ModelOwned;
    type Long = ModelLong;
    const WARM: usize = 0;

    fn layout(&self) -> &Layout<ModelOwned, ModelLong> {
        &self.layout
    }
    fn slots(&self) -> &[Slot<ModelWord, ModelLong>] {
        &self.slots
    }
    fn segments(&self) -> usize {
        1
    }
    fn units(&self, _: usize) -> u32 {
        1 << 15
    }
    fn load(&self, _: usize, offset: usize) -> u64 {
        world::point();
        u64::from_le_bytes(self.units[offset / UNIT].get())
    }
    fn store(&self, _: usize, offset: usize, unit: u64) {
        world::point();
        self.units[offset / UNIT].set(unit.to_le_bytes());
    }
    fn write(&self, _: usize, offset: usize, bytes: &[u8]) {
        for (unit, bytes) in self.units[offset / UNIT..].iter().zip(bytes.chunks(UNIT)) {
            world::point();
            unit.set(bytes.try_into().expect("the models write whole units"));
        }
    }
    fn read(&self, _: usize, offset: usize, len: usize, into: &mut Vec<u8>) {
        for unit in &self.units[offset / UNIT..(offset + len) / UNIT] {
            world::point();
            into.extend_from_slice(&unit.get());
        }
    }
    fn reserve(&self, _: usize) -> bool {
        false
    }
    fn release(&self, _: usize) {}
}

type Shared = Rc<Ring<ModelMemory>>;

fn ring(most: u32) -> Shared {
    let units = (0..UNITS).map(|_| Cell::new([0; UNIT])).collect();
    let slots = (0..3).map(|_| Slot::default()).collect();
    let memory = ModelMemory { layout: Box::default(), units, slots };
    memory.layout.limits.items.store(most, Ordering::Relaxed);
    Rc::new(Ring(memory))
}

fn put(ring: &Shared, value: u64) -> Result<(), Refused> {
    ring.until_room(None, || ring.put([&value.to_le_bytes()[..]], None)).map(|count| assert_eq!(count, 1))
}

fn take(ring: &Shared) -> Result<u64, NotTaken> {
    ring.until_item(None, || {
        let mut bytes = Vec::new();
        ring.take(&mut bytes, &mut Alone, None)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("a whole record")))
    })
}

/// As the queue does it: whether it has ended is asked before the last look.
fn take_or_end(ring: &Shared) -> Result<u64, NotTaken> {
    ring.until_item(None, || {
        let mut bytes = Vec::new();
        let mut take = || ring.take(&mut bytes, &mut Alone, None);
        let taken = match take() {
            Err(NotTaken::Empty) if ring.is_shut() => {
                if ring.looks_empty() {
                    Err(NotTaken::Ended)
                } else {
                    take()
                }
            }
            other => other,
        };
        taken.map(|_| u64::from_le_bytes(bytes.try_into().expect("a whole record")))
    })
}

fn print(name: &str, report: world::Report) {
    println!("{name:<38} {report}");
}

#[test]
fn each_of_two_sleepers_gets_its_item() {
    let report = explore(bound() - 1, || {
        let ring = ring(0);
        let taker = || {
            let ring = Rc::clone(&ring);
            spawn(&Fuse::never(), move || take(&ring).unwrap())
        };
        let takers = [taker(), taker()];
        put(&ring, 1).unwrap();
        put(&ring, 2).unwrap();
        let got = takers.map(|taker| taker.join().unwrap());
        assert!(got == [1, 2] || got == [2, 1], "{got:?}");
    });
    print("each_of_two_sleepers_gets_its_item", report);
}

#[test]
fn each_of_two_putters_gets_its_room() {
    let report = explore(bound() - 1, || {
        let ring = ring(2);
        put(&ring, 0).unwrap();
        put(&ring, 0).unwrap();
        let putter = |value| {
            let ring = Rc::clone(&ring);
            spawn(&Fuse::never(), move || put(&ring, value).unwrap())
        };
        let putters = [putter(1), putter(2)];
        assert_eq!((take(&ring), take(&ring)), (Ok(0), Ok(0)));
        putters.into_iter().for_each(|putter| putter.join().unwrap());
        let got = [take(&ring).unwrap(), take(&ring).unwrap()];
        assert!(got == [1, 2] || got == [2, 1], "{got:?}");
    });
    print("each_of_two_putters_gets_its_room", report);
}

#[test]
fn whoever_sees_the_end_has_seen_every_item() {
    let report = explore(bound(), || {
        let ring = ring(0);
        let other = Rc::clone(&ring);
        let putter = spawn(&Fuse::never(), move || put(&other, 1));
        let other = Rc::clone(&ring);
        let taker = spawn(&Fuse::never(), move || take_or_end(&other));
        ring.shut(None);
        let (put, taken) = (putter.join().unwrap(), taker.join().unwrap());
        let expected = if put == Ok(()) { Ok(1) } else { Err(NotTaken::Ended) };
        assert_eq!(taken, expected, "{put:?}");
    });
    print("whoever_sees_the_end_has_seen_every_item", report);
}

/// Its record is there whole or not at all, and the next putter's comes after it.
#[test]
fn a_killed_putter_leaves_whole_records() {
    let report = sweep(bound(), |fuse| {
        set_looks(Looks::AfterDeath);
        let ring = ring(0);
        let other = Rc::clone(&ring);
        let victim = spawn(fuse, move || put(&other, 1).unwrap());
        put(&ring, 2).unwrap();
        let finished = victim.join().is_some();
        let got: Vec<u64> = (0..ring.items()).map(|_| take(&ring).unwrap()).collect();
        assert!(got.contains(&2) && (got.contains(&1) || !finished) && got.len() <= 2, "{got:?}");
        assert_eq!(ring.items(), 0);
    });
    print("a_killed_putter_leaves_whole_records", report);
}

/// It may have taken its record along, and no other.
#[test]
fn a_killed_taker_takes_one_record_at_most() {
    let report = sweep(bound(), |fuse| {
        set_looks(Looks::AfterDeath);
        let ring = ring(0);
        let other = Rc::clone(&ring);
        let victim = spawn(fuse, move || take(&other).unwrap());
        put(&ring, 1).unwrap();
        put(&ring, 2).unwrap();
        let taken = victim.join();
        let got: Vec<u64> = (0..ring.items()).map(|_| take(&ring).unwrap()).collect();
        assert!(if taken.is_some() { got == [2] } else { got == [2] || got == [1, 2] }, "{taken:?} {got:?}");
    });
    print("a_killed_taker_takes_one_record_at_most", report);
}

/// A worker of which it is known whether it lives.
struct Hand {
    me: u64,
    dead: Option<u64>,
}

impl Worker for Hand {
    fn me(&self) -> u64 {
        self.me
    }
    fn hint(&self) -> usize {
        0
    }
    fn keep(&self, _: usize) {}
    fn lives(&self, who: u64) -> bool {
        self.dead != Some(who)
    }
}

impl Beside for Hand {
    fn receive(&mut self, _: u64) -> Result<(), NotTaken> {
        unreachable!("no packets here")
    }
    fn received(&mut self) {}
    fn worker(&self) -> Option<&impl Worker> {
        Some(self)
    }
}

fn take_task(ring: &Shared, hand: &mut Hand) -> Result<u64, NotTaken> {
    let mut bytes = Vec::new();
    ring.take(&mut bytes, hand, None)?;
    Ok(u64::from_le_bytes(bytes.try_into().expect("a whole record")))
}

/// A task that puts another one is done after that.
#[test]
fn tasks_and_what_they_put_are_done_when_joined() {
    let report = explore(bound(), || {
        let ring = ring(0);
        put(&ring, 1).unwrap();
        let (other, work) = (Rc::clone(&ring), Rc::new(Cell::new(0)));
        let output = Rc::clone(&work);
        let worker = spawn(&Fuse::never(), move || {
            let mut hand = Hand { me: 7, dead: None };
            assert_eq!(take_task(&other, &mut hand), Ok(1));
            put(&other, 2).unwrap();
            assert!(other.task_done(&hand));
            assert_eq!(take_task(&other, &mut hand), Ok(2));
            output.set(2);
            assert!(other.task_done(&hand));
        });
        assert!(ring.join(&Hand { me: 8, dead: None }, None));
        assert_eq!(work.get(), 2);
        worker.join().unwrap();
        assert_eq!((ring.items(), ring.lost()), (0, 0));
    });
    print("tasks_and_what_they_put_are_done_when_joined", report);
}

/// Its record is in the ring, or its task is done, or it is told that one is lost: one of the three.
#[test]
fn tasks_of_a_killed_worker_are_told_of() {
    let report = sweep(bound(), |fuse| {
        set_looks(Looks::AfterDeath);
        let ring = ring(0);
        put(&ring, 1).unwrap();
        let other = Rc::clone(&ring);
        let victim = spawn(fuse, move || {
            let mut hand = Hand { me: 7, dead: None };
            take_task(&other, &mut hand).unwrap();
            assert!(other.task_done(&hand));
        });
        let finished = victim.join().is_some();
        let mut hand = Hand { me: 8, dead: Some(7) };
        let left = take_task(&ring, &mut hand) == Ok(1);
        assert!(!left || ring.task_done(&hand));
        assert!(ring.join(&hand, None));
        assert!(!ring.task_done(&hand) && ring.items() == 0);
        assert!(ring.lost() <= u32::from(!left && !finished));
    });
    print("tasks_of_a_killed_worker_are_told_of", report);
}
