//! Clients that call all the time, on machines of several sizes.

use super::*;

/// Clients that call all the time, each of which sleeps with its answer as soon as another one has the CPU.
struct World {
    turns: Turns,
    accounts: Accounts,
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
        World::of(&vec![1; clients], cpus)
    }

    /// With clients of so many threads.
    fn of(threads: &[usize], cpus: usize) -> World {
        let mut accounts = Accounts::default();
        let all: usize = threads.iter().sum();
        let clients = threads.iter().enumerate().flat_map(|(client, threads)| vec![client; *threads]);
        clients.enumerate().for_each(|(slot, client)| accounts.open(slot as u32, 16 + client as u64));
        World {
            turns: Turns::new(cpus),
            accounts,
            now: 1,
            running: (0..all as u32).take(cpus - 1).collect(),
            asleep: vec![None; all],
            longest: 0,
            calls: vec![0; all],
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
            if self.turns.puts_off(*slot, &self.accounts) {
                self.running.retain(|other| other != slot);
            } else {
                self.calls[*slot as usize] += 1;
                self.turns.was_awake(*slot);
            }
        }
        while let Some(slot) = self.turns.next_put_off(self.now, |_| true) {
            self.answer_asleep(slot);
        }
        for slot in self.turns.pass(!asked.is_empty(), self.now, &mut self.accounts).to_vec() {
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

/// The calls of each client.
fn calls(world: &World, threads: &[usize]) -> Vec<u64> {
    let mut first = 0;
    let of = |threads: &usize| {
        first += threads;
        world.calls[first - threads..first].iter().sum()
    };
    threads.iter().map(of).collect()
}

#[test]
fn a_client_has_as_many_turns_as_any_other_however_many_threads_call() {
    for (threads, cpus) in [(vec![64, 1], 2), (vec![1, 3, 9], 2), (vec![16, 16, 1, 1], 3)] {
        let mut world = World::of(&threads, cpus);
        world.call_for(100 * CALL);
        for slot in cpus as u32 - 1..world.calls.len() as u32 {
            world.answer_asleep(slot);
        }
        world.call_for(300 * TURN);
        let calls = calls(&world, &threads);
        let fair = calls.iter().sum::<u64>() / threads.len() as u64;
        assert!(calls.iter().all(|calls| calls.abs_diff(fair) < fair / 10), "{calls:?} of {threads:?}");
    }
}

#[test]
fn one_whose_turns_are_cut_short_is_served_as_long_as_others() {
    let mut world = World::new(3, 2);
    world.call_for(100 * CALL);
    (1..3).for_each(|slot| world.answer_asleep(slot));
    let mut turns = 0;
    for _ in 0..300 {
        while world.running != [1] {
            world.call_for(CALL);
        }
        turns += 1;
        if turns % 2 == 0 {
            // Another thread has the CPU of this one for a while.
            world.call_for(TURN / 2);
            world.running.clear();
            world.now += QUIET;
            world.pass(&[]);
            world.answer_asleep(1);
        }
        while world.running == [1] {
            world.call_for(CALL);
        }
    }
    let least = world.calls.iter().min().unwrap() * 3;
    assert!(10 * least > 9 * world.calls.iter().sum::<u64>(), "{:?}", world.calls);
}

#[test]
fn one_that_is_awake_beside_the_one_whose_turn_it_is_is_served_until_it_is_ahead() {
    let mut world = World::new(3, 2);
    world.call_for(100 * CALL);
    (1..3).for_each(|slot| world.answer_asleep(slot));
    while world.running != [1] {
        world.now += CALL;
        world.pass(&world.running.clone());
    }
    world.call_for(10 * CALL);
    // It was put off when its turn was over, and its system runs it now.
    let asks = |world: &mut World, slot| {
        world.now += CALL;
        let is_served = !world.turns.puts_off(slot, &world.accounts);
        world.turns.pass(true, world.now, &mut world.accounts);
        is_served
    };
    assert!(!asks(&mut world, 0), "it has had a turn");
    let calls = (0..).take_while(|_| asks(&mut world, 2)).count() as u64;
    assert!(calls * CALL > AHEAD && calls * CALL < 2 * AHEAD, "{calls}");
}

#[test]
fn a_call_that_takes_long_is_charged() {
    let mut world = World::new(2, 2);
    world.call_for(100 * CALL);
    world.answer_asleep(1);
    assert!(!world.turns.puts_off(0, &world.accounts));
    world.now += TURN / 2;
    world.turns.pass(true, world.now, &mut world.accounts);
    assert!(world.accounts.ahead(0) >= TURN / 2);
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
    assert!(world.turns.puts_off(0, &world.accounts));
    world.now += HAND - 1;
    assert_eq!(world.turns.next_put_off(world.now, |_| false), None);
    assert!(world.turns.pass(false, world.now, &mut world.accounts).is_empty());
    world.now += 1;
    assert_eq!(world.turns.next_put_off(world.now, |_| false), Some(0));
    assert_eq!(world.turns.pass(false, world.now, &mut world.accounts), [1]);
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
    assert_eq!(world.turns.pass(false, world.now, &mut world.accounts), [2]);
    assert_eq!(world.turns.end().count(), 0);
}
