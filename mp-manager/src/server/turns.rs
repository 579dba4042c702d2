//! Turns: where more clients call than there are CPUs, some of them call for a while, and the others sleep.
//!
//! A client that is woken beside a server which is busy takes its CPU at once, calls, and sleeps: two switches for each
//! call. So the wake of a client that sleeps on its answer is owed while others call all the time.
//!
//! ```text
//!            one sleeps, and others call all the time      TURN is over
//!   OPEN ─────────────────────────────────────────► TURN ──────────────► OVER
//!                                                   ▲ │ none calls         │ those that have called sleep,
//!                                  a chosen one has │ │ for QUIET          │ or HAND is over
//!                                  called           │ ▼                    │
//!                                                  COMING ◄────────────────┘
//!                                                   ▲ │  the next ones are woken
//!                                                   └─┘  none of them has called for COMING
//!
//!   any of them ──► OPEN, where none is owed a wake and no call is put off
//! ```
//!
//! While it is OVER clients are told to sleep at once, and a call is served once its client sleeps, so that its CPU is
//! free for the next one.
//!
//! The next turn is of the clients that were served least (`accounts.rs`), so one whose turn was cut short, because
//! the system ran another thread, gets the rest of it soon. Clients that are awake though it is not their turn are
//! served beside those whose turn it is, until they are ahead of them: then their calls are put off until they sleep,
//! too. So a client that calls now and then does not wait for a turn.
//!
//! What it decides is when the server serves and wakes. That no wake is lost does not depend on it: the server does not
//! sleep while one is owed. Of *n* clients that call all the time each waits for about *n* - 1 turns and what lies
//! between them, however many threads each calls from.
//!
//! # When a process dies
//! A *client*: its slot is forgotten; one that was to come is given up after COMING. The *server*: a client that is
//! owed a wake has its answer, and finds it at its next look.

use super::accounts::Accounts;

/// Nanoseconds of a turn: a switch from one client to the next takes a thirtieth of it.
pub(super) const TURN: u64 = 3_000_000;
/// Nanoseconds without a call after which a turn is over. An interrupt of a client's CPU is shorter.
const QUIET: u64 = 20_000;
/// Nanoseconds until those that were told to sleep have called once more.
const LAST_CALL: u64 = 5_000;
/// Nanoseconds until they sleep.
const HAND: u64 = 50_000;
/// Nanoseconds until one that was woken calls.
const COMING: u64 = 150_000;
/// Nanoseconds by which a client may be ahead of those whose turn it is, and be served beside them.
const AHEAD: u64 = 300_000;
/// Calls in a row of clients that were awake, after which they call all the time.
const ENOUGH: u32 = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Turns {
    state: State,
    /// Clients that have a CPU beside the server's.
    room: usize,
    /// Slots that were answered, and whose clients sleep.
    owed: Vec<u32>,
    /// Slots that were asked while it was not their turn, and when that was.
    put_off: Vec<(u32, u64)>,
    /// Slots whose turn it is, also if they sleep.
    chosen: Vec<u32>,
    /// Slots whose clients were awake when they were answered last.
    awake: Vec<u32>,
    /// Answers to clients that were awake since the server slept.
    run: u32,
    /// Slots that were served since the last pass.
    served: Vec<u32>,
    /// When the last pass was, and the last one in which a slot was asked.
    now: u64,
    last: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Turn { since: u64 },
    Over { since: u64, has_come: bool },
    Coming { since: u64, has_come: bool },
}

/// What becomes of a client that sleeps on its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sleeper {
    Woken,
    Owed,
}

impl Turns {
    /// On a machine with so many CPUs.
    pub(super) fn new(cpus: usize) -> Turns {
        Turns {
            state: State::Open,
            room: cpus.saturating_sub(1).max(1),
            owed: Vec::new(),
            put_off: Vec::new(),
            chosen: Vec::new(),
            awake: Vec::new(),
            run: 0,
            served: Vec::new(),
            now: 0,
            last: 0,
        }
    }

    /// No wake is owed, and no call put off: the server may sleep.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Clients are to sleep at once.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over { .. })
    }

    /// The server has slept.
    pub(super) fn slept(&mut self) {
        self.run = 0;
        self.awake.clear();
    }

    /// A slot was answered whose client was awake, on another CPU than the server.
    #[inline]
    pub(super) fn was_awake(&mut self, slot: u32) {
        self.run = self.run.saturating_add(1);
        if self.awake.last() != Some(&slot) && !self.awake.contains(&slot) {
            self.awake.push(slot);
        }
    }

    /// A slot was answered whose client sleeps.
    pub(super) fn sleeps(&mut self, slot: u32, now: impl FnOnce() -> u64) -> Sleeper {
        // One that calls alone has no other one to wait for.
        self.awake.retain(|other| *other != slot);
        match self.state {
            State::Open => {
                if self.run < ENOUGH || self.awake.len() < self.room {
                    return Sleeper::Woken;
                }
                self.now = now();
                self.last = self.now;
                self.chosen.clear();
                self.served.clear();
                self.state = State::Turn { since: self.now };
            }
            State::Turn { .. } | State::Coming { .. } if self.chosen.contains(&slot) => {
                return Sleeper::Woken;
            }
            State::Turn { .. } if self.awake.len().max(self.chosen.len()) < self.room => {
                return Sleeper::Woken;
            }
            _ => {}
        }
        self.owed.push(slot);
        Sleeper::Owed
    }

    /// Slots whose turn begins with their next call.
    pub(super) fn coming(&self) -> &[u32] {
        if matches!(self.state, State::Coming { .. }) { &self.chosen } else { &[] }
    }

    /// A slot was asked. `true`: it is not its turn, and it is put off.
    #[inline]
    pub(super) fn puts_off(&mut self, slot: u32, accounts: &Accounts) -> bool {
        match &mut self.state {
            State::Open => return false,
            State::Over { has_come, .. } => *has_come = true,
            state => {
                let is_chosen = self.chosen.contains(&slot);
                if let State::Coming { has_come, .. } = state {
                    *has_come |= is_chosen;
                }
                if is_chosen || self.chosen.len() < self.room || accounts.ahead(slot) <= AHEAD {
                    self.served.push(slot);
                    return false;
                }
            }
        }
        self.put_off.push((slot, self.now));
        true
    }

    /// One that was put off and is to be served now, since its client sleeps or has had the time to.
    pub(super) fn next_put_off(&mut self, now: u64, sleeps: impl Fn(u32) -> bool) -> Option<u32> {
        let has_ended = |since: u64| now.saturating_sub(since) >= HAND;
        let at = self.put_off.iter().position(|(slot, since)| has_ended(*since) || sleeps(*slot))?;
        let (slot, _) = self.put_off.remove(at);
        self.served.push(slot);
        Some(slot)
    }

    /// After a pass over the slots in which some were asked, or none. Gives those that are to be woken.
    pub(super) fn pass(&mut self, any: bool, now: u64, accounts: &mut Accounts) -> &[u32] {
        self.charge(now, accounts);
        self.now = now;
        if any {
            self.last = now;
        }
        let spent = |since: u64| now.saturating_sub(since);
        match self.state {
            State::Open => {}
            _ if self.owed.is_empty() && self.put_off.is_empty() => self.state = State::Open,
            State::Turn { since } if any && spent(since) >= TURN => {
                self.state = State::Over { since: now, has_come: false };
            }
            State::Turn { .. } if spent(self.last) >= QUIET => return self.next(now, accounts),
            State::Over { since, has_come } => {
                let is_done = self.put_off.is_empty() && (has_come || spent(since) >= LAST_CALL);
                if is_done || spent(since) >= HAND {
                    return self.next(now, accounts);
                }
            }
            State::Coming { has_come: true, .. } => self.state = State::Turn { since: now },
            State::Coming { since, .. } if spent(since) >= COMING => return self.next(now, accounts),
            State::Turn { .. } | State::Coming { .. } => {}
        }
        &[]
    }

    /// Charges the time since the last call to those that were served in this pass.
    fn charge(&mut self, now: u64, accounts: &mut Accounts) {
        // Time without a call is charged to no client, but for as long as a client needs to make its next one.
        let between = self.now.saturating_sub(self.last).min(QUIET);
        let time = (between + now.saturating_sub(self.now)) / self.served.len().max(1) as u64;
        self.served.drain(..).for_each(|slot| accounts.charge(slot, time));
    }

    /// The turn of those that were served least.
    fn next(&mut self, now: u64, accounts: &mut Accounts) -> &[u32] {
        let count = self.room.min(self.owed.len());
        accounts.order(&mut self.owed);
        self.chosen.clear();
        self.chosen.extend(self.owed.drain(..count));
        if let Some(first) = self.chosen.first() {
            accounts.begin_turn(*first);
        }
        self.awake.clear();
        self.state = State::Coming { since: now, has_come: false };
        &self.chosen
    }

    /// The owner of a slot has ended.
    pub(super) fn forget(&mut self, slot: u32) {
        self.owed.retain(|other| *other != slot);
        self.put_off.retain(|(other, _)| *other != slot);
        self.chosen.retain(|other| *other != slot);
        self.awake.retain(|other| *other != slot);
        self.served.retain(|other| *other != slot);
    }

    /// The server ends: those that are owed a wake.
    pub(super) fn end(&mut self) -> impl Iterator<Item = u32> {
        self.owed.drain(..)
    }
}

#[cfg(test)]
mod tests;
