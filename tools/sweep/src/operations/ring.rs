//! The ring of a task that yields: what a worker does from the begin of such a task to the report that it is done.
//!
//! Whichever worker is killed, each value that `yield_` has said to be on its way comes, once, in its order, in front
//! of its task's end. That end is `Ok` behind all values, or `WorkerDied`. No slot and no ring is lost.

use super::tally::Tally;
use crate::sweep::scene::{Every, Fate, Mode, Operation, Scene, Verdict, lost_unless, torn_unless};
use mp_core::Ended;
use mp_pool::steps::{Steps, Taken, Worker};
use mp_pool::{Generate, Generated, TaskError, YieldError, Yielder};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

pub(super) fn operations() -> Vec<Operation> {
    [
        Operation { every: Every::Point(3), ..Operation::new("pool.ring", |_| Play::scene(FREE)) },
        // It looks some thousand times before it sleeps.
        Operation { every: Every::Point(13), ..Operation::new("pool.ring.asleep", |_| Play::scene(WAITS)) },
    ]
    .map(Operation::in_every_mode)
    .into()
}

/// How far its tasks may be ahead.
const FREE: u32 = 2 * VALUES;
/// They wait for the half of their values to be taken.
const WAITS: u32 = VALUES / 2;

/// Tasks, each of which yields so many values.
const TASKS: u32 = 2;
const VALUES: u32 = 4;

const WORKERS: u32 = 2;
const VICTIM: u32 = 0;
/// The third party, and what comes after the victim.
const OTHER: u32 = 1;

/// In the tally: from here how often each task was begun; how many of its values were said to be on their way; whether
/// the victim has come to its operation's end.
const BEGUN: usize = 0;
const YIELDED: usize = 8;
const THROUGH: usize = 16;

/// The tally of this process's scene, for the function.
static COUNTS: Mutex<Option<Arc<Tally>>> = Mutex::new(None);

fn count(what: usize) {
    let counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    counts.as_ref().expect("the scene has set it").add(what);
}

/// Of different lengths.
fn value_of(task: u32, number: u32) -> Vec<u32> {
    vec![100 * task + number; 3 * number as usize]
}

fn yield_all(task: u32, results: Yielder<Vec<u32>>) -> Result<(), YieldError> {
    count(BEGUN + task as usize);
    (0..VALUES).try_for_each(|number| {
        results.yield_(value_of(task, number))?;
        count(YIELDED + task as usize);
        Ok(())
    })
}

/// A worker, and what it has begun.
struct Part {
    index: u32,
    worker: Worker,
    turns: u32,
}

struct Play {
    pool: Steps,
    ahead: u32,
    tally: Arc<Tally>,
    results: RefCell<Generate<Range<u32>, Vec<u32>>>,
    /// The victim's part, and what it has taken.
    part: RefCell<Option<Part>>,
    taken: Cell<Option<Taken>>,
}

impl Play {
    fn scene(ahead: u32) -> Box<dyn Scene> {
        let pool = Steps::new(WORKERS).expect("a sweep needs shared memory");
        let tally = Arc::new(Tally::new());
        *COUNTS.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&tally));
        let results = pool.generate(yield_all, 0..TASKS, ahead).expect("it takes what it is given");
        let (results, part, taken) = (RefCell::new(results), RefCell::default(), Cell::default());
        Box::new(Play { pool, ahead, tally, results, part, taken })
    }

    fn part(&self, index: u32) -> Part {
        let worker = self.pool.worker(index).expect("a sweep needs descriptors");
        Part { index, worker, turns: 0 }
    }

    fn run(&self, part: &mut Part, taken: Taken) {
        part.turns += 1;
        if part.index == OTHER {
            self.take_all_of(OTHER, part.turns);
        }
        part.worker.run(taken);
    }

    /// Tells a worker, as the caller does, that all values of a turn are taken. They lie in the ring all the same: it
    /// has room for all of them.
    fn take_all_of(&self, worker: u32, turn: u32) {
        self.pool.grant(worker, turn, VALUES);
    }

    fn get_ready(&self, index: u32) {
        let part = self.part(index);
        self.taken.set(part.worker.take());
        self.part.replace(Some(part));
    }

    fn step(&self) {
        let mut part = self.part.borrow_mut();
        let part = part.as_mut().expect("it got ready");
        // A third party may have taken them all.
        if let Some(taken) = self.taken.get() {
            self.run(part, taken);
        }
    }

    fn check_results(&self, most_died: u32) -> Verdict {
        let (mut results, mut died, mut ended) = (self.results.borrow_mut(), 0, 0);
        let mut given = [0; TASKS as usize];
        while let Some(next) = results.try_next() {
            let Ok(next) = next else { return lost_unless(false, || "not every task has ended".to_owned()) };
            match next {
                Generated::Value { item, value } => {
                    let number = &mut given[item as usize];
                    let is_next = value == value_of(item as u32, *number);
                    torn_unless(is_next, || format!("value {number} of task {item} is {value:?}"))?;
                    *number += 1;
                }
                Generated::End { item, values, outcome } => {
                    let (given, begun) = (given[item as usize], self.tally.get(BEGUN + item as usize));
                    let yielded = self.tally.get(YIELDED + item as usize);
                    ended += 1;
                    torn_unless(begun <= 1, || format!("task {item} was begun {begun} times"))?;
                    torn_unless(values == given.into(), || format!("{values} values for {given}"))?;
                    lost_unless(given >= yielded, || format!("task {item} gave {given} of {yielded}"))?;
                    match outcome {
                        Ok(()) => lost_unless(given == VALUES, || format!("task {item} gave {given}"))?,
                        Err(TaskError::WorkerDied { .. }) => died += 1,
                        Err(other) => return lost_unless(false, || format!("task {item}: {other}")),
                    }
                }
            }
        }
        lost_unless(ended == TASKS, || format!("{ended} tasks have ended"))?;
        lost_unless(died <= most_died, || format!("{died} died of at most {most_died}"))
    }
}

impl Scene for Play {
    fn prepare(&self) {
        self.get_ready(VICTIM);
    }

    fn operate(&self) {
        self.step();
        self.tally.set(THROUGH, 1);
    }

    /// The caller.
    fn sleepers(&self) -> u32 {
        1
    }

    fn sleep(&self) -> Verdict {
        self.pool.wait_for_finished();
        Ok(())
    }

    fn let_go(&self) {
        if self.ahead < VALUES {
            self.take_all_of(VICTIM, 1);
        }
    }

    fn barge(&self, hold: &dyn Fn()) -> Verdict {
        let mut part = self.part(OTHER);
        let taken = part.worker.take();
        hold();
        if let Some(taken) = taken {
            self.run(&mut part, taken);
        }
        Ok(())
    }

    fn operate_again(&self, ready: &dyn Fn()) {
        self.part.take();
        self.taken.set(None);
        self.get_ready(OTHER);
        ready();
        self.step();
    }

    /// A worker that is stopped holds up its own task, and nothing else.
    fn meanwhile(&self) -> Verdict {
        self.barge(&|| {})?;
        let others = TASKS - 1;
        let done = (0..TASKS as usize).filter(|task| self.tally.get(YIELDED + task) == VALUES).count() as u32;
        lost_unless(done >= others, || format!("{done} of {TASKS} done"))
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
        let mut successor = self.part(OTHER);
        while let Some(taken) = successor.worker.next() {
            self.run(&mut successor, taken);
        }
        self.pool.worker_ended(OTHER, OTHER + 1, Ended::Signaled(9));
        let is_through = fate.lived() || fate.finished;
        self.check_results(u32::from(!is_through) + u32::from(fate.mode == Mode::Twice))?;
        lost_unless(self.pool.is_unused(), || "slots or rings are lost".to_owned())
    }
}
