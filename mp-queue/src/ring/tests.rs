//! The ring over real memory, in one thread: what only an inconvenient moment shows.

use super::circle::{Circle, UNIT};
use super::layout::{Layout, Memory};
use super::segment::ordinary_bytes;
use super::{
    DropOutcome, FirstPacket, NotTaken, PacketSocket, Refused, Ring, Storage, TakeContext, TaskSlot, Worker,
};
use crate::memory::RingMemory;
use mp_core::mem::Kind;
use mp_core::sys::futex::FutexWord;
use mp_core::sys::robust::RobustWord;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::AtomicU64;

const WARM: usize = RingMemory::WARM;

/// Records without packets that are no tasks.
pub(super) struct NoContext;

impl TakeContext for NoContext {
    fn receive(&mut self, _: u64) -> Result<bool, NotTaken> {
        unreachable!("no packets here")
    }
    fn worker(&self) -> Option<&impl Worker> {
        None::<&crate::worker::ThisProcess>
    }
}

type Meddle = Box<dyn FnOnce()>;

/// Real memory, with an action at the moment when a drained segment is released, and at times without free
/// memory.
struct Meddled {
    memory: RingMemory,
    meddle: RefCell<Option<Meddle>>,
    released: Cell<usize>,
    poor: Cell<bool>,
}

impl Memory for Meddled {
    fn layout(&self) -> &Layout<RobustWord, AtomicU64> {
        self.memory.layout()
    }
    fn slots(&self) -> &[TaskSlot<FutexWord, AtomicU64>] {
        self.memory.slots()
    }
}

impl Storage for Meddled {
    type Owned = RobustWord;
    type Long = AtomicU64;
    const WARM: usize = WARM;

    fn segments(&self) -> usize {
        self.memory.segments()
    }
    fn is_whole(&self, segment: usize) -> bool {
        self.memory.is_whole(segment)
    }
    fn circle(&self, segment: usize) -> Circle {
        self.memory.circle(segment)
    }
    fn open(&self, segment: usize) -> Result<(), i32> {
        self.memory.open(segment)
    }
    fn load(&self, segment: usize, offset: usize) -> u64 {
        self.memory.load(segment, offset)
    }
    fn store(&self, segment: usize, offset: usize, unit: u64) {
        self.memory.store(segment, offset, unit);
    }
    fn write(&self, segment: usize, offset: usize, bytes: &[u8]) {
        self.memory.write(segment, offset, bytes);
    }
    fn read(&self, segment: usize, offset: usize, len: usize, into: &mut Vec<u8>) {
        self.memory.read(segment, offset, len, into);
    }
    fn reserve(&self, segment: usize) -> bool {
        !self.poor.get() && self.memory.reserve(segment)
    }
    fn release(&self, segment: usize) {
        self.released.set(self.released.get() + 1);
        if let Some(meddle) = self.meddle.take() {
            meddle();
        }
        self.memory.release(segment);
    }
}

impl PacketSocket for Meddled {
    fn first_packet(&self) -> FirstPacket {
        self.memory.first_packet()
    }
    fn drop_packet(&self) -> DropOutcome {
        self.memory.drop_packet()
    }
}

type Shared = Rc<Ring<Meddled>>;

fn make(items: u32, ceiling: usize) -> Shared {
    let memory = RingMemory::create(Kind::of::<u8>(), items, ceiling).unwrap();
    let (meddle, released, poor) = Default::default();
    Rc::new(Ring::new(Meddled { memory, meddle, released, poor }))
}

fn record(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + number * 7) as u8).collect()
}

fn put(ring: &Shared, number: usize, length: usize) -> Result<(), Refused> {
    ring.put([&record(number, length)[..]], None).map(|count| assert_eq!(count, 1))
}

fn take(ring: &Shared) -> Result<Vec<u8>, NotTaken> {
    let mut bytes = Vec::new();
    ring.take(&mut bytes, &mut NoContext, None)?;
    Ok(bytes)
}

const LONG: usize = 100_000;

/// Puts until a segment above the warm ones is in use, and takes everything again. Gives how many that were.
fn be_large_and_drained(ring: &Shared) -> usize {
    let backlog = 2 * ordinary_bytes(WARM + 1) / LONG;
    (0..backlog).for_each(|number| put(ring, number, LONG).unwrap());
    (0..backlog).for_each(|number| assert!(take(ring).unwrap() == record(number, LONG), "{number}"));
    assert_eq!(take(ring), Err(NotTaken::Empty));
    assert!(ring.layout().write_side.segment() > WARM);
    backlog
}

/// A consumer that is slow to release a drained segment, or is stopped there, must not erase new records.
#[test]
fn a_segment_is_not_used_again_while_it_is_given_back() {
    let ring = make(0, 32 << 20);
    let first = be_large_and_drained(&ring);
    let number = Rc::new(Cell::new(first));
    let (meddler, next) = (Rc::clone(&ring), Rc::clone(&number));
    let put_next = move || {
        let result = put(&meddler, next.get(), LONG);
        next.set(next.get() + usize::from(result.is_ok()));
        result
    };
    put_next().unwrap();
    // As much as there is room for, so that every segment that may be used is.
    *ring.memory.meddle.borrow_mut() = Some(Box::new(move || while put_next().is_ok() {}));
    let mut taken = first;
    while let Ok(bytes) = take(&ring) {
        assert!(bytes == record(taken, LONG), "record {taken} is not what was put");
        taken += 1;
    }
    assert!(number.get() > first + ordinary_bytes(WARM) / LONG, "the action did not run");
    assert_eq!(taken, number.get());
}

#[test]
fn a_drained_large_segment_stays_in_use_when_memory_is_short() {
    let ring = make(0, 32 << 20);
    let first = be_large_and_drained(&ring);
    ring.memory.poor.set(true);
    put(&ring, first, LONG).unwrap();
    assert_eq!(take(&ring).unwrap(), record(first, LONG));
}

#[test]
fn without_memory_a_full_ring_waits_for_room_and_an_empty_one_says_so() {
    let ring = make(0, 32 << 20);
    ring.memory.poor.set(true);
    assert_eq!(put(&ring, 0, ordinary_bytes(0)), Err(Refused::NoMemory));
    put(&ring, 0, LONG).unwrap();
    assert_eq!(put(&ring, 1, ordinary_bytes(0)), Err(Refused::Full));
}

#[test]
fn what_never_fits_is_refused_even_when_it_is_full() {
    let ring = make(1, 1 << 20);
    put(&ring, 0, 8).unwrap();
    assert_eq!(put(&ring, 1, 8), Err(Refused::Full));
    assert_eq!(put(&ring, 1, 1 << 20), Err(Refused::TooLarge));
}

#[test]
fn one_record_may_be_as_large_as_the_ceiling() {
    for ceiling in [1 << 20, 16 << 20, (1 << 20) - 1, (1 << 20) + 4096, 3 << 20, 5_000_000, 600_000, 300_000]
    {
        let ring = make(0, ceiling);
        // In whole pages.
        let most = ceiling / 4096 * 4096 - UNIT;
        // Twice: where it was last is not where a segment begins.
        for number in 0..2 {
            put(&ring, 7, 8).unwrap();
            assert_eq!(put(&ring, number, most), Err(Refused::Full));
            assert_eq!(take(&ring).unwrap(), record(7, 8));
            put(&ring, number, most).unwrap();
            assert_eq!(put(&ring, 7, 8), Err(Refused::Full));
            assert!(take(&ring).unwrap() == record(number, most));
            put(&ring, number, most - 100).unwrap();
            put(&ring, 7, 8).unwrap();
            assert!(take(&ring).unwrap() == record(number, most - 100));
            assert_eq!(take(&ring).unwrap(), record(7, 8));
        }
        assert_eq!(put(&ring, 0, most + 1), Err(Refused::TooLarge));
    }
}

#[test]
fn small_records_take_no_more_than_the_ceiling() {
    let ring = make(0, 16 << 20);
    let put = (0..).take_while(|number| put(&ring, *number, LONG).is_ok()).count();
    assert!(put * LONG <= 16 << 20 && put * LONG > 12 << 20, "{put}");
    (0..put).for_each(|number| assert!(take(&ring).unwrap() == record(number, LONG), "{number}"));
}

/// Positions and counts wrap at 2^32, which a long-lived queue reaches.
#[test]
fn cursors_wrap_in_the_middle_of_traffic() {
    use super::cursor::Cursor;
    let ring = make(3, 1 << 20);
    ring.layout().chain().begin(0, Cursor { items: u32::MAX - 4, position: u32::MAX - 90 });
    for number in 0..40 {
        (0..3).for_each(|at| put(&ring, number + at, 100 + number).unwrap());
        assert_eq!((ring.items(), put(&ring, 0, 8)), (3, Err(Refused::Full)));
        (0..3).for_each(|at| assert_eq!(take(&ring).unwrap(), record(number + at, 100 + number)));
        assert_eq!((ring.items(), take(&ring)), (0, Err(NotTaken::Empty)));
    }
}

/// The number of a worker that has died.
struct Hand(u64);
const DEAD: u64 = 7;
/// A living worker that has just scanned.
const PATIENT: u64 = 1000;

impl Worker for Hand {
    fn me(&self) -> u64 {
        self.0
    }
    fn hint(&self) -> usize {
        0
    }
    fn keep(&self, _: usize) {}
    fn is_dead(&self, process: u64) -> bool {
        process == DEAD
    }
    fn may_scan(&self) -> bool {
        self.0 != PATIENT
    }
}

impl TakeContext for Hand {
    fn receive(&mut self, _: u64) -> Result<bool, NotTaken> {
        unreachable!("no packets here")
    }
    fn worker(&self) -> Option<&impl Worker> {
        Some(self)
    }
}

/// A report of another process's task must not count a record that a third process claimed and did not take.
#[test]
fn what_was_claimed_and_not_taken_is_not_done_by_another() {
    let ring = make(0, ordinary_bytes(0));
    let [mut dead, mut lives, third] = [DEAD, 8, 9].map(Hand);
    // The dead one has the first slot, and nothing to do.
    for hand in [&mut dead, &mut lives] {
        put(&ring, 0, 8).unwrap();
        ring.take(&mut Vec::new(), hand, None).unwrap();
    }
    assert!(ring.tasks().task_done(&dead));
    put(&ring, 0, 8).unwrap();
    let head = ring.sides().read_cursor().unwrap();
    ring.tasks().ledger().claim(&dead, head.advanced(ring.memory.circle(0), 2), 1);
    // The task of the living process; there is no other.
    assert_eq!([(); 2].map(|()| ring.tasks().task_done(&third)), [true, false]);
    ring.take(&mut Vec::new(), &mut lives, None).unwrap();
    assert_eq!([(); 2].map(|()| ring.tasks().task_done(&third)), [true, false]);
    assert!(ring.tasks().join(&third, None));
    assert_eq!(ring.tasks().lost(), 0);
}

/// Slots of the dead stay taken until a scan: a process without a slot does not scan each time, and is
/// counted as well.
#[test]
fn a_process_without_a_slot_takes_tasks_without_a_look() {
    let ring = make(0, ordinary_bytes(0));
    let take_one = |process: u64| {
        put(&ring, 0, 8).unwrap();
        ring.take(&mut Vec::new(), &mut Hand(process), None).unwrap();
    };
    let slots = ring.memory.slots().len() as u64;
    (1..slots).for_each(|process| take_one(if process == 1 { DEAD } else { 100 + process }));
    take_one(PATIENT);
    assert_eq!(ring.tasks().lost(), 0);
    assert_eq!(ring.memory.slots()[0].unfinished(), 1);
    // This one scans, and gets the dead one's slot.
    take_one(99);
    assert_eq!(ring.tasks().lost(), 1);
    assert_eq!(ring.memory.slots()[0].unfinished(), 1);
    (0..slots).for_each(|_| assert!(ring.tasks().task_done(&Hand(99))));
    assert!(!ring.tasks().task_done(&Hand(99)) && ring.tasks().join(&Hand(99), None));
}

/// Sizes that fill a segment to the last unit and just not, at every place where a record can wrap.
#[test]
fn a_segment_is_filled_to_the_last_unit() {
    let ring = make(0, ordinary_bytes(0));
    let whole = ordinary_bytes(0) - UNIT;
    for number in 0..40 {
        put(&ring, number, 8 * number + 3).unwrap();
        assert_eq!(take(&ring).unwrap(), record(number, 8 * number + 3));
        put(&ring, number, whole).unwrap();
        assert_eq!(put(&ring, 0, 0), Err(Refused::Full));
        assert!(take(&ring).unwrap() == record(number, whole));
        assert_eq!(put(&ring, 0, whole + 1), Err(Refused::TooLarge));
    }
}
