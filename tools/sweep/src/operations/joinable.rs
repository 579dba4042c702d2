//! JoinableQueue.
//!
//! Each item is got from the queue, or it is done, or a join reports it as lost, once: one of the three. A
//! join ends when there is no other.

use super::tally::Tally;
use crate::sweep::process::dead;
use crate::sweep::scene::{Every, Fate, Mode, Operation, PATIENCE, Scene, Verdict, lost_unless, torn_unless};
use mp_core::sys::identity::Identity;
use mp_queue::{GetError, JoinableQueue, QueueBuilder, TasksError};
use std::cell::Cell;
use std::time::Duration;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("joinable.get", |_| Play::scene(Step::Get)),
        Operation::new("joinable.get_many", |_| Play::scene(Step::GetMany)),
        Operation::new("joinable.task_done", |_| Play::scene(Step::TaskDone)),
        // It checks repeatedly whether the processes with tasks live, which takes thousands of instructions.
        Operation {
            by_calls: true,
            every: Every::Point(61),
            ..Operation::new("joinable.join", |_| Play::scene(Step::Join))
        },
        Operation::new("joinable.join.lost", |_| Play::scene(Step::JoinWithLost)),
    ]
}

/// What the victim does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The first of three.
    Get,
    /// The first two of three, in one call.
    GetMany,
    /// Of the one task that there is, which it has.
    TaskDone,
    /// Until the maker has done the one task that there is.
    Join,
    /// Two tasks were lost with a dead process.
    JoinWithLost,
}

/// Counts.
const PUT: usize = 0;
const DONE: usize = 1;
/// Joins of others that came to their end, and what these were told of.
const JOINED: usize = 2;
const TOLD: usize = 3;

struct Play {
    queue: JoinableQueue<u64>,
    step: Step,
    tally: Tally,
    /// At the point, nothing was unfinished any more.
    all_done: Cell<bool>,
    /// How many tasks the victim has.
    own: Cell<u32>,
}

impl Play {
    fn scene(step: Step) -> Box<dyn Scene> {
        let queue = QueueBuilder::new().max_bytes(1 << 18).build();
        let queue = queue.expect("a sweep needs shared memory");
        let play = Play { queue, step, tally: Tally::new(), all_done: Cell::new(false), own: Cell::new(0) };
        let before = match step {
            Step::Get | Step::GetMany => 3,
            Step::TaskDone | Step::Join => 1,
            Step::JoinWithLost => 2,
        };
        (0..before).for_each(|_| play.put());
        match step {
            Step::Join => play.take(),
            Step::JoinWithLost => dead(|| {
                play.take();
                play.take();
            }),
            _ => {}
        }
        Box::new(play)
    }

    fn put(&self) {
        self.queue.put(7).expect("there is room");
        self.tally.add(PUT);
    }

    fn take(&self) {
        self.queue.get().expect("there is an item");
    }

    fn done(&self) -> Verdict {
        let done = self.queue.task_done();
        lost_unless(done.is_ok(), || "a task that was got cannot be reported done".to_owned())?;
        self.tally.add(DONE);
        Ok(())
    }

    fn work(&self) -> Verdict {
        loop {
            match self.queue.try_get() {
                Ok(7) => self.done()?,
                Err(GetError::Empty) => return Ok(()),
                other => return torn_unless(false, || format!("get: {other:?}")),
            }
        }
    }

    /// Joins; gives how many this process is told of.
    fn join(&self) -> u32 {
        match self.queue.join() {
            Err(TasksError::Lost { items }) => items,
            _ => 0,
        }
    }

    fn takes(&self) -> u32 {
        match self.step {
            Step::Get => 1,
            Step::GetMany => 2,
            _ => 0,
        }
    }
}

impl Scene for Play {
    fn prepare(&self) {
        // Asked once in a process.
        Identity::me();
        if self.step == Step::TaskDone {
            self.take();
        }
    }

    fn operate(&self) {
        match self.step {
            Step::Get => self.own.set(self.queue.get().map_or(0, |_| 1)),
            Step::GetMany => self.own.set(self.queue.get_many(2).map_or(0, |batch| batch.len() as u32)),
            // Counted by the next reader.
            Step::TaskDone => drop(self.queue.task_done()),
            Step::Join | Step::JoinWithLost => drop(self.queue.join()),
        }
    }

    fn finish(&self) {
        for _ in 0..self.own.get() {
            let _ = self.done();
        }
    }

    /// A joiner. (If a dead process had all tasks, it would not sleep.)
    fn sleepers(&self) -> u32 {
        u32::from(self.step != Step::JoinWithLost)
    }

    fn sleep(&self) -> Verdict {
        let told = self.join();
        self.tally.add(JOINED);
        (0..told).for_each(|_| self.tally.add(TOLD));
        Ok(())
    }

    fn let_go(&self) {
        if self.step == Step::Join && self.queue.task_done().is_ok() {
            self.tally.add(DONE);
        }
    }

    fn look(&self) {
        if self.step == Step::TaskDone {
            self.all_done.set(self.queue.join_timeout(Duration::ZERO) == Ok(()));
        }
    }

    fn barge(&self, _: &dyn Fn()) -> Verdict {
        match self.step {
            Step::Get | Step::GetMany => {
                self.take();
                self.done()
            }
            Step::TaskDone => {
                self.put();
                self.take();
                self.done()
            }
            Step::Join => Ok(()),
            Step::JoinWithLost => {
                self.join();
                Ok(())
            }
        }
    }

    fn meanwhile(&self) -> Verdict {
        if matches!(self.step, Step::Join | Step::JoinWithLost) {
            // One more task would have the victim wait on.
            let _ = self.queue.join_timeout(PATIENCE);
            return Ok(());
        }
        self.put();
        match self.queue.get_timeout(PATIENCE) {
            Ok(_) => self.done(),
            // The victim has the lock.
            Err(GetError::Timeout) => Ok(()),
            Err(error) => torn_unless(false, || format!("get: {error}")),
        }
    }

    fn owed(&self) -> bool {
        self.queue.empty()
    }

    fn rouse(&self) -> Verdict {
        self.work()
    }

    fn check(&self, fate: Fate) -> Verdict {
        self.work()?;
        let told = self.join();
        let (put, mut done) = (self.tally.get(PUT), self.tally.get(DONE));
        if self.step == Step::TaskDone && told == 0 {
            done += 1;
        }
        lost_unless(done + told == put, || format!("{put} put, {done} done, told of {told} lost"))?;
        let most = match self.step {
            Step::JoinWithLost => 2,
            _ if fate.lived() => 0,
            Step::TaskDone => u32::from(!fate.finished && !self.all_done.get()),
            _ => self.takes(),
        };
        lost_unless(told <= most, || format!("told of {told} lost, which cannot be more than {most}"))?;
        let part = told > 0 && told < most && self.step != Step::TaskDone;
        torn_unless(!part || fate.mode == Mode::Stop, || format!("{told} of {most} went along"))?;
        let joined = self.tally.get(JOINED);
        lost_unless(joined == self.sleepers(), || format!("{joined} have joined"))?;
        let others_told = self.tally.get(TOLD);
        lost_unless(others_told == told * joined, || format!("told {told}, and others {others_told}"))?;
        // Told once, and nothing is left of it.
        let again = (self.queue.join_timeout(Duration::ZERO), self.queue.task_done());
        lost_unless(again == (Ok(()), Err(TasksError::TooManyDone)), || format!("at last {again:?}"))?;
        self.put();
        let waits = self.queue.join_timeout(Duration::ZERO);
        lost_unless(waits == Err(TasksError::Timeout), || format!("with one in it {waits:?}"))?;
        self.work()?;
        lost_unless(self.queue.join() == Ok(()), || "told of one that was done".to_owned())
    }
}
