//! A meeting point: nobody passes until all parties are there.
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
//! | word       | means                                                                                |
//! |------------|--------------------------------------------------------------------------------------|
//! | `lock`     | whoever changes the others holds it; only ASLEEP is set without it                   |
//! | `parties`  | how many must meet                                                                   |
//! | `round`    | upper 30 bits: rounds that have ended; LAST_BROKE: how the last one ended; ASLEEP    |
//! | `arrived`  | how many are there in this round                                                     |
//! | `state`    | FILLING, ACTING (all are there, one runs the action) or BROKEN                       |
//! | `history`  | one bit for each of the last 32 rounds, at round mod 32: it broke                    |
//! | `breaks`   | how many rounds have broken                                                          |
//!
//! A round ends by the one store to `round`: it passes for all of its parties or for none. A party sleeps on that
//! word and leaves without the lock and without an answer to anybody, so a fast one can be back for the next
//! round while a slow one has not left yet: they are in different rounds. A slow one that missed further rounds
//! looks its own up in `history`. One that missed more than 32, which takes more users than parties or a break
//! a round, passes if no round broke since it came, and otherwise is told that the barrier broke.
//!
//! The action runs without the lock, so that a party that is killed or stopped in it stops nobody's timeout.
//! Meanwhile latecomers wait for the next round.
//!
//! # Orderings
//! What parties did before they came is handed on by the lock to the last one, and by its Release to `round` to
//! all who see it there with Acquire. The other words are read and written under the lock; the questions asked
//! without it (`n_waiting`, `is_broken`) promise nothing about anything else.
//! # When a process dies
//! A party, anywhere: `alive` says so at the others' next timed look, and they break the round. Inside the lock:
//! the next one who takes it finds it OwnerDied and breaks the round, whatever was half done. After the store
//! and before the wake: the sleepers see at their timed look that they have passed, half a second at most.
//! A party that is *stopped* inside the lock, some ten instructions, holds up the others' timeouts too.
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

/// A place in a round that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// How many were there before: 0 to parties - 1, each once a round.
    pub index: u32,
    /// Whether this was the last one, who runs the action: one a round.
    pub leader: bool,
}

/// The barrier is broken, or this round of it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken;

/// How it works is said at the top of its file. All zeros is a barrier of no parties: call
/// [`init`](RawBarrier::init) first.
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

/// What a party remembers of the round it came to.
#[derive(Clone, Copy)]
struct Ticket {
    index: u32,
    /// Of `round`, without its flags.
    round: u32,
    breaks: u32,
}

enum Entered {
    /// Others are missing.
    Early(Ticket),
    /// All are there, and this one is to run the action.
    Acts(Ticket),
    /// All are there, and the round has passed.
    Passed(Ticket),
    /// This round is complete; the next has not begun.
    TooMany(u32),
    Broken,
}

impl<O: Owned> RawBarrier<O> {
    /// Says how many must meet, at least 1. Once, before other processes see the barrier.
    pub fn init(&self, parties: u32) {
        write(&self.parties, parties);
    }

    /// Waits for the others.
    ///
    /// `alive` is asked at each timed look: "do all who are to come still live?" If not, if the deadline passes,
    /// or if somebody calls [`abort`](RawBarrier::abort) or [`reset`](RawBarrier::reset), the round breaks for
    /// all of its parties.
    pub fn wait(&self, until: Option<Deadline>, alive: impl FnMut() -> bool) -> Result<Arrival, Broken> {
        self.meet(until, alive, None::<fn()>)
    }

    /// As [`wait`](RawBarrier::wait); the last to arrive runs its `action` before anybody passes. If the action
    /// panics, the barrier breaks and the panic goes on.
    pub fn wait_then(
        &self,
        until: Option<Deadline>,
        alive: impl FnMut() -> bool,
        action: impl FnOnce(),
    ) -> Result<Arrival, Broken> {
        self.meet(until, alive, Some(action))
    }

    /// Breaks the barrier: those who wait, and those who come, get [`Broken`], until it is reset.
    pub fn abort(&self) {
        self.locked(|| {
            let asleep = read(&self.state) != BROKEN && self.end_round(BROKEN);
            (asleep, ())
        });
    }

    /// Makes it usable again. Those who wait now get [`Broken`].
    pub fn reset(&self) {
        self.locked(|| {
            let asleep = read(&self.arrived) != 0 && self.end_round(BROKEN);
            write(&self.state, FILLING);
            (asleep, ())
        });
    }

    /// How many must meet.
    pub fn parties(&self) -> u32 {
        read(&self.parties)
    }

    /// How many wait; 0 unless more are missing.
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
                // Not written by us: in a round of ours fewer than all are there. Nobody can know who is missing.
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

    /// Sleeps until the round has ended; ends it, broken, if it is late or somebody is dead.
    fn sleep(&self, round: u32, until: Option<Deadline>, alive: &mut impl FnMut() -> bool) {
        let mut waiting = Waiting::new(&self.round, Pace::Dense);
        loop {
            let seen = self.look();
            if ended(seen) != round {
                waiting.found();
                return;
            }
            if waiting.pause() || !self.mark(seen) {
                continue;
            }
            let late = self.round.wait(seen | ASLEEP, until) == Wake::TimedOut;
            if ended(self.look()) != round {
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

    fn look(&self) -> u32 {
        // ORDERING: Acquire, pairs with the Release in `end_round`.
        self.round.load(Ordering::Acquire)
    }

    /// Says that somebody will sleep. `false`: the word has changed.
    fn mark(&self, seen: u32) -> bool {
        // ORDERING: Relaxed: it publishes nothing; `end_round` leaves the flag to be read in the same word.
        seen & ASLEEP != 0
            || self.round.compare_exchange(seen, seen | ASLEEP, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// How the ticket's round, which has ended, did end.
    fn has_passed(&self, ticket: Ticket) -> bool {
        let now = self.look();
        if ended(now) == ticket.round.wrapping_add(ROUND) {
            return now & LAST_BROKE == 0;
        }
        self.locked(|| {
            let late = ended(read(&self.round)).wrapping_sub(ticket.round) >> ROUND_BITS;
            let quiet = read(&self.breaks) == ticket.breaks;
            (false, quiet || late <= u32::BITS && read(&self.history) & history_bit(ticket.round) == 0)
        })
    }

    /// Ends this round, if nobody else has. `true`: it was this call.
    fn end_if_still(&self, round: u32, state: u32) -> bool {
        self.locked(|| {
            let still = ended(read(&self.round)) == round && read(&self.state) != BROKEN;
            (still && self.end_round(state), still)
        })
    }

    /// With the lock held: ends the round and goes to `state`; BROKEN breaks it. Says whether somebody sleeps,
    /// whom the caller then wakes. May be cut off anywhere and done again by someone else: `round` comes last.
    fn end_round(&self, state: u32) -> bool {
        let round = ended(read(&self.round));
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
        // ORDERING: Release, pairs with the Acquire in `look`.
        self.round.swap(next, Ordering::Release) & ASLEEP != 0
    }

    /// Runs `change` under the lock. It says whether sleepers are to be woken: after the lock, since they may
    /// want it.
    fn locked<R>(&self, change: impl FnOnce() -> (bool, R)) -> R {
        // Without a deadline, the lock is always taken in the end.
        let died = self.lock.acquire(None) == Some(Acquired::OwnerDied);
        if died {
            // The dead one may have ended a round, and taken ASLEEP away, without waking anybody.
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
    // ORDERING: Relaxed: the lock orders it; without the lock it is one word's worth of news and no more.
    word.load(Ordering::Relaxed)
}

fn write(word: &impl Word, value: u32) {
    // ORDERING: Relaxed: the lock orders it.
    word.store(value, Ordering::Relaxed);
}
