//! Adaptive spin on a socket before a sleep, as long as it has been worth it: see `Waiting` of mp-core.

use mp_core::sys::machine::LocalSite;
use mp_core::word::{Deadline, Pace, Waiting};

/// A wait whose spin has used up its budget; it is told when the sleep is over.
pub(crate) type Sleeps<'a> = Waiting<'a, LocalSite>;

/// Calls `at` until it returns something, or the budget is used up.
#[inline]
pub(crate) fn spin_for<T>(site: &LocalSite, mut at: impl FnMut() -> Option<T>) -> Result<T, Sleeps<'_>> {
    at().map_or_else(|| spin_on(site, at), Ok)
}

/// As [`spin_for`], of a caller that has just looked.
pub(crate) fn spin_on<T>(site: &LocalSite, at: impl FnMut() -> Option<T>) -> Result<T, Sleeps<'_>> {
    spin(Waiting::new(site, Pace::Dense), at)
}

fn spin<T>(mut waiting: Sleeps<'_>, mut at: impl FnMut() -> Option<T>) -> Result<T, Sleeps<'_>> {
    while waiting.pause() {
        if let Some(found) = at() {
            waiting.found();
            return Ok(found);
        }
    }
    Err(waiting)
}

/// Where the sleeps took about the same time: sleeps by `sleep` until shortly before that, for so many nanoseconds, and
/// calls `at` as [`spin_for`] does.
pub(crate) fn nap_and_spin<'a, T>(
    mut waiting: Sleeps<'a>,
    until: Option<Deadline>,
    sleep: impl FnOnce(u32),
    mut at: impl FnMut() -> Option<T>,
) -> Result<T, Sleeps<'a>> {
    if !waiting.nap(until, sleep) {
        return Err(waiting);
    }
    waiting.again();
    match at() {
        Some(found) => {
            waiting.found();
            Ok(found)
        }
        None => spin(waiting, at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp_core::word::{Learned, Site};
    use std::time::Duration;

    /// Spins without success; returns the number of attempts.
    fn missed(site: &LocalSite) -> u32 {
        let mut count = 0;
        let found = spin_for(site, || {
            count += 1;
            None::<()>
        });
        assert!(found.is_err());
        count
    }

    #[test]
    fn missed_spins_come_to_one_and_a_success_brings_them_back() {
        let site = LocalSite::default();
        (0..100).find(|_| missed(&site) == 1).expect("it does not spin for ever");
        let learned = site.site();
        assert_eq!(spin_for(&site, || Some("there")).ok(), Some("there"));
        assert_eq!(site.site(), learned, "an immediate success teaches nothing");
        let third = || {
            let mut count = 0;
            spin_for(&site, || {
                count += 1;
                (count == 3).then_some("it")
            })
        };
        // Not before the next trial.
        while third().is_err() {}
        assert!(site.site().budget(u32::MAX) > learned.budget(u32::MAX));
    }

    /// Waits at a site that naps for a nanosecond; what it waits for is there at this look after the nap. Gives the
    /// number of naps, and whether it was found.
    fn napping(site: &LocalSite, until: Option<Deadline>, look: u32) -> (u32, bool) {
        let (mut naps, mut looks) = (0, 0);
        let Err(waiting) = spin_on(site, || None::<()>) else { unreachable!("nothing is found") };
        let found = nap_and_spin(
            waiting,
            until,
            |_| naps += 1,
            || {
                looks += 1;
                (looks == look).then_some(())
            },
        );
        (naps, found.is_ok())
    }

    #[test]
    fn a_nap_is_followed_by_a_spin_and_teaches() {
        let site = LocalSite::default();
        site.learn(Site::that_naps());
        let naps_still = site.site();
        for look in [1, 2, 5] {
            assert_eq!(napping(&site, None, look), (1, true), "{look}");
        }
        // None where the time is over sooner, or where none is due.
        assert_eq!(napping(&site, Deadline::after(Duration::ZERO), 1), (0, false));
        assert_eq!(napping(&LocalSite::default(), None, 1), (0, false));
        // What does not come is slept for, and the next wait does not nap.
        site.learn(naps_still);
        assert_eq!(napping(&site, None, u32::MAX), (1, false));
        assert_eq!(napping(&site, None, 1), (0, false));
    }
}
