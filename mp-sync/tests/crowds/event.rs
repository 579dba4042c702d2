//! Crowds at the event.

use super::{all, crowd};
use crate::world::{AtomicU32, Fuse, TimedLooks, set_looks, spawn, yield_now};
use mp_core::word::Ordering;
use mp_model::{AnyWord, soon};
use mp_sync::raw::RawEvent;
use std::sync::Arc;

/// An event, and what it tells of.
type Signalled<W> = Arc<(RawEvent<W>, AtomicU32)>;

/// One set wakes all waiters, and all see what came before it.
pub(crate) fn event_crowd_is_woken_at_once<W: AnyWord>() {
    let event: Signalled<W> = Arc::default();
    let its = event.clone();
    let waiters = crowd(5, move |number| {
        let seen = its.0.wait(if number == 0 { soon() } else { None });
        // ORDERING: Relaxed: the event is to order it.
        (number, seen, its.1.load(Ordering::Relaxed))
    });
    // ORDERING: Relaxed: the event is to order it.
    event.1.store(7, Ordering::Relaxed);
    event.0.set();
    for (number, seen, data) in all(waiters) {
        assert!(if seen { data == 7 } else { number == 0 });
    }
}

/// Two set it and clear it at once, all the time: a thread that waits through a set comes out.
pub(crate) fn event_crowd_pulses_reach_the_waiters<W: AnyWord>() {
    let event: Signalled<W> = Arc::default();
    let its = event.clone();
    let waiters = crowd(3, move |_| {
        assert!(its.0.wait(None));
        // ORDERING: SeqCst: the model's own count.
        its.1.fetch_add(1, Ordering::SeqCst);
    });
    let its = event.clone();
    let setters = crowd(2, move |_| {
        // ORDERING: SeqCst: the model's own count.
        while its.1.load(Ordering::SeqCst) < 3 {
            its.0.set();
            its.0.clear();
            yield_now();
        }
    });
    all(waiters);
    all(setters);
    assert!(!event.0.is_set());
}

/// Killed between the flag and the wake: the promise is the timed look's, for all of them.
pub(crate) fn event_crowd_dead_setter<W: AnyWord>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let event: Signalled<W> = Arc::default();
    let its = event.clone();
    let victim = spawn(fuse, move || its.0.set());
    let its = event.clone();
    let waiters = crowd(4, move |_| its.0.wait(None));
    event.0.set();
    victim.join();
    assert_eq!(all(waiters), [true; 4]);
}

/// A waiter that dies costs the others nothing.
pub(crate) fn event_crowd_dead_waiter<W: AnyWord>(fuse: &Fuse) {
    let event: Signalled<W> = Arc::default();
    let its = event.clone();
    let victim = spawn(fuse, move || its.0.wait(None));
    let its = event.clone();
    let waiters = crowd(3, move |_| its.0.wait(None));
    event.0.set();
    victim.join();
    assert_eq!(all(waiters), [true; 3]);
}
