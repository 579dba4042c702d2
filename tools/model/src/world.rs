//! The world of one checker, as its models use it: `use mp_model::loom as world`, and the same model is another
//! checker's with another line.

/// Fills a module with the world of the checker; `Send`: its threads take only what can be sent to them.
macro_rules! world {
    ($checker:ty $(, $send:path)?) => {
        use crate::checker::Primitives;
        use crate::{check, life};

        pub use crate::check::Report;
        pub use crate::checker::{Atomic, Room};
        pub use crate::life::{Fuse, Life, TimedLooks};

        /// A number that the model's threads share and that is no part of the algorithm: no fuse burns there.
        pub type AtomicU32 = <$checker as Primitives>::Word;

        /// [`Word`](mp_core::word::Word) in this world.
        pub type ModelWord = crate::word::ModelWord<$checker>;
        /// [`Long`](mp_core::word::Long) in this world.
        pub type ModelLong = crate::word::ModelLong<$checker>;
        /// [`Owned`](mp_core::word::Owned) in this world.
        pub type ModelOwned = crate::owned::ModelOwned<$checker>;
        /// [`ModelWord`] with a fault.
        pub type Faulty<F> = crate::faults::Faulty<$checker, F>;
        /// [`ModelOwned`] with a fault.
        pub type FaultyOwned<F> = crate::faults::FaultyOwned<$checker, F>;
        /// [`ModelOwned`] that records which thread's list it is on, with a fault or `()`.
        pub type ModelListed<F> = crate::listed::ModelListed<$checker, F>;
        /// [`ModelLong`] with a fault.
        pub type FaultyLong<F> = crate::faults::FaultyLong<$checker, F>;
        /// A value behind a lock, where the model's threads sleep. No fuse burns there.
        pub type Chamber<T> = <$checker as Primitives>::Room<T>;

        /// Walks schedules of `model`, as many as the effort allows. Panics, or ends the program, when one fails.
        pub fn explore(effort: usize, model: impl Fn() + Send + Sync + 'static) -> Report {
            check::explore::<$checker>(effort, model)
        }

        /// Explores `model` once with each length of fuse, until the fuse outlasts the thread in every schedule. The
        /// model gives the fuse to one of its threads.
        pub fn sweep(effort: usize, model: impl Fn(&Fuse) + Clone + Send + Sync + 'static) -> Report {
            check::sweep::<$checker>(life::Lit::AtOnce, effort, model)
        }

        /// As [`sweep`], with the fuse lit when its thread first comes back from a wait.
        pub fn sweep_woken(effort: usize, model: impl Fn(&Fuse) + Clone + Send + Sync + 'static) -> Report {
            check::sweep::<$checker>(life::Lit::OnceWoken, effort, model)
        }

        /// Starts a model thread that dies when its fuse has burnt. Call it from the model's main thread.
        pub fn spawn<T: $($send +)? 'static>(
            fuse: &Fuse,
            work: impl FnOnce() -> T + $($send +)? 'static,
        ) -> Life<T> {
            life::spawn::<$checker, T, _>(fuse, work, |new| <$checker>::spawn(|| new.live()))
        }

        /// Does `work` on the model's main thread, as a thread that may die in it. `None`: killed. Whatever the thread
        /// holds at the end is the dead one's: what runs on is another, with an id of its own.
        pub fn live_here<T>(fuse: &Fuse, work: impl FnOnce() -> T) -> Option<T> {
            life::live_here::<$checker, T>(fuse, work)
        }

        /// A point at which a thread may die, for code that touches nothing shared.
        pub fn point() {
            life::step::<$checker>();
        }

        /// Lets others go first.
        pub fn yield_now() {
            <$checker>::yield_now();
        }

        /// Chooses what stands in for timed looks in this execution. Call it first, from the model's main thread.
        pub fn set_looks(looks: TimedLooks) {
            life::set_looks::<$checker>(looks);
        }

        /// Has waits spin for so long, by clocks that count their readings; without this none does. Call it first, from
        /// the model's main thread.
        pub fn set_spins(spins: u32) {
            life::set_spins::<$checker>(spins);
        }

        /// Has each wait sleep for a moment once, and then spin for so long, before it sleeps until it is woken. Call
        /// it first, from the model's main thread.
        pub fn set_naps(spins: u32) {
            life::set_spins::<$checker>(spins);
            life::set_naps::<$checker>();
        }

        /// Has each release of a lock that finds a sleeper hand it over; without this none does. Call it first, from
        /// the model's main thread.
        pub fn set_turns() {
            life::set_turns::<$checker>();
        }

        /// The model's own signal, one in each execution.
        pub fn tell() {
            life::tell::<$checker>();
        }

        /// Waits for the model's own signal.
        pub fn wait_until_told() {
            life::wait_until_told::<$checker>();
        }
    };
}
pub(crate) use world;
