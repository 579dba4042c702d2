//! A set of things to wait for, on threads; mirrors test_selectors of CPython's own tests where a set for reading has
//! the same (register, unregister, select, timeouts). What needs processes is in wait_set_processes.rs; queues are in
//! mp-queue/tests/polling.rs.

use mp_core::Waitable;
use mp_core::sys::eventfd::{clear, eventfd, set as raise};
use mp_core::sys::fd::pipe as system_pipe;
use mp_pipe::{AddError, PollError, Receiver, RecvError, WaitSet, pipe_simplex, try_wait, wait};
use std::cell::Cell;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

fn sorted<K: Ord>(mut keys: Vec<K>) -> Vec<K> {
    keys.sort();
    keys
}

#[test]
fn all_messages_of_four_writers_come_and_ends_drop_out() {
    let mut set: WaitSet<usize, Receiver<usize>> = WaitSet::new().unwrap();
    let start = |writer| {
        let (receiver, sender) = pipe_simplex().unwrap();
        set.add(writer, receiver).unwrap();
        thread::spawn(move || (0..10).for_each(|at| sender.send(&at).unwrap()))
    };
    let writers: Vec<_> = (0..4).map(start).collect();
    let mut messages = Vec::new();
    while !set.is_empty() {
        for key in set.wait().unwrap() {
            match set.get(&key).unwrap().recv() {
                Ok(message) => messages.push((key, message)),
                Err(RecvError::Closed) => drop(set.remove(&key)),
                Err(other) => panic!("{other}"),
            }
        }
    }
    messages.sort_unstable();
    assert_eq!(messages, (0..40).map(|at| (at / 10, at % 10)).collect::<Vec<_>>());
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

#[test]
fn a_wait_ends_empty_when_its_time_is_over() {
    let mut set = WaitSet::new().unwrap();
    let (receiver, sender) = pipe_simplex::<u8>().unwrap();
    set.add('a', receiver).unwrap();
    assert!(matches!(set.try_wait(), Err(PollError::WouldBlock)));
    let (began, timeout) = (Instant::now(), Duration::from_millis(30));
    assert!(matches!(set.wait_timeout(timeout), Err(PollError::Timeout)));
    assert!(began.elapsed() >= timeout);
    sender.send(&1).unwrap();
    for timeout in [Duration::ZERO, Duration::MAX] {
        assert_eq!(set.wait_timeout(timeout).unwrap(), ['a']);
    }
    assert_eq!(set.wait().unwrap(), ['a']);
}

#[test]
fn a_sleeper_is_woken() {
    let mut set = WaitSet::new().unwrap();
    let (receiver, sender) = pipe_simplex::<u8>().unwrap();
    let (silent, _silent_sender) = pipe_simplex::<u8>().unwrap();
    set.add(1, silent).unwrap();
    set.add(2, receiver).unwrap();
    let (asleep, soon) = system_pipe().unwrap();
    let waiter = thread::spawn(move || {
        assert!(matches!(set.try_wait(), Err(PollError::WouldBlock)));
        drop(soon);
        set.wait().unwrap()
    });
    wait(&[&asleep]).unwrap();
    sender.send(&1).unwrap();
    assert_eq!(waiter.join().unwrap(), [2]);
}

#[test]
fn what_is_not_read_is_ready_again() {
    let mut set = WaitSet::new().unwrap();
    let (receiver, sender) = pipe_simplex::<u8>().unwrap();
    set.add((), receiver).unwrap();
    sender.send(&1).unwrap();
    sender.send(&2).unwrap();
    for expected in [1, 2] {
        for _ in 0..2 {
            assert_eq!(set.wait().unwrap(), [()], "one that is ready twice is named once");
        }
        assert_eq!(set.get(&()).unwrap().recv().unwrap(), expected);
    }
    assert!(matches!(set.try_wait(), Err(PollError::WouldBlock)));
    sender.close();
    assert_eq!(set.wait().unwrap(), [()], "an end is ready");
}

#[test]
fn all_that_are_ready_come_at_once() {
    let mut set = WaitSet::new().unwrap();
    let pipes: Vec<_> = (0..300).map(|_| pipe_simplex::<u8>().unwrap()).collect();
    for (key, (receiver, sender)) in pipes.iter().enumerate() {
        set.add(key, receiver.clone()).unwrap();
        sender.send(&1).unwrap();
    }
    assert_eq!(sorted(set.wait().unwrap()), (0..300).collect::<Vec<_>>());
    pipes.iter().step_by(2).for_each(|(receiver, _)| assert_eq!(receiver.recv().unwrap(), 1));
    assert_eq!(sorted(set.wait().unwrap()), (1..300).step_by(2).collect::<Vec<_>>());
}

#[test]
fn a_removed_member_is_not_heard_of() {
    let mut set = WaitSet::new().unwrap();
    let pipes: Vec<_> = (0..3).map(|_| pipe_simplex::<u8>().unwrap()).collect();
    for (key, (receiver, sender)) in pipes.iter().enumerate() {
        set.add(key.to_string(), receiver.clone()).unwrap();
        sender.send(&7).unwrap();
    }
    let removed = set.remove("1").unwrap();
    assert!(set.remove("1").is_none() && set.get("1").is_none());
    assert_eq!((set.len(), sorted(set.wait().unwrap())), (2, vec!["0".to_owned(), "2".to_owned()]));
    // The others that share its end are no reason for the system to go on.
    assert_eq!(removed.recv().unwrap(), 7);
    set.add("3".to_owned(), removed).unwrap();
    assert_eq!(sorted(set.try_wait().unwrap()), ["0", "2"]);
    pipes[1].1.send(&8).unwrap();
    assert_eq!(sorted(set.try_wait().unwrap()), ["0", "2", "3"]);
    ["0", "2", "3"].iter().for_each(|key| drop(set.remove(*key).unwrap()));
    assert!(set.is_empty() && set.iter().next().is_none());
    assert!(matches!(set.wait_timeout(Duration::from_millis(1)), Err(PollError::Timeout)));
}

#[test]
fn what_is_in_already_is_given_back() {
    let mut set = WaitSet::new().unwrap();
    let (receiver, sender) = pipe_simplex::<u8>().unwrap();
    let (other, _other_sender) = pipe_simplex::<u8>().unwrap();
    set.add(1, receiver.clone()).unwrap();
    let refused = set.add(1, other).unwrap_err();
    assert!(matches!(refused, AddError::KeyTaken(_)), "{refused}");
    let refused = set.add(2, receiver).unwrap_err();
    assert!(matches!(refused, AddError::Twice(_)), "{refused}");
    sender.send(&3).unwrap();
    assert_eq!(refused.into_inner().recv().unwrap(), 3);
    // A refused key is free.
    set.add(2, pipe_simplex().unwrap().0).unwrap();
    assert_eq!((set.len(), set.wait().unwrap()), (2, vec![2]), "its sender is closed");
}

#[test]
fn two_copies_of_one_descriptor_are_two_members() {
    let mut set: WaitSet<u8, OwnedFd> = WaitSet::new().unwrap();
    let (read, write) = system_pipe().unwrap();
    set.add(1, read.try_clone().unwrap()).unwrap();
    set.add(2, read).unwrap();
    File::from(write.try_clone().unwrap()).write_all(b"x").unwrap();
    assert_eq!(sorted(set.wait().unwrap()), [1, 2]);
    set.remove(&1).unwrap();
    assert_eq!(set.wait().unwrap(), [2]);
}

#[test]
fn a_file_that_is_always_ready_is_so_here() {
    let mut set: WaitSet<&str, &dyn Waitable> = WaitSet::new().unwrap();
    let (file, (receiver, sender)) = (File::open("/dev/null").unwrap(), pipe_simplex::<u8>().unwrap());
    set.add("file", &file).unwrap();
    set.add("receiver", &receiver).unwrap();
    assert_eq!(set.wait().unwrap(), ["file"]);
    sender.send(&1).unwrap();
    assert_eq!(sorted(set.wait().unwrap()), ["file", "receiver"]);
    set.remove("file").unwrap();
    assert_eq!(set.wait().unwrap(), ["receiver"]);
}

#[test]
fn a_set_of_anything_goes_to_another_thread() {
    let mut set: WaitSet<String, Box<dyn Waitable + Send>> = WaitSet::new().unwrap();
    let ((receiver, sender), (read, write)) = (pipe_simplex::<u8>().unwrap(), system_pipe().unwrap());
    set.add("connection".to_owned(), Box::new(receiver)).unwrap();
    set.add("pipe".to_owned(), Box::new(read)).unwrap();
    sender.send(&1).unwrap();
    drop(write);
    let ready = thread::spawn(move || (sorted(set.wait().unwrap()), format!("{set:?}"))).join().unwrap();
    assert_eq!(ready.0, ["connection", "pipe"]);
    assert_eq!(ready.1, "WaitSet {\"connection\", \"pipe\"}");
}

/// Reports its readiness itself, as queues do, and counts the calls.
#[derive(Debug)]
struct Told {
    signal: OwnedFd,
    is_ready: Cell<bool>,
    descriptors: Cell<u64>,
    asked: Cell<u64>,
    resynced: Cell<u64>,
}

fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

/// As a set has it.
#[derive(Clone)]
struct Shared(Rc<Told>);

impl Shared {
    fn new() -> Shared {
        Shared(Rc::new(Told {
            signal: eventfd().unwrap(),
            is_ready: Cell::default(),
            descriptors: Cell::default(),
            asked: Cell::default(),
            resynced: Cell::default(),
        }))
    }

    fn signal(&self) {
        raise(self.0.signal.as_fd());
    }

    fn is_signalled(&self) -> bool {
        try_wait(&[&self.0.signal]).is_ok()
    }
}

impl Waitable for Shared {
    fn descriptor(&self) -> BorrowedFd<'_> {
        count(&self.0.descriptors);
        self.0.signal.as_fd()
    }

    fn is_ready(&self) -> Option<bool> {
        count(&self.0.asked);
        Some(self.0.is_ready.get())
    }

    fn resync(&self) {
        count(&self.0.resynced);
        clear(self.0.signal.as_fd());
        if self.0.is_ready.get() {
            self.signal();
        }
    }
}

#[test]
fn a_wait_minds_those_that_are_ready_and_no_others() {
    const IDLE: u64 = 1_000;
    const WAITS: u64 = 200;
    let mut set: WaitSet<u64, Shared> = WaitSet::new().unwrap();
    let members: Vec<_> = (0..=IDLE).map(|_| Shared::new()).collect();
    members.iter().zip(0..).for_each(|(member, key)| set.add(key, member.clone()).unwrap());
    let sum = |of: fn(&Told) -> &Cell<u64>| members.iter().map(|member| of(&member.0).get()).sum::<u64>();
    let (descriptors, asked) = (sum(|member| &member.descriptors), sum(|member| &member.asked));
    members[IDLE as usize].0.is_ready.set(true);
    members[IDLE as usize].signal();
    let began = Instant::now();
    for _ in 0..WAITS {
        assert_eq!(set.wait().unwrap(), [IDLE]);
    }
    // All of them are asked every quarter of a second, whichever are ready.
    let rounds = began.elapsed().as_millis() as u64 / 250 + 1;
    assert_eq!(sum(|member| &member.descriptors), descriptors);
    let asked = sum(|member| &member.asked) - asked;
    assert!((WAITS..=WAITS + rounds * (IDLE + 1)).contains(&asked), "{asked} in {rounds} rounds");
}

#[test]
fn a_false_signal_is_resynced_and_slept_on() {
    let (mut set, member) = (WaitSet::new().unwrap(), Shared::new());
    set.add((), member.clone()).unwrap();
    member.signal();
    assert!(matches!(set.wait_timeout(Duration::from_millis(1)), Err(PollError::Timeout)));
    assert!(!member.is_signalled());
    // Once as it came, and once for the signal.
    assert_eq!(member.0.resynced.get(), 2);
}

#[test]
fn one_that_was_ready_when_it_came_is_heard_of() {
    let (mut set, member) = (WaitSet::new().unwrap(), Shared::new());
    member.0.is_ready.set(true);
    set.add((), member.clone()).unwrap();
    assert_eq!(set.try_wait().unwrap(), [()]);
}

#[test]
fn one_that_was_not_reported_is_found_out() {
    let (mut set, member) = (WaitSet::new().unwrap(), Shared::new());
    set.add("untold", member.clone()).unwrap();
    member.0.is_ready.set(true);
    // Also where others are ready all the time.
    let (receiver, sender) = pipe_simplex::<u8>().unwrap();
    let mut both: WaitSet<_, &dyn Waitable> = WaitSet::new().unwrap();
    let other = Shared::new();
    both.add("untold", &other).unwrap();
    both.add("busy", &receiver).unwrap();
    sender.send(&1).unwrap();
    other.0.is_ready.set(true);
    assert_eq!(set.wait().unwrap(), ["untold"]);
    while both.wait().unwrap().len() < 2 {}
}
