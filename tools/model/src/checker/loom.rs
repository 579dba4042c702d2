//! Loom: every schedule with a bounded number of preemptions, and every value that the orderings let a load see.

use super::{Atomic, Primitives, Room, atomic, room, spawn};
use crate::life::{Checker, Mine, id};
use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
use loom::sync::{Condvar, Mutex, MutexGuard};
use mp_core::word::Ordering;
use std::fmt::Debug;
use std::sync::Arc;

/// The checker `loom`.
#[derive(Debug)]
pub struct Loom;

/// The same with atomics of which no access is forgotten: several times the schedules.
#[derive(Debug)]
pub struct Thorough;

/// An atomic of loom's that forgets no access.
///
/// loom tries two accesses in the other order too if one is a store, but keeps in mind only the last access to each
/// atomic: where a thread loads and then stores, what another loaded before that is forgotten, and the store is never
/// tried before it (tokio-rs/loom#166, #392). So each thread's load notifies a condition variable, which orders
/// nothing, and a store notifies those of the threads whose loads loom has forgotten.
#[derive(Debug, Default)]
pub struct Watched<A> {
    atomic: A,
    /// The threads that have loaded since the last store, the latest one last.
    readers: std::sync::Mutex<Vec<(u32, Arc<Condvar>)>>,
    bells: std::sync::Mutex<Vec<(u32, Arc<Condvar>)>>,
}

impl<A> Watched<A> {
    /// This thread's condition variable.
    fn bell(&self) -> (u32, Arc<Condvar>) {
        let me = id::<Thorough>();
        let mut bells = self.bells.lock().expect("held for a moment only");
        let found = bells.iter().find(|(thread, _)| *thread == me).cloned();
        found.unwrap_or_else(|| {
            bells.push((me, Arc::default()));
            bells[bells.len() - 1].clone()
        })
    }

    fn loading<T>(&self, load: impl FnOnce(&A) -> T) -> T {
        let bell = self.bell();
        bell.1.notify_one();
        let loaded = load(&self.atomic);
        let mut readers = self.readers.lock().expect("held for a moment only");
        readers.retain(|(thread, _)| *thread != bell.0);
        readers.push(bell);
        loaded
    }

    fn storing<T>(&self, store: impl FnOnce(&A) -> T) -> T {
        let mut forgotten = self.readers.lock().expect("held for a moment only").clone();
        // The last one loom knows of, or it is our own.
        forgotten.pop();
        if !forgotten.is_empty() {
            let me = id::<Thorough>();
            forgotten.iter().filter(|(thread, _)| *thread != me).for_each(|(_, bell)| bell.notify_one());
        }
        let stored = store(&self.atomic);
        self.readers.lock().expect("held for a moment only").clear();
        stored
    }
}

impl<T, A: Atomic<T>> Atomic<T> for Watched<A> {
    fn load(&self, order: Ordering) -> T {
        self.loading(|atomic| atomic.load(order))
    }
    fn store(&self, value: T, order: Ordering) {
        self.storing(|atomic| atomic.store(value, order));
    }
    fn swap(&self, value: T, order: Ordering) -> T {
        self.storing(|atomic| atomic.swap(value, order))
    }
    fn fetch_add(&self, value: T, order: Ordering) -> T {
        self.storing(|atomic| atomic.fetch_add(value, order))
    }
    fn fetch_sub(&self, value: T, order: Ordering) -> T {
        self.storing(|atomic| atomic.fetch_sub(value, order))
    }
    fn fetch_or(&self, value: T, order: Ordering) -> T {
        self.storing(|atomic| atomic.fetch_or(value, order))
    }
    fn compare_exchange(&self, current: T, new: T, ok: Ordering, err: Ordering) -> Result<T, T> {
        self.storing(|atomic| atomic.compare_exchange(current, new, ok, err))
    }
}

atomic!(AtomicU32, u32);
atomic!(AtomicU64, u64);
room!(wait);

fn wait<'a, T>(bell: &Condvar, inside: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    bell.wait(inside).expect("no thread dies inside")
}

macro_rules! checker {
    ($checker:ident, $mine:ident, $word:ty, $long:ty) => {
        loom::thread_local! {
            static $mine: Mine<$checker> = Mine::default();
        }

        spawn!($checker, loom::thread::spawn);

        impl Checker for $checker {
            fn with_mine<R>(see: impl FnOnce(&Mine<Self>) -> R) -> R {
                $mine.with(see)
            }
        }

        impl Primitives for $checker {
            type Word = $word;
            type Long = $long;
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

            /// The effort is how many preemptions a schedule may hold.
            fn walk(effort: usize, _salt: u64, model: impl Fn() + Send + Sync + 'static) {
                let mut builder = loom::model::Builder::new();
                builder.preemption_bound = Some(effort);
                builder.max_branches = 10_000;
                builder.check(model);
            }
        }
    };
}

checker!(Loom, MINE, AtomicU32, AtomicU64);
checker!(Thorough, MINE_TOO, Watched<AtomicU32>, Watched<AtomicU64>);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What one thread sees of another's one store, that thread having looked first.
    #[test]
    fn a_store_comes_before_a_load_too_when_its_thread_has_looked_first() {
        let seen = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
        let all = Arc::clone(&seen);
        Thorough::walk(3, 0, move || {
            let word = Arc::new(Watched::<AtomicU32>::default());
            let other = Arc::clone(&word);
            let end = Thorough::spawn(move || {
                // ORDERING: Relaxed: what is tried is the order of the accesses alone.
                let before = other.load(Ordering::Relaxed);
                other.store(before + 1, Ordering::Relaxed);
            });
            // ORDERING: as above.
            all.lock().expect("held for a moment only").insert(word.load(Ordering::Relaxed));
            end();
        });
        assert_eq!(*seen.lock().expect("the model is done"), [0, 1].into());
    }
}
