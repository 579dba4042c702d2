//! Event count: a word to sleep on, and a flag that says that a process may sleep. One each for consumers that
//! wait for a record, producers that wait for room, and joiners.
//!
//! ```text
//!  sleeper:  asleep = 1 ─ fence ─ seen = changes ─ last attempt ─ asleep still 1?
//!               ─ sleep while changes == seen ─ asleep = 1 ─ fence ─ attempt ─ more there? wake one
//!  waker:    commit ─ fence ─ asleep? ── 0: done
//!                               └─ 1: asleep = 0 ─ changes + 1 ─ wake one
//! ```
//!
//! Without sleepers a call costs one fence and one load.
//!
//! A sleeper that wakes sets `asleep` again before anything else, since it does not know whether other
//! sleepers are left. When it leaves and more records are there, it passes the wake on: one wake may have
//! stood for several records. The price is one superfluous wake after each sleep.
//!
//! # Why no wake is lost
//! Either the sleeper's last attempt sees the commit, or the waker sees the sleeper's flag: a fence stands
//! between the two accesses of each. A waker clears the flag *before* it changes the word. So a sleeper that
//! read the word after the change also reads the cleared flag, and does not sleep. One that read the word
//! before the change is not put to sleep by the kernel, or sleeps and is woken.
//!
//! # When a process dies
//! A waker may die between its commit and its wake, a sleeper between its wake and its next step. The other
//! sleepers then wake by themselves within half a second, and set the flag again. Of the consumers two do so
//! for all, and pass on what they find (leaders.rs). Nothing else is lost.
//!
//! # Tested by
//! ring/model/waits.rs, ring/crowd.rs

use super::leaders::Sleeper;
use mp_core::word::{Deadline, Ordering, Owned, Pace, Waiting, Wake, Word};

/// See the module.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct EventCount<W> {
    changes: W,
    asleep: W,
}

/// The result of the repeated attempts (`None`: the deadline passed), and whether the caller slept.
pub(super) type Repeated<T> = (Option<T>, bool);

impl<W: Word> EventCount<W> {
    /// Repeats `attempt` until it returns something or the deadline passes. Between the attempts it spins while
    /// `watch` does not change, then sleeps as the `sleeper` that is made for the word.
    #[inline]
    pub(super) fn repeat<'a, O: Owned<Word = W> + 'a, T>(
        &'a self,
        until: Option<Deadline>,
        sleeper: impl FnOnce(&'a W) -> Sleeper<'a, O>,
        watch: impl Fn() -> u64,
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Repeated<T> {
        // Most calls succeed at once.
        let found = attempt();
        if found.is_some() { (found, false) } else { self.wait_and_repeat(until, sleeper, watch, attempt) }
    }

    #[cold]
    fn wait_and_repeat<'a, O: Owned<Word = W> + 'a, T>(
        &'a self,
        until: Option<Deadline>,
        sleeper: impl FnOnce(&'a W) -> Sleeper<'a, O>,
        watch: impl Fn() -> u64,
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Repeated<T> {
        let mut sleeper = sleeper(&self.changes);
        let mut waiting = Waiting::new(&self.changes, Pace::Dense);
        let mut slept = false;
        loop {
            // Read before the attempt: what is put after that counts as a change, or the spin would miss it.
            let before = watch();
            let found = attempt();
            if found.is_some() {
                waiting.found();
                return (found, slept);
            }
            if until.is_some_and(Deadline::passed) {
                return (None, slept);
            }
            if Self::spin(&mut waiting, before, &watch) {
                continue;
            }
            match self.sleep(&mut waiting, &mut sleeper, until, &mut attempt) {
                Slept::Done(done) => return (Some(done), slept),
                Slept::NotAtAll => waiting.again(),
                Slept::Woken => {
                    waiting.again();
                    slept = true;
                }
                // Most often the queue is still empty, and this attempt is all that is due.
                Slept::ForALook => slept = true,
                Slept::TooLate => return (attempt(), true),
            }
        }
    }

    /// Spins for the adaptive budget. `true`: the watched value has changed from `before`.
    fn spin(waiting: &mut Waiting<'_, W>, before: u64, watch: impl Fn() -> u64) -> bool {
        while waiting.pause() {
            if watch() != before {
                return true;
            }
        }
        false
    }

    fn sleep<O: Owned<Word = W>, T>(
        &self,
        waiting: &mut Waiting<'_, W>,
        sleeper: &mut Sleeper<'_, O>,
        until: Option<Deadline>,
        attempt: &mut impl FnMut() -> Option<T>,
    ) -> Slept<T> {
        let EventCount { changes, asleep } = self;
        // ORDERING: Relaxed: the fence orders it before the last attempt.
        asleep.store(1, Ordering::Relaxed);
        W::fence();
        // ORDERING: Acquire, pairs with the Release in `notify`: the flag below is no older.
        let seen = changes.load(Ordering::Acquire);
        if let Some(done) = attempt() {
            return Slept::Done(done);
        }
        // ORDERING: Relaxed: see above.
        if asleep.load(Ordering::Relaxed) == 0 {
            return Slept::NotAtAll;
        }
        let napped = waiting.nap(until, |nanos| changes.nap(seen, nanos));
        let woken = if napped { Wake::Look } else { sleeper.wait(seen, until) };
        // Other sleepers may be left, and this one does not know. ORDERING: Relaxed: the fence orders it
        // before the attempts that follow. A producer in between sees the flag, or an attempt sees its
        // record.
        asleep.store(1, Ordering::Relaxed);
        W::fence();
        match woken {
            Wake::TimedOut => Slept::TooLate,
            // ORDERING: Relaxed: whether to spin, and no more.
            Wake::Look if changes.load(Ordering::Relaxed) == seen => Slept::ForALook,
            Wake::Look => Slept::Woken,
        }
    }

    /// Spins for `budget` nanoseconds at most, as what will be changed by the processes that this count wakes.
    pub(super) fn spinning(&self, budget: u32) -> Waiting<'_, W> {
        Waiting::spinning(&self.changes, Pace::Dense, budget)
    }

    /// After a commit: wakes one waiter, if one may be asleep.
    #[inline]
    pub(super) fn wake_one(&self) {
        self.wake_if(1, || true);
    }

    /// After a commit: wakes all waiters, if one may be asleep and the condition holds.
    pub(super) fn wake_all_if(&self, holds: impl FnOnce() -> bool) {
        self.wake_if(u32::MAX, holds);
    }

    #[inline]
    fn wake_if(&self, count: u32, holds: impl FnOnce() -> bool) {
        W::fence();
        // ORDERING: Relaxed: the fence orders it after the commit.
        if self.asleep.load(Ordering::Relaxed) != 0 && holds() {
            self.notify(count);
        }
    }

    /// Clears the flag, changes the word, and wakes `count` sleepers, in this order: see the module.
    #[cold]
    pub(super) fn notify(&self, count: u32) {
        // ORDERING: Relaxed: published by the change of the word.
        self.asleep.store(0, Ordering::Relaxed);
        // ORDERING: Release, pairs with the Acquire in `sleep`.
        self.changes.fetch_add(1, Ordering::Release);
        self.changes.wake(count);
    }

    /// Wakes all waiters, so that each tries again. They stay: the flag is not cleared.
    pub(super) fn wake_all(&self) {
        // ORDERING: Release, pairs with the Acquire in `sleep`: what was changed before is seen.
        self.changes.fetch_add(1, Ordering::Release);
        self.changes.wake(u32::MAX);
    }

    /// For a model: one sleep of a waiter that has tried before.
    #[cfg(test)]
    pub(super) fn sleep_once<'a, O: Owned<Word = W> + 'a>(
        &'a self,
        until: Option<Deadline>,
        sleeper: impl FnOnce(&'a W) -> Sleeper<'a, O>,
    ) -> Sleeper<'a, O> {
        // ORDERING: Acquire, as before each sleep.
        let seen = self.changes.load(Ordering::Acquire);
        let mut sleeper = sleeper(&self.changes);
        sleeper.wait(seen, until);
        sleeper
    }
}

enum Slept<T> {
    /// The last attempt before the sleep succeeded.
    Done(T),
    /// A waker cleared the flag at that moment: try again.
    NotAtAll,
    Woken,
    /// The sleep ended by itself: time for an attempt.
    ForALook,
    TooLate,
}
