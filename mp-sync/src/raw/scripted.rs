//! A word whose sleepers do what a test says, and whose clock stands still.

use mp_core::word::{Deadline, Learned, Looks, Machine, Ordering, Owned, Site, Wake, Word};
use std::cell::Cell;
use std::sync::atomic::AtomicU32;

pub(super) const ME: u32 = 7;
pub(super) const OTHER: u32 = 8;
/// As in `lock.rs`.
const WAITERS: u32 = 1 << 31;

thread_local! {
    pub(super) static NOW: Cell<u64> = const { Cell::new(1) };
    /// The number of sleepers.
    pub(super) static ASLEEP: Cell<u32> = const { Cell::new(0) };
    pub(super) static SLEPT_ON: Cell<u32> = const { Cell::new(0) };
    /// The word after a sleep.
    pub(super) static AFTER: Cell<u32> = const { Cell::new(0) };
    /// Calls that wake.
    pub(super) static WAKES: Cell<u32> = const { Cell::new(0) };
}

#[derive(Default)]
pub(super) struct Scripted(AtomicU32);

impl Machine for Scripted {
    const QUICK: u32 = 0;

    fn now() -> u64 {
        NOW.get()
    }
    fn pause() {}
    fn yield_now() {}
    fn sleep_cost() -> u32 {
        0
    }
    fn one_cpu() -> bool {
        false
    }
    fn turn() -> Option<u32> {
        Some(1_000)
    }
}

impl Learned for Scripted {
    fn site(&self) -> Site {
        Site::new()
    }
    fn learn(&self, _: Site) {}
}

impl Word for Scripted {
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
    /// Another sleeper takes the word meanwhile, and releases it.
    fn wait(&self, expected: u32, _: Option<Deadline>) -> Wake {
        SLEPT_ON.set(expected);
        // ORDERING: Relaxed: one thread.
        assert_eq!(self.swap(OTHER | WAITERS, Ordering::Relaxed), expected);
        self.store(AFTER.get(), Ordering::Relaxed);
        Wake::Look
    }
    fn wait_long(&self, expected: u32, until: Option<Deadline>, _: Looks) -> Wake {
        self.wait(expected, until)
    }
    fn wake(&self, count: u32) -> u32 {
        WAKES.set(WAKES.get() + 1);
        count.min(ASLEEP.get())
    }
    fn wake_long(&self, _: u32) -> u32 {
        0
    }
    fn fence() {}
}

#[derive(Default)]
pub(super) struct Mine(Scripted);

impl Owned for Mine {
    type Word = Scripted;

    fn word(&self) -> &Scripted {
        &self.0
    }
    fn me() -> u32 {
        ME
    }
    fn announce(&self) {}
    fn enlist(&self) {}
    fn delist(&self) {}
    fn retract(&self) {}
    fn is_dead(_: u32) -> bool {
        false
    }
    fn kernel_tells() -> bool {
        true
    }
}
