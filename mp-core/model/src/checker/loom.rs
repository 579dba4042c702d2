//! Loom: every schedule with a bounded number of preemptions, and every value that the orderings let a load see.

use super::{Atomic, Checker, Room, atomic, shaped_like_std};
use crate::life::Mine;
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use loom::sync::{Condvar, Mutex, MutexGuard};
use mp_core::word::Ordering;
use std::fmt::Debug;

/// The checker `loom`.
#[derive(Debug)]
pub struct Loom;

shaped_like_std!(wait);

fn wait<'a, T>(bell: &Condvar, inside: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    bell.wait(inside).expect("nobody dies inside")
}

loom::thread_local! {
    static MINE: Mine<Loom> = Mine::default();
}

impl Loom {
    /// Starts a thread. What it gives waits for that thread's end, and panics if the thread did.
    pub(crate) fn spawn<T: 'static>(work: impl FnOnce() -> T + 'static) -> Box<dyn FnOnce() -> T> {
        let thread = loom::thread::spawn(work);
        Box::new(|| thread.join().expect("a panic ends the whole model"))
    }
}

impl Checker for Loom {
    type Word = AtomicU32;
    type Long = AtomicU64;
    type Room<T: Default + Debug + Send + 'static> = Chamber<T>;

    const EFFORT: &'static str = "bound";
    const SHARE: usize = 1;
    const QUIET: u32 = 1;

    fn yield_now() {
        loom::thread::yield_now();
    }
    fn fence() {
        // ORDERING: SeqCst is what the trait promises.
        fence(Ordering::SeqCst);
    }
    fn with_mine<R>(see: impl FnOnce(&Mine<Self>) -> R) -> R {
        MINE.with(see)
    }

    /// The effort is how many preemptions a schedule may hold.
    fn walk(effort: usize, _salt: u64, model: impl Fn() + Send + Sync + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(effort);
        builder.max_branches = 10_000;
        builder.check(model);
    }
}
