//! Models of the event.

use crate::world::{AtomicU32, Fuse, TimedLooks, set_looks, spawn, tell, wait_until_told};
use mp_core::word::{Deadline, Learned, Looks, Machine, Ordering, Site, Wake, Word};
use mp_model::{AnyWord, soon};
use mp_sync::raw::RawEvent;
use std::sync::Arc;

type Signalled<W> = Arc<(RawEvent<W>, AtomicU32)>;

fn wait_for_data<W: Word>(signalled: &Signalled<W>) -> u32 {
    assert!(signalled.0.wait(None));
    // ORDERING: Relaxed: the event is to order it.
    signalled.1.load(Ordering::Relaxed)
}

pub(crate) fn event_set_wakes_all<W: AnyWord>() {
    let event: Signalled<W> = Arc::default();
    let waiters = [(); 2].map(|()| {
        let event = event.clone();
        spawn(&Fuse::never(), move || wait_for_data(&event))
    });
    // ORDERING: Relaxed: the event is to order it.
    event.1.store(7, Ordering::Relaxed);
    event.0.set();
    assert!(event.0.is_set());
    assert_eq!(waiters.map(|waiter| waiter.join()), [Some(7); 2]);
}

/// A word that reports when a thread is about to sleep on it.
#[derive(Default)]
pub(crate) struct Watched<W>(W);

impl<W: Word> Machine for Watched<W> {
    const QUICK: u32 = W::QUICK;

    fn now() -> u64 {
        W::now()
    }
    fn pause() {
        W::pause();
    }
    fn yield_now() {
        W::yield_now();
    }
    fn sleep_cost() -> u32 {
        W::sleep_cost()
    }
    fn one_cpu() -> bool {
        W::one_cpu()
    }
    fn turn() -> Option<u32> {
        W::turn()
    }
}

impl<W: Word> Learned for Watched<W> {
    fn site(&self) -> Site {
        self.0.site()
    }
    fn learn(&self, site: Site) {
        self.0.learn(site);
    }
}

impl<W: Word> Word for Watched<W> {
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }
    fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }
    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.0.swap(value, order)
    }
    fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_add(value, order)
    }
    fn fetch_sub(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_sub(value, order)
    }
    fn fetch_or(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_or(value, order)
    }
    fn compare_exchange(&self, current: u32, new: u32, ok: Ordering, err: Ordering) -> Result<u32, u32> {
        self.0.compare_exchange(current, new, ok, err)
    }
    fn wait(&self, expected: u32, until: Option<Deadline>) -> Wake {
        tell();
        self.0.wait(expected, until)
    }
    fn wait_long(&self, expected: u32, until: Option<Deadline>, looks: Looks) -> Wake {
        self.0.wait_long(expected, until, looks)
    }
    fn wake(&self, count: u32) -> u32 {
        self.0.wake(count)
    }
    fn wake_long(&self, count: u32) -> u32 {
        self.0.wake_long(count)
    }
    fn fence() {
        W::fence();
    }
}

pub(crate) fn event_set_then_clear_still_counts<W: AnyWord>() {
    let event: Arc<RawEvent<W>> = Arc::default();
    let waiter = event.clone();
    let waiter = spawn(&Fuse::never(), move || waiter.wait(None));
    wait_until_told();
    event.set();
    event.clear();
    assert_eq!(waiter.join(), Some(true));
    assert!(!event.is_set());
}

/// What came before the second of two sets is seen by a waiter after it, and by the thread that clears it.
pub(crate) fn event_second_set_publishes_too<W: AnyWord>() {
    let event: Signalled<W> = Arc::default();
    let second = Arc::new(AtomicU32::new(0));
    let (setter, its) = (event.clone(), second.clone());
    let setter = spawn(&Fuse::never(), move || {
        // ORDERING: Relaxed: the event is to order it.
        its.store(5, Ordering::Relaxed);
        setter.0.set();
    });
    // ORDERING: Relaxed, as above.
    event.1.store(7, Ordering::Relaxed);
    event.0.set();
    event.0.clear();
    if !event.0.wait(soon()) {
        // Not set after the clear: the other set came before it, or has not come yet.
        event.0.clear();
        setter.join();
        event.0.set();
    }
    assert!(event.0.wait(None));
    // ORDERING: Relaxed, as above.
    assert_eq!((event.1.load(Ordering::Relaxed), second.load(Ordering::Relaxed)), (7, 5));
}

/// Two sets, and a thread that waits, clears and reads: a set that the clear erases has still reached it.
pub(crate) fn event_clear_sees_what_it_wipes_out<W: AnyWord>() {
    let event: Signalled<W> = Arc::default();
    let reader = event.clone();
    let reader = spawn(&Fuse::never(), move || {
        while wait_for_data(&reader) != 2 {
            reader.0.clear();
            // ORDERING: Relaxed: the event is to order it.
            if reader.1.load(Ordering::Relaxed) == 2 {
                break;
            }
        }
    });
    for news in [1, 2] {
        // ORDERING: Relaxed: the event is to order it.
        event.1.store(news, Ordering::Relaxed);
        event.0.set();
    }
    reader.join().expect("lives");
}

pub(crate) fn event_timeout<W: AnyWord>() {
    let event: Signalled<W> = Arc::default();
    let (hurried, for_ever) = (event.clone(), event.clone());
    let hurried = spawn(&Fuse::never(), move || {
        let seen = hurried.0.wait(soon());
        // ORDERING: Relaxed: the event is to order it.
        (seen, hurried.1.load(Ordering::Relaxed))
    });
    let for_ever = spawn(&Fuse::never(), move || wait_for_data(&for_ever));
    // ORDERING: Relaxed: the event is to order it.
    event.1.store(7, Ordering::Relaxed);
    event.0.set();
    assert_eq!(for_ever.join(), Some(7));
    let (seen, data) = hurried.join().expect("lives");
    assert!(!seen || data == 7);
    assert!(event.0.wait(soon()));
}

/// Killed between the flag and the wake: the promise is the timed look's.
pub(crate) fn event_dead_setter<W: AnyWord>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let event: Signalled<W> = Arc::default();
    let (victim, waiter) = (event.clone(), event.clone());
    let victim = spawn(fuse, move || victim.0.set());
    let waiter = spawn(&Fuse::never(), move || waiter.0.wait(None));
    event.0.set();
    victim.join();
    assert_eq!(waiter.join(), Some(true));
}

pub(crate) fn event_dead_waiter<W: AnyWord>(fuse: &Fuse) {
    let event: Signalled<W> = Arc::default();
    let (victim, waiter) = (event.clone(), event.clone());
    let victim = spawn(fuse, move || wait_for_data(&victim));
    let waiter = spawn(&Fuse::never(), move || wait_for_data(&waiter));
    // ORDERING: Relaxed: the event is to order it.
    event.1.store(7, Ordering::Relaxed);
    event.0.set();
    victim.join();
    assert_eq!(waiter.join(), Some(7));
}
