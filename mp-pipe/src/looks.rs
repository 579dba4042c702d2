//! How often to look before sleeping, learned from how it went. Pure: no clock, no system call.
//!
//! ```text
//!   ┌────── found while looking ──────┐
//!   ▼                                 │
//!  MOST looks ─in vain─► half as many ┴ … ─► none ──after some sleeps──► a try: MOST looks
//!                                             ▲                             │
//!                                             └── in vain: more sleeps ─────┘
//! ```
//!
//! Where the other side runs on another CPU, a message is here a microsecond after the look in vain, and waking who
//! sleeps takes twenty. Where it runs on this one, or thinks for long, looking only keeps it, or others, from
//! running. Nobody knows in advance which of the two it is, and the scheduler changes it; so it is tried again now and
//! then, the more rarely the more often it was in vain.

/// Looks before a sleep, where they are worth it: about as long, together, as waking a sleeper takes.
const MOST: u32 = 64;
/// Between two looks, so that they do not keep the other side from the socket.
const PAUSES: u32 = 4;
/// Sleeps between two tries, at least and at most.
const GAPS: (u32, u32) = (8, 1024);

/// What one direction of an end has learned.
#[derive(Debug)]
pub(crate) struct Looks {
    /// Before the next sleep.
    granted: u32,
    /// They are a try.
    trying: bool,
    /// Sleeps until then, and from the one after that to the next.
    left: u32,
    gap: u32,
}

impl Default for Looks {
    fn default() -> Looks {
        Looks { granted: MOST, trying: false, left: 0, gap: GAPS.0 }
    }
}

impl Looks {
    /// Looks as often as it is worth it; gives what is found. `None`: one sleeps now.
    #[inline]
    pub(crate) fn look<T>(&mut self, mut at: impl FnMut() -> Option<T>) -> Option<T> {
        for look in 0..self.granted {
            if let Some(found) = at() {
                // What was there at once teaches nothing.
                if look > 0 {
                    *self = Looks::default();
                }
                return Some(found);
            }
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
        }
        self.in_vain();
        None
    }

    fn in_vain(&mut self) {
        if self.granted == 0 {
            self.left -= 1;
            if self.left == 0 {
                (self.granted, self.trying) = (MOST, true);
            }
            return;
        }
        self.granted = if self.trying { 0 } else { self.granted / 2 };
        if self.granted == 0 {
            self.left = self.gap;
            self.gap = (2 * self.gap).min(GAPS.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks before the next sleep.
    fn granted(looks: &mut Looks) -> u32 {
        let mut count = 0;
        let found: Option<()> = looks.look(|| {
            count += 1;
            None
        });
        assert_eq!(found, None);
        count
    }

    #[test]
    fn looks_that_are_always_in_vain_become_rare() {
        let mut looks = Looks::default();
        let all: Vec<u32> = (0..7).map(|_| granted(&mut looks)).collect();
        assert_eq!(all, [64, 32, 16, 8, 4, 2, 1]);
        for gap in [8, 16, 32, 64, 128, 256, 512, 1024, 1024] {
            assert!((0..gap).all(|_| granted(&mut looks) == 0), "{gap}");
            assert_eq!(granted(&mut looks), MOST, "after {gap}");
        }
    }

    #[test]
    fn one_that_finds_it_is_as_good_as_new() {
        let mut looks = Looks::default();
        let mut sleeps = 0;
        while sleeps < 1_000 || looks.granted == 0 {
            granted(&mut looks);
            sleeps += 1;
        }
        let mut count = 0;
        let found = looks.look(|| {
            count += 1;
            (count == 3).then_some("it")
        });
        assert_eq!((found, count), (Some("it"), 3));
        assert_eq!([granted(&mut looks), granted(&mut looks)], [MOST, MOST / 2]);
    }

    #[test]
    fn what_is_there_at_once_changes_nothing() {
        let mut looks = Looks::default();
        granted(&mut looks);
        assert_eq!(looks.look(|| Some(1)), Some(1));
        assert_eq!(granted(&mut looks), MOST / 2);
    }
}
