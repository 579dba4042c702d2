//! Turns: where more clients call than there are CPUs, some of them call for a while, and the others sleep.
//!
//! A client that is woken beside a server which is busy takes its CPU at once, calls, and sleeps: two switches for each
//! call. So the wake of a client that sleeps on its answer is owed while others call all the time.
//!
//! ```text
//!            one sleeps, and others call all the time      TURN is over
//!   OPEN ─────────────────────────────────────────► TURN ──────────────► OVER
//!    ▲                                              ▲ │ none calls         │ those that have called sleep,
//!    │ none is owed a wake                          │ ▼                    │ or HAND is over
//!    └──────────────────────────────────────── COMING ◄────────────────────┘
//!                                        the next ones are woken
//! ```
//!
//! While it is OVER clients are told to sleep at once, and a call is served once its client sleeps, so that its CPU is
//! free for the next one.
//!
//! What it decides is when the server serves and wakes. That no wake is lost does not depend on it: the server does not
//! sleep while one is owed. Of *n* clients that call all the time each waits for at most *n* - 1 turns and what lies
//! between them.
//!
//! # When a process dies
//! A *client*: its slot is forgotten; one that was to come is given up after COMING. The *server*: a client that is
//! owed a wake has its answer, and finds it at its next look.

use std::collections::VecDeque;

/// Nanoseconds of a turn: a switch from one client to the next takes a thirtieth of it.
const TURN: u64 = 3_000_000;
/// Nanoseconds without a call after which a turn is over. An interrupt of a client's CPU is shorter.
const QUIET: u64 = 20_000;
/// Nanoseconds until those that were told to sleep have called once more.
const LAST_CALL: u64 = 5_000;
/// Nanoseconds until they sleep.
const HAND: u64 = 50_000;
/// Nanoseconds until one that was woken calls.
const COMING: u64 = 150_000;
/// Calls in a row of clients that were awake, after which they call all the time.
const ENOUGH: u32 = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Turns {
    state: State,
    /// Clients that have a CPU beside the server's.
    room: usize,
    /// Slots that were answered, and whose clients sleep.
    owed: VecDeque<u32>,
    /// Slots that were asked while the turn was over.
    put_off: Vec<u32>,
    /// Slots whose turn it is, also if they sleep.
    chosen: Vec<u32>,
    /// Slots whose clients were awake when they were answered last.
    awake: Vec<u32>,
    /// Answers to clients that were awake since the server slept.
    run: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Turn { since: u64, last: u64 },
    Over { since: u64, has_come: bool },
    Coming { since: u64 },
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
            owed: VecDeque::new(),
            put_off: Vec::new(),
            chosen: Vec::new(),
            awake: Vec::new(),
            run: 0,
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
                let now = now();
                self.chosen.clear();
                self.state = State::Turn { since: now, last: now };
            }
            State::Turn { .. } | State::Coming { .. } if self.chosen.contains(&slot) => {
                return Sleeper::Woken;
            }
            State::Turn { .. } if self.awake.len().max(self.chosen.len()) < self.room => {
                return Sleeper::Woken;
            }
            _ => {}
        }
        self.owed.push_back(slot);
        Sleeper::Owed
    }

    /// Slots whose turn begins with their next call.
    pub(super) fn coming(&self) -> &[u32] {
        if matches!(self.state, State::Coming { .. }) { &self.chosen } else { &[] }
    }

    /// A slot was asked. `true`: the turn is over, and it is put off.
    #[inline]
    pub(super) fn puts_off(&mut self, slot: u32) -> bool {
        let State::Over { has_come, .. } = &mut self.state else { return false };
        *has_come = true;
        self.put_off.push(slot);
        true
    }

    /// One that was put off and is to be served now, since its client sleeps or has had the time to.
    pub(super) fn next_put_off(&mut self, now: u64, sleeps: impl Fn(u32) -> bool) -> Option<u32> {
        let has_ended = match self.state {
            State::Over { since, .. } => now.saturating_sub(since) >= HAND,
            _ => true,
        };
        let at = self.put_off.iter().position(|slot| has_ended || sleeps(*slot))?;
        Some(self.put_off.remove(at))
    }

    /// After a pass over the slots in which some were asked, or none. Gives those that are to be woken.
    pub(super) fn pass(&mut self, any: bool, now: u64) -> &[u32] {
        let spent = |since: u64| now.saturating_sub(since);
        match self.state {
            State::Open => {}
            _ if self.owed.is_empty() && self.put_off.is_empty() => self.state = State::Open,
            State::Turn { since, .. } if any => {
                let state = State::Turn { since, last: now };
                self.state =
                    if spent(since) < TURN { state } else { State::Over { since: now, has_come: false } };
            }
            State::Turn { last, .. } if spent(last) >= QUIET => return self.next(now),
            State::Over { since, has_come } => {
                let is_done = self.put_off.is_empty() && (has_come || spent(since) >= LAST_CALL);
                if is_done || spent(since) >= HAND {
                    return self.next(now);
                }
            }
            State::Coming { .. } if any => self.state = State::Turn { since: now, last: now },
            State::Coming { since } if spent(since) >= COMING => return self.next(now),
            State::Turn { .. } | State::Coming { .. } => {}
        }
        &[]
    }

    /// The turn of those that have waited longest.
    fn next(&mut self, now: u64) -> &[u32] {
        let count = self.room.min(self.owed.len());
        self.chosen.clear();
        self.chosen.extend(self.owed.drain(..count));
        self.awake.clear();
        self.state = State::Coming { since: now };
        &self.chosen
    }

    /// The owner of a slot has ended.
    pub(super) fn forget(&mut self, slot: u32) {
        self.owed.retain(|other| *other != slot);
        self.put_off.retain(|other| *other != slot);
        self.chosen.retain(|other| *other != slot);
        self.awake.retain(|other| *other != slot);
    }

    /// The server ends: those that are owed a wake.
    pub(super) fn end(&mut self) -> impl Iterator<Item = u32> {
        self.owed.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients that call all the time, each of which sleeps with its answer as soon as another one has the CPU.
    struct World {
        turns: Turns,
        now: u64,
        /// Those that are awake.
        running: Vec<u32>,
        /// When each was answered that has not been woken, and the longest such time.
        asleep: Vec<Option<u64>>,
        longest: u64,
        calls: Vec<u64>,
    }

    const CALL: u64 = 1_500;

    impl World {
        fn new(clients: usize, cpus: usize) -> World {
            World {
                turns: Turns::new(cpus),
                now: 1,
                running: (0..clients as u32).take(cpus - 1).collect(),
                asleep: vec![None; clients],
                longest: 0,
                calls: vec![0; clients],
            }
        }

        fn wake(&mut self, slot: u32) {
            let since = self.asleep[slot as usize].take().expect("it sleeps");
            self.longest = self.longest.max(self.now - since);
            self.running.push(slot);
        }

        /// Answers a client that sleeps.
        fn answer_asleep(&mut self, slot: u32) {
            self.calls[slot as usize] += 1;
            self.asleep[slot as usize] = Some(self.now);
            if self.turns.sleeps(slot, || self.now) == Sleeper::Woken {
                self.wake(slot);
            }
        }

        /// A pass, in which these have asked.
        fn pass(&mut self, asked: &[u32]) {
            for slot in asked {
                if self.turns.puts_off(*slot) {
                    self.running.retain(|other| other != slot);
                } else {
                    self.calls[*slot as usize] += 1;
                    self.turns.was_awake(*slot);
                }
            }
            while let Some(slot) = self.turns.next_put_off(self.now, |_| true) {
                self.answer_asleep(slot);
            }
            for slot in self.turns.pass(!asked.is_empty(), self.now).to_vec() {
                self.wake(slot);
            }
        }

        fn call_for(&mut self, time: u64) {
            let end = self.now + time;
            while self.now < end {
                self.now += CALL;
                self.pass(&self.running.clone());
            }
        }
    }

    #[test]
    fn clients_that_call_all_the_time_take_turns_and_none_waits_for_longer_than_the_others_turns() {
        for (clients, cpus) in [(2, 2), (4, 2), (16, 2), (4, 3), (64, 8)] {
            let mut world = World::new(clients, cpus);
            world.call_for(100 * CALL);
            for slot in cpus as u32 - 1..clients as u32 {
                world.answer_asleep(slot);
            }
            world.call_for(2 * clients as u64 * 8 * TURN);
            let rounds = (clients as u64).div_ceil(cpus as u64 - 1);
            assert!(world.longest <= rounds * (TURN + HAND + 4 * CALL), "{} of {clients}", world.longest);
            let (least, most) = (world.calls.iter().min().unwrap(), world.calls.iter().max().unwrap());
            assert!(2 * least > *most, "{:?}", world.calls);
            let all: u64 = world.calls.iter().sum();
            assert!(
                all * CALL > (world.now - world.now / 20) * (cpus as u64 - 1),
                "{all} calls in {}",
                world.now
            );
        }
    }

    #[test]
    fn where_there_are_cpus_for_all_each_is_woken_at_once() {
        let mut world = World::new(6, 8);
        world.running.truncate(5);
        world.call_for(1_000 * CALL);
        world.answer_asleep(5);
        assert!(world.turns.is_open() && world.longest == 0);
    }

    #[test]
    fn one_that_calls_alone_is_woken_at_once() {
        let mut world = World::new(1, 2);
        world.call_for(1_000 * CALL);
        world.running.clear();
        world.answer_asleep(0);
        assert!(world.turns.is_open() && world.longest == 0);
    }

    #[test]
    fn where_none_calls_all_the_time_each_is_woken_at_once() {
        let mut world = World::new(4, 2);
        for slot in 0..4 {
            world.running.clear();
            world.answer_asleep(slot);
            world.pass(&[]);
        }
        assert!(world.turns.is_open() && world.longest == 0);
    }

    #[test]
    fn a_turn_ends_when_none_calls() {
        let mut world = World::new(3, 2);
        world.call_for(100 * CALL);
        world.answer_asleep(1);
        world.answer_asleep(2);
        assert!(!world.turns.is_open());
        world.now += QUIET;
        world.pass(&[]);
        assert!(world.asleep[1].is_none() && world.asleep[2].is_some());
        // One that does not come is given up.
        world.now += COMING - 1;
        world.pass(&[]);
        assert!(world.asleep[2].is_some());
        world.now += 1;
        world.pass(&[]);
        assert!(world.asleep[2].is_none());
        world.pass(&[]);
        assert!(world.turns.is_open());
    }

    #[test]
    fn one_that_does_not_sleep_is_served_in_the_end() {
        let mut world = World::new(2, 2);
        world.call_for(100 * CALL);
        world.answer_asleep(1);
        while !world.turns.is_over() {
            world.now += CALL;
            world.pass(&[0]);
        }
        assert!(world.turns.puts_off(0));
        world.now += HAND - 1;
        assert_eq!(world.turns.next_put_off(world.now, |_| false), None);
        assert!(world.turns.pass(false, world.now).is_empty());
        world.now += 1;
        assert_eq!(world.turns.next_put_off(world.now, |_| false), Some(0));
        assert_eq!(world.turns.pass(false, world.now), [1]);
    }

    #[test]
    fn one_whose_turn_it_is_may_sleep() {
        let mut world = World::new(3, 2);
        world.call_for(100 * CALL);
        world.answer_asleep(1);
        world.answer_asleep(2);
        world.now += QUIET;
        world.pass(&[]);
        world.answer_asleep(1);
        assert!(world.asleep[1].is_none(), "it is woken at once");
    }

    #[test]
    fn a_slot_whose_owner_has_ended_has_no_turn() {
        let mut world = World::new(3, 2);
        world.call_for(100 * CALL);
        world.answer_asleep(1);
        world.answer_asleep(2);
        world.turns.forget(1);
        world.now += QUIET;
        assert_eq!(world.turns.pass(false, world.now), [2]);
        assert_eq!(world.turns.end().count(), 0);
    }
}
