//! How fast sleepers are woken where a pool has more workers than CPUs. A worker that no CPU is free for takes no task
//! sooner; its wake, and its way to the next task, cost those that run.
//!
//! ```text
//!   wake:      fewer awake than CPUs? ─ yes ─► wakes one, which takes, and wakes the next while there is more
//!                      │ no
//!                      ├─ a sentinel? ─ yes ─► nothing: the sentinel looks
//!                      └─ no ────────────────► wakes one, which finds more awake than CPUs: the sentinel
//!
//!   sentinel:  yields its CPU ─ a task waits, and none was taken meanwhile? ─ yes ─► ends: last look, takes
//!                      │ no
//!                      └► sleeps for a moment, and looks ─ nothing waits, or a CPU is free ─► ends: last look, takes
//!                              ▲         ├─ what waited at the last look was taken, or much was: nothing
//!                              │         ├─ a task waits since then, and a few were taken: wakes one
//!                              │         └─ … and none but by those it woke: wakes twice as many as before
//!                              └─────────────────┘
//! ```
//!
//! So tasks that compute are done by as many workers as there are CPUs, and tasks that sleep by all workers, some looks
//! later. A worker that runs out of work while more are awake than CPUs sleeps at once.
//!
//! A worker is awake that has started and whose sleeper's bit is down: what the dead had taken down or up is no longer
//! counted once the caller has seen the death.
//!
//! # Why no task waits for good
//! A process that finds a sentinel has entered its hint before; the sentinel gives the word back before its last
//! look. A fence stands between on either side: one of the two sees the other.
//! # When a process dies
//! The word names the sentinel: the caller clears it when it sees the death ([`forget`](Board::forget)), and then wakes
//! all. One that is stopped holds up the wakes that it would have made for half a second: then each sleeper looks by
//! itself.
//! # Tested by
//! model/sentinel.rs

use super::Board;
use super::layout::LANES;
use mp_core::word::{Deadline, Ordering, Word};
use std::ops::Deref;
use std::time::Duration;

/// From one look of the sentinel to the next. The kernel adds its timer slack, which is as long.
const LOOK: Duration = Duration::from_micros(50);

/// Tasks, or runs, of which so many are taken between two looks are so short that the wake of one more worker costs
/// more than it brings.
const MANY: u32 = 16;

/// Heads and tails of the lanes at one moment.
struct Lanes {
    heads: [u32; LANES as usize],
    tails: [u32; LANES as usize],
}

impl Lanes {
    /// Whether a hint that was there then has not been passed since.
    fn one_waits(&self, now: &Lanes) -> bool {
        self.tails.iter().zip(now.heads).any(|(tail, head)| tail.wrapping_sub(head) as i32 > 0)
    }

    /// How many hints were passed since.
    fn passed(&self, now: &Lanes) -> u32 {
        self.heads.iter().zip(now.heads).map(|(then, now)| now.wrapping_sub(*then)).sum()
    }
}

impl<W: Word, V: Deref<Target = [W]>> Board<V> {
    /// Worker: it is there, to be counted as awake. Caller: it is not, once it is dead.
    pub(super) fn enlist(&self, worker: u32, is_there: bool) {
        let (bits, bit) = (self.word(self.places.started() + worker as usize / 32), 1 << (worker % 32));
        if is_there {
            // ORDERING: Relaxed, here and below: a count, of which the speed of wakes depends and no wake.
            bits.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.lower(bits, bit);
        }
    }

    fn awake(&self) -> u32 {
        let of = |at| {
            // ORDERING: as above.
            let started = self.word(self.places.started() + at).load(Ordering::Relaxed);
            let asleep = self.word(self.places.sleepers() + at).load(Ordering::Relaxed);
            (started & !asleep).count_ones()
        };
        (0..self.places.shape.workers.div_ceil(32) as usize).map(of).sum()
    }

    fn outnumbers_cpus(&self) -> bool {
        self.places.shape.workers > self.places.shape.cpus
    }

    /// Worker, which is awake: whether more are than there are CPUs.
    #[inline]
    pub(super) fn is_crowded(&self) -> bool {
        self.outnumbers_cpus() && self.awake() > self.places.shape.cpus
    }

    /// Whether one more worker that is awake would only take a CPU from another one, and a sentinel looks whether that
    /// is so. A fence stands before it.
    #[inline]
    pub(super) fn leaves_it_to_the_sentinel(&self) -> bool {
        // ORDERING: Relaxed: the fence orders it after the commit.
        self.outnumbers_cpus()
            && self.awake() >= self.places.shape.cpus
            && self.word(self.places.sentinel()).load(Ordering::Relaxed) != 0
    }

    fn lanes(&self) -> Lanes {
        let mut lanes = Lanes { heads: [0; LANES as usize], tails: [0; LANES as usize] };
        for lane in 0..self.places.shape.lanes {
            // ORDERING: Relaxed, both: a look, which the next one corrects.
            lanes.heads[lane as usize] = self.word(self.places.head(lane)).load(Ordering::Relaxed);
            lanes.tails[lane as usize] = self.word(self.places.tail(lane)).load(Ordering::Relaxed);
        }
        lanes
    }

    /// Worker that was woken although others have all CPUs: looks whether tasks wait, until it is to take one, or none
    /// is there. At once if another one does.
    #[cold]
    pub(super) fn be_sentinel(&self, me: u32) {
        let word = self.word(self.places.sentinel());
        // ORDERING: Relaxed: it names the worker, and publishes nothing.
        if word.compare_exchange(0, me + 1, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let before = self.lanes();
        W::yield_now();
        let (mut now, mut woken) = (self.lanes(), 0);
        // Those that are awake are at long tasks, and no other thread wants this CPU.
        let takes = before.one_waits(&now) && before.passed(&now) == 0;
        while !takes && self.sleep_for_a_look(me) {
            let (backlog, before) = (self.backlog(), std::mem::replace(&mut now, self.lanes()));
            if backlog == 0 || self.awake() < self.places.shape.cpus {
                break;
            }
            let passed = before.passed(&now);
            let wanted = match before.one_waits(&now) && passed <= MANY {
                false => 0,
                true if passed > woken => 1,
                true => (2 * woken).clamp(1, backlog),
            };
            woken = (0..wanted).take_while(|_| self.wake_one()).count() as u32;
            if woken < wanted {
                break;
            }
        }
        // ORDERING: Relaxed: the fence orders it before the last look, which is the caller's of this.
        word.store(0, Ordering::Relaxed);
        W::fence();
    }

    /// `false`: it was woken, or is to end.
    fn sleep_for_a_look(&self, me: u32) -> bool {
        let (bits, bit) = self.sleepers_bit(me);
        let event = self.word(self.places.worker(me));
        // ORDERING: Relaxed: the fence orders it before what is read below.
        bits.fetch_or(bit, Ordering::Relaxed);
        W::fence();
        // ORDERING: Acquire, pairs with the Release in `wake_sleeper`: the bit below is no older.
        let seen = event.load(Ordering::Acquire);
        let ends = self.is_over() || self.is_dismissed(me);
        // ORDERING: Relaxed: see above.
        if !ends && bits.load(Ordering::Relaxed) & bit != 0 {
            event.wait(seen, Deadline::after(LOOK));
        }
        self.lower(bits, bit) && !ends
    }

    /// Caller: a dead worker watches no lanes.
    pub(super) fn relieve(&self, worker: u32) {
        let word = self.word(self.places.sentinel());
        // ORDERING: Relaxed: the caller wakes all after it.
        let _ = word.compare_exchange(worker + 1, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}
