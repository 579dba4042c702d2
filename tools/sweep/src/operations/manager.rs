//! A manager: calls on a queue and a dict through slots in shared memory.
//!
//! What was put is got once. The victim's own item: a put that was killed has put it or not; a get that was killed has
//! taken one item at most. What others call goes on, whatever the victim did not come to say.

use super::tally::Tally;
use crate::sweep::scene::{Every, Fate, Fault, Operation, Scene, Verdict, lost_unless};
use mp_manager::{DictProxy, Manager, ManagerError, QueueProxy};
use std::cell::Cell;

pub(super) fn operations() -> Vec<Operation> {
    [
        Operation::new("manager.put", |_| Play::scene(Step::Put)),
        Operation::new("manager.get", |_| Play::scene(Step::Get)),
        Operation::new("manager.insert", |_| Play::scene(Step::Insert)),
    ]
    // A call is thousands of instructions, most of which pack and unpack, and each point takes a server of its own.
    .map(|operation| Operation { every: Every::Point(29), ..operation })
    .into()
}

/// What the victim does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Put,
    Get,
    Insert,
}

/// Items that are there before, the victim's, the third party's, and that of the process which calls meanwhile.
const BEFORE: [u32; 3] = [1, 2, 3];
const VICTIMS: u32 = 10;
const BARGERS: u32 = 11;
const MEANWHILE: u32 = 12;
/// Counts: from here how often an item was got, and from there how often it was put.
const GOT: usize = 0;
const PUT: usize = 20;

struct Play {
    /// Ends with its maker.
    _manager: Manager,
    queue: QueueProxy<u32>,
    dict: DictProxy<u32, u32>,
    step: Step,
    tally: Tally,
    /// What the victim has got.
    own: Cell<Option<u32>>,
}

fn torn(error: ManagerError) -> Fault {
    Fault::Torn(format!("a call failed: {error}"))
}

impl Play {
    fn scene(step: Step) -> Box<dyn Scene> {
        let manager = Manager::start().expect("a sweep needs processes");
        let queue = manager.queue().expect("the manager serves");
        let dict = manager.dict().expect("the manager serves");
        let play = Play { _manager: manager, queue, dict, step, tally: Tally::new(), own: Cell::new(None) };
        for item in BEFORE {
            play.put(item).expect("the manager serves");
        }
        Box::new(play)
    }

    fn put(&self, item: u32) -> Verdict {
        self.queue.put(item).map_err(torn)?;
        self.tally.add(PUT + item as usize);
        Ok(())
    }

    fn note(&self, item: u32) {
        self.tally.add(GOT + item as usize);
    }

    fn act(&self, item: u32) -> Verdict {
        match self.step {
            Step::Put => self.put(item),
            Step::Get => self.queue.get().map(|item| self.note(item)).map_err(torn),
            Step::Insert => self.dict.insert(item, item).map(drop).map_err(torn),
        }
    }
}

impl Scene for Play {
    fn prepare(&self) {
        // Makes the connection, and takes a slot.
        self.dict.len().expect("the manager serves");
    }

    fn operate(&self) {
        match self.step {
            // Counted where it is got.
            Step::Put => drop(self.queue.put(VICTIMS)),
            Step::Get => self.own.set(self.queue.get().ok()),
            Step::Insert => drop(self.dict.insert(VICTIMS, VICTIMS)),
        }
    }

    fn finish(&self) {
        if let Some(item) = self.own.get() {
            self.note(item);
        }
    }

    fn barge(&self, _: &dyn Fn()) -> Verdict {
        self.act(BARGERS)
    }

    fn meanwhile(&self) -> Verdict {
        self.put(MEANWHILE)
    }

    fn check(&self, fate: Fate) -> Verdict {
        loop {
            match self.queue.try_get() {
                Ok(item) => self.note(item),
                Err(ManagerError::WouldBlock) => break,
                Err(error) => return Err(torn(error)),
            }
        }
        let mut missing = 0;
        for item in BEFORE.into_iter().chain([BARGERS, MEANWHILE]) {
            let (put, got) = (self.tally.get(PUT + item as usize), self.tally.get(GOT + item as usize));
            lost_unless(got <= put, || format!("{item} was put {put} times and got {got} times"))?;
            missing += put - got;
        }
        let may_miss = u32::from(self.step == Step::Get && !fate.lived());
        lost_unless(missing <= may_miss, || format!("{missing} items are missing"))?;
        let own = self.tally.get(GOT + VICTIMS as usize);
        let least = u32::from(self.step == Step::Put && (fate.finished || fate.lived()));
        lost_unless((least..=1).contains(&own), || format!("the victim's item was got {own} times"))?;
        let inserted = self.dict.get(&VICTIMS).map_err(torn)?.is_some();
        let must = self.step == Step::Insert && (fate.finished || fate.lived());
        lost_unless(inserted || !must, || "the victim's entry is missing".to_owned())?;
        self.dict.insert(1, 1).map(drop).map_err(torn)
    }
}
