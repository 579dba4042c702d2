//! What one place has learned of its waits. Pure: no clock, no system call.
//!
//! ```text
//!   ┌───────────── hit ───────────────┐
//!   ▼                                 │
//!  limit ─miss─► half of it ─miss─► … ┴─miss─► 0 ──after `gap` sleeps──► a trial: limit
//!                                              ▲                          │
//!                                              └──── miss: gap doubles ───┘
//!
//!  a trial missed, on the only CPU, and what it waited for came as soon as it slept: `near`
//!  near ──► yields the CPU before it sleeps ──► missed, or others ran for long: not before `others` sleeps
//! ```

use super::nap::Nap;

/// Sleeps between two trials, at least and at most. The most bounds how many rounds a pair needs that has found out of
/// spinning.
const GAPS: (u16, u16) = (8, 64);
/// The most where what is waited for runs on the same CPU: there a trial is long beside a sleep.
const NEAR_GAP: u16 = 1024;
/// Sleeps until the CPU is yielded again, at least and at most, after a missed yield.
const OTHERS: (u16, u16) = (64, 16_384);
/// The same for each time that the yield took as long as a sleep costs: so yields take a thirty-second of the time.
const SLEEPS_FOR_A_YIELD: u64 = 32;
/// A budget below this part of the limit is none.
const LEAST_PART: u32 = 16;
/// The first budget where the calling thread may run on one CPU only, in nanoseconds: what it waits for runs on the
/// same CPU most often.
const ALONE: u32 = 2_000;
/// As much as there may be.
const ALL: u32 = u32::MAX;

/// What a thread that waits repeatedly at one site has learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// Nanoseconds; `ALL`: up to the limit.
    budget: u32,
    /// Sleeps until the next trial, and from that one to the one after it.
    left: u16,
    gap: u16,
    /// The budget is a trial's.
    trying: bool,
    /// No thread has waited here.
    fresh: bool,
    /// The thread may run on one CPU only.
    alone: bool,
    /// At the last trial, what it waited for came as soon as it slept: it needed this CPU. Where there are others, a
    /// wake puts the woken thread on an idle one, and two that yield to each other would share theirs for long.
    near: bool,
    /// Sleeps until the CPU may be yielded.
    others: u16,
    /// Of its sleeps' length.
    pub(super) nap: Nap,
}

impl Site {
    /// One that has learned nothing.
    pub const fn new() -> Site {
        Site {
            budget: ALL,
            left: 0,
            gap: GAPS.0,
            trying: false,
            fresh: true,
            alone: false,
            near: false,
            others: 0,
            nap: Nap::new(),
        }
    }

    /// One whose next wait naps, for models.
    #[doc(hidden)]
    pub const fn that_naps() -> Site {
        Site { budget: 0, left: GAPS.1, fresh: false, nap: Nap::of(1), ..Site::new() }
    }

    pub(super) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// The first wait begins.
    #[cold]
    pub(super) fn begin(&mut self, one_cpu: bool) {
        (self.fresh, self.alone) = (false, one_cpu);
        if one_cpu {
            self.budget = ALONE;
        }
    }

    /// How long the next wait may spin, if none may for longer than `limit`.
    #[inline]
    pub fn budget(&self, limit: u32) -> u32 {
        self.budget.min(limit)
    }

    /// Spinning found what was waited for. `false`: that is nothing new.
    #[inline]
    pub(super) fn found(&mut self) -> bool {
        let after = Site { fresh: false, alone: self.alone, ..Site::new() };
        let news = *self != after;
        *self = after;
        news
    }

    /// Spinning did not find it; or there was none, and it is about to sleep.
    pub(super) fn missed(&mut self, limit: u32) {
        let granted = self.budget(limit);
        self.others = self.others.saturating_sub(1);
        if granted == 0 {
            self.trying = false;
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                (self.budget, self.trying) = (ALL, true);
            }
            return;
        }
        let half = if self.trying { 0 } else { granted / 2 };
        self.budget = if half < limit / LEAST_PART { 0 } else { half };
        if self.budget == 0 {
            self.left = self.gap;
            self.gap = (2 * self.gap).min(if self.near { NEAR_GAP } else { GAPS.1 });
        }
    }

    /// Whether the last miss was a trial's. What follows is told to [`came`](Site::came).
    pub(super) fn has_tried(&self) -> bool {
        self.trying && self.budget == 0
    }

    /// After a trial that missed: whether what was waited for came at once.
    pub(super) fn came(&mut self, at_once: bool) {
        (self.near, self.trying) = (self.alone && at_once, false);
        if !self.near {
            self.gap = self.gap.min(GAPS.1);
        }
    }

    /// Whether it is worth a try to let others have the CPU before it sleeps.
    #[inline]
    pub(super) fn may_yield(&self) -> bool {
        self.near && self.others == 0
    }

    /// The yield missed, or took as long as so many sleeps cost.
    pub(super) fn yield_missed(&mut self, sleeps: u64) {
        let others = sleeps.saturating_mul(SLEEPS_FOR_A_YIELD).min(OTHERS.1.into());
        self.others = (others as u16).max(OTHERS.0);
    }
}

impl Default for Site {
    fn default() -> Site {
        Site::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u32 = 32_000;

    /// The budget of the next wait, which misses.
    fn missed(site: &mut Site) -> u32 {
        let budget = site.budget(LIMIT);
        site.missed(LIMIT);
        budget
    }

    fn used() -> Site {
        let mut site = Site::new();
        site.begin(false);
        site
    }

    #[test]
    fn spinning_that_is_always_missed_becomes_rare() {
        let mut site = used();
        let all: Vec<u32> = (0..5).map(|_| missed(&mut site)).collect();
        assert_eq!(all, [32_000, 16_000, 8_000, 4_000, 2_000]);
        for gap in [8, 16, 32, 64, 64, 64] {
            assert!((0..gap).all(|_| missed(&mut site) == 0), "{gap}");
            assert_eq!(missed(&mut site), LIMIT, "after {gap}");
        }
    }

    #[test]
    fn a_hit_makes_it_as_good_as_new() {
        let mut site = used();
        let mut sleeps = 0;
        while sleeps < 1_000 || site.budget(LIMIT) == 0 {
            missed(&mut site);
            sleeps += 1;
        }
        assert!(site.found());
        assert_eq!(site, used());
        assert!(!site.found(), "nothing new");
    }

    #[test]
    fn on_one_cpu_the_first_waits_are_short_and_a_hit_lengthens_them() {
        let mut site = Site::new();
        site.begin(true);
        assert_eq!(site.budget(LIMIT), ALONE);
        assert!(site.found());
        assert_eq!(site.budget(LIMIT), LIMIT);
    }

    #[test]
    fn where_no_wait_may_spin_none_does() {
        let mut site = used();
        for _ in 0..200 {
            assert_eq!(site.budget(0), 0);
            site.missed(0);
        }
    }
}
