//! One record after the other; where the segment ends, and where the numbers do.

use super::world::{Shared, Sound, World, put, put_long, ring, ring_about_to_wrap, take, take_all, try_put};
use mp_model::thorough::{Fuse, TimedLooks, set_looks, spawn};
use std::sync::Arc;

/// Its record is there whole or not at all, and the next producer's comes after it.
pub(super) fn a_killed_putter_leaves_whole_records<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    leaves_whole_records(fuse, &ring::<W>(0), 1);
}

/// With records of so many units.
fn leaves_whole_records<W: World>(fuse: &Fuse, ring: &Shared<W>, units: usize) {
    let other = Arc::clone(ring);
    let victim = spawn(fuse, move || put_long(&other, 1, units).unwrap());
    put_long(ring, 2, units).unwrap();
    let finished = victim.join().is_some();
    let got = take_all(ring);
    assert!(got.contains(&2) && (got.contains(&1) || !finished) && got.len() <= 2, "{got:?}");
}

/// It may have taken its record along, and no other.
pub(super) fn a_killed_taker_takes_one_record_at_most<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring::<W>(0);
    put(&ring, 1).unwrap();
    let other = Arc::clone(&ring);
    let victim = spawn(fuse, move || take(&other).unwrap());
    put(&ring, 2).unwrap();
    let taken = victim.join();
    let got = take_all(&ring);
    assert!(if taken.is_some() { got == [2] } else { got == [2] || got == [1, 2] }, "{taken:?} {got:?}");
}

/// There is room for one. It lies across the segment's end; the next one is put where it lay.
pub(super) fn records_go_round<W: World>() {
    go_round(&ring_about_to_wrap::<W>(4));
}

/// As above, where the length of the segment is no power of two.
pub(super) fn records_go_round_a_segment_of_three_units<W: World>() {
    go_round(&ring_about_to_wrap::<W>(3));
}

fn go_round<W: World>(ring: &Shared<W>) {
    let other = Arc::clone(ring);
    let putter = spawn(&Fuse::never(), move || (1..=2).for_each(|value| put_long(&other, value, 2).unwrap()));
    assert_eq!([take(ring), take(ring)], [Ok(1), Ok(2)]);
    putter.join().unwrap();
    assert_eq!(ring.items(), 0);
}

pub(super) fn a_putter_killed_at_the_end_leaves_whole_records<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    leaves_whole_records(fuse, &ring_about_to_wrap::<W>(8), 2);
}

/// As above, where the length of the segment is no power of two.
pub(super) fn a_putter_killed_at_the_end_of_seven_units_leaves_whole_records<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    leaves_whole_records(fuse, &ring_about_to_wrap::<W>(7), 2);
}

/// What was not taken is not written over: there is room for the third one if the first one is gone.
pub(super) fn a_taker_killed_at_the_end_takes_one_record_at_most<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring_about_to_wrap::<W>(8);
    put_long(&ring, 1, 3).unwrap();
    put(&ring, 2).unwrap();
    let other = Arc::clone(&ring);
    let victim = spawn(fuse, move || take(&other).unwrap());
    let fits = try_put(&ring, 3).is_ok() && try_put(&ring, 4).is_ok();
    let taken = victim.join();
    let got = take_all(&ring);
    let whole: &[u64] = if fits { &[2, 3, 4] } else { &[2, 3] };
    let first = got.strip_prefix(&[1]);
    assert!(got == whole || (taken.is_none() && !fits && first == Some(whole)), "{taken:?} {got:?}");
}

super::models! {
    sweep a_killed_putter_leaves_whole_records to bound();
    sweep a_killed_taker_takes_one_record_at_most to bound();
    explore records_go_round to bound() - 1, in_full bound();
    explore records_go_round_a_segment_of_three_units to bound() - 1;
    sweep a_putter_killed_at_the_end_leaves_whole_records to bound();
    sweep a_putter_killed_at_the_end_of_seven_units_leaves_whole_records to bound() - 1;
    sweep a_taker_killed_at_the_end_takes_one_record_at_most to bound();
}
