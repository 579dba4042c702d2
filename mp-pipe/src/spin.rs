//! Looking at a socket before sleeping on it, for as long as that has been worth it: see `Waiting` of mp-core.

use mp_core::sys::machine::LocalSite;
use mp_core::word::{Pace, Waiting};

/// A wait that has looked for as long as it may; it is told when the sleep is over.
pub(crate) type Sleeps<'a> = Waiting<'a, LocalSite>;

/// Looks until something is there, or it is time to sleep.
#[inline]
pub(crate) fn look<T>(site: &LocalSite, mut at: impl FnMut() -> Option<T>) -> Result<T, Sleeps<'_>> {
    if let Some(found) = at() {
        return Ok(found);
    }
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

    /// Looks in vain; gives how often.
    fn in_vain(site: &LocalSite) -> u32 {
        let mut count = 0;
        let found = look(site, || {
            count += 1;
            None::<()>
        });
        assert!(found.is_err());
        count
    }

    #[test]
    fn looks_in_vain_come_to_one_and_one_that_finds_it_brings_them_back() {
        let site = LocalSite::default();
        (0..100).find(|_| in_vain(&site) == 1).expect("it is not looked for ever");
        let learned = site.site();
        assert_eq!(look(&site, || Some("there")).ok(), Some("there"));
        assert_eq!(site.site(), learned, "what is there at once teaches nothing");
        let third = || {
            let mut count = 0;
            look(&site, || {
                count += 1;
                (count == 3).then_some("it")
            })
        };
        // Not before the next trial.
        while third().is_err() {}
        assert!(site.site().budget(u32::MAX) > learned.budget(u32::MAX));
    }
}
