//! Queue.
//!
//! What was put is got once, in order, and whole. The victim's own item: a put that was killed has put it or not; a
//! get that was killed has taken at most one with it.

use super::tally::Tally;
use crate::sweep::scene::{Fate, Mode, Operation, PATIENCE, Scene, Verdict, lost_unless, torn_unless};
use mp_queue::{GetError, Queue, QueueBuilder};
use std::cell::Cell;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("queue.put", |_| Play::scene(Step::Put)),
        Operation::new("queue.put.asleep", |_| Play::scene(Step::PutForSleepers)),
        Operation::new("queue.get", |_| Play::scene(Step::Get)),
        Operation::new("queue.get.empty", |_| Play::scene(Step::GetFromEmpty)),
    ]
}

/// What the victim does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Behind two others.
    Put,
    /// Into an empty queue; two wait in get.
    PutForSleepers,
    /// Of three.
    Get,
    /// Waits, with another one, until the maker puts one for each.
    GetFromEmpty,
}

/// Its number, again and again: half of one item and half of another is none.
type Item = [u64; 8];

/// Numbers of items, by who puts them; those of one are put in order.
const BEFORE: [usize; 3] = [1, 2, 3];
const VICTIMS: usize = 10;
const BARGERS: usize = 11;
const MEANWHILE: usize = 12;
const MAKERS: [usize; 2] = [20, 21];
const ROUSERS: [usize; 2] = [22, 23];
const CHECKERS: [usize; 2] = [24, 25];

/// Counts: from here how often an item was put, from there how often it was got.
const PUT: usize = 0;
const GOT: usize = 32;

struct Play {
    queue: Queue<Item>,
    step: Step,
    tally: Tally,
    /// At the point, the victim's item was in the queue, or had been got.
    committed: Cell<bool>,
    /// At the point, the victim had taken no item yet.
    untouched: Cell<bool>,
    /// What the victim got.
    own: Cell<Option<Item>>,
}

impl Play {
    fn scene(step: Step) -> Box<dyn Scene> {
        let queue = QueueBuilder::default().max_bytes(1 << 18).build().expect("a sweep needs shared memory");
        let (committed, untouched) = (Cell::new(false), Cell::new(false));
        let play = Play { queue, step, tally: Tally::new(), committed, untouched, own: Cell::new(None) };
        for number in &BEFORE[..play.before()] {
            play.put(*number);
        }
        Box::new(play)
    }

    fn before(&self) -> usize {
        match self.step {
            Step::Put => 2,
            Step::Get => 3,
            Step::PutForSleepers | Step::GetFromEmpty => 0,
        }
    }

    fn puts(&self) -> bool {
        matches!(self.step, Step::Put | Step::PutForSleepers)
    }

    fn put(&self, number: usize) {
        self.queue.put([number as u64; 8]).expect("there is room");
        self.tally.add(PUT + number);
    }

    fn note(&self, item: Item) -> Result<usize, crate::sweep::scene::Fault> {
        let number = item[0] as usize;
        torn_unless(number < GOT && item == [item[0]; 8], || format!("an item {item:?}"))?;
        self.tally.add(GOT + number);
        Ok(number)
    }

    fn get(&self) -> Result<usize, crate::sweep::scene::Fault> {
        let got = self.queue.get();
        let failed = got.as_ref().err().map(|error| format!("get: {error}"));
        torn_unless(failed.is_none(), || failed.unwrap_or_default())?;
        self.note(got.unwrap_or_default())
    }

    /// Items got by now.
    fn got(&self) -> u32 {
        (0..GOT).map(|number| self.tally.get(GOT + number)).sum()
    }
}

impl Scene for Play {
    fn operate(&self) {
        if self.puts() {
            // Counted by whoever looks: nothing of ours comes after the commit.
            let _ = self.queue.put([VICTIMS as u64; 8]);
        } else {
            self.own.set(self.queue.get().ok());
        }
    }

    fn finish(&self) {
        if let Some(item) = self.own.take() {
            let _ = self.note(item);
        }
    }

    fn sleepers(&self) -> u32 {
        match self.step {
            Step::PutForSleepers => 2,
            Step::GetFromEmpty => 1,
            _ => 0,
        }
    }

    fn sleep(&self) -> Verdict {
        self.get().map(|_| ())
    }

    fn let_go(&self) {
        if self.step == Step::GetFromEmpty {
            MAKERS.iter().for_each(|number| self.put(*number));
        }
    }

    fn look(&self) {
        self.committed.set(self.queue.qsize() as u32 + self.got() > self.before() as u32);
        self.untouched.set(self.queue.qsize() >= self.before());
    }

    fn barge(&self, _: &dyn Fn()) -> Verdict {
        if self.puts() {
            self.put(BARGERS);
            Ok(())
        } else {
            self.get().map(|_| ())
        }
    }

    fn meanwhile(&self) -> Verdict {
        match self.queue.put_timeout([MEANWHILE as u64; 8], PATIENCE) {
            Ok(()) => self.tally.add(PUT + MEANWHILE),
            Err(error) => {
                lost_unless(error.reason.to_string().contains("full"), || format!("put: {error}"))?;
            }
        }
        match self.queue.get_timeout(PATIENCE) {
            Ok(item) => self.note(item).map(|_| ()),
            Err(GetError::Empty) => Ok(()),
            Err(error) => torn_unless(false, || format!("get: {error}")),
        }
    }

    fn owed(&self) -> bool {
        !self.queue.empty()
    }

    fn rouse(&self) -> Verdict {
        ROUSERS.iter().for_each(|number| self.put(*number));
        Ok(())
    }

    fn check(&self, fate: Fate) -> Verdict {
        CHECKERS.iter().for_each(|number| self.put(*number));
        let mut order = Vec::new();
        while !self.queue.empty() {
            order.push(self.get()?);
        }
        let after = self.queue.try_get();
        lost_unless(matches!(after, Err(GetError::Empty)), || format!("{after:?} from an empty queue"))?;
        // Victim, barger and the one in between put at the same time.
        let rank = |number: usize| if (VICTIMS..=MEANWHILE).contains(&number) { VICTIMS } else { number };
        lost_unless(order.is_sorted_by_key(|number| rank(*number)), || format!("out of order: {order:?}"))?;
        let mut missing = 0;
        for number in 0..GOT {
            let (put, got) = (self.tally.get(PUT + number), self.tally.get(GOT + number));
            let put = if number == VICTIMS && self.puts() { 1 } else { put };
            lost_unless(got <= put, || format!("{number} was put {put} times and got {got} times"))?;
            missing += put - got;
        }
        let done = fate.lived() || fate.finished;
        let may_miss = if self.puts() {
            // Its own, if it was not committed.
            !done && !self.committed.get() && self.tally.get(GOT + VICTIMS) == 0
        } else {
            // The one that it has taken.
            !fate.lived() && (self.step != Step::Get || !self.untouched.get() || fate.mode == Mode::Barge)
        };
        lost_unless(missing <= u32::from(may_miss), || format!("{missing} missing; got {order:?} at last"))
    }
}
