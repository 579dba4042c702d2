//! Consumers that wait for long: two lead, and wake by themselves for all. Whichever process is killed,
//! stopped or served, one leads, and an item for which no process was woken is found. See ring/leaders.rs.

use mp_core::mem::Mapping;
use mp_core::sys::fd::pipe;
use mp_core::transfer::{Handle, pack};
use mp_core::{Child, JoinError, Process};
use mp_queue::{GetError, Queue};
use mp_testing::{At, go_on, kill_at, stop};
use nix::libc;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

mp_testing::cases! {
    plain: [
        killed_leaders_are_replaced,
        leaders_that_leave_are_replaced,
        items_of_a_putter_killed_before_its_wake_come_to_all,
        stopped_leaders_are_not_waited_for,
        all_learn_of_the_end_from_one,
    ]
}

type Waiter = Child<Option<u32>>;

/// `None`: nothing will come.
fn wait(queue: Queue<u32>) -> Option<u32> {
    match queue.get() {
        Ok(item) => Some(item),
        Err(GetError::Closed) => None,
        Err(error) => panic!("{error}"),
    }
}

fn waiter(queue: &Queue<u32>) -> Waiter {
    Process::new(wait, (queue.clone(),)).start().unwrap()
}

/// The words in front of the items, by eights.
fn words(queue: &Queue<u32>) -> Vec<u64> {
    let handles = pack(queue).unwrap().handles;
    let memory =
        File::from(handles.first().expect("the memory comes first").as_fd().try_clone_to_owned().unwrap());
    let mut bytes = [0; 2048];
    memory.read_exact_at(&mut bytes, Mapping::header_bytes() as u64).unwrap();
    bytes.as_chunks().0.iter().map(|bytes| u64::from_ne_bytes(*bytes)).collect()
}

/// The leaders, once there are so many: the id of each stands in a lock. (Each has one thread. Nothing
/// else is in those eight bytes but flags: see sys/robust.rs.)
fn leaders<'a>(queue: &Queue<u32>, of: &'a [Waiter], count: usize) -> Vec<&'a Waiter> {
    let lane = if cfg!(target_env = "musl") { 32 } else { 0 };
    loop {
        let words = words(queue);
        let leads = |waiter: &&Waiter| {
            words.iter().any(|word| (word >> lane) & !(3 << 30) == u64::from(waiter.pid()))
        };
        let leaders: Vec<&Waiter> = of.iter().filter(leads).collect();
        if leaders.len() == count {
            return leaders;
        }
        assert!(of.iter().all(Child::is_alive), "one of them has left");
        std::thread::yield_now();
    }
}

fn killed(waiter: &Waiter) {
    waiter.kill().unwrap();
    assert!(matches!(waiter.join(), Err(JoinError::Killed(9))));
}

fn killed_leaders_are_replaced() {
    let queue = Queue::new().unwrap();
    let mut waiters: Vec<Waiter> = (0..5).map(|_| waiter(&queue)).collect();
    // One, which the other replaces; and then both at once.
    for count in [1, 2] {
        let victims = leaders(&queue, &waiters, 2);
        victims[..count].iter().for_each(|victim| victim.kill().unwrap());
        let dead: Vec<u32> = victims[..count].iter().map(|victim| victim.pid()).collect();
        waiters.retain(|waiter| !dead.contains(&waiter.pid()));
    }
    assert_eq!(leaders(&queue, &waiters, 2).len(), waiters.len());
    (1..=2).for_each(|item| queue.put(item).unwrap());
    let mut got: Vec<Option<u32>> = waiters.iter().map(|waiter| waiter.join().unwrap()).collect();
    got.sort_unstable();
    assert_eq!(got, [Some(1), Some(2)]);
}

fn leaders_that_leave_are_replaced() {
    let queue = Queue::new().unwrap();
    let mut waiters: Vec<Waiter> = (0..6).map(|_| waiter(&queue)).collect();
    let mut got = Vec::new();
    while waiters.len() > 2 {
        leaders(&queue, &waiters, 2);
        queue.put(waiters.len() as u32).unwrap();
        let served = loop {
            let ended = waiters.iter().position(|waiter| !waiter.is_alive());
            if let Some(served) = ended {
                break waiters.swap_remove(served);
            }
            std::thread::yield_now();
        };
        got.extend(served.join().unwrap());
    }
    leaders(&queue, &waiters, 2);
    assert_eq!(got, [6, 5, 4, 3]);
    waiters.iter().for_each(killed);
}

/// A producer that is killed with all its items in the queue, before any wake.
fn put_and_die(queue: &Queue<u32>, items: Vec<u32>) {
    let (read, write) = pipe().unwrap();
    let putter = Process::fork(|| {
        File::from(read).read_exact(&mut [0]).unwrap();
        queue.put_many(items.iter().copied()).unwrap();
    });
    let putter = putter.start().unwrap();
    kill_at(putter.pid(), At::Before(libc::SYS_futex), || File::from(write).write_all(&[0]).unwrap());
    assert!(matches!(putter.join(), Err(JoinError::Killed(9))));
}

fn items_of_a_putter_killed_before_its_wake_come_to_all() {
    let queue = Queue::new().unwrap();
    let waiters: Vec<Waiter> = (0..5).map(|_| waiter(&queue)).collect();
    leaders(&queue, &waiters, 2);
    put_and_die(&queue, (0..5).collect());
    let mut got: Vec<Option<u32>> = waiters.iter().map(|waiter| waiter.join().unwrap()).collect();
    got.sort_unstable();
    assert_eq!(got, (0..5).map(Some).collect::<Vec<_>>());
}

fn stopped_leaders_are_not_waited_for() {
    let queue = Queue::new().unwrap();
    let waiters: Vec<Waiter> = (0..3).map(|_| waiter(&queue)).collect();
    let leaders = leaders(&queue, &waiters, 2);
    assert!(leaders.iter().all(|leader| stop(leader)));
    put_and_die(&queue, vec![7]);
    let leads = |waiter: &&Waiter| leaders.iter().any(|leader| leader.pid() == waiter.pid());
    let follower = waiters.iter().find(|waiter| !leads(waiter)).unwrap();
    assert_eq!(follower.join().unwrap(), Some(7));
    leaders.iter().for_each(|leader| go_on(leader));
    leaders.into_iter().for_each(killed);
}

fn hold(producer: mp_queue::Producer<u32>, read: Handle) {
    let read = read.into_fd().unwrap();
    let _ = File::from(read).read_exact(&mut [0]);
    drop(producer);
}

/// A killed producer wakes no consumer, although it was the last.
fn all_learn_of_the_end_from_one() {
    let (producer, queue) = Queue::<u32>::counted().unwrap();
    let (read, _write) = pipe().unwrap();
    let last = Process::new(hold, (producer, Handle::new(read))).start().unwrap();
    let waiters: Vec<Waiter> = (0..5).map(|_| waiter(&queue)).collect();
    leaders(&queue, &waiters, 2);
    last.kill().unwrap();
    for waiter in &waiters {
        assert_eq!(waiter.join().unwrap(), None);
    }
}
