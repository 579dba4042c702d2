//! Waiting for the other side, and waking it: an event count for each side.
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

use super::layout::{EventCount, Leaders};
use super::leaders::Sleeper;
use super::{Memory, NotTaken, Refused, Ring, WordOf};
use mp_core::word::{Deadline, Ordering, Pace, Waiting, Wake, Word};

/// The result of the repeated attempts (`None`: the deadline passed), and whether the caller slept.
type Repeated<T> = (Option<T>, bool);

impl<M: Memory> Ring<M> {
    /// Repeats `attempt`, a put, until it does not return `Full` or the deadline passes. Then wakes the
    /// waiters concerned.
    #[inline]
    pub(crate) fn until_room<T>(
        &self,
        until: Option<Deadline>,
        mut attempt: impl FnMut() -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let attempt = || Some(attempt()).filter(|result| !matches!(result, Err(Refused::Full)));
        let (result, slept) = self.repeat(until, &self.layout().freed, None, || self.taken_so_far(), attempt);
        self.after_put(slept, result.unwrap_or(Err(Refused::Full)))
    }

    /// Repeats `attempt`, a take, until it does not return `Empty` or the deadline passes. Then wakes the
    /// waiters concerned.
    #[inline]
    pub(crate) fn until_item<T>(
        &self,
        until: Option<Deadline>,
        mut attempt: impl FnMut() -> Result<T, NotTaken>,
    ) -> Result<T, NotTaken> {
        let attempt = || Some(attempt()).filter(|result| !matches!(result, Err(NotTaken::Empty)));
        let (event_count, leaders) = (&self.layout().published, &*self.layout().leaders);
        let (result, slept) = self.repeat(until, event_count, Some(leaders), || self.put_so_far(), attempt);
        self.after_take(slept, result.unwrap_or(Err(NotTaken::Empty)))
    }

    /// The wakes after a put, also one that did not wait.
    #[inline]
    pub(crate) fn after_put<T>(&self, slept: bool, result: Result<T, Refused>) -> Result<T, Refused> {
        if slept && !self.is_full() {
            // This sleeper's wake may have stood for more room than it used. Without passing it on, another
            // producer would sleep beside free room.
            Self::wake_one(&self.layout().freed);
        }
        if result.is_ok() {
            // A put wakes one consumer; the consumer passes the wake on if more records are there.
            Self::wake_one(&self.layout().published);
        }
        result
    }

    /// The wakes after a take, also one that did not wait.
    #[inline]
    pub(crate) fn after_take<T>(&self, slept: bool, result: Result<T, NotTaken>) -> Result<T, NotTaken> {
        if slept && !self.is_empty() {
            // This sleeper's wake may have stood for several records: pass it on.
            Self::wake_one(&self.layout().published);
        }
        match result {
            Ok(_) => Self::wake_one(&self.layout().freed),
            // Only the few leaders wake by themselves, so the end of the queue is told to all.
            Err(NotTaken::Ended | NotTaken::Corrupt) if slept => {
                Self::notify(&self.layout().published, u32::MAX)
            }
            Err(_) => {}
        }
        result
    }

    #[inline]
    pub(super) fn repeat<T>(
        &self,
        until: Option<Deadline>,
        event_count: &EventCount<WordOf<M>>,
        leaders: Option<&Leaders<M::Owned>>,
        watch: impl Fn() -> u64,
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Repeated<T> {
        // Most calls succeed at once.
        let found = attempt();
        if found.is_some() {
            (found, false)
        } else {
            self.wait_and_repeat(until, event_count, leaders, watch, attempt)
        }
    }

    #[cold]
    fn wait_and_repeat<T>(
        &self,
        until: Option<Deadline>,
        event_count: &EventCount<WordOf<M>>,
        leaders: Option<&Leaders<M::Owned>>,
        watch: impl Fn() -> u64,
        mut attempt: impl FnMut() -> Option<T>,
    ) -> Repeated<T> {
        let mut sleeper = Sleeper::new(event_count, leaders, M::FIRST_ALONE);
        let mut waiting = Waiting::new(&event_count.changes, Pace::Dense);
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
            match Self::sleep(&mut sleeper, until, &mut attempt) {
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
    fn spin(waiting: &mut Waiting<'_, WordOf<M>>, before: u64, watch: impl Fn() -> u64) -> bool {
        while waiting.pause() {
            if watch() != before {
                return true;
            }
        }
        false
    }

    fn sleep<T>(
        sleeper: &mut Sleeper<'_, M::Owned>,
        until: Option<Deadline>,
        attempt: &mut impl FnMut() -> Option<T>,
    ) -> Slept<T> {
        let EventCount { changes, asleep } = sleeper.event_count();
        // ORDERING: Relaxed: the fence orders it before the last attempt.
        asleep.store(1, Ordering::Relaxed);
        <WordOf<M>>::fence();
        // ORDERING: Acquire, pairs with the Release in `wake_one`: the flag below is no older.
        let seen = changes.load(Ordering::Acquire);
        if let Some(done) = attempt() {
            return Slept::Done(done);
        }
        // ORDERING: Relaxed: see above.
        if asleep.load(Ordering::Relaxed) == 0 {
            return Slept::NotAtAll;
        }
        let woken = sleeper.wait(seen, until);
        // Other sleepers may be left, and this one does not know. ORDERING: Relaxed: the fence orders it
        // before the attempts that follow. A producer in between sees the flag, or an attempt sees its
        // record.
        asleep.store(1, Ordering::Relaxed);
        <WordOf<M>>::fence();
        match woken {
            Wake::TimedOut => Slept::TooLate,
            // ORDERING: Relaxed: whether to spin, and no more.
            Wake::Look if changes.load(Ordering::Relaxed) == seen => Slept::ForALook,
            Wake::Look => Slept::Woken,
        }
    }

    /// After a commit: wakes one waiter, if one may be asleep.
    #[inline]
    pub(super) fn wake_one(event_count: &EventCount<WordOf<M>>) {
        <WordOf<M>>::fence();
        // ORDERING: Relaxed: the fence orders it after the commit.
        if event_count.asleep.load(Ordering::Relaxed) != 0 {
            Self::notify(event_count, 1);
        }
    }

    /// Clears the flag, changes the word, and wakes `count` sleepers, in this order: see the module.
    #[cold]
    pub(super) fn notify(EventCount { changes, asleep }: &EventCount<WordOf<M>>, count: u32) {
        // ORDERING: Relaxed: published by the change of the word.
        asleep.store(0, Ordering::Relaxed);
        // ORDERING: Release, pairs with the Acquire in `sleep`.
        changes.fetch_add(1, Ordering::Release);
        changes.wake(count);
    }

    /// Wakes all waiters of the queue, so that each tries again.
    pub(crate) fn wake_all(&self) {
        for event_count in [&self.layout().published, &self.layout().freed, &self.layout().tasks.joined] {
            // ORDERING: Release, pairs with the Acquire in `sleep`: what was changed before is seen.
            event_count.changes.fetch_add(1, Ordering::Release);
            event_count.changes.wake(u32::MAX);
        }
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
