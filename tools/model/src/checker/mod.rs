//! Primitives: what loom, shuttle and the threads of the system give to a model. A [`Checker`](crate::life::Checker)
//! has them, and a place for what each model thread has of its own.
//!
//! ```text
//!   life, word, owned, check      written once, over a checker
//!          │
//!   Primitives ── Atomic (a word)    Long (a cursor)    Room (where a thread sleeps)    spawn, fence, walk
//!          │
//!   Loom      every schedule, few threads, weak memory      stale values as the orderings allow
//!   Shuttle   random schedules, many threads                every access in one order: orderings do not matter
//!   Threads   the system's schedule; under Miri random ones, weak memory and undefined behaviour
//! ```

mod loom;
mod shuttle;
mod threads;

pub(crate) use self::loom::{Loom, Thorough};
pub(crate) use self::shuttle::Shuttle;
pub(crate) use self::threads::Threads;

use mp_core::word::Ordering;
use std::fmt::Debug;

/// What a model stands on. A thread of a model runs on one of its threads (`life.rs`).
pub trait Primitives: Sized + 'static {
    /// An atomic `u32`.
    type Word: Atomic<u32>;
    /// An atomic `u64`.
    type Long: Atomic<u64>;
    /// Where threads sleep.
    type Room<T: Default + Debug + Send + 'static>: Room<T>;

    /// What its effort is counted in.
    const EFFORT: &'static str;
    /// The effort for each point of death is this part of what a model without deaths is given.
    const SHARE: usize;
    /// A sweep is done when no thread died at this many lengths of the fuse in a row.
    const QUIET: u32;

    /// Lets others go first.
    fn yield_now();
    /// A sequentially consistent fence.
    fn fence();
    /// Runs the model in many ways, and panics, or ends the program, when it fails in one. Where choices are random,
    /// another `salt` makes other ones.
    fn walk(effort: usize, salt: u64, model: impl Fn() + Send + Sync + 'static);
}

/// An atomic integer as the checker sees it.
pub trait Atomic<T>: Default + Debug + Send + Sync + 'static {
    /// Reads.
    fn load(&self, order: Ordering) -> T;
    /// Writes.
    fn store(&self, value: T, order: Ordering);
    /// Writes, and gives what was there.
    fn swap(&self, value: T, order: Ordering) -> T;
    /// Adds, wrapping; gives what was there.
    fn fetch_add(&self, value: T, order: Ordering) -> T;
    /// Subtracts, wrapping; gives what was there.
    fn fetch_sub(&self, value: T, order: Ordering) -> T;
    /// Sets bits; gives what was there.
    fn fetch_or(&self, value: T, order: Ordering) -> T;
    /// Writes `new` if `current` is there; `Err` gives what was there instead.
    fn compare_exchange(&self, current: T, new: T, ok: Ordering, err: Ordering) -> Result<T, T>;
}

/// A value behind a lock, and a condition variable for its sleepers.
pub trait Room<T>: Default + Debug + Send + Sync + 'static {
    /// Takes the lock and calls `look`; while that returns `None`, sleeps until it is notified, and calls it again.
    fn wait_for<R>(&self, look: impl FnMut(&mut T) -> Option<R>) -> R;
    /// Takes the lock and calls `change`, and notifies as many sleepers as it returns.
    fn ring(&self, change: impl FnOnce(&mut T) -> u32);
    /// Goes in and does `change`.
    fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R;
}

/// How a checker starts a thread; `Send`: its threads take only what can be sent to them.
macro_rules! spawn {
    ($checker:ident, $spawn:path $(, $send:path)?) => {
        impl $checker {
            /// Starts a thread. What it gives waits for that thread's end, and panics if the thread did.
            pub(crate) fn spawn<T: $($send +)? 'static>(
                work: impl FnOnce() -> T $(+ $send)? + 'static,
            ) -> Box<dyn FnOnce() -> T> {
                let thread = $spawn(work);
                Box::new(|| thread.join().expect("a panic ends the whole model"))
            }
        }
    };
}

/// The room of a checker whose types are shaped like std's. `$wait` sleeps on a condition variable.
macro_rules! room {
    ($wait:path) => {
        /// A mutex and a condition variable.
        #[derive(Debug, Default)]
        pub struct Chamber<T> {
            value: Mutex<T>,
            bell: Condvar,
        }

        impl<T> Chamber<T> {
            fn enter(&self) -> MutexGuard<'_, T> {
                self.value.lock().expect("no thread dies inside")
            }
        }

        impl<T: Default + Debug + Send + 'static> Room<T> for Chamber<T> {
            fn wait_for<R>(&self, mut look: impl FnMut(&mut T) -> Option<R>) -> R {
                let mut inside = self.enter();
                loop {
                    if let Some(seen) = look(&mut inside) {
                        return seen;
                    }
                    inside = $wait(&self.bell, inside);
                }
            }
            fn ring(&self, change: impl FnOnce(&mut T) -> u32) {
                let mut inside = self.enter();
                (0..change(&mut inside)).for_each(|_| self.bell.notify_one());
            }
            fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
                change(&mut self.enter())
            }
        }
    };
}

macro_rules! atomic {
    ($atomic:ty, $int:ty) => {
        impl Atomic<$int> for $atomic {
            fn load(&self, order: Ordering) -> $int {
                self.load(order)
            }
            fn store(&self, value: $int, order: Ordering) {
                self.store(value, order);
            }
            fn swap(&self, value: $int, order: Ordering) -> $int {
                self.swap(value, order)
            }
            fn fetch_add(&self, value: $int, order: Ordering) -> $int {
                self.fetch_add(value, order)
            }
            fn fetch_sub(&self, value: $int, order: Ordering) -> $int {
                self.fetch_sub(value, order)
            }
            fn fetch_or(&self, value: $int, order: Ordering) -> $int {
                self.fetch_or(value, order)
            }
            fn compare_exchange(
                &self,
                current: $int,
                new: $int,
                ok: Ordering,
                err: Ordering,
            ) -> Result<$int, $int> {
                self.compare_exchange(current, new, ok, err)
            }
        }
    };
}
use {atomic, room, spawn};
