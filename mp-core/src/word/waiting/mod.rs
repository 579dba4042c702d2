//! Waiting: adaptive competitive spinning, then a sleep. One policy for every wait of the family.
//!
//! ```text
//!            look fails                  look fails, budget left
//!   look ───────────────► pause ─► look ─────────────────────────► longer pause ─► look …
//!                                   │ succeeds: hit                                  │ budget spent: miss
//!                                   ▼                                                ▼
//!                              budget = limit                                 budget / 2, sleep
//! ```
//!
//! A caller looks, and while the look fails calls [`Waiting::pause`]; when that gives `false` it sleeps, and calls
//! [`Waiting::again`] when it has been woken. README.md beside this file has the states, the bound and the assumptions.

mod nap;
#[cfg(test)]
mod naps;
#[cfg(test)]
mod simulation;
mod site;

use super::Deadline;
pub use site::Site;

/// What a wait needs to know of the machine that it runs on.
pub trait Machine {
    /// Looks that a wait does before it reads the clock. The clock costs as much as some of them.
    const QUICK: u32;
    /// Nanoseconds, from a clock that never goes back and is not 0.
    fn now() -> u64;
    /// Pauses the CPU for a moment, far less than a microsecond.
    fn pause();
    /// Lets others run that want this CPU.
    fn yield_now();
    /// What a sleep and the wake that ends it cost here, in nanoseconds: no wait spins longer than that.
    fn sleep_cost() -> u32;
    /// Whether the calling thread may run on one CPU only.
    fn one_cpu() -> bool;
    /// The shortest time for which a lock may be kept from sleepers, in nanoseconds; `None`: never handed over.
    fn turn() -> Option<u32>;
}

/// Where a wait keeps what it has learned.
pub trait Learned {
    /// What is known so far.
    fn site(&self) -> Site;
    /// Keeps this for the next wait here.
    fn learn(&self, site: Site);
}

/// How far apart the looks of a wait are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As close as a pause; later an eighth of the time spent so far. For a word that is written once.
    Dense,
    /// The second one a microsecond after the first, and each further one as long after the one before as the wait has
    /// lasted. For a word that its holder writes again and again: each look takes the cache line from the holder's CPU,
    /// and a holder that comes back at once should have come back many times before it loses the lock.
    Sparse,
}

impl Pace {
    /// Looks before the clock is read, at most.
    fn quick(self) -> u32 {
        match self {
            Pace::Dense => u32::MAX,
            Pace::Sparse => 1,
        }
    }

    /// Pauses before such a look.
    fn quick_pauses(self) -> u32 {
        match self {
            Pace::Dense => 1,
            Pace::Sparse => 32,
        }
    }

    fn gap(self, spent: u64) -> u64 {
        match self {
            Pace::Dense => (spent / 8).min(DENSEST_GAP),
            Pace::Sparse => spent.clamp(SPARSE_GAPS.0, SPARSE_GAPS.1),
        }
    }
}

/// Nanoseconds.
const DENSEST_GAP: u64 = 1_000;
/// Nanoseconds: the shortest and the longest.
const SPARSE_GAPS: (u64, u64) = (1_000, 8_000);
/// How often the CPU is yielded before a sleep.
const YIELDS: u32 = 2;

/// One wait. Dropped without [`found`](Waiting::found), it has learned nothing since its last miss.
#[derive(Debug)]
pub struct Waiting<'a, M> {
    place: &'a M,
    pace: Pace,
    site: Site,
    /// A budget that was given, of which nothing is learned.
    given: Option<u32>,
    /// Nanoseconds that this wait may spin.
    budget: u32,
    /// Pauses so far.
    round: u32,
    /// When the clock was read first; 0: not yet.
    began: u64,
    /// The budget is spent, and that is learned.
    missed: bool,
    /// When a trial missed, of which it is not known yet whether what it waited for came at once; 0: none.
    tried: u64,
    /// How often it has yielded the CPU since.
    yielded: u32,
    slept: Slept,
}

/// What is known of a wait's sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slept {
    /// It has not slept.
    Not,
    /// Since then, without a spin before it.
    Since(u64),
    /// It has napped, and spins.
    Briefly,
    /// Nothing is learned of it.
    Anyhow,
}

impl<'a, M: Machine + Learned> Waiting<'a, M> {
    /// A wait begins at this place.
    #[inline]
    pub fn new(place: &'a M, pace: Pace) -> Self {
        let mut site = place.site();
        if site.is_fresh() {
            site.begin(M::one_cpu());
        }
        Waiting::with(place, pace, site, None, site.budget(M::sleep_cost()))
    }

    /// One that spins for so many nanoseconds after each sign of progress ([`again`](Waiting::again)), learns nothing,
    /// and is followed by no sleep.
    pub fn spinning(place: &'a M, pace: Pace, budget: u32) -> Self {
        Waiting::with(place, pace, Site::new(), Some(budget), budget)
    }

    fn with(place: &'a M, pace: Pace, site: Site, given: Option<u32>, budget: u32) -> Self {
        Waiting {
            place,
            pace,
            site,
            given,
            budget,
            round: 0,
            began: 0,
            missed: false,
            tried: 0,
            yielded: 0,
            slept: Slept::Not,
        }
    }

    /// Spends a moment before the next look; `false`: it is time to sleep.
    #[inline]
    pub fn pause(&mut self) -> bool {
        if self.budget == 0 {
            return self.miss();
        }
        let round = self.round;
        self.round += 1;
        if round < M::QUICK.min(self.pace.quick()) {
            (0..self.pace.quick_pauses()).for_each(|_| M::pause());
            return true;
        }
        self.pause_by_the_clock()
    }

    fn pause_by_the_clock(&mut self) -> bool {
        let now = M::now();
        if self.began == 0 {
            self.began = now;
        }
        let spent = now.saturating_sub(self.began);
        let left = u64::from(self.budget).saturating_sub(spent);
        if left == 0 {
            return self.miss();
        }
        let end = now + self.pace.gap(spent).min(left);
        loop {
            M::pause();
            if M::now() >= end {
                return true;
            }
        }
    }

    /// It has spun for long enough, perhaps not at all. `true`: it has yielded the CPU instead of pausing.
    #[cold]
    fn miss(&mut self) -> bool {
        self.budget = 0;
        if self.given.is_some() {
            return false;
        }
        if !self.missed {
            self.missed = true;
            self.site.missed(M::sleep_cost());
            if self.site.has_tried() {
                self.tried = M::now();
            }
            self.place.learn(self.site);
        } else if self.slept == Slept::Briefly {
            self.slept = Slept::Anyhow;
            self.site.nap.missed();
            self.place.learn(self.site);
        }
        self.site.may_yield() && self.yields()
    }

    fn yields(&mut self) -> bool {
        if self.yielded == YIELDS {
            self.site.yield_missed(0);
            self.place.learn(self.site);
            return false;
        }
        self.yielded += 1;
        let began = M::now();
        M::yield_now();
        let took = M::now().saturating_sub(began);
        let sleeps = took / u64::from(M::sleep_cost().max(1));
        if sleeps > 0 {
            self.site.yield_missed(sleeps);
            self.place.learn(self.site);
        }
        true
    }

    /// After a trial that missed: learns whether what it waited for came as soon as others had this CPU.
    #[cold]
    fn learn_when_it_came(&mut self) {
        let since = M::now().saturating_sub(self.tried);
        self.site.came(since < 2 * u64::from(M::sleep_cost()));
        self.place.learn(self.site);
        self.tried = 0;
    }

    /// Called before each sleep, when that is announced. `true`: it has called `sleep`, to sleep for so many
    /// nanoseconds at most ([`Word::nap`](super::Word::nap)). Then the caller calls [`again`](Waiting::again), looks,
    /// and pauses.
    pub fn nap(&mut self, until: Option<Deadline>, sleep: impl FnOnce(u32)) -> bool {
        if self.slept != Slept::Not {
            return false;
        }
        if self.round > 0 {
            self.slept = Slept::Anyhow;
            return false;
        }
        let in_time = |aim: &u32| until.is_none_or(|until| until.remaining().as_nanos() > (*aim).into());
        let Some(aim) = self.site.nap.aim().filter(in_time) else {
            self.slept = Slept::Since(M::now());
            return false;
        };
        sleep(aim);
        (self.slept, self.budget) = (Slept::Briefly, M::sleep_cost());
        true
    }

    /// What it waited for came after a sleep: learns how long that took.
    #[cold]
    fn learn_of_the_sleep(&mut self) {
        let (now, limit, nap) = (M::now(), M::sleep_cost(), &mut self.site.nap);
        match self.slept {
            Slept::Since(since) => nap.slept(now.saturating_sub(since), limit),
            Slept::Briefly if self.round == 0 => nap.late(limit),
            Slept::Briefly if self.began == 0 => nap.hit(0, limit),
            Slept::Briefly => nap.hit(now.saturating_sub(self.began), limit),
            Slept::Not | Slept::Anyhow => return,
        }
        self.place.learn(self.site);
    }

    /// It was woken, and what it waits for is not there: the wait goes on as a new one.
    pub fn again(&mut self) {
        if self.slept == Slept::Briefly {
            // What it waits for is due: it spins, whatever ended the nap.
            return;
        }
        if self.tried != 0 {
            self.learn_when_it_came();
        }
        (self.round, self.began, self.missed, self.yielded) = (0, 0, false, 0);
        self.budget = self.given.unwrap_or_else(|| self.site.budget(M::sleep_cost()));
    }

    /// A look has found what was waited for.
    #[inline]
    pub fn found(mut self) {
        if self.tried != 0 {
            self.learn_when_it_came();
        }
        if self.slept != Slept::Not {
            self.learn_of_the_sleep();
        }
        // What was there at once teaches nothing, and what came during a sleep was no look's finding.
        if self.round > 0 && !self.missed && self.given.is_none() && self.site.found() {
            self.place.learn(self.site);
        }
    }
}
