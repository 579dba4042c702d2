//! Workers that sleep for want of work, and the caller that sleeps for want of results: two event counts.
//!
//! ```text
//!  worker:  its bit up ─ fence ─ seen = count ─ last look ─ bit still up? ─ sleep while count == seen ─ bit down
//!  caller:  READY, tail ─ fence ─ a bit up? ─ bit down ─ that count + 1 ─ wake        one of them: it wakes the next,
//!                                                                                      while there is more
//!  caller:  asleep = 1 + enough ─ fence ─ seen = count ─ anything finished? ─ asleep still up? ─ sleep ─ asleep = 0
//!  worker:  push ─ fence ─ asleep, and no more than `enough` wait in the lanes? ─ asleep = 0 ─ count + 1 ─ wake
//! ```
//!
//! A caller that waits for many results need not be woken for each: it says how few hints may be left in the lanes
//! before it is. A worker that finds nothing to take wakes it too, if anything is finished. A worker that is dismissed
//! takes nothing more, whatever there is. One that may be idle for a time only says after that time that it leaves,
//! takes a last look, and ends.
//! Where more workers are awake than there are CPUs, one is not woken for each slot: `sentinel.rs`.
//!
//! # Why no wake is lost
//! A fence stands between a commit and the look for sleepers, and between a sleeper's flag and its last look: one of
//! the two sees the other. A flag is taken down before the event count changes, so a sleeper that read the count after
//! the change sees the flag down, and does not sleep. A sleeper that leaves takes its bit down, and says that it
//! leaves, before its last look, with a fence in between: a caller that saw the bit up has committed what that look
//! finds, and one that comes later wakes another worker, or has one started: it does not count on this one.
//! # When a process dies
//! A worker between its commit and its wake: the caller is told of the death, and looks. A worker that was woken: on
//! any death all the others are woken. Every sleeper looks by itself within half a second.
//! # Tested by
//! model/sleepers.rs

use super::{Board, Life, Taken};
use mp_core::word::{Deadline, Ordering, Pace, Waiting, Wake, Word};
use std::ops::Deref;
use std::time::Duration;

impl<W: Word, V: Deref<Target = [W]>> Board<V> {
    /// Worker: waits for a slot to take, and at most so long, if `idle` says how long. `None`: there is none, and this
    /// worker is to end. `soon` as for [`take`](Board::take).
    pub(crate) fn next(&self, me: u32, idle: Option<Duration>, soon: impl Fn(u32)) -> Option<Taken> {
        if self.is_dismissed(me) {
            return None;
        }
        if let Some(slot) = self.take(me, &soon) {
            return Some(slot);
        }
        let event = self.word(self.places.worker(me));
        let (mut waiting, mut leaves) = (Waiting::new(event, Pace::Dense), None);
        loop {
            if !self.is_crowded() && waiting.pause() {
                if let Some(slot) = self.take(me, &soon) {
                    waiting.found();
                    return Some(slot);
                }
                continue;
            }
            if self.is_over() || self.is_dismissed(me) {
                return None;
            }
            let until = *leaves.get_or_insert_with(|| idle.and_then(Deadline::after));
            let slot = self.sleep(me, until);
            let is_late = slot.is_none() && until.is_some_and(Deadline::passed);
            if let Some(slot) = if is_late { self.last_look(me) } else { slot } {
                // Its wake may have stood for several slots.
                if self.backlog() > 0 {
                    self.wake_worker();
                }
                return Some(slot);
            }
            if is_late {
                return None;
            }
            waiting.again();
        }
    }

    /// Says that this worker leaves, and takes that back if there is something to take.
    #[cold]
    pub(crate) fn last_look(&self, me: u32) -> Option<Taken> {
        let before = self.life(me);
        // Its bit is down. The fence orders both before the look: see above.
        self.live(me, Life::Left);
        W::fence();
        let taken = self.take(me, |_| ());
        if taken.is_some() {
            self.live(me, before);
        }
        taken
    }

    /// As [`next`](Board::next), for a thread that takes for a worker on another host: it does not spin, and comes back
    /// at a moment with nothing.
    pub(crate) fn next_until(&self, me: u32, until: Option<Deadline>) -> Option<Taken> {
        loop {
            if self.is_dismissed(me) {
                return None;
            }
            if let Some(slot) = self.take(me, |_| ()) {
                return Some(slot);
            }
            if self.is_over() || until.is_some_and(Deadline::passed) {
                return None;
            }
            if let Some(slot) = self.sleep(me, until) {
                // As in `next`.
                if self.backlog() > 0 {
                    self.wake_worker();
                }
                return Some(slot);
            }
        }
    }

    /// Worker: whether it is to end, since it found nothing to take.
    pub(crate) fn is_ending(&self, me: u32) -> bool {
        self.is_over() || self.is_dismissed(me)
    }

    /// Sleeps, unless there is something to take.
    #[cold]
    fn sleep(&self, me: u32, until: Option<Deadline>) -> Option<Taken> {
        let (bits, bit) = self.sleepers_bit(me);
        let event = self.word(self.places.worker(me));
        // ORDERING: Relaxed: the fence orders it before the last look.
        bits.fetch_or(bit, Ordering::Relaxed);
        W::fence();
        // ORDERING: Acquire, pairs with the Release in `wake_sleeper`: the bit below is no older.
        let seen = event.load(Ordering::Acquire);
        let taken = self.take(me, |_| ());
        if taken.is_none() {
            // It runs dry, and the caller may sleep until less is left than there is.
            self.wake_caller_for_what_is_there();
            // ORDERING: Relaxed: see above.
            if !self.is_over() && !self.is_dismissed(me) && bits.load(Ordering::Relaxed) & bit != 0 {
                event.wait(seen, until);
            }
        }
        let was_woken = !self.lower(bits, bit);
        if taken.is_none() && was_woken && self.is_crowded() {
            self.be_sentinel(me);
        }
        taken.or_else(|| self.take(me, |_| ()))
    }

    pub(super) fn sleepers_bit(&self, worker: u32) -> (&W, u32) {
        (self.word(self.places.sleepers() + worker as usize / 32), 1 << (worker % 32))
    }

    /// Takes a bit down; `false`: it was down.
    pub(super) fn lower(&self, bits: &W, bit: u32) -> bool {
        // ORDERING: Relaxed, all: the event count orders what follows.
        let mut now = bits.load(Ordering::Relaxed);
        while now & bit != 0 {
            match bits.compare_exchange(now, now & !bit, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(other) => now = other,
            }
        }
        false
    }

    pub(super) fn wake_sleeper(event: &W) {
        // ORDERING: Release, pairs with the Acquire in `sleep`, `sleep_until_finished` and `may_send`.
        event.fetch_add(1, Ordering::Release);
        event.wake(1);
    }

    /// After slots were dealt: wakes one worker that sleeps, if there is one and it is worth it (`sentinel.rs`).
    #[inline]
    pub(crate) fn wake_worker(&self) {
        W::fence();
        if !self.leaves_it_to_the_sentinel() {
            self.wake_one();
        }
    }

    /// Wakes a worker that sleeps; `false`: none does.
    pub(super) fn wake_one(&self) -> bool {
        for at in 0..self.places.shape.workers.div_ceil(32) {
            let bits = self.word(self.places.sleepers() + at as usize);
            loop {
                // ORDERING: Relaxed: the fence orders it after the commit.
                let now = bits.load(Ordering::Relaxed);
                let worker = 32 * at + now.trailing_zeros();
                if now == 0 || worker >= self.places.shape.workers {
                    break;
                }
                if self.lower(bits, now & now.wrapping_neg()) {
                    Self::wake_sleeper(self.word(self.places.worker(worker)));
                    return true;
                }
            }
        }
        false
    }

    fn dismissed(&self, me: u32) -> (&W, u32) {
        (self.word(self.places.dismissed() + me as usize / 32), 1 << (me % 32))
    }

    #[inline]
    pub(super) fn is_dismissed(&self, me: u32) -> bool {
        let (bits, bit) = self.dismissed(me);
        // ORDERING: Relaxed: read again after each wait; in `sleep` a fence stands before it.
        bits.load(Ordering::Relaxed) & bit != 0
    }

    /// Caller: has a worker end when it has done what it has taken.
    pub(crate) fn dismiss(&self, worker: u32) {
        let (bits, bit) = self.dismissed(worker);
        // ORDERING: Relaxed: published by the change of the event count that follows.
        if bits.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            Self::wake_sleeper(self.word(self.places.worker(worker)));
        }
    }

    /// Caller: the worker of this index is wanted again. One that has seen that it was dismissed ends all the same.
    pub(crate) fn recall(&self, worker: u32) {
        let (bits, bit) = self.dismissed(worker);
        self.lower(bits, bit);
    }

    /// Has every worker look.
    pub(crate) fn wake_every_worker(&self) {
        (0..self.places.shape.workers)
            .for_each(|worker| Self::wake_sleeper(self.word(self.places.worker(worker))));
    }

    /// Worker, after its push: wakes the caller, if it sleeps, and no more is left to take than it asked for.
    #[inline]
    pub(crate) fn tell_caller(&self) {
        W::fence();
        // ORDERING: Relaxed: the fence orders it after the push.
        let asleep = self.word(self.places.caller() + 1).load(Ordering::Relaxed);
        if asleep != 0 && (asleep == u32::MAX || self.backlog() < asleep) {
            self.wake_caller();
        }
    }

    fn wake_caller_for_what_is_there(&self) {
        // ORDERING: Relaxed: a fence stands before it.
        if self.has_finished() && self.word(self.places.caller() + 1).load(Ordering::Relaxed) != 0 {
            self.wake_caller();
        }
    }

    /// Has the caller look, if it sleeps.
    #[cold]
    pub(crate) fn wake_caller(&self) {
        // ORDERING: Relaxed: published by the change of the event count.
        self.word(self.places.caller() + 1).store(0, Ordering::Relaxed);
        Self::wake_sleeper(self.word(self.places.caller()));
    }

    /// Caller: its event count, which changes only while it sleeps, and when it wakes itself.
    pub(crate) fn caller_event(&self) -> &W {
        self.word(self.places.caller())
    }

    /// Caller: sleeps until something is finished and at most `enough` hints are left in the lanes, or the event
    /// count is no longer `seen`, which was read before the caller last looked. [`Wake::TimedOut`] at the deadline.
    pub(crate) fn sleep_until_finished(&self, seen: u32, enough: u32, until: Option<Deadline>) -> Wake {
        let (event, asleep) = (self.caller_event(), self.word(self.places.caller() + 1));
        // ORDERING: Relaxed: the fence orders it before the last look.
        asleep.store(enough.saturating_add(1), Ordering::Relaxed);
        W::fence();
        // ORDERING: Acquire, pairs with the Release in `wake_sleeper`: the flag below is no older.
        let now = event.load(Ordering::Acquire);
        // ORDERING: Relaxed: see above.
        let sleeps = now == seen
            && !(self.has_finished() && self.backlog() <= enough)
            && asleep.load(Ordering::Relaxed) != 0;
        let wake = if sleeps { event.wait(seen, until) } else { Wake::Look };
        // ORDERING: Relaxed: a worker that sees it up wakes once too often.
        asleep.store(0, Ordering::Relaxed);
        wake
    }
}
