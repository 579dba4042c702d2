//! Barrier: no party passes until all parties have arrived.
//!
//! ```text
//!             arrive            the last arrives               no action, or it is done
//!  FILLING ──────────► FILLING ─────────────────► (ACTING) ──────────────────► FILLING, next round
//!     │                   │                           │
//!     └───────────────────┴── timeout, abort, a party died, the action panicked ──► BROKEN, next round
//!                                                                                     │
//!  FILLING ◄────────────────────────────── reset ─────────────────────────────────────┘
//! ```
//!
//! | word       | meaning                                                                              |
//! |------------|--------------------------------------------------------------------------------------|
//! | `lock`     | held by each thread that changes the others; only ASLEEP is set without it           |
//! | `parties`  | the number of parties                                                                |
//! | `round`    | upper 30 bits: rounds that have ended; LAST_BROKE: how the last one ended; ASLEEP     |
//! | `arrived`  | parties that have arrived in this round                                              |
//! | `state`    | FILLING, ACTING (all have arrived, one runs the action) or BROKEN                    |
//! | `history`  | one bit for each of the last 32 rounds, at round mod 32: it broke                    |
//! | `breaks`   | the number of rounds that have broken                                                |
//!
//! A round ends by the one store to `round`: it passes for all of its parties or for none. A party sleeps on
//! that word. It leaves without the lock and answers to no other party, so a fast party can be back for the
//! next round while a slow one has not left: they are in different rounds. A slow party that missed further
//! rounds finds its own in `history`. One that missed more than 32 (this takes more users than parties, or a
//! break each round) passes if no round broke since it came, and otherwise is told that the barrier broke.
//!
//! The action runs without the lock, so a party that is killed or stopped in it does not stop the timeouts of
//! others. Latecomers wait for the next round meanwhile.
//!
//! # Orderings
//! The lock hands what parties did before they arrived to the last one. Its Release to `round` hands it to
//! all that read `round` with Acquire. The other words are read and written under the lock. Queries without
//! it (`n_waiting`, `is_broken`) promise nothing about anything else.
//!
//! # When a process dies
//! - *A party, anywhere*: `alive` returns false when the others next wake by themselves, and they break the
//!   round.
//! - *Inside the lock*: the next holder finds OwnerDied and breaks the round, whatever was half done.
//! - *After the store and before the wake*: the sleepers wake by themselves within half a second, and pass.
//!
//! A party that is *stopped* inside the lock, some ten instructions, holds up the timeouts of the others too.
//!
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: barrier_*

use super::lock::{Acquired, RawLock};
use mp_core::word::{Deadline, Ordering, Owned, Pace, Waiting, Wake, Word};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

const FILLING: u32 = 0;
const ACTING: u32 = 1;
const BROKEN: u32 = 2;

/// Flags in `round`; the rest counts rounds in steps of ROUND.
const LAST_BROKE: u32 = 1;
const ASLEEP: u32 = 1 << 1;
const ROUND: u32 = 1 << 2;
const ROUND_BITS: u32 = 2;

/// The result of a round that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The number of parties that arrived before: 0 to parties - 1, each once in a round.
    pub index: u32,
    /// Whether this party arrived last and ran the action: one in each round.
    pub leader: bool,
}

/// The barrier is broken, or this round of it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// The barrier of this module. All zeros is a barrier without parties: call [`init`](RawBarrier::init) first.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RawBarrier<O: Owned> {
    lock: RawLock<O>,
    parties: O::Word,
    round: O::Word,
    arrived: O::Word,
    state: O::Word,
    history: O::Word,
    breaks: O::Word,
}

/// What a party remembers of the round in which it arrived.
#[derive(Clone, Copy)]
struct Ticket {
    index: u32,
    /// The value of `round` without its flags.
    round: u32,
    breaks: u32,
}

/// The result of an arrival.
enum Entered {
    /// Other parties are missing.
    Early(Ticket),
    /// All have arrived, and this party runs the action.
    Acts(Ticket),
    /// All have arrived, and the round has passed.
    Passed(Ticket),
    /// This round is complete, and the next has not begun.
    TooMany(u32),
    Broken,
}

impl<O: Owned> RawBarrier<O> {
    /// Sets the number of parties, at least 1. Once, before other processes see the barrier.
    pub fn init(&self, parties: u32) {
        write(&self.parties, parties);
    }

    /// Waits for the other parties.
    ///
    /// `alive` is called each time the thread wakes by itself: do all parties that are still to come live? If
    /// not, if the deadline passes, or if [`abort`](RawBarrier::abort) or [`reset`](RawBarrier::reset) is
    /// called, the round breaks for all of its parties.
    pub fn wait(&self, until: Option<Deadline>, alive: impl FnMut() -> bool) -> Result<Arrival, Broken> {
        self.meet(until, alive, None::<fn()>)
    }

    /// Waits for the other parties; the last to arrive runs `action` before any party passes. If the action
    /// panics, the barrier breaks and the panic continues.
    pub fn wait_then(
        &self,
        until: Option<Deadline>,
        alive: impl FnMut() -> bool,
        action: impl FnOnce(),
    ) -> Result<Arrival, Broken> {
        self.meet(until, alive, Some(action))
    }

    /// Breaks the barrier: parties that wait, and parties that arrive, get [`Broken`], until it is reset.
    pub fn abort(&self) {
        self.locked(|| {
            let asleep = read(&self.state) != BROKEN && self.end_round(BROKEN);
            (asleep, ())
        });
    }

    /// Makes the barrier usable again. Parties that wait now get [`Broken`].
    pub fn reset(&self) {
        self.locked(|| {
            let asleep = read(&self.arrived) != 0 && self.end_round(BROKEN);
            write(&self.state, FILLING);
            (asleep, ())
        });
    }

    /// The number of parties.
    pub fn parties(&self) -> u32 {
        read(&self.parties)
    }

    /// The number of parties that wait; 0 unless others are missing.
    pub fn n_waiting(&self) -> u32 {
        if read(&self.state) == FILLING { read(&self.arrived) } else { 0 }
    }

    /// Whether it is broken.
    pub fn is_broken(&self) -> bool {
        read(&self.state) == BROKEN
    }

    fn meet(
        &self,
        until: Option<Deadline>,
        mut alive: impl FnMut() -> bool,
        action: Option<impl FnOnce()>,
    ) -> Result<Arrival, Broken> {
        loop {
            match self.enter(action.is_some()) {
                Entered::Broken => return Err(Broken),
                Entered::Passed(ticket) => return Ok(Arrival { index: ticket.index, leader: true }),
                Entered::Acts(ticket) => return self.act(ticket, action),
                Entered::TooMany(round) => self.sleep(round, until, &mut alive),
                Entered::Early(ticket) => {
                    self.sleep(ticket.round, until, &mut alive);
                    let passed = self.has_passed(ticket);
                    return passed.then_some(Arrival { index: ticket.index, leader: false }).ok_or(Broken);
                }
            }
        }
    }

    fn enter(&self, has_action: bool) -> Entered {
        self.locked(|| {
            let round = ended(read(&self.round));
            match read(&self.state) {
                FILLING => {}
                ACTING => return (false, Entered::TooMany(round)),
                _ => return (false, Entered::Broken),
            }
            let (index, parties) = (read(&self.arrived), read(&self.parties));
            if index >= parties {
                // The word was overwritten: in an open round fewer than all have arrived. Which party is
                // missing is not known.
                return (self.end_round(BROKEN), Entered::Broken);
            }
            let ticket = Ticket { index, round, breaks: read(&self.breaks) };
            write(&self.arrived, index + 1);
            if index + 1 < parties {
                (false, Entered::Early(ticket))
            } else if has_action {
                write(&self.state, ACTING);
                (false, Entered::Acts(ticket))
            } else {
                (self.end_round(FILLING), Entered::Passed(ticket))
            }
        })
    }

    fn act(&self, ticket: Ticket, action: Option<impl FnOnce()>) -> Result<Arrival, Broken> {
        let done = catch_unwind(AssertUnwindSafe(|| action.into_iter().for_each(|act| act())));
        let passed = self.end_if_still(ticket.round, if done.is_ok() { FILLING } else { BROKEN });
        match done {
            Err(panic) => resume_unwind(panic),
            Ok(()) if passed => Ok(Arrival { index: ticket.index, leader: true }),
            Ok(()) => Err(Broken),
        }
    }

    /// Sleeps until the round has ended. Breaks the round if the deadline has passed or a party is dead.
    fn sleep(&self, round: u32, until: Option<Deadline>, alive: &mut impl FnMut() -> bool) {
        let mut waiting = Waiting::new(&self.round, Pace::Dense);
        loop {
            let seen = self.load();
            if ended(seen) != round {
                waiting.found();
                return;
            }
            if waiting.pause() || !self.mark(seen) {
                continue;
            }
            let late = self.round.wait(seen | ASLEEP, until) == Wake::TimedOut;
            if ended(self.load()) != round {
                waiting.found();
                return;
            }
            if late || !alive() {
                self.end_if_still(round, BROKEN);
                return;
            }
            waiting.again();
        }
    }

    fn load(&self) -> u32 {
        // ORDERING: Acquire, pairs with the Release in `end_round`.
        self.round.load(Ordering::Acquire)
    }

    /// Sets ASLEEP before a sleep: without it the end of the round wakes no thread. `false`: the word has
    /// changed.
    fn mark(&self, seen: u32) -> bool {
        // ORDERING: Relaxed: it publishes nothing; `end_round` leaves the flag to be read in the same word.
        seen & ASLEEP != 0
            || self.round.compare_exchange(seen, seen | ASLEEP, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// How the ticket's round, which has ended, did end.
    fn has_passed(&self, ticket: Ticket) -> bool {
        let now = self.load();
        if ended(now) == ticket.round.wrapping_add(ROUND) {
            return now & LAST_BROKE == 0;
        }
        self.locked(|| {
            let late = ended(read(&self.round)).wrapping_sub(ticket.round) >> ROUND_BITS;
            let quiet = read(&self.breaks) == ticket.breaks;
            (false, quiet || late <= u32::BITS && read(&self.history) & history_bit(ticket.round) == 0)
        })
    }

    /// Ends this round, unless another party has. `true`: this call ended it.
    fn end_if_still(&self, round: u32, state: u32) -> bool {
        self.locked(|| {
            let still = ended(read(&self.round)) == round && read(&self.state) != BROKEN;
            (still && self.end_round(state), still)
        })
    }

    /// With the lock held: ends the round and sets `state`; BROKEN breaks it. Returns whether threads sleep,
    /// which the caller then wakes. A death at any step is repaired by running it again: `round` is written
    /// last.
    fn end_round(&self, state: u32) -> bool {
        let round = ended(read(&self.round));
        // The round's own bit, written before the round ends: a slow party reads it later.
        let bit = history_bit(round);
        let broke = state == BROKEN;
        if broke {
            write(&self.history, read(&self.history) | bit);
            write(&self.breaks, read(&self.breaks).wrapping_add(1));
        } else {
            write(&self.history, read(&self.history) & !bit);
        }
        write(&self.arrived, 0);
        write(&self.state, state);
        let next = round.wrapping_add(ROUND) | if broke { LAST_BROKE } else { 0 };
        // ORDERING: Release, pairs with the Acquire in `load`.
        self.round.swap(next, Ordering::Release) & ASLEEP != 0
    }

    /// Runs `change` under the lock. `change` returns whether sleepers must be woken; they are woken after
    /// the release, since they may need the lock.
    fn locked<R>(&self, change: impl FnOnce() -> (bool, R)) -> R {
        // Without a deadline the lock is always acquired in the end.
        let died = self.lock.acquire(None) == Some(Acquired::OwnerDied);
        if died {
            // The dead holder may have ended a round, and cleared ASLEEP, without a wake. So break this round
            // and wake all.
            self.end_round(BROKEN);
            self.lock.clear_died();
        }
        let (asleep, result) = change();
        self.lock.release();
        if died || asleep {
            self.round.wake(u32::MAX);
        }
        result
    }
}

/// The round's number, in steps of ROUND, without the flags.
fn ended(word: u32) -> u32 {
    word & !(LAST_BROKE | ASLEEP)
}

fn history_bit(round: u32) -> u32 {
    1 << ((round >> ROUND_BITS) % u32::BITS)
}

fn read(word: &impl Word) -> u32 {
    // ORDERING: Relaxed: the lock orders it; without the lock the value promises nothing about other words.
    word.load(Ordering::Relaxed)
}

fn write(word: &impl Word, value: u32) {
    // ORDERING: Relaxed: the lock orders it.
    word.store(value, Ordering::Relaxed);
}
