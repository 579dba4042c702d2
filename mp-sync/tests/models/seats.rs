//! Models of permits that have owners.

use crate::world::{AtomicU32, Fuse, Looks, point, set_looks, spawn};
use mp_core::word::{Ordering, Owned};
use mp_model::{AnyOwned, soon};
use mp_sync::raw::RawSeats;
use std::sync::Arc;

/// One seat; and how many sit on it. Relaxed, so that only the seat orders it.
type Seat<O> = Arc<(RawSeats<O, 1, 2>, AtomicU32)>;

fn seat<O: AnyOwned>() -> Seat<O> {
    let seats = RawSeats::default();
    seats.init(1);
    Arc::new((seats, AtomicU32::new(0)))
}

/// ORDERING: Relaxed throughout: see the type.
fn sit<O: Owned>(seat: &Seat<O>) {
    let (seats, sitting) = &**seat;
    let number = seats.acquire(None).expect("no deadline");
    sitting.store(1, Ordering::Relaxed);
    point();
    assert_eq!(sitting.load(Ordering::Relaxed), 1);
    sitting.store(0, Ordering::Relaxed);
    assert!(seats.release(number));
}

/// Two want one seat: one after the other has it.
pub(crate) fn seats_are_handed_on<O: AnyOwned>() {
    let seat = seat::<O>();
    let other = seat.clone();
    let other = spawn(&Fuse::never(), move || sit(&other));
    sit(&seat);
    other.join();
    assert_eq!(seat.0.value(), 1);
    assert!(!seat.0.release(0) && !seat.0.release(1));
}

/// Whoever gives up has no seat, and has cost nobody one.
pub(crate) fn seats_timeout_takes_nothing<O: AnyOwned>() {
    let seat = seat::<O>();
    let other = seat.clone();
    let other = spawn(&Fuse::never(), move || sit(&other));
    if let Some(number) = seat.0.acquire(soon()) {
        assert!(seat.0.release(number));
    }
    other.join();
    assert_eq!(seat.0.try_acquire(), Some(0));
}

/// The seat of one who dies is had by the next.
pub(crate) fn seats_of_the_dead_come_back<O: AnyOwned>(fuse: &Fuse) {
    set_looks(Looks::AfterDeath);
    let seat = seat::<O>();
    let victim = seat.clone();
    let victim = spawn(fuse, move || sit(&victim));
    let number = seat.0.acquire(None).expect("no deadline");
    assert!(seat.0.release(number));
    victim.join();
    assert_eq!(seat.0.try_acquire(), Some(0));
}
