//! Waits that may nap, on a machine that is numbers: how late they are, and what they take of the CPU, beside waits
//! that sleep until they are woken.

use super::simulation::{CLOCK, Place, random};
use super::{Learned, Machine, Pace, Waiting};
use std::cell::Cell;

/// From what is waited for to the first instruction of the process that it woke; from the end of a timer to the same.
const WAKE: u64 = 20_000;
const TIMER: u64 = 16_000;
/// What each of them takes of a CPU.
const SWITCHES: u64 = 15_000;

thread_local! {
    /// When what is waited for comes.
    static DUE: Cell<u64> = const { Cell::new(0) };
    static SLEEPS: Cell<u64> = const { Cell::new(0) };
}

/// Sleeps until it is woken, or until this time.
fn sleep_until(end: u64) {
    let due = DUE.get();
    if CLOCK.get() < due {
        SLEEPS.set(SLEEPS.get() + 1);
        CLOCK.set((end + TIMER).min(due + WAKE));
    }
}

/// What waits cost together, in nanoseconds.
#[derive(Debug, Default, Clone, Copy)]
struct Cost {
    /// From what was waited for to the end of the wait.
    late: u64,
    /// Of the CPU.
    cpu: u64,
    naps: u64,
    /// Waits that found it less than a microsecond late.
    at_once: u64,
}

/// Waits as every caller does, for what comes in turn after so many nanoseconds.
fn waits(place: &Place, lengths: impl Iterator<Item = u64>) -> Cost {
    let mut cost = Cost::default();
    for length in lengths {
        let (began, sleeps) = (CLOCK.get(), SLEEPS.get());
        DUE.set(began + length);
        let (mut spun, mut naps) = (0, 0);
        let mut waiting = Waiting::new(place, Pace::Dense);
        loop {
            let now = CLOCK.get();
            if now >= DUE.get() {
                break;
            }
            if waiting.pause() {
                spun += CLOCK.get() - now;
                continue;
            }
            let nap = |nanos: u32| sleep_until(CLOCK.get() + u64::from(nanos));
            if waiting.nap(None, nap) {
                naps += 1;
            } else {
                sleep_until(u64::MAX - TIMER);
            }
            waiting.again();
        }
        waiting.found();
        let late = CLOCK.get() - DUE.get();
        cost.late += late;
        cost.at_once += u64::from(late < 2_000);
        cost.cpu += spun + SWITCHES * (SLEEPS.get() - sleeps);
        cost.naps += naps;
    }
    cost
}

/// The same by waits that sleep until they are woken, and do not spin.
fn sleeping<T>(lengths: impl Iterator<Item = T>) -> Cost {
    let count = lengths.count() as u64;
    Cost { late: count * WAKE, cpu: count * SWITCHES, ..Cost::default() }
}

/// A place whose waits have found out that spinning is in vain.
fn place() -> Place {
    let place = Place::default();
    waits(&place, std::iter::repeat_n(10_000_000, 5));
    place
}

const WAITS: usize = 10_000;

#[test]
fn steady_waits_end_in_time_and_cost_no_more_cpu_than_a_sleep_and_half_a_spin() {
    for length in [35_000, 50_000, 100_000, 200_000, 1_000_000] {
        for spread in [0, 2_000, 8_000] {
            let (place, mut seed) = (place(), 7);
            let lengths: Vec<u64> = (0..WAITS).map(|_| length + random(&mut seed) % (spread + 1)).collect();
            let cost = waits(&place, lengths.iter().copied());
            assert!(cost.at_once > WAITS as u64 * 8 / 10, "{length} {spread}: {cost:?}");
            let sleep = sleeping(lengths.iter());
            assert!(cost.late < sleep.late / 4, "{length} {spread}: {cost:?}");
            // Of the trials as long as a limit, one in 64 waits, too.
            let spins = WAITS as u64 * u64::from(Place::sleep_cost()) * 17 / 32;
            assert!(cost.cpu < sleep.cpu + spins, "{length} {spread}: {cost:?}");
        }
    }
}

/// Each nanosecond of CPU time that naps take buys one of lateness at least, beside a twentieth for what is learned.
#[test]
fn naps_buy_what_they_cost_whatever_the_lengths() {
    type Length = fn(&mut u64) -> u64;
    let lengths: [(&str, Length, u64); 4] = [
        ("of two lengths", |seed| if random(seed).is_multiple_of(2) { 60_000 } else { 500_000 }, 100),
        ("uniform", |seed| 40_000 + random(seed) % 400_000, 100),
        ("in steps", |seed| 60_000 + (random(seed) % 8) * (random(seed) % 8) * 20_000, 100),
        (
            "one of ten is long",
            |seed| if random(seed).is_multiple_of(10) { 1_000_000 } else { 60_000 },
            WAITS as u64,
        ),
    ];
    for (name, length, most) in lengths {
        let (place, mut seed) = (place(), 7);
        let lengths: Vec<u64> = (0..WAITS).map(|_| length(&mut seed)).collect();
        let (cost, sleep) = (waits(&place, lengths.iter().copied()), sleeping(lengths.iter()));
        let trials = WAITS as u64 / 64 * u64::from(Place::sleep_cost());
        assert!(cost.late <= sleep.late * 101 / 100, "{name}: {cost:?}");
        let bought = sleep.late.saturating_sub(cost.late);
        assert!(cost.cpu <= sleep.cpu * 21 / 20 + trials + bought, "{name}: {cost:?} beside {sleep:?}");
        assert!(cost.naps <= most, "{name}: {cost:?}");
    }
}

#[test]
fn a_wait_for_nothing_naps_at_most_once() {
    let place = place();
    waits(&place, std::iter::repeat_n(100_000, 20));
    let cost = waits(&place, std::iter::once(u64::MAX / 2));
    assert_eq!(cost.naps, 1);
    // And what follows is as unforeseen.
    let cost = waits(&place, (0..20).map(|of| if of % 4 == 0 { 100_000 } else { 300_000_000 }));
    assert_eq!(cost.naps, 0);
}

#[test]
fn waits_that_become_longer_little_by_little_nap_no_longer_than_64_limits() {
    let (place, limit) = (place(), u64::from(Place::sleep_cost()));
    let mut longest = 0;
    for lengths in [[50_000; 64].to_vec(), (50_000..70 * limit).step_by(500).collect()] {
        for length in lengths {
            waits(&place, std::iter::once(length));
            longest = longest.max(place.site().nap.aim().unwrap_or(0).into());
        }
    }
    assert!((60 * limit..=64 * limit).contains(&longest), "{} limits", longest / limit);
}

#[test]
fn waits_that_are_shorter_than_a_wake_do_not_nap() {
    let place = Place::default();
    let cost = waits(&place, std::iter::repeat_n(5_000, WAITS));
    assert_eq!((cost.naps, place.site().budget(u32::MAX)), (0, u32::MAX));
    assert_eq!(waits(&place, std::iter::repeat_n(u64::from(u32::MAX) * 2, 100)).naps, 0);
}
