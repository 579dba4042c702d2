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
//! Where the other side runs on another CPU, what is waited for is here a microsecond after the look in vain, and waking
//! who sleeps takes twenty. Where it runs on this one, or thinks for long, looking only keeps it, or others, from
//! running. Nobody knows in advance which of the two it is, and the scheduler changes it; so it is tried again now and
//! then, the more rarely the more often it was in vain.

/// Sleeps between two tries, at least and at most.
const GAPS: (u32, u32) = (8, 1024);

/// What one who waits again and again has learned; at first, and at most, it looks `MOST` times.
#[derive(Debug, Clone, Copy)]
pub struct Looks<const MOST: u32> {
    /// Before the next sleep.
    granted: u32,
    /// They are a try.
    trying: bool,
    /// Sleeps until then, and from the one after that to the next.
    left: u32,
    gap: u32,
}

impl<const MOST: u32> Looks<MOST> {
    /// Who has learned nothing.
    pub const fn new() -> Self {
        Looks { granted: MOST, trying: false, left: 0, gap: GAPS.0 }
    }

    /// How often to look before the next sleep.
    #[inline]
    pub fn granted(&self) -> u32 {
        self.granted
    }

    /// A look found it.
    pub fn found(&mut self) {
        *self = Looks::new();
    }

    /// None did; or none was granted, and it has slept.
    pub fn in_vain(&mut self) {
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

impl<const MOST: u32> Default for Looks<MOST> {
    fn default() -> Self {
        Looks::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Few = Looks<64>;

    /// Looks before the next sleep, all in vain.
    fn granted(looks: &mut Few) -> u32 {
        let granted = looks.granted();
        looks.in_vain();
        granted
    }

    #[test]
    fn looks_that_are_always_in_vain_become_rare() {
        let mut looks = Few::new();
        let all: Vec<u32> = (0..7).map(|_| granted(&mut looks)).collect();
        assert_eq!(all, [64, 32, 16, 8, 4, 2, 1]);
        for gap in [8, 16, 32, 64, 128, 256, 512, 1024, 1024] {
            assert!((0..gap).all(|_| granted(&mut looks) == 0), "{gap}");
            assert_eq!(granted(&mut looks), 64, "after {gap}");
        }
    }

    #[test]
    fn one_that_finds_it_is_as_good_as_new() {
        let mut looks = Few::new();
        let mut sleeps = 0;
        while sleeps < 1_000 || looks.granted() == 0 {
            granted(&mut looks);
            sleeps += 1;
        }
        looks.found();
        assert_eq!([granted(&mut looks), granted(&mut looks)], [64, 32]);
    }
}
