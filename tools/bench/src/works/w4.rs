//! W4: an uncontended lock and semaphore; a lock with 2 and 4 contenders; a barrier of 2 and 4; a round trip by
//! two events, and by two conditions.
//!
//! In each contended work a counter beside the lock, on another cache line, is read and written back under the lock:
//! a lock that lets two in loses some.

use super::crowd::{Counter, Part, add_by_processes, add_by_threads, processes};
use super::measure::{nanoseconds_since, text};
use super::peers::pythons_once;
use super::waits::median;
use super::{cpus, pthread};
use crate::python::Shared;
use crate::work::{Peer, Work};
use mp_core::mem::SharedRef;
use mp_sync::{Barrier, Condition, Event, Lock, Semaphore};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub(super) fn all(python: &Shared) -> Vec<Work> {
    vec![
        lock_uncontended(python),
        semaphore_uncontended(python),
        lock_contended(python, 2),
        lock_contended(python, 4),
        event(python, Placement::AsItComes),
        event(python, Placement::OneCpu),
        condition(python, Placement::AsItComes),
        condition(python, Placement::OneCpu),
        barrier(python, 2),
        barrier(python, 4),
    ]
}

const TIMES: u32 = 5_000_000;

/// Nanoseconds for one of many.
fn one_of_many(mut once: impl FnMut()) -> f64 {
    let began = Instant::now();
    (0..TIMES).for_each(|_| once());
    began.elapsed().as_nanos() as f64 / f64::from(TIMES)
}

fn lock_uncontended(python: &Shared) -> Work {
    let ours = || {
        let lock = Lock::new().map_err(text)?;
        Ok(one_of_many(|| drop(black_box(black_box(&lock).acquire().expect("no holder dies")))))
    };
    let std_mutex = || {
        let lock = Mutex::new(());
        Ok(one_of_many(|| drop(black_box(black_box(&lock).lock().expect("no holder panics")))))
    };
    let robust = || {
        let lock = pthread::RobustMutex::new()?;
        Ok(one_of_many(|| {
            black_box(&lock).lock();
            lock.unlock();
        }))
    };
    Work {
        metric: "W4.lock.uncontended".to_owned(),
        unit: "ns",
        rate: false,
        peers: vec![
            Peer::new("mp", ours),
            Peer::new("std-mutex", std_mutex),
            Peer::new("pthread-robust", robust),
            pythons_once(python, "W4.lock.uncontended 200000"),
        ],
    }
}

fn semaphore_uncontended(python: &Shared) -> Work {
    let ours = || {
        let semaphore = Semaphore::new(1).map_err(text)?;
        Ok(one_of_many(|| drop(black_box(black_box(&semaphore).acquire()))))
    };
    let sem_t = || {
        let semaphore = pthread::Sem::new(1)?;
        Ok(one_of_many(|| {
            black_box(&semaphore).wait();
            semaphore.post();
        }))
    };
    Work {
        metric: "W4.semaphore".to_owned(),
        unit: "ns",
        rate: false,
        peers: vec![
            Peer::new("mp", ours),
            Peer::new("sem_t", sem_t),
            pythons_once(python, "W4.semaphore 200000"),
        ],
    }
}

/// What lets in one at a time.
pub(super) trait Exclusive: Clone + Send + 'static {
    fn alone(&self, act: impl FnOnce());
}

impl Exclusive for Lock {
    fn alone(&self, act: impl FnOnce()) {
        let _guard = self.acquire().expect("no holder dies");
        act();
    }
}

impl Exclusive for Arc<Mutex<()>> {
    fn alone(&self, act: impl FnOnce()) {
        let _guard = self.lock().expect("no holder panics");
        act();
    }
}

impl Exclusive for pthread::RobustMutex {
    fn alone(&self, act: impl FnOnce()) {
        self.lock();
        act();
        self.unlock();
    }
}

impl Exclusive for pthread::Sem {
    fn alone(&self, act: impl FnOnce()) {
        self.wait();
        act();
        self.post();
    }
}

/// A number beside the lock that keeps it.
#[derive(Clone, Serialize, Deserialize)]
struct Kept<L> {
    lock: L,
    number: SharedRef<AtomicU64>,
}

impl<L> Kept<L> {
    fn by(lock: L) -> Result<Kept<L>, String> {
        Ok(Kept { lock, number: SharedRef::create("counter").map_err(text)? })
    }
}

impl<L: Exclusive> Counter for Kept<L> {
    fn add_one(&self) {
        // ORDERING: Relaxed: the lock orders it; a plain number would do, were it not shared.
        let add = || self.number.store(self.number.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.lock.alone(add);
    }

    fn total(&self) -> u64 {
        // ORDERING: Relaxed: all threads that added were joined.
        self.number.load(Ordering::Relaxed)
    }
}

fn lock_contended(python: &Shared, workers: u64) -> Work {
    let times = 10_000_000;
    let ours = move || add_by_processes(Kept::by(Lock::new().map_err(text)?)?, workers, times);
    let std_mutex = move || add_by_threads(Kept::by(Arc::new(Mutex::new(())))?, workers, times);
    let sem_t = move || add_by_processes(Kept::by(pthread::Sem::new(1)?)?, workers, times);
    let robust = move || add_by_processes(Kept::by(pthread::RobustMutex::new()?)?, workers, times);
    Work {
        metric: format!("W4.lock.contended{workers}"),
        unit: "ops/s",
        rate: true,
        peers: vec![
            Peer::new("mp", ours),
            Peer::new("std-mutex", std_mutex),
            Peer::new("sem_t", sem_t),
            Peer::new("pthread-robust", robust),
            pythons_once(python, format!("W4.lock.contended{workers} 500000")),
        ],
    }
}

/// Where the two sides of a round trip run.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Placement {
    AsItComes,
    OneCpu,
}

/// A flag that one waits for and takes down.
trait Flag: Clone + Send + 'static {
    fn raise(&self);
    fn await_and_lower(&self);
}

impl Flag for Event {
    fn raise(&self) {
        self.set();
    }

    fn await_and_lower(&self) {
        self.wait();
        self.clear();
    }
}

/// A flag behind a condition's lock.
type Behind = Condition<mp_sync::Mutex<u32>>;

impl Flag for Behind {
    fn raise(&self) {
        let mut flag = self.acquire().expect("no holder dies");
        *flag = 1;
        flag.notify_one();
    }

    fn await_and_lower(&self) {
        let mut flag = self.acquire().expect("no holder dies");
        flag.wait_while(|flag| *flag == 0).expect("no holder dies");
        *flag = 0;
    }
}

impl Flag for pthread::Awaited {
    fn raise(&self) {
        self.tell(1);
    }

    fn await_and_lower(&self) {
        self.wait(1, 0);
    }
}

/// One side of a round trip; the first one measures, and says when it ends.
#[derive(Clone, Serialize, Deserialize)]
struct Side<F> {
    placement: Placement,
    first: bool,
    /// Mine, and the other's.
    flags: (F, F),
    end: SharedRef<AtomicU32>,
}

/// So long that the scheduler has put the two on two CPUs for the most part of it, also where both began on one.
const LASTS: Duration = Duration::from_millis(300);

impl<F: Flag> Part for Side<F> {
    /// The median of a round trip in microseconds, as the first side saw it.
    type Gives = Option<f64>;

    fn play(self, start: impl FnOnce()) -> Option<f64> {
        if self.placement == Placement::OneCpu {
            cpus::pin(0).expect("it runs on one");
        }
        start();
        let (mine, other) = &self.flags;
        if !self.first {
            loop {
                mine.await_and_lower();
                // ORDERING: Relaxed: published by the flag.
                if self.end.load(Ordering::Relaxed) != 0 {
                    return None;
                }
                other.raise();
            }
        }
        let (began, mut all) = (Instant::now(), Vec::new());
        while began.elapsed() < LASTS {
            let raised = Instant::now();
            other.raise();
            mine.await_and_lower();
            all.push(nanoseconds_since(raised));
        }
        // ORDERING: Relaxed: as above.
        self.end.store(1, Ordering::Relaxed);
        other.raise();
        Some(median(&all))
    }
}

/// Microseconds for one round trip, the median.
fn round_trip<F>(flag: impl Fn() -> Result<F, String>, placement: Placement) -> Result<f64, String>
where
    F: Flag + Serialize + DeserializeOwned,
{
    let (one, two, end) = (flag()?, flag()?, SharedRef::create("end").map_err(text)?);
    let first = Side { placement, first: true, flags: (one.clone(), two.clone()), end };
    let second = Side { placement, first: false, flags: (two, one), end: first.end.clone() };
    processes(&[first, second])?.measured()
}

fn event(python: &Shared, placement: Placement) -> Work {
    flags("W4.event", || Event::new().map_err(text), python, placement)
}

fn condition(python: &Shared, placement: Placement) -> Work {
    let new = || -> Result<Behind, String> {
        Condition::with_lock(&mp_sync::Mutex::new(0).map_err(text)?).map_err(text)
    };
    flags("W4.condition", new, python, placement)
}

fn flags<F: Flag + Serialize + DeserializeOwned>(
    metric: &str,
    ours: fn() -> Result<F, String>,
    python: &Shared,
    placement: Placement,
) -> Work {
    let metric = match placement {
        Placement::AsItComes => metric.to_owned(),
        Placement::OneCpu => format!("{metric}.one"),
    };
    Work {
        unit: "us",
        rate: false,
        peers: vec![
            Peer::new("mp", move || round_trip(ours, placement)),
            Peer::new("pthread", move || round_trip(pthread::Awaited::new, placement)),
            pythons_once(python, format!("{metric} 5000")),
        ],
        metric,
    }
}

/// A meeting point.
trait Meeting: Clone + Send + 'static {
    fn meet(&self);
}

impl Meeting for Barrier {
    fn meet(&self) {
        self.wait().expect("all of them come");
    }
}

impl Meeting for pthread::Barrier {
    fn meet(&self) {
        self.wait();
    }
}

/// A party that comes so many times.
#[derive(Clone, Serialize, Deserialize)]
struct Party<M> {
    meeting: M,
    times: u32,
}

impl<M: Meeting> Part for Party<M> {
    type Gives = ();

    fn play(self, start: impl FnOnce()) {
        start();
        (0..self.times).for_each(|_| self.meeting.meet());
    }
}

/// Rounds a second.
fn rounds<M>(meeting: M, parties: u32) -> Result<f64, String>
where
    M: Meeting + Serialize + DeserializeOwned,
{
    let times = 20_000;
    let party = Party { meeting, times };
    Ok(f64::from(times) / processes(&vec![party; parties as usize])?.took.as_secs_f64())
}

fn barrier(python: &Shared, parties: u32) -> Work {
    Work {
        metric: format!("W4.barrier{parties}"),
        unit: "rounds/s",
        rate: true,
        peers: vec![
            Peer::new("mp", move || rounds(Barrier::new(parties).map_err(text)?, parties)),
            Peer::new("pthread", move || rounds(pthread::Barrier::new(parties)?, parties)),
            pythons_once(python, format!("W4.barrier{parties} 3000")),
        ],
    }
}
