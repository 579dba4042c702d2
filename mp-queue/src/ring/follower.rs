//! How often a follower wakes by itself: so that about sixteen followers do at each half second, whatever their number.
//!
//! ```text
//!   followers   each wakes at        so at each moment   one is awake within
//!   up to 16    every moment         up to 16            half a second
//!   32          every second one     16                  half a second
//!   96          every sixth one      16                  half a second
//!   600         every sixth one      100                 half a second
//! ```
//!
//! Followers wake by themselves in case both leaders die at once (leaders.rs). A wake-up costs CPU time, so many
//! followers share the moments: which ones a follower wakes at is its phase. Phases are multiples of the golden ratio,
//! so that any few of them are spread over the moments, also if every second or third follower dies.
//!
//! Nothing counts the followers, since nothing could count out a dead one. Each adds to one word when it has woken by
//! itself. By how much the word grew from one wake-up of a follower to its next one is the number of the others, where
//! all wake as often. After a death the word grows more slowly, and those that are left wake more often.
//!
//! # Bound
//! Of up to sixteen followers each wakes at every second moment at least: the word grows at most twice by each other
//! one in between. So the last one that lives wakes within a second. Of more followers, one wakes within a second
//! unless all whose turn it is die with the leaders. The others' turns come within three seconds.

use mp_core::word::Looks;

/// Followers that wake at one moment.
const AT_ONCE: u32 = 16;
/// No follower wakes more rarely than at so many moments: three seconds.
const RAREST: u32 = 6;
/// The golden ratio's part behind the point, of 2^32.
const GOLDEN: u32 = 0x9E37_79B9;

/// What a follower knows of the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Follower {
    /// Of 2^32.
    phase: u32,
    /// It wakes at every so many moments.
    apart: u32,
    /// The count of wake-ups behind its last one.
    last: u32,
}

impl Follower {
    /// The follower with this number, and the count of wake-ups.
    pub(super) fn new(number: u32, count: u32) -> Follower {
        Follower { phase: number.wrapping_mul(GOLDEN), apart: 1, last: count }
    }

    pub(super) fn looks(self) -> Looks {
        let phase = (u64::from(self.phase) * u64::from(self.apart)) >> 32;
        Looks::every(self.apart, phase as u32)
    }

    /// It has woken by itself, and added one to this count.
    pub(super) fn woke(&mut self, count: u32) {
        let others = count.wrapping_sub(self.last);
        self.apart = (others / AT_ONCE + 1).min(RAREST);
        self.last = count.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Followers beside a clock of moments.
    struct Crowd {
        moment: u64,
        count: u32,
        /// Each with its next moment.
        followers: Vec<(Follower, u64)>,
    }

    impl Crowd {
        fn of(followers: u32) -> Crowd {
            let follower =
                |number| (Follower::new(number, u32::MAX - 7), Follower::new(number, 0).looks().after(0));
            Crowd { moment: 0, count: u32::MAX - 7, followers: (0..followers).map(follower).collect() }
        }

        /// Gives how many wake by themselves at the next moment. `turn`: which of them is the first one.
        fn moment(&mut self, turn: usize) -> u32 {
            self.moment += 1;
            let (mut woken, length) = (0, self.followers.len());
            for at in 0..length {
                let (follower, next) = &mut self.followers[(at + turn) % length];
                if *next == self.moment {
                    follower.woke(self.count);
                    self.count = self.count.wrapping_add(1);
                    *next = follower.looks().after(self.moment);
                    woken += 1;
                }
            }
            woken
        }
    }

    #[test]
    fn one_wakes_within_a_second_however_many_there_are() {
        for followers in 1..200 {
            let mut crowd = Crowd::of(followers);
            let woken: Vec<u32> = (0..100).map(|turn| crowd.moment(7 * turn)).collect();
            for (at, two) in woken.windows(2).enumerate() {
                assert!(two.iter().sum::<u32>() > 0, "{followers} followers, none at {at} and the next");
            }
        }
    }

    #[test]
    fn the_last_of_a_few_wakes_within_a_second_whenever_the_others_die() {
        for followers in 1..=AT_ONCE {
            for death in 1..30 {
                let mut crowd = Crowd::of(followers);
                (0..death).for_each(|turn| {
                    crowd.moment(3 * turn);
                });
                let survivor = death % followers as usize;
                crowd.followers = vec![crowd.followers[survivor]];
                (0..10).for_each(|_| assert!(crowd.moment(0) + crowd.moment(0) > 0, "{followers}, {death}"));
            }
        }
    }

    #[test]
    fn most_of_many_may_die() {
        for followers in [33, 50, 98, 150, 500] {
            for death in 20..40 {
                let mut crowd = Crowd::of(followers);
                (0..death).for_each(|turn| {
                    crowd.moment(5 * turn);
                });
                // All but every second one, or every third one.
                let (each, mut number) = (2 + death % 2, 0);
                crowd.followers.retain(|_| {
                    number += 1;
                    number % each == 0
                });
                (0..30).for_each(|turn| {
                    assert!(crowd.moment(turn) + crowd.moment(turn) > 0, "{followers}, {death}")
                });
            }
        }
    }

    /// Once they know each other.
    #[test]
    fn a_hundred_wake_no_more_often_than_each_every_three_seconds() {
        for followers in [40, 64, 98, 200, 600] {
            let mut crowd = Crowd::of(followers);
            (0..20).for_each(|turn| {
                crowd.moment(11 * turn);
            });
            let woken: u32 = (0..60).map(|turn| crowd.moment(13 * turn)).sum();
            let at_each = followers.div_ceil(RAREST).max(AT_ONCE);
            assert!(
                woken <= 60 * at_each * 5 / 4,
                "{followers} followers woke {woken} times in thirty seconds"
            );
        }
    }
}
