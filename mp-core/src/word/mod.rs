//! Words that several processes see and can sleep on; the traits that algorithms are written over.
//!
//! ```text
//!   mp-sync/src/raw, mp-queue/src/ring      algorithms, generic over the traits below
//!        │                       │
//!   sys::FutexWord          mp_model::ModelWord
//!   shared memory + futex   loom, shuttle, threads under Miri: interleavings, death points
//! ```
//!
//! An algorithm that sleeps and wakes is written once, over [`Word`], [`Long`] and [`Owned`]. The same source
//! runs on futexes in production and in a model checker, since the traits are the whole of its world: no
//! system call, no clock, no pointer.
//!
//! # The rule of every wait
//! First a [`Waiting`] spins for as long as that is worth it, then [`Word::wait`]. A wait may return for no reason
//! and does so at the latest after half a second ([`Word::wait_long`]: its [`Looks`]), so an algorithm calls it in a
//! loop and reads the word again, with the ordering it needs. So a process that is killed between its commit
//! and its wake delays a sleeper, and does not strand it.

mod deadline;
mod looks;
mod waiting;

pub use deadline::Deadline;
pub use looks::Looks;
use std::sync::atomic::AtomicU64;
pub use std::sync::atomic::Ordering;
use std::time::Duration;
pub use waiting::{Learned, Machine, Pace, Site, Waiting};

/// Why [`Word::wait`] came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Try again: the word changed, another thread woke this one, or the timed wake-up was due.
    Look,
    /// The deadline has passed.
    TimedOut,
}

/// An atomic `u32` in memory that other processes map, on which one can sleep.
pub trait Word: Machine + Learned + Sync {
    /// Reads the word.
    fn load(&self, order: Ordering) -> u32;
    /// Writes the word.
    fn store(&self, value: u32, order: Ordering);
    /// Writes the word, and gives what was there.
    fn swap(&self, value: u32, order: Ordering) -> u32;
    /// Adds, wrapping; gives what was there.
    fn fetch_add(&self, value: u32, order: Ordering) -> u32;
    /// Subtracts, wrapping; gives what was there.
    fn fetch_sub(&self, value: u32, order: Ordering) -> u32;
    /// Sets the bits of `value`; gives what was there.
    fn fetch_or(&self, value: u32, order: Ordering) -> u32;
    /// Writes `new` if `current` is there; `Err` gives what was there instead.
    fn compare_exchange(&self, current: u32, new: u32, ok: Ordering, err: Ordering) -> Result<u32, u32>;

    /// Sleeps while the word is `expected`, until another thread wakes it, the deadline passes, or it is time to
    /// look again (half a second at most). Call it in a loop.
    fn wait(&self, expected: u32, until: Option<Deadline>) -> Wake;
    /// Sleeps as [`wait`](Word::wait) does, while others wake by themselves for this one: it is time to look again at
    /// the next moment of `looks`.
    fn wait_long(&self, expected: u32, until: Option<Deadline>, looks: Looks) -> Wake;
    /// Sleeps as [`wait`](Word::wait) does, while `other` has the value `other_expected`, too: a wake there ends it as
    /// well. Where the system cannot wait for two words, a change of `other` is seen at the next look.
    fn wait_either(&self, expected: u32, other: &Self, other_expected: u32, until: Option<Deadline>) -> Wake
    where
        Self: Sized,
    {
        let _ = (other, other_expected);
        self.wait(expected, until)
    }
    /// Sleeps as [`wait`](Word::wait) does, for so many nanoseconds at most: as exactly as the system can.
    fn nap(&self, expected: u32, nanos: u32) {
        self.wait(expected, Deadline::after(Duration::from_nanos(nanos.into())));
    }
    /// Wakes up to `count` threads that sleep on this word. Returns their number.
    fn wake(&self, count: u32) -> u32;
    /// Wakes up to `count` threads that sleep on this word by [`wait_long`](Word::wait_long), and no others.
    /// Gives how many they were.
    fn wake_long(&self, count: u32) -> u32;

    /// Begins to fetch the word's cache line, to be written soon. Changes nothing.
    fn prefetch(&self) {}

    /// Orders everything before it against everything after it, for all threads (a sequentially consistent
    /// fence).
    fn fence();
}

/// An atomic `u64` in memory that other processes map: counters and cursors. No thread sleeps on it.
pub trait Long: Sync {
    /// Reads the value.
    fn load(&self, order: Ordering) -> u64;
    /// Writes the value.
    fn store(&self, value: u64, order: Ordering);
}

impl Long for AtomicU64 {
    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }
    #[inline]
    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }
}

/// A word that the kernel can find when its owner dies: the heart of a lock that survives its holder.
///
/// The word holds the owner's id in its low 30 bits. When the owner dies with the word *enlisted*, or with the
/// word *announced* and its own id in it, the kernel writes `DIED` over the id and wakes one sleeper; with the
/// word announced and no id in it, the kernel wakes one sleeper.
pub trait Owned: Sync {
    /// The word inside.
    type Word: Word;
    /// The word itself.
    fn word(&self) -> &Self::Word;
    /// The calling thread's id: non-zero, below 2^30, of no other living thread.
    fn me() -> u32;
    /// Announces that this thread is about to acquire or to release this word.
    fn announce(&self);
    /// "I hold it." After [`announce`](Owned::announce), which may be [retracted](Owned::retract) then or only when
    /// the word is released.
    fn enlist(&self);
    /// "I hold it no longer." Between [`announce`](Owned::announce) and [`retract`](Owned::retract).
    fn delist(&self);
    /// Ends what [`announce`](Owned::announce) began.
    fn retract(&self);
    /// Whether the owner of this id has certainly ended, although the kernel did not report it. Asked at each timed
    /// wake-up, for systems where the kernel keeps no list. `false` if it is not known: the caller waits, and asks
    /// again.
    fn is_dead(owner: u32) -> bool;
    /// Whether the kernel would tell of the calling thread's death if it took one more word: `false` where it keeps
    /// no list, and for a thread that has as many on it as fit. Then others have to ask.
    fn kernel_tells() -> bool;
}
