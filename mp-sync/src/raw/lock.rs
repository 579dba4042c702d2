//! Lock: a lock with an owner, in one word that the kernel knows and words that only holders use.
//!
//! ```text
//!          ┌───────────── release ─────────────┐
//!          ▼                                   │
//!        FREE ───────── acquire ─────────► HELD by tid ── a thread will sleep ───► HELD, WAITERS
//!          ▲                                   │                                       │
//!          ├──────── release: left = 1, wake one ──────────────────────────────────────┤
//!          │                                   └───────── the holder dies ─────────────┤
//!          │                                                                           ▼
//!   clear_died, release ◄── HELD, DIED ◄── acquire: OwnerDied ── DIED (WAITERS as it was), wake one
//! ```
//!
//! | word           | meaning                                                                        |
//! |----------------|--------------------------------------------------------------------------------|
//! | low 30 bits    | the holder's thread id; 0: free                                                |
//! | DIED           | a holder died or panicked; stays, also over releases, until `clear_died`       |
//! | WAITERS        | a thread sleeps, or is about to: the release wakes one, and so does the kernel |
//! | `left`, bit 0  | the last release cleared WAITERS and woke one: the next one wakes one too      |
//! | WAITERS alone  | free, and reserved for threads that have slept: it was handed over             |
//! | `since`        | when a thread that had slept acquired it last, or when it was handed over      |
//! | `left` / 2     | how long it may be kept from sleepers, in nanoseconds                          |
//!
//! A sleeper that wakes acquires the word with WAITERS, since it does not know whether other threads still
//! sleep.
//!
//! A thread that finds the lock held reads it again at growing intervals before it sleeps. Meanwhile the
//! holder, which often acquires it again at once, keeps the word on its CPU. So a contended lock is held in
//! bursts.
//!
//! # Fairness
//! A thread that releases and acquires again at once gets the lock before a woken sleeper runs. So a release
//! hands the lock over if WAITERS is set and no sleeper has had the lock for three milliseconds. It leaves
//! WAITERS without an owner. Only a thread that has slept may acquire that word, or a `try_acquire`, or a
//! thread that has waited for ten milliseconds since. A death is harmless there: to the kernel such a word is
//! free. The time until the woken thread comes is measured. Where it is long, other processes have the CPUs,
//! and turns are eight times as long as that, a tenth of a second at most.
//!
//! # Why `left`
//! A release clears WAITERS and wakes a sleeper. If it is killed between the two, or the sleeper between its
//! wake and its next step, that wake is lost. The kernel repairs this while the word is free (both threads have
//! it announced). It does not when a third thread has acquired the word in between: that thread holds it
//! without WAITERS, and its release would wake no thread. If WAITERS stayed in the word instead, no thread
//! would know when to clear it, and each release after the first contention would cost a system call. So the
//! release sets a note under the lock's own protection. The next release without WAITERS clears the note and
//! wakes one more. After one death at least one of the two woken threads lives, and it acquires the word with
//! WAITERS. The cost is two superfluous wakes at the end of each contention.
//!
//! # Orderings
//! acquire (Acquire) pairs with release (Release) and with what the kernel writes for a dead holder. `left` is
//! read and written by holders only. Marking is Relaxed: the mark is for the value on which it is set.
//!
//! # When a process dies
//! - *While it holds the lock*: the kernel writes DIED and wakes one thread; the next acquire returns
//!   OwnerDied.
//! - *While it acquires or releases*: the word is announced before it is changed and until after the wake, so
//!   the kernel sees it.
//! - *While it sleeps*: a superfluous wake.
//!
//! Two deaths in the same few instructions can leave a sleeper to its timed wake-up, half a second at most.
//! Where the kernel keeps no list, a thread that wakes by itself asks whether the owner lives, and takes over.
//!
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: lock_*

use super::turn::{self, PATIENCE};
use mp_core::word::{Deadline, Machine, Ordering, Owned, Pace, Waiting, Wake, Word};

const FREE: u32 = 0;
/// The kernel's `FUTEX_TID_MASK`, `FUTEX_OWNER_DIED` and `FUTEX_WAITERS`.
const OWNER: u32 = (1 << 30) - 1;
const DIED: u32 = 1 << 30;
const WAITERS: u32 = 1 << 31;
/// The one of `left`.
const NOTE: u32 = 1;
/// Handed over: for a thread that has slept.
const HANDED: u32 = WAITERS;

/// The state in which the lock was acquired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "after OwnerDied the guarded data may be half changed"]
pub enum Acquired {
    /// Each earlier holder released it.
    Clean,
    /// A holder died or panicked with it, and [`RawLock::clear_died`] was not called since.
    OwnerDied,
}

/// The calling thread holds the lock.
#[derive(Debug)]
pub(super) struct Mine;

/// The lock of this module. All zeros is a free lock.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RawLock<O: Owned> {
    state: O,
    left: O::Word,
    /// The lock's words are 48 bytes, so that a small value fits on their cache line.
    since: O::Word,
}

impl<O: Owned> RawLock<O> {
    /// Acquires the lock, and waits for it until the deadline. `None`: the deadline passed first. A free lock
    /// is acquired even after the deadline. A thread that holds it already deadlocks.
    #[inline]
    pub fn acquire(&self, until: Option<Deadline>) -> Option<Acquired> {
        let me = O::me();
        self.state.announce();
        if self.swap_in(FREE, me).is_err() {
            return self.acquire_slow(me, until);
        }
        self.state.enlist();
        // Not retracted, which would cost as much as the rest: the kernel handles a word that is announced and
        // held in either way, and the release announces it again and retracts it.
        Some(Acquired::Clean)
    }

    /// Acquires the lock for a thread that may hold it already: then `Err`, and nothing is changed. The holder
    /// is checked only if the lock is not free: an earlier read would fetch a contended word twice.
    #[inline]
    pub(super) fn acquire_unless_mine(&self, until: Option<Deadline>) -> Result<Option<Acquired>, Mine> {
        let me = O::me();
        self.state.announce();
        match self.swap_in(FREE, me) {
            Ok(_) => {
                self.state.enlist();
                // Not retracted, as in `acquire`.
                Ok(Some(Acquired::Clean))
            }
            // Announced and held, as after the acquire that took it.
            Err(seen) if seen & OWNER == me => Err(Mine),
            Err(_) => Ok(self.acquire_slow(me, until)),
        }
    }

    /// Acquires the lock if it is free now.
    #[inline]
    pub fn try_acquire(&self) -> Option<Acquired> {
        let me = O::me();
        self.state.announce();
        let mut seen = FREE;
        let taken = loop {
            match self.take(seen, me) {
                Ok(taken) => break Some(taken),
                Err(now) if now & OWNER == 0 => seen = now,
                Err(_) => break None,
            }
        };
        if taken.is_some() {
            self.state.enlist();
        }
        self.state.retract();
        taken
    }

    /// Releases the lock and wakes one waiter. `false`, and nothing is changed: the calling thread does not hold it.
    #[inline]
    pub fn release(&self) -> bool {
        let me = O::me();
        if self.id() != me {
            return false;
        }
        self.state.announce();
        // First off this thread's list: once the word is free, the next holder may put it on its own.
        self.state.delist();
        if self.note() || self.swap_out(me, FREE).is_err() {
            self.release_slow();
        }
        self.state.retract();
        true
    }

    /// Clears the mark of a holder's death: the next acquire returns [`Acquired::Clean`]. For the holder, once
    /// the guarded data is repaired. No effect if the caller does not hold the lock.
    pub fn clear_died(&self) {
        // ORDERING: Relaxed: only holders change DIED, and later holders read it.
        let seen = self.state.word().load(Ordering::Relaxed);
        if seen & OWNER == O::me() && seen & DIED != 0 {
            // A subtraction, since others may set WAITERS meanwhile.
            self.state.word().fetch_sub(DIED, Ordering::Relaxed);
        }
    }

    /// Marks the lock like a holder's death, for a holder that leaves half a change: the next acquire returns
    /// [`Acquired::OwnerDied`]. No effect if the caller does not hold the lock.
    #[cold]
    pub fn set_died(&self) {
        if self.held_by_me() {
            // ORDERING: Relaxed, as in `clear_died`.
            self.state.word().fetch_or(DIED, Ordering::Relaxed);
        }
    }

    /// The holder's thread id.
    pub fn owner(&self) -> Option<u32> {
        Some(self.id()).filter(|id| *id != 0)
    }

    /// Whether a thread holds it.
    pub fn is_locked(&self) -> bool {
        self.id() != 0
    }

    /// Whether the calling thread holds it.
    #[inline]
    pub fn held_by_me(&self) -> bool {
        self.id() == O::me()
    }

    #[inline]
    fn id(&self) -> u32 {
        // ORDERING: Relaxed: a thread's own id is written and taken away by that thread only; to learn of
        // another's promises nothing.
        self.state.word().load(Ordering::Relaxed) & OWNER
    }

    #[inline]
    fn note(&self) -> bool {
        read(&self.left) & NOTE != 0
    }

    fn leave_note(&self, note: bool) {
        write(&self.left, read(&self.left) & !NOTE | u32::from(note));
    }

    #[inline]
    fn swap_in(&self, seen: u32, new: u32) -> Result<u32, u32> {
        // ORDERING: Acquire, pairs with the Release in `swap_out` and `release_slow`, and with the kernel's own
        // exchange for a dead holder. Relaxed on failure: nothing was taken.
        self.state.word().compare_exchange(seen, new, Ordering::Acquire, Ordering::Relaxed)
    }

    #[inline]
    fn swap_out(&self, seen: u32, new: u32) -> Result<u32, u32> {
        // ORDERING: Release, pairs with the Acquire in `swap_in`. Relaxed on failure: still held.
        self.state.word().compare_exchange(seen, new, Ordering::Release, Ordering::Relaxed)
    }

    /// Acquires a word that was seen free, with its flags; `mine` is the id and the flags to add.
    fn take(&self, seen: u32, mine: u32) -> Result<Acquired, u32> {
        self.swap_in(seen, seen | mine)?;
        Ok(if seen & DIED == 0 { Acquired::Clean } else { Acquired::OwnerDied })
    }

    #[cold]
    fn acquire_slow(&self, me: u32, until: Option<Deadline>) -> Option<Acquired> {
        let taken = self.contend(me, until);
        if taken.is_some() {
            self.state.enlist();
        }
        self.state.retract();
        taken
    }

    fn contend(&self, me: u32, until: Option<Deadline>) -> Option<Acquired> {
        let mut mine = me;
        // Whether it has slept.
        let mut slept = false;
        let mut waiting = Waiting::new(self.state.word(), Pace::Sparse);
        let mut late = false;
        loop {
            // ORDERING: Relaxed: whatever it says is confirmed by a compare_exchange.
            let mut seen = self.state.word().load(Ordering::Relaxed);
            // A word that was handed over is left to threads that have slept, or the handing over would be
            // without effect.
            while seen & OWNER == 0 && (slept || late || seen != HANDED) {
                match self.take(seen, mine) {
                    Ok(taken) => {
                        waiting.found();
                        if slept {
                            self.note_turn(seen == HANDED);
                        }
                        return Some(taken);
                    }
                    Err(now) => seen = now,
                }
            }
            if !late && waiting.pause() {
                continue;
            }
            if seen == HANDED {
                let patience = Deadline::after(PATIENCE);
                let end = until.into_iter().chain(patience).min();
                self.state.word().wait(HANDED, end);
                late = until.is_some_and(Deadline::passed);
                (mine, slept) = (me | WAITERS, true);
                waiting.again();
                continue;
            }
            // Without the mark the release would not wake this thread.
            if !self.mark(seen) {
                continue;
            }
            if late {
                // This thread may have consumed a wake that was meant for another: the mark passes it on.
                return None;
            }
            late = self.state.word().wait(seen | WAITERS, until) == Wake::TimedOut;
            // Woken, timed, or a dead owner that the kernel did not report: check the last.
            if self.take_over(seen | WAITERS, me) {
                return Some(Acquired::OwnerDied);
            }
            // Other threads may still sleep, and this one does not know: from now on it acquires with WAITERS.
            (mine, slept) = (me | WAITERS, true);
            waiting.again();
        }
    }

    /// Sets WAITERS before a sleep. `false`: the word has changed.
    fn mark(&self, seen: u32) -> bool {
        // ORDERING: Relaxed: it publishes nothing; the holder's release reads it in the same word.
        seen & WAITERS != 0
            || self
                .state
                .word()
                .compare_exchange(seen, seen | WAITERS, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// After a timed wake-up that found the word unchanged: takes the lock over if its owner is dead and the
    /// kernel did not report it.
    fn take_over(&self, asleep_on: u32, me: u32) -> bool {
        // ORDERING: Relaxed: confirmed by the exchange below.
        self.state.word().load(Ordering::Relaxed) == asleep_on
            && O::is_dead(asleep_on & OWNER)
            && self.swap_in(asleep_on, me | WAITERS | DIED).is_ok()
    }

    #[cold]
    fn release_slow(&self) {
        // ORDERING: Relaxed: held, so all but WAITERS stands still.
        let seen = self.state.word().load(Ordering::Relaxed);
        let died = seen & DIED;
        if seen & WAITERS == 0 {
            let note = self.note();
            self.leave_note(false);
            if self.swap_out(seen, died).is_ok() {
                if note {
                    self.state.word().wake(1);
                }
                return;
            }
        }
        if died == 0 && self.is_a_turn_over() {
            return self.hand_over();
        }
        // The note before the word: a thread that finds WAITERS cleared must find the note.
        self.leave_note(true);
        // ORDERING: Release, pairs with the Acquire in `swap_in`.
        self.state.word().swap(died, Ordering::Release);
        self.state.word().wake(1);
    }

    /// Whether sleepers have waited long enough. For the holder that releases.
    fn is_a_turn_over(&self) -> bool {
        turn::is_over(&self.since, || read(&self.left) >> 1)
    }

    /// Releases the lock to a thread that has slept.
    fn hand_over(&self) {
        write(&self.since, turn::now::<O::Word>());
        // ORDERING: Release, pairs with the Acquire in `swap_in`.
        self.state.word().swap(HANDED, Ordering::Release);
        if self.state.word().wake(1) == 0 {
            // The mark was set by a thread that gave up. A thread that is about to sleep sees that the word has
            // changed. ORDERING: Relaxed: the holder's writes were published by the swap, which this continues.
            let _ = self.state.word().compare_exchange(HANDED, FREE, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// A thread that had slept has acquired the lock: measures its turn.
    fn note_turn(&self, handed: bool) {
        if <O::Word>::turn().is_none() {
            return;
        }
        let now = turn::now::<O::Word>();
        if handed {
            let turn = turn::length(now.wrapping_sub(read(&self.since)));
            write(&self.left, turn << 1 | read(&self.left) & NOTE);
        }
        write(&self.since, now);
    }
}

fn read(word: &impl Word) -> u32 {
    // ORDERING: Relaxed: holders only, so the lock orders it.
    word.load(Ordering::Relaxed)
}

fn write(word: &impl Word, value: u32) {
    // ORDERING: Relaxed: as in `read`.
    word.store(value, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
