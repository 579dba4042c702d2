//! Crowds at permits that have owners.

use super::{all, crowd};
use crate::world::{AtomicU32, Fuse, Looks, point, set_looks, spawn};
use mp_core::word::{Ordering, Owned};
use mp_model::{AnyOwned, soon};
use mp_sync::raw::RawSeats;
use std::sync::Arc;

/// Seats, and who sits on each; as many can wait and be told at once as `WAITING` says.
type Seats<O, const WAITING: usize> = Arc<(RawSeats<O, 2, WAITING>, [AtomicU32; 2])>;

fn seats<O: AnyOwned, const WAITING: usize>(count: u32) -> Seats<O, WAITING> {
    let seats: Seats<O, WAITING> = Arc::default();
    seats.0.init(count);
    seats
}

/// ORDERING: Relaxed throughout: only the seat orders it.
fn sit<O: Owned, const WAITING: usize>(seats: &Seats<O, WAITING>, seat: usize) {
    let (seats, sitting) = &**seats;
    sitting[seat].store(O::me(), Ordering::Relaxed);
    point();
    assert_eq!(sitting[seat].load(Ordering::Relaxed), O::me(), "two on one seat");
    assert!(seats.release(seat));
}

fn wait_and_sit<O: Owned, const WAITING: usize>(seats: &Seats<O, WAITING>) {
    let seat = seats.0.acquire(None).expect("no deadline");
    sit(seats, seat);
}

/// Two seats, and six who want one, for ever or for a while.
pub(crate) fn seats_crowd_sits_one_on_each<O: AnyOwned>() {
    let seats = seats::<O, 6>(2);
    let its = seats.clone();
    let others = crowd(5, move |number| match number {
        0 => its.0.acquire(soon()).into_iter().for_each(|seat| sit(&its, seat)),
        1 => its.0.try_acquire().into_iter().for_each(|seat| sit(&its, seat)),
        _ => wait_and_sit(&its),
    });
    wait_and_sit(&seats);
    all(others);
    assert_eq!(seats.0.value(), 2);
}

/// More wait than can be told: the others find out by looking.
pub(crate) fn seats_crowd_more_wait_than_are_told<O: AnyOwned>() {
    set_looks(Looks::Always);
    let seats = seats::<O, 1>(1);
    let its = seats.clone();
    let others = crowd(4, move |_| wait_and_sit(&its));
    wait_and_sit(&seats);
    all(others);
    assert_eq!(seats.0.value(), 1);
}

/// The seat of one who dies is had by those who wait.
pub(crate) fn seats_crowd_has_those_of_the_dead<O: AnyOwned>(fuse: &Fuse) {
    set_looks(Looks::AfterDeath);
    let seats = seats::<O, 4>(1);
    let its = seats.clone();
    let victim = spawn(fuse, move || wait_and_sit(&its));
    let its = seats.clone();
    let others = crowd(3, move |_| wait_and_sit(&its));
    all(others);
    victim.join();
    let first = seats.0.try_acquire();
    assert_eq!((first, seats.0.value()), (Some(0), 0));
}
