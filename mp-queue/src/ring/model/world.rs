//! What a ring stands on in a model.

use super::super::circle::{Circle, UNIT};
use super::super::cursor::Cursor;
use super::super::layout::{Layout, Memory};
use super::super::tests::NoContext;
use super::super::{
    DropOutcome, FirstPacket, NotTaken, PacketSocket, Refused, Ring, Storage, TaskSlot, Ticket,
};
use mp_core::word::{Long, Owned, Word};
use mp_model::{AnyOwned, Fault, shuttle, thorough};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard};

/// Eight bytes that the processes share: each access is a point of death.
pub(in crate::ring) trait Unit: Default {
    fn get(&self) -> [u8; UNIT];
    fn set(&self, bytes: [u8; UNIT]);
}

/// A cell that loom tracks: a read beside a write without an order between the two is a data race.
#[derive(Default)]
pub(in crate::ring) struct Tracked(::loom::cell::Cell<[u8; UNIT]>);

impl Unit for Tracked {
    fn get(&self) -> [u8; UNIT] {
        thorough::point();
        self.0.get()
    }
    fn set(&self, bytes: [u8; UNIT]) {
        thorough::point();
        self.0.set(bytes);
    }
}

/// For shuttle, which knows no data races. Locked for one access at a time, which no thread sees another in.
#[derive(Default)]
pub(in crate::ring) struct Untracked(Mutex<[u8; UNIT]>);

impl Unit for Untracked {
    fn get(&self) -> [u8; UNIT] {
        shuttle::point();
        *self.0.lock().expect("held for a moment only")
    }
    fn set(&self, bytes: [u8; UNIT]) {
        shuttle::point();
        *self.0.lock().expect("held for a moment only") = bytes;
    }
}

/// The words, the bytes, and the fault in everything else: none, unless a mutant sets one.
pub(in crate::ring) trait World: 'static {
    type Word: Word + Default;
    type Owned: Owned<Word = Self::Word> + Default;
    type Long: Long + Default;
    type Unit: Unit;
    /// Segments up to this one are kept when drained.
    const WARM: usize = 0;
    /// Fault: the pages of a segment are released after it was left, not before.
    const RELEASES_LATE: bool = false;
    /// Fault: a segment is linked before it is made ready.
    const LINKS_EARLY: bool = false;
    /// Fault: records that are put together are published one by one.
    const PUTS_APART: bool = false;
    /// Fault: records that are taken together are committed one by one.
    const TAKES_APART: bool = false;
    /// Fault: the pollers' descriptor is cleared after `signalled` is 0, not before.
    const CLEARS_LATE: bool = false;
    /// Fault: no sleeper ever wakes by itself.
    const NEVER_LOOKS: bool = false;
    /// The first sleep already uses the leaders.
    const LEADS_AT_ONCE: bool = false;
    /// There is one lease for leaders.
    const ONE_LEADER: bool = false;
    /// Fault: the count of followers is not kept.
    const FORGETS_FOLLOWERS: bool = false;
}

/// Worlds of one checker, each with its fault.
macro_rules! worlds {
    (in $checker:ident, of $unit:ty: $($(#[$doc:meta])* $vis:vis $name:ident { $($what:tt)* })*) => {$(
        $(#[$doc])*
        $vis struct $name;
        impl World for $name {
            type Word = mp_model::$checker::ModelWord;
            type Owned = mp_model::$checker::ModelOwned;
            type Unit = $unit;
            $($what)*
        }
    )*};
}
pub(in crate::ring) use worlds;

worlds! {
    in thorough, of Tracked:
    /// Without a fault.
    pub(in crate::ring) Sound { type Long = thorough::ModelLong; }
}

/// The world of loom, with a fault in its words.
pub(in crate::ring) struct Broken<F>(PhantomData<F>);
impl<F: Fault> World for Broken<F> {
    type Word = thorough::Faulty<F>;
    type Owned = thorough::FaultyOwned<F>;
    type Long = thorough::FaultyLong<F>;
    type Unit = Tracked;
}

/// The world of shuttle, with these words.
pub(in crate::ring) struct Crowded<O>(PhantomData<O>);
impl<O: AnyOwned> World for Crowded<O> {
    type Word = O::Word;
    type Owned = O;
    type Long = shuttle::ModelLong;
    type Unit = Untracked;
}

/// Segments of a few units.
pub(in crate::ring) struct ModelMemory<W: World> {
    /// Boxed, since the checkers' stacks are small.
    layout: Box<Layout<W::Owned, W::Long>>,
    segments: Vec<Vec<W::Unit>>,
    slots: Vec<TaskSlot<W::Word, W::Long>>,
    /// A segment that is still to be released, and the thread that will do it.
    late: Mutex<Option<(usize, u32)>>,
    /// The packets on the socket.
    packets: Mutex<VecDeque<Ticket>>,
    /// Looked at in each call of the socket, which is one access.
    socket: W::Unit,
}

impl<W: World> ModelMemory<W> {
    /// Released pages read as zeros.
    fn wipe(&self, segment: usize) {
        self.segments[segment].iter().for_each(|unit| unit.set([0; UNIT]));
    }

    /// Releases the segment that this thread has left, in a late world.
    fn release_late(&self) {
        let is_own = |late: &mut (usize, u32)| late.1 == W::Owned::me();
        let late = self.late.lock().expect("held for a moment only").take_if(is_own);
        late.into_iter().for_each(|(segment, _)| self.wipe(segment));
    }

    fn packets(&self) -> MutexGuard<'_, VecDeque<Ticket>> {
        self.socket.get();
        self.packets.lock().expect("held for a moment only")
    }

    pub(in crate::ring) fn send_packet(&self, ticket: Ticket) {
        self.packets().push_back(ticket);
    }
}

impl<W: World> Memory for ModelMemory<W> {
    const FIRST_ALONE: bool = !W::LEADS_AT_ONCE;

    fn layout(&self) -> &Layout<W::Owned, W::Long> {
        // In a late world, a thread that has left a segment comes here next.
        if W::RELEASES_LATE {
            self.release_late();
        }
        if W::FORGETS_FOLLOWERS {
            self.layout.leaders.forget_followers();
        }
        &self.layout
    }
    fn slots(&self) -> &[TaskSlot<W::Word, W::Long>] {
        &self.slots
    }
}

impl<W: World> Storage for ModelMemory<W> {
    type Owned = W::Owned;
    type Long = W::Long;
    const WARM: usize = W::WARM;

    fn segments(&self) -> usize {
        self.segments.len()
    }
    fn circle(&self, segment: usize) -> Circle {
        Circle::of(self.segments[segment].len())
    }
    fn load(&self, segment: usize, offset: usize) -> u64 {
        u64::from_le_bytes(self.segments[segment][offset / UNIT].get())
    }
    fn store(&self, segment: usize, offset: usize, unit: u64) {
        self.segments[segment][offset / UNIT].set(unit.to_le_bytes());
    }
    fn write(&self, segment: usize, offset: usize, bytes: &[u8]) {
        for (unit, bytes) in self.segments[segment][offset / UNIT..].iter().zip(bytes.chunks(UNIT)) {
            unit.set(bytes.try_into().expect("the models write whole units"));
        }
    }
    fn read(&self, segment: usize, offset: usize, len: usize, into: &mut Vec<u8>) {
        for unit in &self.segments[segment][offset / UNIT..(offset + len) / UNIT] {
            into.extend_from_slice(&unit.get());
        }
    }
    fn reserve(&self, segment: usize) -> bool {
        if W::LINKS_EARLY {
            self.layout.chain().link(self.layout.write_side.segment(), segment);
        }
        true
    }
    fn release(&self, segment: usize) {
        if W::RELEASES_LATE {
            *self.late.lock().expect("held for a moment only") = Some((segment, W::Owned::me()));
        } else {
            self.wipe(segment);
        }
    }
}

impl<W: World> PacketSocket for ModelMemory<W> {
    fn first_packet(&self) -> FirstPacket {
        self.packets().front().map_or(FirstPacket::Nothing, |ticket| FirstPacket::There(*ticket))
    }
    fn drop_packet(&self) -> DropOutcome {
        self.packets().pop_front().map_or(DropOutcome::Nothing, |_| DropOutcome::Done)
    }
}

pub(in crate::ring) type Shared<W> = Arc<Ring<ModelMemory<W>>>;

/// A ring for at most so many records (0: no limit) in segments of so many units.
pub(in crate::ring) fn ring_of<W: World>(most: u32, units: &[usize]) -> Shared<W> {
    let segment = |units: &usize| (0..*units).map(|_| W::Unit::default()).collect();
    let memory = ModelMemory::<W> {
        layout: Box::default(),
        segments: units.iter().map(segment).collect(),
        slots: (0..3).map(|_| TaskSlot::default()).collect(),
        late: Mutex::default(),
        packets: Mutex::default(),
        socket: W::Unit::default(),
    };
    memory.layout.limits.set(most, units.len(), 0);
    if W::ONE_LEADER {
        memory.layout.leaders.leave_one();
    }
    Arc::new(Ring::new(memory))
}

/// One segment, which is large enough.
pub(in crate::ring) fn ring<W: World>(most: u32) -> Shared<W> {
    ring_of(most, &[16])
}

/// One segment of so many units, of which the last is the next one, after 2^32 items, and at the last position.
pub(super) fn ring_about_to_wrap<W: World>(units: usize) -> Shared<W> {
    let ring = ring_of::<W>(0, &[units]);
    let position = ring.memory.circle(0).last();
    ring.memory.layout.chain().begin(0, Cursor { items: u32::MAX, position });
    ring
}

fn bytes_of(value: u64, units: usize) -> Vec<u8> {
    value.to_le_bytes().repeat(units)
}

/// The contents of a record: the same in each of its units.
pub(super) fn value_of(bytes: &[u8]) -> u64 {
    let units: Vec<&[u8]> = bytes.chunks(UNIT).collect();
    assert!(units.windows(2).all(|pair| pair[0] == pair[1]), "a torn record: {units:?}");
    u64::from_le_bytes(units[0].try_into().expect("a whole unit"))
}

pub(in crate::ring) fn try_put<W: World>(ring: &Shared<W>, value: u64) -> Result<(), Refused> {
    let put = ring.put([&bytes_of(value, 1)[..]], None).map(|count| assert_eq!(count, 1));
    ring.after_put(false, put)
}

pub(in crate::ring) fn put<W: World>(ring: &Shared<W>, value: u64) -> Result<(), Refused> {
    put_long(ring, value, 1)
}

/// A record of so many units, and one for its head.
pub(super) fn put_long<W: World>(ring: &Shared<W>, value: u64, units: usize) -> Result<(), Refused> {
    let bytes = bytes_of(value, units);
    ring.until_room(None, || ring.put([&bytes[..]], None)).map(|count| assert_eq!(count, 1))
}

pub(in crate::ring) fn put_together<W: World>(ring: &Shared<W>, values: &[u64]) {
    let put = |values: &[u64]| {
        let records: Vec<[u8; 8]> = values.iter().map(|value| value.to_le_bytes()).collect();
        let records = || records.iter().map(|record| &record[..]);
        let count: Result<usize, Refused> = ring.until_room(None, || ring.put(records(), None));
        assert_eq!(count, Ok(values.len()));
    };
    if W::PUTS_APART { values.chunks(1).for_each(put) } else { put(values) }
}

/// One attempt, without a wake.
pub(super) fn take_once<W: World>(ring: &Shared<W>) -> Result<u64, NotTaken> {
    let mut bytes = Vec::new();
    ring.take(&mut bytes, &mut NoContext, None)?;
    Ok(value_of(&bytes))
}

pub(in crate::ring) fn take<W: World>(ring: &Shared<W>) -> Result<u64, NotTaken> {
    ring.until_item(None, || take_once(ring))
}

/// All items in the ring, when no other thread uses it.
pub(in crate::ring) fn take_all<W: World>(ring: &Shared<W>) -> Vec<u64> {
    let got = (0..ring.items()).map(|_| take(ring).unwrap()).collect();
    assert_eq!(ring.items(), 0);
    got
}

/// Items that were put and taken since the ring was made, when no other thread uses it.
pub(in crate::ring) fn so_far<W: World>(ring: &Shared<W>) -> (u32, u32) {
    (Cursor::of(ring.sides().put_so_far()).items, Cursor::of(ring.sides().taken_so_far()).items)
}
