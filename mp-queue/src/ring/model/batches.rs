//! Records under one publish, and records that are taken together.

use super::super::NotTaken;
use super::super::tests::NoContext;
use super::growth::UNITS;
use super::world::{Shared, Sound, World, put, put_together, ring, ring_of, take, take_all, value_of};
use mp_model::thorough::{Fuse, TimedLooks, set_looks, spawn};
use std::sync::Arc;

fn take_together<W: World>(ring: &Shared<W>, most: usize) -> Result<Vec<u64>, NotTaken> {
    let take = |most| {
        ring.until_item(None, || {
            let (mut bytes, mut ends) = (Vec::new(), Vec::new());
            ring.take_many(most, &mut bytes, &mut ends, &NoContext, None)?;
            Ok::<_, NotTaken>(bytes.chunks(bytes.len() / ends.len()).map(value_of).collect::<Vec<_>>())
        })
    };
    if W::TAKES_APART { (0..most).map(|_| take(1).map(|got| got[0])).collect() } else { take(most) }
}

/// No process sees the one without the other.
pub(super) fn records_put_together_come_together<W: World>() {
    let ring = ring::<W>(0);
    let other = Arc::clone(&ring);
    let putter = spawn(&Fuse::never(), move || put_together(&other, &[1, 2]));
    let seen = ring.items();
    assert!(seen != 1, "one was seen without the other");
    assert_eq!(take_together(&ring, 5), Ok(vec![1, 2]), "one was seen without the other");
    putter.join().unwrap();
}

pub(super) fn a_putter_killed_with_two_leaves_both_or_none<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring::<W>(0);
    let other = Arc::clone(&ring);
    let victim = spawn(fuse, move || put_together(&other, &[1, 2]));
    put(&ring, 3).unwrap();
    let finished = victim.join().is_some();
    let got = take_all(&ring);
    assert!(
        got == [1, 2, 3] || got == [3, 1, 2] || (got == [3] && !finished),
        "one without the other: {got:?}"
    );
}

pub(super) fn a_taker_killed_with_two_takes_both_or_none<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring::<W>(0);
    put_together(&ring, &[1, 2]);
    let other = Arc::clone(&ring);
    let victim = spawn(fuse, move || take_together(&other, 2).unwrap());
    put(&ring, 3).unwrap();
    let finished = victim.join().is_some();
    let got = take_all(&ring);
    assert!(got == [3] || (got == [1, 2, 3] && !finished), "one without the other: {got:?}");
}

/// Of the two takers each has what no other has, in the order of the ring.
pub(super) fn takers_of_many_share_what_is_there<W: World>() {
    let ring = ring::<W>(0);
    put_together(&ring, &[1, 2, 3]);
    let other = Arc::clone(&ring);
    let taker = spawn(&Fuse::never(), move || take_together(&other, 2).unwrap());
    let mine = take(&ring).unwrap();
    let (taken, rest) = (taker.join().unwrap(), take_all(&ring));
    let all =
        if mine == 1 { [&[mine], &taken[..], &rest].concat() } else { [&taken[..], &[mine], &rest].concat() };
    assert_eq!(all, [1, 2, 3], "{mine} {taken:?} {rest:?}");
}

/// The segment switch publishes the first one.
pub(super) fn a_batch_goes_on_in_the_next_segment<W: World>() {
    let ring = ring_of::<W>(0, &UNITS);
    let other = Arc::clone(&ring);
    let putter = spawn(&Fuse::never(), move || put_together(&other, &[1, 2, 3]));
    let mut got = take_together(&ring, 5).unwrap();
    assert!(got == [1], "{got:?}");
    got.extend(take_together(&ring, 5).unwrap());
    assert_eq!(got, [1, 2, 3], "one was seen without the other");
    putter.join().unwrap();
}

pub(super) fn a_putter_killed_with_a_batch_in_two_segments_leaves_its_beginning<W: World>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let ring = ring_of::<W>(0, &[2, 8]);
    let other = Arc::clone(&ring);
    let victim = spawn(fuse, move || put_together(&other, &[1, 2, 3]));
    put(&ring, 4).unwrap();
    let finished = victim.join().is_some();
    let mut got = take_all(&ring);
    got.retain(|value| *value != 4);
    assert!(
        got == [1, 2, 3] || (!finished && (got.is_empty() || got == [1])),
        "one without the other: {got:?}"
    );
}

super::models! {
    explore records_put_together_come_together to bound();
    sweep a_putter_killed_with_two_leaves_both_or_none to bound();
    sweep a_taker_killed_with_two_takes_both_or_none to bound();
    explore takers_of_many_share_what_is_there to bound();
    explore a_batch_goes_on_in_the_next_segment to bound() - 1, in_full bound();
    sweep a_putter_killed_with_a_batch_in_two_segments_leaves_its_beginning to bound();
}
