//! Threads: std's atomics and threads, as they come. For Miri, which makes their schedule random, lets loads see old
//! values and reports undefined behaviour; and for a short try on the machine itself.

use super::{Atomic, Primitives, Room, atomic, room, spawn};
use crate::life::{Checker, Mine};
use mp_core::word::Ordering;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, AtomicU64, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

/// No checker but the threads of the system.
#[derive(Debug)]
pub struct Threads;

/// Only a lost wake leaves a thread asleep this long. Miri's clock jumps to it when all threads sleep.
const STRANDED: Duration = Duration::from_secs(60);

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
room!(wait);

fn wait<'a, T>(bell: &Condvar, inside: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    let (inside, time) = bell.wait_timeout(inside, STRANDED).expect("no thread dies inside");
    assert!(!time.timed_out(), "a deadlock: no thread has woken this one");
    inside
}

std::thread_local! {
    static MINE: Mine<Threads> = Mine::default();
}

spawn!(Threads, thread::spawn, Send);

impl Checker for Threads {
    fn with_mine<R>(see: impl FnOnce(&Mine<Self>) -> R) -> R {
        MINE.with(see)
    }
}

impl Primitives for Threads {
    type Word = AtomicU32;
    type Long = AtomicU64;
    type Room<T: Default + Debug + Send + 'static> = Chamber<T>;

    const EFFORT: &'static str = "rounds";
    const SHARE: usize = 10;
    const QUIET: u32 = 3;

    fn yield_now() {
        thread::yield_now();
    }
    fn fence() {
        // ORDERING: SeqCst is what the trait promises.
        fence(Ordering::SeqCst);
    }

    /// The effort is how often the model is run, each time by a thread that is new to it.
    fn walk(effort: usize, _salt: u64, model: impl Fn() + Send + Sync + 'static) {
        let model = Arc::new(model);
        for _ in 0..effort {
            let model = Arc::clone(&model);
            thread::spawn(move || model()).join().expect("the model holds");
        }
    }
}
