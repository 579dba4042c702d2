//! Stopped is not dead, and terminated is: fault rows 4 and 35, for everything that can be held or waited in.
//!
//! Instruction by instruction it is tried by mp-sweep, with SIGSTOP and SIGKILL. For what is here SIGTERM is
//! as SIGKILL: it ends a process wherever it is, and the kernel tells of what it held.

use mp_core::sys::process::random_bytes;
use mp_core::{Child, JoinError, Process};
use mp_sync::{
    AcquireError, Barrier, Condition, Event, Lock, OwnedSemaphore, RLock, RawValue, RwLock, Semaphore, Value,
};
use mp_testing::{go_on, stop};
use serde::{Deserialize, Serialize};
use std::fs;
use std::thread;
use std::time::Duration;

mp_testing::cases! {
    every_method: [
        a_stopped_holder_keeps_what_it_has,
        a_stopped_waiter_keeps_its_place,
        a_stopped_party_is_waited_for,
        a_terminated_holder_leaves_what_it_had,
        a_terminated_waiter_troubles_no_other_process,
        a_terminated_party_breaks_the_barrier,
        terminated_at_any_moment_it_strands_no_other_waiter,
    ]
}

/// What one child holds all at once.
#[derive(Clone, Serialize, Deserialize)]
struct Objects {
    lock: Lock,
    rlock: RLock,
    value: Value<u32>,
    condition: Condition,
    written: RwLock<u32>,
    read: RwLock<u32>,
    owned: OwnedSemaphore,
    held: Event,
    go: Event,
}

impl Objects {
    fn new() -> Objects {
        Objects {
            lock: Lock::new().unwrap(),
            rlock: RLock::new().unwrap(),
            value: Value::new(0).unwrap(),
            condition: Condition::new().unwrap(),
            written: RwLock::new(0).unwrap(),
            read: RwLock::new(0).unwrap(),
            owned: OwnedSemaphore::new(1).unwrap(),
            held: Event::new().unwrap(),
            go: Event::new().unwrap(),
        }
    }

    /// What comes of trying to have each, for so long.
    fn tried(&self, timeout: Duration) -> [Found; 7] {
        thread::scope(|scope| {
            [
                scope.spawn(|| found(self.lock.acquire_timeout(timeout))),
                scope.spawn(|| found(self.rlock.acquire_timeout(timeout))),
                scope.spawn(|| found(self.value.lock_timeout(timeout))),
                scope.spawn(|| found(self.condition.acquire_timeout(timeout))),
                scope.spawn(|| found(self.written.read_timeout(timeout))),
                scope.spawn(|| found(self.read.write_timeout(timeout))),
                scope.spawn(|| self.owned.acquire_timeout(timeout).map_or(Found::Held, |_| Found::Free)),
            ]
            .map(|attempt| attempt.join().unwrap())
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// By another thread.
    Held,
    Free,
    /// Acquired, with the report that a previous holder died.
    Died,
}

fn found<G>(taken: Result<G, AcquireError<G>>) -> Found {
    match taken {
        Ok(_) => Found::Free,
        Err(AcquireError::OwnerDied(_)) => Found::Died,
        Err(_) => Found::Held,
    }
}

fn hold_all(objects: Objects) {
    let lock = objects.lock.acquire().unwrap();
    let rlock = [objects.rlock.acquire().unwrap(), objects.rlock.acquire().unwrap()];
    let mut value = objects.value.lock().unwrap();
    let condition = objects.condition.acquire().unwrap();
    let mut written = objects.written.write().unwrap();
    let read = objects.read.read().unwrap();
    let permit = objects.owned.acquire();
    *value += 1;
    *written += 1;
    objects.held.set();
    objects.go.wait();
    drop((lock, rlock, value, condition, written, read, permit));
}

fn holder(objects: &Objects) -> Child<()> {
    let child = Process::new(hold_all, (objects.clone(),)).daemon().start().unwrap();
    objects.held.wait();
    child
}

fn state<R>(child: &Child<R>) -> char {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.pid())).unwrap();
    stat.rsplit(") ").next().unwrap().chars().next().unwrap()
}

fn terminated(child: &Child<()>) {
    child.terminate().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(15))));
}

/// Longer than the waits between two timed looks at an owner.
const LOOKS: Duration = Duration::from_millis(1200);

/// Row 4
fn a_stopped_holder_keeps_what_it_has() {
    let objects = Objects::new();
    let child = holder(&objects);
    assert_eq!(objects.tried(Duration::ZERO), [Found::Held; 7]);
    assert!(stop(&child));
    // Timeouts work, and no process takes it for dead.
    assert_eq!(objects.tried(LOOKS), [Found::Held; 7]);
    assert!(child.is_alive());
    thread::scope(|scope| {
        let tried = scope.spawn(|| objects.tried(Duration::MAX));
        objects.go.set();
        go_on(&child);
        assert_eq!(tried.join().unwrap(), [Found::Free; 7]);
    });
    child.join().unwrap();
    assert_eq!((objects.value.get(), *objects.written.read().unwrap()), (1, 1));
}

#[derive(Clone, Serialize, Deserialize)]
struct Rooms {
    condition: Condition,
    /// Under the condition's lock: how many wait or have waited, and how many have come back.
    came: RawValue<u32>,
    back: RawValue<u32>,
    event: Event,
    semaphore: Semaphore,
    about_to: Event,
}

impl Rooms {
    fn new() -> Rooms {
        Rooms {
            condition: Condition::new().unwrap(),
            came: RawValue::new(0).unwrap(),
            back: RawValue::new(0).unwrap(),
            event: Event::new().unwrap(),
            semaphore: Semaphore::new(0).unwrap(),
            about_to: Event::new().unwrap(),
        }
    }

    /// Once so many wait.
    fn notify_one_of(&self, waiting: u32) {
        loop {
            let guard = self.condition.acquire().unwrap();
            if self.came.get() == waiting {
                return guard.notify_one();
            }
            drop(guard);
            thread::yield_now();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Room {
    Condition,
    Event,
    Semaphore,
}

fn wait_in(rooms: Rooms, room: Room) {
    let mut guard = rooms.condition.acquire().unwrap();
    rooms.came.set(rooms.came.get() + 1);
    rooms.about_to.set();
    match room {
        Room::Condition => {
            guard.wait().unwrap();
            rooms.back.set(rooms.back.get() + 1);
            return;
        }
        Room::Event | Room::Semaphore => drop(guard),
    }
    match room {
        Room::Event => rooms.event.wait(),
        _ => rooms.semaphore.acquire().keep(),
    }
}

/// Comes back when it sleeps there.
fn waiter(rooms: &Rooms, room: Room) -> Child<()> {
    rooms.about_to.clear();
    let child = Process::new(wait_in, (rooms.clone(), room)).daemon().start().unwrap();
    rooms.about_to.wait();
    while state(&child) != 'S' {
        thread::yield_now();
    }
    child
}

/// Row 4
fn a_stopped_waiter_keeps_its_place() {
    let rooms = Rooms::new();
    let all = [Room::Condition, Room::Event, Room::Semaphore];
    let stopped = all.map(|room| waiter(&rooms, room));
    stopped.iter().for_each(|child| assert!(stop(child)));
    let others = all.map(|room| waiter(&rooms, room));
    rooms.event.set();
    rooms.semaphore.release_many(2).unwrap();
    // The first notification is for the first that came, stopped or not; the second for the other.
    rooms.notify_one_of(6);
    rooms.notify_one_of(6);
    others.iter().for_each(|child| child.join().unwrap());
    assert_eq!(rooms.back.get(), 1);
    assert!(stopped.iter().all(|child| child.is_alive() && state(child) == 'T'));
    stopped.iter().for_each(go_on);
    stopped.iter().for_each(|child| child.join().unwrap());
    assert_eq!((rooms.back.get(), rooms.semaphore.get_value()), (2, 0));
}

/// Row 35
fn a_terminated_waiter_troubles_no_other_process() {
    let rooms = Rooms::new();
    let all = [Room::Condition, Room::Event, Room::Semaphore];
    let doomed = all.map(|room| waiter(&rooms, room));
    let others = all.map(|room| waiter(&rooms, room));
    doomed.iter().for_each(terminated);
    rooms.event.set();
    rooms.semaphore.release().unwrap();
    rooms.notify_one_of(6);
    others.iter().for_each(|child| child.join().unwrap());
    assert_eq!((rooms.back.get(), rooms.semaphore.get_value()), (1, 0));
}

fn meet(barrier: Barrier) -> bool {
    barrier.wait().is_ok()
}

fn two_of_three(barrier: &Barrier) -> [Child<bool>; 2] {
    let parties = [(); 2].map(|()| Process::new(meet, (barrier.clone(),)).daemon().start().unwrap());
    while barrier.n_waiting() < 2 {
        thread::yield_now();
    }
    parties
}

/// Row 4
fn a_stopped_party_is_waited_for() {
    let barrier = Barrier::new(3).unwrap();
    let [stopped, other] = two_of_three(&barrier);
    assert!(stop(&stopped));
    // While the others look at it, it is not taken for dead.
    thread::sleep(LOOKS);
    assert!(!barrier.broken());
    barrier.wait().unwrap();
    assert!(other.join().unwrap());
    go_on(&stopped);
    assert!(stopped.join().unwrap(), "its round has passed");
    assert!(!barrier.broken());
}

/// Row 35
fn a_terminated_party_breaks_the_barrier() {
    let barrier = Barrier::new(3).unwrap();
    let [doomed, other] = two_of_three(&barrier);
    doomed.terminate().unwrap();
    assert!(matches!(doomed.join(), Err(JoinError::Killed(15))));
    assert!(!other.join().unwrap());
    assert!(barrier.broken());
}

/// Row 35
fn a_terminated_holder_leaves_what_it_had() {
    use Found::{Died, Free};
    let objects = Objects::new();
    let child = holder(&objects);
    thread::scope(|scope| {
        // Some wait for it, and some come later.
        let tried = scope.spawn(|| objects.tried(Duration::MAX));
        terminated(&child);
        assert_eq!(tried.join().unwrap(), [Died, Died, Died, Died, Died, Free, Free]);
    });
    assert_eq!(objects.tried(Duration::MAX), [Died, Died, Died, Died, Died, Free, Free]);
}

fn take_for_ever(objects: Objects, rounds: RawValue<u64>) {
    for round in 0.. {
        let clean = |died: bool| assert!(!died, "no holder has died");
        clean(objects.lock.acquire().is_err());
        clean(objects.rlock.acquire().is_err());
        clean(objects.value.lock().is_err());
        clean(objects.condition.acquire().map(|guard| guard.notify_all()).is_err());
        clean(objects.written.write().is_err());
        clean(objects.read.read().is_err());
        drop(objects.owned.acquire());
        rounds.set(round);
    }
}

/// Row 35
fn terminated_at_any_moment_it_strands_no_other_waiter() {
    for _ in 0..30 {
        let (objects, rounds) = (Objects::new(), RawValue::new(0).unwrap());
        let child = Process::new(take_for_ever, (objects.clone(), rounds.clone())).start().unwrap();
        let mut random = [0];
        random_bytes(&mut random).unwrap();
        while rounds.get() < u64::from(random[0]) {
            std::hint::spin_loop();
        }
        terminated(&child);
        // At most one of them was had at that moment.
        let tried = objects.tried(Duration::MAX);
        assert!(!tried.contains(&Found::Held), "{tried:?}");
        assert!(tried.iter().filter(|found| **found == Found::Died).count() <= 1, "{tried:?}");
    }
}
