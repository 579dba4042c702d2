//! ModelWord: an atomic in loom, with a bed beside it.
//!
//! ```text
//!   wait(expected):  lock the bed ─ word is expected? ─ no: unlock, Look
//!                                        └─ yes: lie down (unlocks) … woken: Look
//!   wake(n):         lock the bed ─ wake up to n ─ unlock
//! ```
//!
//! The kernel compares under the lock of its hash bucket, and so does this.

use crate::life::{self, look_now, step};
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use loom::sync::{Condvar, Mutex, MutexGuard};
use mp_core::word::{Deadline, Long, Ordering, Wake, Word};
use std::sync::Arc;

/// [`Word`] as loom sees it. Made inside a model, by its main thread; all zeros at first. A clone is the same word
/// once more, so that a test can put a faulty face before it.
#[derive(Debug, Clone)]
pub struct ModelWord(Arc<Futex>);

/// What the kernel sees of a word: no fuse burns here.
#[derive(Debug, Default)]
pub(crate) struct Futex {
    pub(crate) value: AtomicU32,
    bed: Mutex<Bed>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Bed {
    asleep: u32,
    /// Sleepers with a deadline: they leave by themselves, and may take a wake with them.
    timed: u32,
}

impl Futex {
    fn bed(&self) -> MutexGuard<'_, Bed> {
        self.bed.lock().expect("no thread dies with the bed locked")
    }

    fn sleep(self: &Arc<Self>, expected: u32) -> Wake {
        let mut bed = self.bed();
        // ORDERING: Relaxed: the compare is the kernel's, and tells the caller nothing.
        if self.value.load(Ordering::Relaxed) != expected {
            return Wake::Look;
        }
        if look_now(self, expected) {
            return Wake::Look;
        }
        bed.asleep += 1;
        drop(self.bell.wait(bed));
        Wake::Look
    }

    /// A sleep whose deadline passes at some moment; a wake before that moment is used up by it.
    fn doze(&self, expected: u32) -> Wake {
        let mut bed = self.bed();
        // ORDERING: Relaxed, as in `sleep`.
        if self.value.load(Ordering::Relaxed) != expected {
            return Wake::Look;
        }
        bed.timed += 1;
        // Anything may happen between the two locks. No yield: that would let all others go first.
        drop(bed);
        let mut bed = self.bed();
        bed.timed = bed.timed.saturating_sub(1);
        Wake::TimedOut
    }

    pub(crate) fn wake(&self, count: u32) {
        let mut bed = self.bed();
        let timed = bed.timed.min(count);
        bed.timed -= timed;
        let woken = bed.asleep.min(count - timed);
        bed.asleep -= woken;
        for _ in 0..woken {
            self.bell.notify_one();
        }
    }
}

impl Default for ModelWord {
    fn default() -> Self {
        let futex = Arc::new(Futex::default());
        life::world().register(&futex);
        ModelWord(futex)
    }
}

impl ModelWord {
    pub(crate) fn futex(&self) -> &Arc<Futex> {
        &self.0
    }

    fn value(&self) -> &AtomicU32 {
        step();
        &self.0.value
    }
}

impl Word for ModelWord {
    fn load(&self, order: Ordering) -> u32 {
        self.value().load(order)
    }
    fn store(&self, value: u32, order: Ordering) {
        self.value().store(value, order);
    }
    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.value().swap(value, order)
    }
    fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        self.value().fetch_add(value, order)
    }
    fn fetch_sub(&self, value: u32, order: Ordering) -> u32 {
        self.value().fetch_sub(value, order)
    }
    fn fetch_or(&self, value: u32, order: Ordering) -> u32 {
        self.value().fetch_or(value, order)
    }
    fn compare_exchange(&self, current: u32, new: u32, ok: Ordering, err: Ordering) -> Result<u32, u32> {
        self.value().compare_exchange(current, new, ok, err)
    }

    fn wait(&self, expected: u32, until: Option<Deadline>) -> Wake {
        step();
        let wake = match until {
            None => self.0.sleep(expected),
            Some(_) => self.0.doze(expected),
        };
        life::woken();
        wake
    }
    fn wake(&self, count: u32) {
        step();
        self.0.wake(count);
    }

    fn spin(_round: u32) -> bool {
        false
    }
    fn fence() {
        // ORDERING: SeqCst is what the trait promises.
        fence(Ordering::SeqCst);
    }
}

/// [`Long`] as loom sees it.
#[derive(Debug, Default)]
pub struct ModelLong(AtomicU64);

impl Long for ModelLong {
    fn load(&self, order: Ordering) -> u64 {
        step();
        self.0.load(order)
    }
    fn store(&self, value: u64, order: Ordering) {
        step();
        self.0.store(value, order);
    }
}
