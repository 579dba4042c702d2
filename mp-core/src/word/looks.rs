//! Looks: at which moments a sleeper wakes by itself.
//!
//! All waiters of a machine share these moments, two a second ([`Word::wait`](super::Word::wait) wakes at each of
//! them). One for which others wake too may leave some out ([`Word::wait_long`](super::Word::wait_long)). Which ones is
//! its phase, so that sleepers with as long a sleep are spread over the moments.

/// Every so many moments, from one of them on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// Not 0.
    apart: u32,
    /// Less than `apart`.
    phase: u32,
}

impl Looks {
    /// At each moment.
    pub const ALL: Looks = Looks { apart: 1, phase: 0 };

    /// At every `apart`-th moment (0 counts as 1): those whose number has the same remainder as `phase`.
    pub fn every(apart: u32, phase: u32) -> Looks {
        let apart = apart.max(1);
        Looks { apart, phase: phase % apart }
    }

    /// The first of its moments after the one with this number.
    pub fn after(self, moment: u64) -> u64 {
        let (apart, next) = (u64::from(self.apart), moment + 1);
        next + (u64::from(self.phase) + apart - next % apart) % apart
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_moments_are_as_far_apart_as_it_says_and_have_its_phase() {
        for apart in 1..8 {
            for phase in 0..2 * apart {
                let looks = Looks::every(apart, phase);
                for moment in 0..40 {
                    let next = looks.after(moment);
                    assert!(moment < next && next <= moment + u64::from(apart));
                    assert_eq!(next % u64::from(apart), u64::from(phase % apart));
                    assert_eq!(looks.after(next), next + u64::from(apart));
                }
            }
        }
        assert_eq!(Looks::every(0, 3), Looks::ALL);
    }
}
