//! Hops to a larger segment and back to the one that is kept, and pages that are given back.

use super::super::Refused;
use super::world::{Shared, Sound, World, put, ring_of, take, take_all, try_put};
use mp_model::thorough::{Fuse, TimedLooks, set_looks, spawn};
use std::sync::Arc;

/// Room for one record, and for two.
pub(super) const UNITS: [usize; 2] = [2, 4];

/// A taker follows the link, and loses nothing of what was put before it.
pub(super) fn records_cross_from_segment_to_segment<W: World>() {
    let ring = ring_of::<W>(0, &UNITS);
    let other = Arc::clone(&ring);
    let putter = spawn(&Fuse::never(), move || (1..=2).for_each(|value| put(&other, value).unwrap()));
    assert_eq!([take(&ring), take(&ring)], [Ok(1), Ok(2)]);
    putter.join().unwrap();
    assert_eq!(ring.items(), 0);
}

/// The large segment was used and is drained: the next record goes into the one that is kept, the one after
/// that into the large one again, whose pages are given back meanwhile.
fn drained<W: World>() -> Shared<W> {
    let ring = ring_of::<W>(0, &UNITS);
    (1..=2).for_each(|value| put(&ring, value).unwrap());
    assert_eq!(take_all(&ring), [1, 2]);
    ring
}

pub(super) fn a_segment_is_given_back_before_it_is_used_again<W: World>() {
    let ring = drained::<W>();
    put(&ring, 3).unwrap();
    let other = Arc::clone(&ring);
    let putter = spawn(&Fuse::never(), move || put(&other, 4).unwrap());
    assert_eq!([take(&ring), take(&ring)], [Ok(3), Ok(4)]);
    putter.join().unwrap();
    assert_eq!(ring.items(), 0);
}

/// All that is there, and this one, which may have found no room as long as nothing was taken.
fn take_all_and<W: World>(ring: &Shared<W>, early: Result<(), Refused>, value: u64) -> Vec<u64> {
    let mut got = take_all(ring);
    if early.is_err() {
        assert_eq!((early, try_put(ring, value)), (Err(Refused::Full), Ok(())));
        got.extend(take_all(ring));
    }
    got
}

/// In the middle of a segment switch: the next producer completes it, or makes it anew.
pub(super) fn a_putter_killed_in_a_hop_leaves_whole_records<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring_of::<W>(0, &UNITS);
    put(&ring, 1).unwrap();
    let other = Arc::clone(&ring);
    let victim = spawn(fuse, move || put(&other, 2).unwrap());
    put(&ring, 3).unwrap();
    let finished = victim.join().is_some();
    let got = take_all(&ring);
    assert!(got[0] == 1 && got[1..].contains(&3) && got.len() <= 3, "one is missing: {got:?}");
    assert!(got.contains(&2) || !finished, "one is missing: {got:?}");
}

/// Also on the way back to the segment that is kept.
pub(super) fn a_putter_killed_on_its_way_back_leaves_whole_records<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = drained::<W>();
    let other = Arc::clone(&ring);
    let victim = spawn(fuse, move || try_put(&other, 3));
    let early = try_put(&ring, 4);
    let put = victim.join();
    let got = take_all_and(&ring, early, 4);
    let is_there = got.contains(&3) || put != Some(Ok(()));
    assert!(got.contains(&4) && is_there && got.len() <= 2, "one is missing: {got:?}");
}

/// Also between the pages and the segment: the next consumer releases them once more.
pub(super) fn a_taker_killed_while_it_leaves_loses_one_record_at_most<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = drained::<W>();
    put(&ring, 3).unwrap();
    let other = Arc::clone(&ring);
    let victim = spawn(fuse, move || take(&other).unwrap());
    let early = try_put(&ring, 4);
    let taken = victim.join();
    let got = take_all_and(&ring, early, 4);
    match taken {
        Some(value) => assert_eq!((value, &got[..]), (3, &[4][..])),
        None => assert!(got == [4] || got == [3, 4], "{got:?}"),
    }
}

super::models! {
    explore records_cross_from_segment_to_segment to bound() - 1, in_full bound();
    explore a_segment_is_given_back_before_it_is_used_again to bound() - 1, in_full bound();
    sweep a_putter_killed_in_a_hop_leaves_whole_records to bound();
    sweep a_putter_killed_on_its_way_back_leaves_whole_records to bound();
    sweep a_taker_killed_while_it_leaves_loses_one_record_at_most to bound();
}
