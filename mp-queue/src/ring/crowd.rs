//! The ring in shuttle: four to six threads in schedules drawn at random, and one of them killed before each
//! of its accesses; and with faults, which must show. What loom has no time for.
//!
//! A lost wake is a deadlock, which shuttle reports. `MP_SHUTTLE_ITERATIONS` draws more.

mod leaders;

use super::model::mutants::mutants;
use super::model::world::{Crowded, Shared, Untracked, World, put, ring, ring_of, take, take_all, worlds};
use super::{FirstPacket, NotTaken, Packet, PacketSocket, TakeContext, Worker};
use mp_model::shuttle::{
    FaultyOwned, Fuse, ModelLong, ModelOwned, TimedLooks, explore, iterations, set_looks, set_naps, spawn,
    sweep,
};
use mp_model::{DiesUnseenInTheLock, NappersPassNoWakeOn, NoDeathIsReported, NoNoteIsLeft, NoneIsWoken};
use std::sync::Arc;

/// A world whose threads may be given the ring.
trait Crowd: World<Owned: Send, Word: Send, Long: Send, Unit: Send + Sync> {}

impl<W: World<Owned: Send, Word: Send, Long: Send, Unit: Send + Sync>> Crowd for W {}

/// Two put so many each, and three take so many, each producer's in their order. Gives all that was taken,
/// sorted; nothing is left.
fn put_by_two_and_taken_by_three<W: Crowd>(ring: &Shared<W>, each: u64, counts: [usize; 3]) -> Vec<u64> {
    let producers = [10, 20].map(|first| {
        let ring = Arc::clone(ring);
        spawn(&Fuse::never(), move || (1..=each).for_each(|item| put(&ring, first + item).unwrap()))
    });
    let takers = counts.map(|count| {
        let ring = Arc::clone(ring);
        spawn(&Fuse::never(), move || (0..count).map(|_| take(&ring).unwrap()).collect::<Vec<_>>())
    });
    producers.into_iter().for_each(|putter| putter.join().unwrap());
    let taken = takers.map(|taker| taker.join().unwrap());
    for first in [10, 20] {
        let in_order = |taken: &Vec<u64>| taken.iter().filter(|item| **item / 10 * 10 == first).is_sorted();
        assert!(taken.iter().all(in_order), "{taken:?}");
    }
    assert_eq!(ring.items(), 0);
    let mut all = taken.concat();
    all.sort_unstable();
    all
}

/// With room for two at a time.
fn each_item_is_taken_once<W: Crowd>() {
    assert_eq!(put_by_two_and_taken_by_three(&ring::<W>(2), 2, [1, 1, 2]), [11, 12, 21, 22]);
}

/// The nap of one takes a wake along that was meant for another, too.
fn nappers_take_each_item_once<W: Crowd>() {
    const ONE_LOOK: u32 = 2;
    set_naps(ONE_LOOK);
    assert_eq!(put_by_two_and_taken_by_three(&ring::<W>(0), 2, [1, 1, 2]), [11, 12, 21, 22]);
}

/// Wherever a producer dies, its record is there whole or not at all, and the others go on.
fn a_dead_putter_stops_no_other_process<W: Crowd>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring::<W>(2);
    let its = Arc::clone(&ring);
    let victim = spawn(fuse, move || put(&its, 1).unwrap());
    let takers = [(); 2].map(|()| {
        let ring = Arc::clone(&ring);
        spawn(&Fuse::never(), move || take(&ring).unwrap())
    });
    let its = Arc::clone(&ring);
    let other = spawn(&Fuse::never(), move || put(&its, 2).unwrap());
    put(&ring, 3).unwrap();
    other.join().unwrap();
    let finished = victim.join().is_some();
    let mut got: Vec<u64> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
    got.extend(take_all(&ring));
    got.sort_unstable();
    assert!(got == [1, 2, 3] || (got == [2, 3] && !finished), "{got:?}");
}

/// Of so many records each was got, or is left; but one that a dead victim may have taken along.
fn all_but_the_victims(mut got: Vec<u64>, victims: Option<u64>, left: Vec<u64>, count: usize) {
    got.extend(victims);
    got.extend(left);
    got.sort_unstable();
    got.dedup();
    assert!(got.len() == count || (got.len() == count - 1 && victims.is_none()), "{got:?}");
}

/// Wherever a taker dies, it has taken one record at most, and the others go on.
fn a_dead_taker_stops_no_other_process<W: Crowd>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring::<W>(2);
    let its = Arc::clone(&ring);
    let victim = spawn(fuse, move || take(&its).unwrap());
    let takers = [(); 2].map(|()| {
        let ring = Arc::clone(&ring);
        spawn(&Fuse::never(), move || take(&ring).unwrap())
    });
    (1..=3).for_each(|item| put(&ring, item).unwrap());
    let got = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
    all_but_the_victims(got, victim.join(), take_all(&ring), 3);
}

/// Room for one record, for two, and for four: producers go from one segment to the next, and back to the
/// first.
const UNITS: [usize; 3] = [2, 4, 8];

/// The large segments are used, released and used again.
fn each_item_crosses_the_segments_once<W: Crowd>() {
    let taken = put_by_two_and_taken_by_three(&ring_of::<W>(0, &UNITS), 3, [1, 2, 3]);
    assert_eq!(taken, [11, 12, 13, 21, 22, 23]);
}

/// Wherever a producer dies that switches segments, the records of the others are there.
fn a_dead_putter_between_segments_stops_no_other_process<W: Crowd>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring_of::<W>(0, &UNITS);
    let its = Arc::clone(&ring);
    let victim = spawn(fuse, move || [1, 2].map(|item| put(&its, item).is_ok()));
    let its = Arc::clone(&ring);
    let other = spawn(&Fuse::never(), move || [3, 4].map(|item| put(&its, item).unwrap()));
    let takers = [(); 2].map(|()| {
        let ring = Arc::clone(&ring);
        spawn(&Fuse::never(), move || take(&ring).unwrap())
    });
    other.join().unwrap();
    let finished = victim.join().is_some();
    let mut got: Vec<u64> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
    got.extend(take_all(&ring));
    got.sort_unstable();
    let first = got.strip_suffix(&[3, 4]);
    assert!(first == Some(&[1, 2]) || (!finished && matches!(first, Some([] | [1]))), "{got:?}");
}

/// Wherever a consumer dies that leaves a segment, it has taken at most one record that it had not reported.
fn a_dead_taker_between_segments_stops_no_other_process<W: Crowd>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring_of::<W>(0, &UNITS);
    let its = Arc::clone(&ring);
    let victim = spawn(fuse, move || [take(&its).unwrap(), take(&its).unwrap()]);
    let its = Arc::clone(&ring);
    let other = spawn(&Fuse::never(), move || take(&its).unwrap());
    let its = Arc::clone(&ring);
    let putter = spawn(&Fuse::never(), move || (1..=2).for_each(|item| put(&its, item).unwrap()));
    (3..=4).for_each(|item| put(&ring, item).unwrap());
    putter.join().unwrap();
    let victims = victim.join();
    let mut got = vec![other.join().unwrap()];
    got.extend(victims.iter().flatten());
    got.extend(take_all(&ring));
    got.sort_unstable();
    let whole = got.len();
    got.dedup();
    assert_eq!(got.len(), whole, "one was taken twice: {got:?}");
    assert!(whole == 4 || (victims.is_none() && whole >= 2), "{got:?}");
}

/// With a packet.
fn put_parcel<W: Crowd>(ring: &Shared<W>, value: u64) {
    let send = |ticket| {
        ring.memory.send_packet(ticket);
        Packet::Sent
    };
    let put = || ring.put_with_packet(&value.to_le_bytes(), None, send);
    assert_eq!(ring.until_room(None, put), Ok(()));
}

/// As `memory.rs` receives, but for the descriptors.
struct Receiver<'a, W: World>(&'a Shared<W>);

impl<W: World> TakeContext for Receiver<'_, W> {
    fn receive(&mut self, packet: u64) -> Result<bool, NotTaken> {
        loop {
            match self.0.memory.first_packet() {
                FirstPacket::There(ticket) if ticket.number <= packet => {
                    self.0.memory.drop_packet();
                    if ticket.number == packet {
                        return Ok(true);
                    }
                }
                _ => return Ok(false),
            }
        }
    }
    fn worker(&self) -> Option<&impl Worker> {
        None::<&crate::worker::ThisProcess>
    }
}

fn look<W: World>(ring: &Shared<W>) -> Result<u64, NotTaken> {
    let mut bytes = Vec::new();
    ring.take(&mut bytes, &mut Receiver(ring), None)?;
    Ok(u64::from_le_bytes(bytes.try_into().expect("a whole record")))
}

/// What is left of the items; beside them nothing is left.
fn left<W: World>(ring: &Shared<W>) -> Vec<u64> {
    let got = std::iter::from_fn(|| look(ring).ok()).collect();
    assert_eq!(ring.items(), 0);
    assert_eq!(ring.memory.first_packet(), FirstPacket::Nothing);
    got
}

/// Wherever a producer dies, its packet goes with its record, or there is none.
fn a_dead_putter_leaves_no_packet<W: Crowd>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring::<W>(0);
    let its = Arc::clone(&ring);
    let victim = spawn(fuse, move || put_parcel(&its, 1));
    let its = Arc::clone(&ring);
    let other = spawn(&Fuse::never(), move || {
        put_parcel(&its, 2);
        put(&its, 3).unwrap();
    });
    let its = Arc::clone(&ring);
    let taker = spawn(&Fuse::never(), move || its.until_item(None, || look(&its)).unwrap());
    other.join().unwrap();
    let finished = victim.join().is_some();
    let mut got = vec![taker.join().unwrap()];
    got.extend(left(&ring));
    got.sort_unstable();
    assert!(got == [1, 2, 3] || (got == [2, 3] && !finished), "{got:?}");
}

/// Wherever a taker dies, its packet goes with it, or is the next one's.
fn a_dead_taker_leaves_no_packet<W: Crowd>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring::<W>(2);
    let its = Arc::clone(&ring);
    let victim = spawn(fuse, move || its.until_item(None, || look(&its)).unwrap());
    let its = Arc::clone(&ring);
    let taker = spawn(&Fuse::never(), move || its.until_item(None, || look(&its)).unwrap());
    put_parcel(&ring, 1);
    put(&ring, 2).unwrap();
    put_parcel(&ring, 3);
    let got = vec![taker.join().unwrap()];
    all_but_the_victims(got, victim.join(), left(&ring), 3);
}

/// Schedules; with deaths, a part of them for each point of death.
fn usual() -> usize {
    iterations(200)
}

type Sound = Crowded<ModelOwned>;
type Faulty<F> = Crowded<FaultyOwned<F>>;

worlds! {
    in shuttle, of Untracked:
    LinksEarly { type Long = ModelLong; const LINKS_EARLY: bool = true; }
}

macro_rules! crowds {
    ($sound:ty: $($how:ident $crowd:ident;)*) => {$(
        #[test]
        fn $crowd() {
            println!("{:<60} {}", stringify!($crowd), $how(usual(), super::$crowd::<$sound>));
        }
    )*};
}
use crowds;

mod walk {
    use super::*;

    crowds! {
        Sound:
        explore each_item_is_taken_once;
        explore nappers_take_each_item_once;
        sweep a_dead_putter_stops_no_other_process;
        sweep a_dead_taker_stops_no_other_process;
        explore each_item_crosses_the_segments_once;
        sweep a_dead_putter_between_segments_stops_no_other_process;
        sweep a_dead_taker_between_segments_stops_no_other_process;
        sweep a_dead_putter_leaves_no_packet;
        sweep a_dead_taker_leaves_no_packet;
    }
}

/// Schedules for a mutant. Most are caught at once.
fn many() -> usize {
    20 * usual()
}

mutants! {
    explore each_item_is_taken_once, many(), in Faulty<NoneIsWoken>: "deadlock";
    explore each_item_is_taken_once, many(), in Faulty<NoNoteIsLeft>: "";
    explore nappers_take_each_item_once, many(), in Faulty<NappersPassNoWakeOn>: "deadlock";
    sweep a_dead_putter_stops_no_other_process, many(), in Faulty<DiesUnseenInTheLock>: "deadlock";
    sweep a_dead_taker_stops_no_other_process, many(), in Faulty<DiesUnseenInTheLock>: "deadlock";
    explore each_item_crosses_the_segments_once, many(), in LinksEarly: "";
    sweep a_dead_putter_between_segments_stops_no_other_process, many(), in LinksEarly: "";
    sweep a_dead_taker_between_segments_stops_no_other_process, many(), in Faulty<NoDeathIsReported>: "deadlock";
}
