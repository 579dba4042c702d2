//! A lock that its holder may take again: a lock, and how often it was taken.
//!
//! ```text
//!             acquire            acquire by the holder
//!   FREE ────────────────► HELD, 1 ────────────────► HELD, 2 ──► …
//!    ▲                       │  ▲                      │
//!    └────── release ────────┘  └────── release ───────┘
//!            (the holder dies: the next one finds OwnerDied, and counts from 1)
//! ```
//!
//! | word    | means                                                             |
//! |---------|-------------------------------------------------------------------|
//! | `lock`  | as in `lock.rs`                                                   |
//! | `depth` | how often the holder has taken it; of a free lock it says nothing |
//!
//! # Orderings
//! `depth` is read and written by holders only, so the lock orders it.
//! # When a process dies
//! As with the lock inside. `depth` stays as the dead holder left it, and the next holder's first act is to
//! overwrite it.
//! # Tried by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: rlock_*

use super::lock::{Acquired, RawLock};
use mp_core::word::{Deadline, Ordering, Owned, Word};

/// How it works is said at the top of its file. All zeros is a free lock.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RawRLock<O: Owned> {
    lock: RawLock<O>,
    depth: O::Word,
}

impl<O: Owned> RawRLock<O> {
    /// Takes the lock once more if the calling thread holds it; else takes it, and waits for it until the deadline.
    /// `None`: the deadline passed first, or it was taken 2^32 - 1 times already.
    #[inline]
    pub fn acquire(&self, until: Option<Deadline>) -> Option<Acquired> {
        if self.lock.held_by_me() { self.deeper() } else { self.first(self.lock.acquire(until)) }
    }

    /// As [`acquire`](RawRLock::acquire), without waiting.
    #[inline]
    pub fn try_acquire(&self) -> Option<Acquired> {
        if self.lock.held_by_me() { self.deeper() } else { self.first(self.lock.try_acquire()) }
    }

    /// Takes back one acquire; the last one gives the lock to others. `false`, and nothing is changed: the calling
    /// thread does not hold it.
    #[inline]
    pub fn release(&self) -> bool {
        match self.depth() {
            0 => false,
            1 => self.lock.release(),
            depth => {
                self.set_depth(depth - 1);
                true
            }
        }
    }

    /// Gives the lock to others whatever the depth, and says how deep it was; 0, and nothing is changed: the calling
    /// thread does not hold it. For one who waits for a condition and comes back with
    /// [`acquire_as_before`](RawRLock::acquire_as_before).
    pub fn release_all(&self) -> u32 {
        let depth = self.depth();
        self.lock.release();
        depth
    }

    /// Waits for the lock, and is as deep in it as [`release_all`](RawRLock::release_all) said.
    pub fn acquire_as_before(&self, depth: u32) -> Acquired {
        loop {
            if let Some(taken) = self.lock.acquire(None) {
                self.set_depth(depth);
                return taken;
            }
        }
    }

    /// As [`RawLock::clear_died`].
    pub fn clear_died(&self) {
        self.lock.clear_died();
    }

    /// As [`RawLock::set_died`].
    pub fn set_died(&self) {
        self.lock.set_died();
    }

    /// The holder's thread id.
    pub fn owner(&self) -> Option<u32> {
        self.lock.owner()
    }

    /// Whether somebody holds it.
    pub fn is_locked(&self) -> bool {
        self.lock.is_locked()
    }

    /// How often the calling thread holds it.
    #[inline]
    pub fn depth(&self) -> u32 {
        // ORDERING: Relaxed: holders only, so the lock orders it.
        if self.lock.held_by_me() { self.depth.load(Ordering::Relaxed) } else { 0 }
    }

    #[inline]
    fn set_depth(&self, depth: u32) {
        // ORDERING: Relaxed: holders only, so the lock orders it.
        self.depth.store(depth, Ordering::Relaxed);
    }

    #[inline]
    fn first(&self, taken: Option<Acquired>) -> Option<Acquired> {
        if taken.is_some() {
            self.set_depth(1);
        }
        taken
    }

    fn deeper(&self) -> Option<Acquired> {
        let deeper = self.depth().checked_add(1)?;
        self.set_depth(deeper);
        // Who died was told with the first.
        Some(Acquired::Clean)
    }
}
