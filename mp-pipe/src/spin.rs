//! Adaptive spin on a socket before a sleep, as long as it has been worth it: see `Waiting` of mp-core.

use mp_core::sys::machine::LocalSite;
use mp_core::word::{Pace, Waiting};

/// A wait whose spin has used up its budget; it is told when the sleep is over.
pub(crate) type Sleeps<'a> = Waiting<'a, LocalSite>;

/// Calls `at` until it returns something, or the budget is used up.
#[inline]
pub(crate) fn spin_for<T>(site: &LocalSite, mut at: impl FnMut() -> Option<T>) -> Result<T, Sleeps<'_>> {
    at().map_or_else(|| spin_on(site, at), Ok)
}

/// As [`spin_for`], of a caller that has just looked.
pub(crate) fn spin_on<T>(site: &LocalSite, mut at: impl FnMut() -> Option<T>) -> Result<T, Sleeps<'_>> {
    let mut waiting = Waiting::new(site, Pace::Dense);
    while waiting.pause() {
        if let Some(found) = at() {
            waiting.found();
            return Ok(found);
        }
    }
    Err(waiting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp_core::word::Learned;

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
}
