//! Tasks that run too long. The watcher looks at the board when one may, and not before.
//!
//! ```text
//!   posted, at most l ms to run ──► look in l ms ─┬─ not taken, or done:  look in l ms
//!                                     ▲           ├─ begun b ms ago:      look in l - b ms, or condemn, kill
//!                                     └───────────┴─ taken, not begun:    as if it began when that was first seen
//! ```
//!
//! A task that is posted now cannot be over its limit earlier than its limit from now. So the watcher is woken by a
//! post only if its next look is later than that: once in the time of a limit, however many tasks there are.
//!
//! # When a process dies
//! A worker that has a slot: its end says so, and the slot is settled or put back. What was condemned is told by the
//! word of the slot.
//! # Tested by
//! `board/model/slots.rs`, `mp-pool/tests/deadlines.rs`

use super::{Dispatch, GivenUp};
use crate::board::Running;
use mp_core::sys::clock::monotonic_millis;
use std::time::Duration;

/// When the watcher looks.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// In milliseconds of the monotonic clock; `None`: nothing is timed.
    next: Option<u32>,
    /// That is sooner than the watcher knows.
    is_sooner: bool,
}

/// How long a slot's task may run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timed {
    pub(super) limit: Option<u32>,
    /// When a worker was first seen to have it.
    seen: Option<u32>,
}

/// Milliseconds from one reading of the clock to a later one; 0 if it is not later.
fn millis_between(earlier: u32, later: u32) -> u32 {
    (later.wrapping_sub(earlier) as i32).max(0) as u32
}

impl Timed {
    /// How long the task has run at least.
    fn ran(&mut self, running: Option<Running>, now: u32) -> u32 {
        match running {
            None => 0,
            // It may have begun after `now` was read.
            Some(Running { since: Some(since) }) => millis_between(since, now),
            Some(Running { since: None }) => millis_between(*self.seen.get_or_insert(now), now),
        }
    }
}

impl Deadlines {
    /// A task is posted that may run so many milliseconds.
    pub(super) fn posted(&mut self, limit: u32) {
        let due = monotonic_millis().wrapping_add(limit + 1);
        if self.next.is_none_or(|next| millis_between(due, next) > 0) {
            self.next = Some(due);
            self.is_sooner = true;
        }
    }
}

impl Dispatch {
    /// Whether the watcher is to look sooner than it knows. Said once.
    pub(crate) fn take_sooner(&mut self) -> bool {
        std::mem::take(&mut self.deadlines.is_sooner) | self.delayed.take_sooner() | self.take_short()
    }

    /// Gives up the tasks that have run too long, and kills their workers. Gives when to look again; `None`: nothing is
    /// timed.
    pub(crate) fn look_at_deadlines(&mut self) -> Option<Duration> {
        let mut now = monotonic_millis();
        let left = millis_between(now, self.deadlines.next?);
        if left == 0 {
            // Those that are done are no longer looked at.
            self.collect();
            now = monotonic_millis();
            self.deadlines.next = self.condemn_late(now).map(|left| now.wrapping_add(left));
        }
        self.deadlines.is_sooner = false;
        let left = millis_between(now, self.deadlines.next?);
        Some(Duration::from_millis(left.into()))
    }

    /// Gives up what has run too long. Gives the milliseconds until another one may have.
    fn condemn_late(&mut self, now: u32) -> Option<u32> {
        let mut soonest: Option<u32> = None;
        for slot in 0..self.open.len() as u32 {
            let Some(Some(open)) = self.open.get_mut(slot as usize) else { continue };
            let Some(limit) = open.timed.limit.filter(|_| open.given_up.is_none()) else { continue };
            let ran = open.timed.ran(self.memory.board.running(slot), now);
            // Both readings were cut to whole milliseconds.
            if ran > limit {
                self.condemn_slot(slot, GivenUp::Overran);
            } else {
                let left = limit - ran + 1;
                soonest = Some(soonest.map_or(left, |soonest| soonest.min(left)));
            }
        }
        soonest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::LONGEST;

    #[test]
    fn the_clock_may_wrap() {
        assert_eq!(millis_between(u32::MAX - 1, 3), 5);
        assert_eq!(millis_between(3, u32::MAX - 1), 0);
    }

    /// The look began before the task did.
    #[test]
    fn a_task_that_begins_after_the_look_has_not_run() {
        let running = Some(Running { since: Some(101) });
        assert_eq!(Timed::default().ran(running, 100), 0);
        assert_eq!(Timed::default().ran(running, 108), 7);
    }

    #[test]
    fn a_worker_that_takes_a_task_and_begins_nothing_is_timed_from_the_first_look() {
        let mut timed = Timed::default();
        let taken = Some(Running { since: None });
        assert_eq!(timed.ran(None, 90), 0);
        assert_eq!([100, 105].map(|now| timed.ran(taken, now)), [0, 5]);
        assert_eq!(timed.ran(Some(Running { since: Some(103) }), 105), 2);
    }

    #[test]
    fn the_longest_limit_is_ahead_when_it_is_posted_and_over_when_the_look_is_late() {
        let (now, mut deadlines) = (monotonic_millis(), Deadlines::default());
        deadlines.posted(LONGEST);
        assert!(millis_between(now, deadlines.next.unwrap()) > LONGEST);
        let late = LONGEST + 19 * 3600 * 1000;
        let running = Some(Running { since: Some(now) });
        assert_eq!(Timed::default().ran(running, now.wrapping_add(late)), late);
    }

    #[test]
    fn a_post_wakes_the_watcher_only_if_it_is_due_sooner() {
        let mut deadlines = Deadlines::default();
        for (limit, is_sooner) in [(10_000, true), (10_000_000, false), (1000, true), (5000, false)] {
            deadlines.posted(limit);
            assert_eq!(std::mem::take(&mut deadlines.is_sooner), is_sooner, "{limit}");
        }
    }
}
