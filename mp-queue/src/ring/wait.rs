//! Waiting for the other side, and waking it.
//!
//! ```text
//!  sleeper:  asleep = 1 ─ fence ─ seen = changes ─ last look ─ asleep still 1?
//!               ─ sleep while changes == seen ─ asleep = 1 ─ fence ─ look ─ more there? wake one
//!  waker:    commit ─ fence ─ asleep? ── 0: done
//!                               └─ 1: asleep = 0 ─ changes + 1 ─ wake one
//! ```
//!
//! Nobody sleeps: a call costs one fence and one load.
//!
//! A sleeper that wakes sets `asleep` again before anything else, since it cannot know whether others sleep still;
//! and when it leaves, and there is more, it passes the wake on: one wake may have stood for several records. The
//! price is one pre-forked child wake after each sleep.
//!
//! # Why nobody sleeps on
//! Either the sleeper's last look sees the commit, or the waker sees its flag: a fence stands between the two
//! accesses of each. A waker takes the flag down *before* it changes the word. So a sleeper that read the word
//! after the change also reads the flag as it is after that, and does not sleep while it is down; one that read it
//! before is not let asleep by the kernel, or is asleep and woken.
//! # When a process dies
//! A waker between its commit and its wake, a sleeper between its wake and its next step: the others look by
//! themselves within half a second, and put the flag up then; of consumers two do it for all, who pass on what they find
//! (leaders.rs). Nothing else is lost.
//! # Tested by
//! ring/model/waits.rs, ring/crowd.rs

use super::layout::{EventCount, Leaders};
use super::leaders::Sleeper;
use super::{Memory, NotTaken, Refused, Ring, WordOf};
use mp_core::word::{Deadline, Ordering, Pace, Waiting, Wake, Word};

/// What came of repeating, `None`: it was too late; and whether it slept meanwhile.
type Repeated<T> = (Option<T>, bool);

impl<M: Memory> Ring<M> {
    /// Repeats `attempt`, a put, until it is not refused as full, or the deadline passes; wakes whom that concerns.
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

    /// Repeats `attempt`, a take, until it does not find the queue empty, or the deadline passes; wakes whom that
    /// concerns.
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

    /// What is owed to others after a put, one that did not wait too.
    #[inline]
    pub(crate) fn after_put<T>(&self, slept: bool, result: Result<T, Refused>) -> Result<T, Refused> {
        if slept && !self.looks_full() {
            Self::wake_one(&self.layout().freed);
        }
        if result.is_ok() {
            Self::wake_one(&self.layout().published);
        }
        result
    }

    /// What is owed to others after a take, one that did not wait too.
    #[inline]
    pub(crate) fn after_take<T>(&self, slept: bool, result: Result<T, NotTaken>) -> Result<T, NotTaken> {
        if slept && !self.looks_empty() {
            Self::wake_one(&self.layout().published);
        }
        match result {
            Ok(_) => Self::wake_one(&self.layout().freed),
            // It may have been found by a look, of which there are few.
            Err(NotTaken::Ended | NotTaken::Corrupt) if slept => {
                Self::ring(&self.layout().published, u32::MAX)
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
        // Most calls are done at once.
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
            // Read before the attempt: what comes after that is a change, even if it comes at once.
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
                // Most often there is nothing, and it is no time for more than that look.
                Slept::ForALook => slept = true,
                Slept::TooLate => return (attempt(), true),
            }
        }
    }

    /// Waits a moment; `true`: something has changed since it was `before`.
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
        // ORDERING: Relaxed: the fence orders it before the last look.
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
        // ORDERING: Relaxed: the fence orders it before the looks that follow, the one that decides whether to pass
        // the wake on among them. A producer in between sees the flag, or they see its record.
        asleep.store(1, Ordering::Relaxed);
        <WordOf<M>>::fence();
        match woken {
            Wake::TimedOut => Slept::TooLate,
            // ORDERING: Relaxed: whether to spin, and no more.
            Wake::Look if changes.load(Ordering::Relaxed) == seen => Slept::ForALook,
            Wake::Look => Slept::Woken,
        }
    }

    /// After a commit: wakes one who waits for it, if somebody may.
    #[inline]
    pub(super) fn wake_one(event_count: &EventCount<WordOf<M>>) {
        <WordOf<M>>::fence();
        // ORDERING: Relaxed: the fence orders it after the commit.
        if event_count.asleep.load(Ordering::Relaxed) != 0 {
            Self::ring(event_count, 1);
        }
    }

    #[cold]
    pub(super) fn ring(EventCount { changes, asleep }: &EventCount<WordOf<M>>, count: u32) {
        // ORDERING: Relaxed: published by the change of the word.
        asleep.store(0, Ordering::Relaxed);
        // ORDERING: Release, pairs with the Acquire in `sleep`.
        changes.fetch_add(1, Ordering::Release);
        changes.wake(count);
    }

    /// Has everybody look again.
    pub(crate) fn wake_everybody(&self) {
        for event_count in [&self.layout().published, &self.layout().freed, &self.layout().tasks.joined] {
            // ORDERING: Release, pairs with the Acquire in `sleep`: what was changed before is seen.
            event_count.changes.fetch_add(1, Ordering::Release);
            event_count.changes.wake(u32::MAX);
        }
    }
}

enum Slept<T> {
    /// The last look before the sleep did it.
    Done(T),
    /// Somebody was waking at that moment: look again.
    NotAtAll,
    Woken,
    /// For so long that it is time to look.
    ForALook,
    TooLate,
}
