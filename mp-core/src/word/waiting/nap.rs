//! Naps: sleeps that end by themselves a little before what is waited for comes. Pure: no clock, no system call.
//!
//! ```text
//!   watching ──`STEADY` sleeps of one length──► aim: nap, then spin ──hit: the aim moves──┐
//!      ▲                                          │           ▲────────────────────────────┘
//!      └──── not before `gap` sleeps ◄─── miss ───┘
//! ```
//!
//! A sleep that a waker ends costs the time of a wake after what is waited for has come. A timer's wake costs the same
//! before that. So where waits take about the same time, this one sleeps for less, and spins for the rest.

/// Sleeps of one length before one is cut short.
const STEADY: u8 = 4;
/// Sleeps without a nap after one in vain, at least and at most.
const GAPS: (u16, u16) = (8, 1024);
/// In limits: what a wake costs is little beside a longer wait.
const LONGEST: u32 = 64;

/// What a site has learned of the length of its sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nap {
    /// How long the last sleep took, in nanoseconds, with the wake that ended it.
    length: u32,
    /// How many sleeps before that one took about as long.
    steady: u8,
    /// How long to nap, in nanoseconds; 0: not at all.
    aim: u32,
    /// Sleeps until it may be tried again, and after the next miss.
    left: u16,
    gap: u16,
}

impl Nap {
    pub(super) const fn new() -> Nap {
        Nap { length: 0, steady: 0, aim: 0, left: 0, gap: GAPS.0 }
    }

    /// One that naps for so long.
    pub(super) const fn of(aim: u32) -> Nap {
        Nap { aim, ..Nap::new() }
    }

    /// How long to nap, in nanoseconds.
    pub(super) fn aim(&self) -> Option<u32> {
        (self.aim != 0).then_some(self.aim)
    }

    /// A whole sleep took so long, with the wake that ended it.
    pub(super) fn slept(&mut self, took: u64, limit: u32) {
        let took = u32::try_from(took).unwrap_or(u32::MAX);
        self.left = self.left.saturating_sub(1);
        let worth_it = limit < took && took / LONGEST < limit;
        let steady = worth_it && took.abs_diff(self.length) <= limit / 2;
        self.steady = if steady { (self.steady + 1).min(STEADY) } else { 0 };
        self.length = took;
        if self.steady == STEADY && self.left == 0 {
            // One limit for the wake that is in `took`, one for the timer's.
            self.aim = took.saturating_sub(limit.saturating_mul(2)).max(1);
        }
    }

    /// What was waited for came when it had spun for so long after the nap.
    pub(super) fn hit(&mut self, spun: u64, limit: u32) {
        let spun = spun.min(limit.into()) as u32;
        // Also where the waits become longer little by little: sleepers look for deaths, and a long nap would put that
        // off.
        let most = limit.saturating_mul(LONGEST).max(1);
        self.aim = self.aim.saturating_add(spun / 4).saturating_sub(limit / 16).clamp(1, most);
        self.gap = (self.gap - self.gap / 8).max(GAPS.0);
    }

    /// What was waited for was there when the nap was over.
    pub(super) fn late(&mut self, limit: u32) {
        self.aim = self.aim.saturating_sub(limit / 2).max(1);
    }

    /// What was waited for did not come until it had spun for long enough.
    pub(super) fn missed(&mut self) {
        (self.aim, self.steady, self.left) = (0, 0, self.gap);
        self.gap = (2 * self.gap).min(GAPS.1);
    }
}
