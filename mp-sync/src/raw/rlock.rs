//! RLock: a lock that its holder may acquire again; a lock and a depth.
//!
//! ```text
//!             acquire            acquire by the holder
//!   FREE ────────────────► HELD, 1 ────────────────► HELD, 2 ──► …
//!    ▲                       │  ▲                      │
//!    └────── release ────────┘  └────── release ───────┘
//!            (the holder dies: the next one finds OwnerDied, and counts from 1)
//! ```
//!
//! | word    | meaning                                                                                |
//! |---------|----------------------------------------------------------------------------------------|
//! | `lock`  | as in `lock.rs`                                                                        |
//! | `more`  | how often the holder has acquired it after the first time; of a free lock unspecified   |
//! | `note`  | a number of the holder's, 0 at each first acquire; of a free lock unspecified           |
//!
//! # Orderings
//! `more` and `note` are read and written by holders only, so the lock orders them.
//!
//! # When a process dies
//! As for the lock inside. `more` and `note` stay as the dead holder left them, and the next holder
//! overwrites them first.
//!
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: rlock_*

use super::lock::{Acquired, Mine, RawLock};
use mp_core::word::{Deadline, Ordering, Owned, Word};

/// The recursive lock of this module. All zeros is a free lock.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RawRLock<O: Owned> {
    lock: RawLock<O>,
    more: O::Word,
    note: O::Word,
}

impl<O: Owned> RawRLock<O> {
    /// Acquires the lock once more if the calling thread holds it; otherwise acquires it, and waits for it
    /// until the deadline. `None`: the deadline passed first, or it was acquired 2^32 - 1 times already.
    #[inline]
    pub fn acquire(&self, until: Option<Deadline>) -> Option<Acquired> {
        match self.lock.acquire_unless_mine(until) {
            Ok(taken) => self.begin(taken),
            Err(Mine) => self.deeper(),
        }
    }

    /// Acquires the lock if it is free now, or held by the calling thread.
    #[inline]
    pub fn try_acquire(&self) -> Option<Acquired> {
        if self.lock.held_by_me() { self.deeper() } else { self.begin(self.lock.try_acquire()) }
    }

    /// Undoes one acquire; the last one frees the lock. `false`: the calling thread does not hold it, and
    /// nothing is changed.
    #[inline]
    pub fn release(&self) -> bool {
        self.release_noting(|| ())
    }

    /// Undoes one acquire. Calls `update_note` if the calling thread holds the lock and goes on to hold it: after the
    /// last release the note is unspecified.
    #[inline]
    pub fn release_noting(&self, update_note: impl FnOnce()) -> bool {
        // If another thread holds it, this may be any number: both branches check the holder.
        match self.more() {
            0 => self.lock.release(),
            more => self.release_one_of_many(more, update_note),
        }
    }

    #[cold]
    fn release_one_of_many(&self, more: u32, update_note: impl FnOnce()) -> bool {
        let mine = self.held_by_me();
        if mine {
            update_note();
            self.set_more(more - 1);
        }
        mine
    }

    /// Frees the lock whatever the depth, and returns the depth; 0: the calling thread does not hold it, and
    /// nothing is changed. For a thread that waits for a condition and calls
    /// [`acquire_as_before`](RawRLock::acquire_as_before) then.
    pub fn release_all(&self) -> u32 {
        let depth = self.depth();
        self.lock.release();
        depth
    }

    /// Waits for the lock, and sets the depth that [`release_all`](RawRLock::release_all) returned.
    pub fn acquire_as_before(&self, depth: u32) -> Acquired {
        loop {
            if let Some(taken) = self.lock.acquire(None) {
                self.set_more(depth.saturating_sub(1));
                return taken;
            }
        }
    }

    /// See [`RawLock::clear_died`].
    pub fn clear_died(&self) {
        self.lock.clear_died();
    }

    /// See [`RawLock::set_died`].
    pub fn set_died(&self) {
        self.lock.set_died();
    }

    /// The holder's thread id.
    pub fn owner(&self) -> Option<u32> {
        self.lock.owner()
    }

    /// Whether the calling thread holds it.
    #[inline]
    pub fn held_by_me(&self) -> bool {
        self.lock.held_by_me()
    }

    /// Whether a thread holds it.
    pub fn is_locked(&self) -> bool {
        self.lock.is_locked()
    }

    /// How often the calling thread holds it.
    #[inline]
    pub fn depth(&self) -> u32 {
        if self.lock.held_by_me() { self.more().saturating_add(1) } else { 0 }
    }

    /// The holder's note: 0 after its first acquire, until it writes one.
    #[inline]
    pub fn note(&self) -> u32 {
        // ORDERING: Relaxed: holders only, so the lock orders it.
        self.note.load(Ordering::Relaxed)
    }

    /// Writes the holder's note. For the holder.
    #[inline]
    pub fn set_note(&self, note: u32) {
        // ORDERING: Relaxed: holders only, so the lock orders it.
        self.note.store(note, Ordering::Relaxed);
    }

    #[inline]
    fn more(&self) -> u32 {
        // ORDERING: Relaxed: for a holder the lock orders it; for another it says nothing.
        self.more.load(Ordering::Relaxed)
    }

    #[inline]
    fn set_more(&self, more: u32) {
        // ORDERING: Relaxed: holders only, so the lock orders it.
        self.more.store(more, Ordering::Relaxed);
    }

    #[inline]
    fn begin(&self, taken: Option<Acquired>) -> Option<Acquired> {
        if taken.is_some() {
            self.set_more(0);
            self.set_note(0);
        }
        taken
    }

    #[cold]
    fn deeper(&self) -> Option<Acquired> {
        // The depth, which is one more, can be counted too.
        let more = self.more().checked_add(1).filter(|more| *more < u32::MAX)?;
        self.set_more(more);
        // The first acquire reported a death already.
        Some(Acquired::Clean)
    }
}
