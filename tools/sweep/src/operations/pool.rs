//! A pool: what a worker does with its chunks of items, from the take to the report that it is done.
//!
//! Whichever worker is killed, each item ends as its value or as `WorkerDied`, and is begun once at most. What was
//! taken and not begun goes to another worker and is no error. No slot of the board is lost, and nothing of the arena.
//!
//! The watcher is told of each death by the kernel, and tells all that sleep (`rouse`).

use super::tally::Tally;
use crate::sweep::scene::{Every, Fate, Mode, Operation, Scene, Verdict, lost_unless, torn_unless};
use mp_core::Ended;
use mp_pool::steps::{Steps, Taken, Worker};
use mp_pool::{Buffer, MapResult, TaskError, TaskOptions};
use std::cell::{Cell, RefCell};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub(super) fn operations() -> Vec<Operation> {
    [
        Operation::new("pool.take", |_| Play::scene(TAKE)),
        // It looks some thousand times before it sleeps.
        Operation {
            every: Every::Point(13),
            ..Operation::new("pool.take.asleep", |_| Play::scene(TAKE_WHEN_WOKEN))
        },
        Operation::new("pool.steal", |_| Play::scene(STEAL)),
        Operation::new("pool.begin", |_| Play::scene(BEGIN)),
        Operation::new("pool.done", |_| Play::scene(DONE)),
        Operation::new("pool.chunk", |_| Play::scene(CHUNK)),
        Operation::new("pool.deadline", |_| Play::scene(DEADLINE)),
        Operation { every: Every::Point(7), ..Operation::new("pool.run", |_| Play::scene(RUN)) },
        Operation::new("pool.run.steal", |_| Play::scene(STEAL_OF_RUN)),
        Operation { every: Every::Point(7), ..Operation::new("pool.keeps", |_| Play::scene(KEEPS)) },
    ]
    .map(Operation::in_every_mode)
    .into()
}

/// A mutant and the same without the fault: see `mutants.rs`.
pub(super) fn mutants() -> Vec<Operation> {
    vec![
        Operation::new("mutant.pool", |_| Play::scene(BEGIN)),
        Operation::new("mutant.pool.begin_late", |_| Play::scene(BEGIN_LATE)),
    ]
}

/// What the victim does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Take,
    /// Waits for a chunk, and takes it.
    TakeWhenWoken,
    /// Does what it has taken, and gives it back.
    Run,
    /// And all that there is to take then.
    RunAll,
}

/// The process that sleeps meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sleeper {
    Caller,
    /// Another worker, without work.
    Worker,
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    step: Step,
    /// The victim's index: that of its lane.
    victim: u32,
    /// Items, and how many go together. The chunks lie in the lanes of the first workers, one in each.
    items: u32,
    chunk: u32,
    sleeper: Option<Sleeper>,
    /// The chunks of one item lie in runs.
    in_runs: bool,
    /// The third party has begun the first item of so many runs, and goes on with none.
    begun_runs: u32,
    /// The function runs before the worker says that it begins.
    begins_late: bool,
    /// Items have a deadline. The third party takes the first one for late.
    timed: bool,
    /// Items are buffers. A process keeps the first one that it gets beyond its task, until it gets the next one.
    keeps: bool,
}

const WORKERS: u32 = 3;
/// Another worker: the third party, and what comes after the victim. It has the second lane.
const OTHER: u32 = 1;
/// And one that sleeps.
const ASLEEP: u32 = 2;

/// The first of two.
const TAKE: Plan = Plan {
    step: Step::Take,
    victim: 0,
    items: 2,
    chunk: 1,
    sleeper: None,
    in_runs: false,
    begun_runs: 0,
    begins_late: false,
    timed: false,
    keeps: false,
};
/// With another one that sleeps; the caller then posts one for each and one more, for a third party, and wakes one of
/// the two, which wakes the other.
const TAKE_WHEN_WOKEN: Plan =
    Plan { step: Step::TakeWhenWoken, items: 3, sleeper: Some(Sleeper::Worker), ..TAKE };
/// From the lane of another: its own is empty.
const STEAL: Plan = Plan { victim: 2, ..TAKE };
const BEGIN: Plan = Plan { step: Step::Run, ..TAKE };
const DONE: Plan = Plan { sleeper: Some(Sleeper::Caller), ..BEGIN };
const BEGIN_LATE: Plan = Plan { items: 1, begins_late: true, ..BEGIN };
/// Four of eight.
const CHUNK: Plan = Plan { items: 8, chunk: 4, ..BEGIN };

/// One item, which is given up at any moment of its worker's.
const DEADLINE: Plan = Plan { items: 1, timed: true, ..BEGIN };

/// All of a run, after the first of them was begun.
const RUN: Plan = Plan { items: 24, in_runs: true, sleeper: Some(Sleeper::Caller), ..BEGIN };
/// From the end of another's run: there is one in each lane, and all are begun.
const STEAL_OF_RUN: Plan = Plan { victim: 2, items: 24, in_runs: true, begun_runs: WORKERS, ..TAKE };

/// One after the other.
const KEEPS: Plan = Plan { step: Step::RunAll, keeps: true, ..TAKE };
/// Bytes of a buffer that lies in the pool's memory.
const BUFFER: usize = 32 << 10;

/// In the tally: from here how often each item was begun, whether the victim has come to its operation's end, and how
/// many chunks were given up.
const BEGUN: usize = 0;
const THROUGH: usize = 32;
const GIVEN_UP: usize = 33;
/// The slot of the first chunk.
const FIRST_SLOT: u32 = 0;

/// The tally of this process's scene, for the function.
static COUNTS: Mutex<Option<Arc<Tally>>> = Mutex::new(None);

fn begin(item: u32) {
    let counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    counts.as_ref().expect("the scene has set it").add(BEGUN + item as usize);
}

fn value_of(item: u32) -> u64 {
    u64::from(item) * 0x1_0001
}

fn count(item: u32) -> u64 {
    begin(item);
    value_of(item)
}

/// What this process keeps.
static KEPT: Mutex<Option<Buffer<u8>>> = Mutex::new(None);

fn keep(buffer: Buffer<u8>) -> u64 {
    let item = u32::from(buffer[0]);
    begin(item);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    *kept = if kept.is_none() { Some(buffer) } else { None };
    value_of(item)
}

struct Play {
    pool: Steps,
    plan: Plan,
    tally: Arc<Tally>,
    results: RefCell<Option<MapResult<u64>>>,
    /// The victim's part, and what it has taken.
    worker: RefCell<Option<Worker>>,
    taken: Cell<Option<Taken>>,
}

impl Play {
    fn scene(plan: Plan) -> Box<dyn Scene> {
        let pool = Steps::new(WORKERS).expect("a sweep needs shared memory");
        let (results, worker, taken) = (RefCell::default(), RefCell::default(), Cell::default());
        let tally = Arc::new(Tally::new());
        *COUNTS.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&tally));
        let play = Play { pool, plan, tally, results, worker, taken };
        if plan.step != Step::TakeWhenWoken {
            play.submit();
        }
        play.begin_runs();
        Box::new(play)
    }

    fn submit(&self) {
        let Plan { items, chunk, begins_late, in_runs, timed, .. } = self.plan;
        let hour = TaskOptions::new().deadline(Duration::from_secs(3600));
        let options = if timed { hour } else { TaskOptions::new() };
        let results = if self.plan.keeps {
            let buffer = |item: u32| {
                let mut buffer = self.pool.buffer(BUFFER).expect("a sweep needs shared memory");
                buffer[0] = item as u8;
                buffer.freeze()
            };
            self.pool.map(keep, (0..items).map(buffer), 1, options)
        } else if in_runs {
            self.pool.map_in_runs(count, 0..items)
        } else if begins_late {
            self.pool.map(value_of, 0..items, chunk as usize, options)
        } else {
            self.pool.map(count, 0..items, chunk as usize, options)
        };
        self.results.replace(Some(results.expect("it takes what it is given")));
    }

    fn begin_runs(&self) {
        let worker = self.worker(OTHER);
        for _ in 0..self.plan.begun_runs {
            worker.take().expect("a run that is not begun");
        }
    }

    fn worker(&self, index: u32) -> Worker {
        self.pool.worker(index).expect("a sweep needs descriptors")
    }

    /// Does a chunk.
    fn run(&self, worker: &mut Worker, taken: Taken) {
        if self.plan.begins_late {
            // The one item.
            begin(0);
        }
        worker.run(taken);
    }

    /// Does what is there to be taken.
    fn run_all(&self, worker: &mut Worker) {
        while let Some(slot) = worker.take() {
            self.run(worker, slot);
        }
    }

    fn begun(&self) -> u32 {
        (0..self.plan.items as usize).map(|item| self.tally.get(BEGUN + item)).sum()
    }

    /// Before the operation.
    fn get_ready(&self, index: u32) {
        let worker = self.worker(index);
        if matches!(self.plan.step, Step::Run | Step::RunAll) {
            self.taken.set(worker.take());
        }
        self.worker.replace(Some(worker));
    }

    fn step(&self) {
        let mut worker = self.worker.borrow_mut();
        let worker = worker.as_mut().expect("it got ready");
        match (self.plan.step, self.taken.get()) {
            (Step::Take, _) => self.taken.set(worker.take()),
            (Step::TakeWhenWoken, _) => self.taken.set(worker.next()),
            (Step::Run, Some(slot)) => self.run(worker, slot),
            (Step::RunAll, Some(slot)) => {
                self.run(worker, slot);
                self.run_all(worker);
            }
            // A third party has taken them all.
            (Step::Run | Step::RunAll, None) => {}
        }
    }
}

impl Scene for Play {
    fn prepare(&self) {
        self.get_ready(self.plan.victim);
    }

    fn operate(&self) {
        self.step();
        self.tally.set(THROUGH, 1);
    }

    fn finish(&self) {
        if matches!(self.plan.step, Step::Take | Step::TakeWhenWoken)
            && let (Some(worker), Some(slot)) = (self.worker.borrow_mut().as_mut(), self.taken.get())
        {
            self.run(worker, slot);
        }
    }

    fn sleepers(&self) -> u32 {
        u32::from(self.plan.sleeper.is_some())
    }

    fn sleep(&self) -> Verdict {
        match self.plan.sleeper {
            Some(Sleeper::Worker) => {
                let mut worker = self.worker(ASLEEP);
                let slot = worker.next();
                lost_unless(slot.is_some(), || "a worker is told that there will be nothing".to_owned())?;
                slot.into_iter().for_each(|slot| self.run(&mut worker, slot));
            }
            _ => self.pool.wait_for_finished(),
        }
        Ok(())
    }

    fn let_go(&self) {
        if self.plan.step == Step::TakeWhenWoken {
            self.submit();
        }
    }

    fn barge(&self, hold: &dyn Fn()) -> Verdict {
        if self.plan.timed && self.pool.condemn(FIRST_SLOT) {
            self.tally.add(GIVEN_UP);
        }
        let mut worker = self.worker(OTHER);
        let taken = worker.take();
        hold();
        if let Some(slot) = taken {
            self.run(&mut worker, slot);
        }
        Ok(())
    }

    fn operate_again(&self, ready: &dyn Fn()) {
        self.worker.take();
        self.taken.set(None);
        self.get_ready(OTHER);
        ready();
        self.step();
    }

    /// A worker that is stopped holds up its own chunk, and nothing else.
    fn meanwhile(&self) -> Verdict {
        if self.plan.step == Step::TakeWhenWoken {
            // The rest is for those that sleep.
            return self.barge(&|| {});
        }
        self.run_all(&mut self.worker(OTHER));
        let (begun, least) = (self.begun(), self.plan.items - self.plan.chunk - self.plan.begun_runs);
        lost_unless(begun >= least, || format!("{begun} of {} begun", self.plan.items))
    }

    fn owed(&self) -> bool {
        self.tally.get(THROUGH) == 1
    }

    fn rouse(&self) -> Verdict {
        self.pool.have_all_look();
        Ok(())
    }

    fn check(&self, fate: Fate) -> Verdict {
        // All workers have ended.
        (0..WORKERS).for_each(|index| self.pool.worker_ended(index, index + 1, Ended::Signaled(9)));
        self.pool.close();
        let mut successor = self.worker(OTHER);
        while let Some(slot) = successor.next() {
            self.run(&mut successor, slot);
        }
        // What this process keeps ends with it.
        drop(KEPT.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.pool.worker_ended(OTHER, OTHER + 1, Ended::Signaled(9));
        let results = self.results.borrow();
        let results = results.as_ref().expect("they were submitted");
        lost_unless(results.ready(), || "not every item has ended".to_owned())?;
        let each = results.get_each();
        lost_unless(each.len() == self.plan.items as usize, || format!("{} results", each.len()))?;
        let mut died = 0;
        for (item, outcome) in (0..).zip(each) {
            let begun = self.tally.get(BEGUN + item as usize);
            torn_unless(begun <= 1, || format!("item {item} was begun {begun} times"))?;
            match outcome {
                Ok(value) => {
                    torn_unless(value == value_of(item), || format!("item {item} gave {value}"))?;
                    lost_unless(begun == 1, || format!("item {item} has a value, and was not begun"))?;
                }
                Err(TaskError::WorkerDied { .. }) => died += 1,
                Err(other) => return lost_unless(false, || format!("item {item}: {other}")),
            }
        }
        // One for each death, of a worker that had begun something: what takes an item of a run has begun it.
        let begins_in_take = self.plan.in_runs && self.plan.step == Step::Take;
        let is_through = fate.lived() || fate.finished && !begins_in_take;
        let deaths = u32::from(!is_through) + u32::from(fate.mode == Mode::Twice);
        // What was given up ends with its worker, whether that is dead or lives.
        let given_up = self.tally.get(GIVEN_UP);
        let most = if matches!(self.plan.step, Step::Run | Step::RunAll) || self.plan.in_runs {
            deaths.max(given_up)
        } else {
            0
        };
        let most = most + self.plan.begun_runs;
        lost_unless(died <= most, || format!("{died} died of at most {most}"))?;
        lost_unless(self.pool.is_unused(), || "slots or blocks are lost".to_owned())
    }
}
