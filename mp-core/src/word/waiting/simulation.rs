//! The policy against machines that are numbers: what a wake costs, what the other side does, which thread runs when.

use super::{Learned, Machine, Pace, Site, Waiting};
use std::cell::Cell;

/// Nanoseconds from a store to its being seen on another CPU.
const LINE: u64 = 65;

/// A machine on which the call that wakes a sleeper takes so long.
#[derive(Clone, Copy)]
struct Host {
    call: u64,
}

impl Host {
    /// As `sys/machine.rs` has it.
    fn limit(self) -> u32 {
        4 * self.call as u32
    }

    /// From the waker's call to the sleeper's first instruction, as it was measured.
    fn latency(self) -> u64 {
        self.call * 29 / 10
    }
}

/// One of two that answer each other.
#[derive(Clone, Copy)]
struct Side {
    site: Site,
    /// Since when it waits.
    since: u64,
    slept: bool,
}

impl Side {
    fn new() -> Side {
        let mut site = Site::new();
        site.begin(false);
        Side { site, since: 0, slept: false }
    }

    /// What it waits for is stored at this time. Gives when it has it, and when its sender goes on.
    fn receive(&mut self, host: Host, at: u64) -> (u64, u64) {
        let budget = u64::from(self.site.budget(host.limit()));
        self.slept = at > self.since + budget;
        if self.slept {
            self.site.missed(host.limit());
            (at + host.latency(), at + host.call)
        } else {
            if at > self.since {
                self.site.found();
            }
            (self.since.max(at + LINE), at)
        }
    }
}

/// Each sends in turn, and the second computes for so long first. Gives how long each round took.
fn rounds(host: Host, [one, two]: &mut [Side; 2], think: u64, count: usize) -> Vec<u64> {
    let mut now = one.since.max(two.since) + 1;
    let round = |_| {
        let began = now;
        let (has, goes_on) = two.receive(host, now);
        one.since = goes_on;
        let (back, goes_on) = one.receive(host, has + think);
        two.since = goes_on;
        now = back;
        now - began
    };
    (0..count).map(round).collect()
}

const CALLS: [u64; 7] = [300, 1_600, 5_000, 9_500, 20_000, 50_000, 100_000];

#[test]
fn a_pair_that_was_put_to_sleep_spins_again_within_a_hundred_rounds() {
    for host in CALLS.map(|call| Host { call }) {
        // After many useless sleeps, at each moment between two trials.
        for sleeps in 0..400 {
            let mut sides = [Side::new(); 2];
            for side in &mut sides {
                (0..sleeps).for_each(|_| side.site.missed(host.limit()));
            }
            sides[1].site.missed(host.limit());
            let took = rounds(host, &mut sides, 0, 200);
            let spinning = |took: &u64| *took == 2 * LINE;
            let recovered = took.iter().position(spinning).expect("within 200 rounds");
            assert!(recovered < 100, "after {recovered} rounds, {sleeps} sleeps, {} ns", host.call);
            assert!(took[recovered..].iter().all(spinning), "{} ns", host.call);
        }
    }
}

#[test]
fn an_answer_that_takes_far_longer_than_a_wake_is_slept_for() {
    for host in CALLS.map(|call| Host { call }) {
        let mut sides = [Side::new(); 2];
        let think = 20 * host.call;
        rounds(host, &mut sides, think, 100);
        let mut slept = 0;
        for _ in 0..640 {
            rounds(host, &mut sides, think, 1);
            slept += u32::from(sides[0].slept);
        }
        assert_eq!(slept, 640, "{} ns", host.call);
        assert!(sides[0].site.budget(host.limit()) == 0 || host.call == 0);
    }
}

/// What a wait of the policy costs, for what comes after `after` nanoseconds, where a sleep and a wake cost `limit`.
fn cost(site: &mut Site, limit: u32, after: u64) -> u64 {
    let budget = u64::from(site.budget(limit));
    if after <= budget {
        site.found();
        after
    } else {
        site.missed(limit);
        budget + u64::from(limit)
    }
}

/// Numbers that look random.
pub(super) fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn it_costs_at_most_twice_the_better_of_spinning_and_sleeping() {
    const WAITS: u64 = 10_000;
    let limit = 30_000;
    for (short, long) in [(100, 1_000_000), (1_000, 40_000), (29_000, 31_000), (500, 500), (60_000, 60_000)] {
        for of_ten in 0..=10 {
            let (mut site, mut seed) = (Side::new().site, 7);
            let (mut policy, mut spinning) = (0, 0);
            for _ in 0..WAITS {
                let after = if random(&mut seed) % 10 < of_ten { short } else { long };
                policy += cost(&mut site, limit, after);
                spinning += after;
            }
            let better = spinning.min(WAITS * u64::from(limit));
            // What learning costs: the budgets from the limit down to none.
            let learning = 2 * u64::from(limit);
            assert!(policy <= 2 * better + learning, "{short} {long} {of_ten}: {policy} for {better}");
        }
    }
}

thread_local! {
    pub(super) static CLOCK: Cell<u64> = const { Cell::new(1) };
    /// How long a yield takes.
    static YIELD: Cell<u64> = const { Cell::new(0) };
    static YIELDS: Cell<u32> = const { Cell::new(0) };
    static ONE_CPU: Cell<bool> = const { Cell::new(false) };
}

/// A place on a machine whose clock goes on at each pause and each reading.
#[derive(Default)]
pub(super) struct Place(Cell<Site>);

impl Machine for Place {
    const QUICK: u32 = 4;

    fn now() -> u64 {
        CLOCK.set(CLOCK.get() + 20);
        CLOCK.get()
    }
    fn pause() {
        CLOCK.set(CLOCK.get() + 25);
    }
    fn yield_now() {
        YIELDS.set(YIELDS.get() + 1);
        CLOCK.set(CLOCK.get() + YIELD.get());
    }
    fn sleep_cost() -> u32 {
        30_000
    }
    fn one_cpu() -> bool {
        ONE_CPU.get()
    }
    fn turn() -> Option<u32> {
        None
    }
}

impl Learned for Place {
    fn site(&self) -> Site {
        self.0.get()
    }
    fn learn(&self, site: Site) {
        self.0.set(site);
    }
}

/// A wait for what comes after so many nanoseconds of sleep, and never before it. Gives how long it spun.
fn sleep_at(place: &Place, pace: Pace, slept: u64) -> u64 {
    let began = CLOCK.get();
    let mut waiting = Waiting::new(place, pace);
    while waiting.pause() {}
    let spun = CLOCK.get() - began;
    CLOCK.set(CLOCK.get() + slept);
    waiting.found();
    spun
}

#[test]
fn a_wait_spins_as_long_as_it_may_and_no_longer() {
    for pace in [Pace::Dense, Pace::Sparse] {
        let place = Place::default();
        let spun = sleep_at(&place, pace, 1_000_000);
        assert!((30_000..34_000).contains(&spun), "{spun}");
        let spun = sleep_at(&place, pace, 1_000_000);
        assert!((15_000..19_000).contains(&spun), "{spun}");
    }
}

/// Whether it may yield the CPU after some trials that missed, each of which was followed at once by what was waited
/// for.
fn yields_after_trials(place: &Place) -> bool {
    (0..100).any(|_| {
        sleep_at(place, Pace::Dense, 3_000);
        place.site().may_yield()
    })
}

/// Waits until a trial has missed, and what was waited for came as soon as it slept.
fn share_a_cpu(place: &Place) {
    ONE_CPU.set(true);
    assert!(yields_after_trials(place), "the first trial shows it");
    ONE_CPU.set(false);
}

#[test]
fn a_thread_that_may_use_several_cpus_sleeps_and_does_not_yield() {
    // A wake puts the other side on an idle CPU; yields would keep the two on one.
    assert!(!yields_after_trials(&Place::default()));
    assert_eq!(YIELDS.get(), 0);
}

#[test]
fn a_thread_that_shares_a_cpu_yields_it_before_it_sleeps() {
    let place = Place::default();
    share_a_cpu(&place);
    let mut spinning = 0;
    for _ in 0..1_000 {
        let (before, began) = (YIELDS.get(), CLOCK.get());
        let mut waiting = Waiting::new(&place, Pace::Dense);
        // It comes when this one yields, and not before.
        while YIELDS.get() == before {
            assert!(waiting.pause());
        }
        spinning += CLOCK.get() - began;
        waiting.found();
    }
    assert!(spinning < 1_000 * 500, "{spinning} ns: trials are rare");
}

#[test]
fn a_yield_that_gave_others_the_cpu_for_long_is_not_repeated_soon() {
    let place = Place::default();
    share_a_cpu(&place);
    YIELD.set(3_000_000);
    YIELDS.set(0);
    for _ in 0..1_000 {
        sleep_at(&place, Pace::Dense, 3_000);
    }
    assert!(YIELDS.get() <= 3, "{}", YIELDS.get());
    YIELD.set(0);
}
