//! Shuttle: random schedules, one half of them with a few preemptions only, which is where most faults are.
//!
//! All accesses have one order that all threads see, whatever orderings they ask for: a missing Release is for
//! loom and Miri to find.

use super::{Atomic, Primitives, Room, atomic, room, spawn};
use crate::life::{Checker, Mine};
use mp_core::word::Ordering;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::{AtomicU32, AtomicU64, fence};
use shuttle::sync::{Condvar, Mutex, MutexGuard};
use shuttle::{Config, Runner};
use std::fmt::Debug;
use std::sync::Arc;

/// The checker `shuttle`.
#[derive(Debug)]
pub struct Shuttle;

/// Preemptions, and one more, of those schedules that have few.
const DEPTH: usize = 4;
const STACK: usize = 256 << 10;
const SEED: u64 = 1;

/// `MP_SHUTTLE_SEED`, or else always the same, so that a failure is there in the next run too.
fn seed() -> u64 {
    std::env::var("MP_SHUTTLE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(SEED)
}

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
room!(wait);

fn wait<'a, T>(bell: &Condvar, inside: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    bell.wait(inside).expect("no thread dies inside")
}

shuttle::thread_local! {
    static MINE: Mine<Shuttle> = Mine::default();
}

spawn!(Shuttle, shuttle::thread::spawn, Send);

impl Checker for Shuttle {
    fn with_mine<R>(see: impl FnOnce(&Mine<Self>) -> R) -> R {
        MINE.with(see)
    }
}

impl Primitives for Shuttle {
    type Word = AtomicU32;
    type Long = AtomicU64;
    type Room<T: Default + Debug + Send + 'static> = Chamber<T>;

    const EFFORT: &'static str = "iterations";
    const SHARE: usize = 25;
    const QUIET: u32 = 3;

    fn yield_now() {
        shuttle::thread::yield_now();
    }
    fn fence() {
        // ORDERING: SeqCst is what the trait promises.
        fence(Ordering::SeqCst);
    }

    /// The effort is how many schedules are run.
    fn walk(effort: usize, salt: u64, model: impl Fn() + Send + Sync + 'static) {
        let seed = seed().wrapping_add(salt << 32);
        let few = effort / 2;
        let model = Arc::new(model);
        run(RandomScheduler::new_from_seed(seed, effort - few), Arc::clone(&model));
        run(PctScheduler::new_from_seed(seed, DEPTH, few), model);
    }
}

fn run(scheduler: impl Scheduler + 'static, model: Arc<impl Fn() + Send + Sync + 'static>) {
    let mut config = Config::new();
    config.stack_size = STACK;
    // That it takes every ordering for SeqCst is said above.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(move || model());
}
