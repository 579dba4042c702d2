//! SharedDict.
//!
//! A call that was killed is done or was never begun, an entry is whole, and what others have put in is there. At the
//! end one entry takes all of the dict's memory: a cell that a dead process took along would be missed.

use super::tally::Tally;
use crate::sweep::scene::{Fate, Fault, Mode, Operation, Scene, Verdict, lost_unless, torn_unless};
use mp_sync::{DictError, SharedDict};
use std::collections::BTreeMap;

pub(super) fn operations() -> Vec<Operation> {
    [
        Operation::new("dict.get", |_| Play::scene(Step::Get, 3)),
        Operation::new("dict.insert", |_| Play::scene(Step::Insert(SHORT), 3)),
        Operation::new("dict.insert.long", |_| Play::scene(Step::Insert(LONG), 3)),
        Operation::new("dict.insert.grow", |_| Play::scene(Step::Insert(SHORT), BEFORE_A_SPLIT)),
        Operation::new("dict.replace", |_| Play::scene(Step::Replace(SHORT), 3)),
        Operation::new("dict.replace.long", |_| Play::scene(Step::Replace(LONG), 3)),
        Operation::new("dict.remove", |_| Play::scene(Step::Remove, 3)),
        Operation::new("dict.update", |_| Play::scene(Step::Update, 3)),
        Operation::new("dict.items", |_| Play::scene(Step::Items, 3)),
        Operation::new("dict.clear", |_| Play::scene(Step::Clear, 3)),
    ]
    .map(Operation::in_every_mode)
    .into()
}

/// Bytes of a value in one cell, and of one in several.
const SHORT: usize = 6;
const LONG: usize = 150;

/// Entries after which the next two each split a bucket.
const BEFORE_A_SPLIT: u32 = 11;

const ENTRIES: usize = 32;
const CELLS: usize = 40;

/// Keys that are there before are counted from 0; those of the victim, of the third party or the second victim, and of
/// the checker.
const VICTIMS: u32 = 100;
const BARGERS: u32 = 101;
const CHECKERS: u32 = 102;
/// What each of them puts in: the value's bytes.
const FIRST: u8 = 1;
const MINE: u8 = 2;
const OTHERS: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Get,
    Insert(usize),
    /// Key 1; the third party, key 2.
    Replace(usize),
    /// Key 1; the third party, key 2.
    Remove,
    /// Adds one to the length of the value of key 1, as does the third party.
    Update,
    Items,
    /// The third party inserts.
    Clear,
}

struct Play {
    dict: SharedDict<u32, Vec<u8>>,
    step: Step,
    before: u32,
    /// That the third party has done its part.
    tally: Tally,
}

const BARGED: usize = 0;

/// The contents, as the key, the byte and the number of bytes of each entry.
type Contents = BTreeMap<u32, (u8, usize)>;

impl Play {
    fn scene(step: Step, before: u32) -> Box<dyn Scene> {
        let dict = SharedDict::new(ENTRIES, 64 * CELLS).expect("a sweep needs shared memory");
        (0..before).for_each(|key| put(&dict, key, FIRST, SHORT));
        Box::new(Play { dict, step, before, tally: Tally::new() })
    }

    fn act(&self, own: u32, byte: u8) -> Result<(), DictError> {
        let one = own - VICTIMS + 1;
        match self.step {
            Step::Get => self.dict.get(&one).map(drop),
            Step::Insert(length) => self.dict.insert(&own, &vec![byte; length]).map(drop),
            Step::Replace(length) => self.dict.insert(&one, &vec![byte; length]).map(drop),
            Step::Remove => self.dict.remove(&one).map(drop),
            Step::Update => self.dict.update(&1, longer).map(drop),
            Step::Items => self.dict.items().map(drop),
            Step::Clear if own == VICTIMS => self.dict.clear(),
            Step::Clear => self.dict.insert(&own, &vec![byte; SHORT]).map(drop),
        }
    }

    /// What should be there of a contents after such a call.
    fn done(&self, contents: &Contents, own: u32, byte: u8) -> Contents {
        let (mut contents, one) = (contents.clone(), own - VICTIMS + 1);
        match self.step {
            Step::Get | Step::Items => {}
            Step::Insert(length) => drop(contents.insert(own, (byte, length))),
            Step::Replace(length) => drop(contents.insert(one, (byte, length))),
            Step::Remove => drop(contents.remove(&one)),
            Step::Update => contents.get_mut(&1).expect("it is there before").1 += 1,
            Step::Clear if own == VICTIMS => contents.clear(),
            Step::Clear => drop(contents.insert(own, (byte, SHORT))),
        }
        contents
    }

    fn found(&self) -> Result<Contents, Fault> {
        let items = self.dict.items().map_err(torn)?;
        let mut contents = Contents::new();
        for (key, value) in items {
            let byte = *value.first().unwrap_or(&0);
            torn_unless(value.iter().all(|other| *other == byte), || {
                format!("half a value: {key} {value:?}")
            })?;
            let same = self.dict.get(&key).map_err(torn)?;
            lost_unless(same.as_ref() == Some(&value), || format!("{key} is not found"))?;
            let again = contents.insert(key, (byte, value.len()));
            torn_unless(again.is_none(), || format!("{key} is there twice"))?;
        }
        let count = self.dict.len().map_err(torn)?;
        torn_unless(count == contents.len(), || format!("{count} entries of {contents:?}"))?;
        Ok(contents)
    }
}

/// A call fails only on a dict that is not whole.
fn torn(error: DictError) -> Fault {
    Fault::Torn(error.to_string())
}

fn put(dict: &SharedDict<u32, Vec<u8>>, key: u32, byte: u8, length: usize) {
    dict.insert(&key, &vec![byte; length]).expect("there is room");
}

fn longer(value: Option<Vec<u8>>) -> Option<Vec<u8>> {
    value.map(|mut value| {
        value.push(FIRST);
        value
    })
}

impl Scene for Play {
    fn operate(&self) {
        let _ = self.act(VICTIMS, MINE);
    }

    fn barge(&self, _: &dyn Fn()) -> Verdict {
        self.act(BARGERS, OTHERS).map_err(torn)?;
        self.tally.add(BARGED);
        Ok(())
    }

    /// A process, while the victim is stopped, perhaps with the lock.
    fn meanwhile(&self) -> Verdict {
        let shown = format!("{:?}", self.dict);
        torn_unless(shown == "SharedDict(<busy>)" || shown.starts_with('{'), || shown)
    }

    fn check(&self, fate: Fate) -> Verdict {
        let first: Contents = (0..self.before).map(|key| (key, (FIRST, SHORT))).collect();
        let mine = |contents: &Contents| self.done(contents, VICTIMS, MINE);
        let others = |contents: &Contents| self.done(contents, BARGERS, OTHERS);
        // Whether the victim's and the other's calls are done: certainly, perhaps, or not.
        let (certain, barged) = (fate.lived() || fate.finished, self.tally.get(BARGED) > 0);
        let perhaps = fate.mode == Mode::Twice && !barged;
        let mut allowed = Vec::new();
        if barged || perhaps {
            allowed.extend([mine(&others(&first)), others(&mine(&first))]);
        }
        if !barged {
            allowed.push(mine(&first));
        }
        if !certain && barged {
            allowed.push(others(&first));
        }
        if !certain && perhaps {
            allowed.extend([others(&first), first.clone()]);
        }
        if !certain && !barged {
            allowed.push(first.clone());
        }
        let found = self.found()?;
        lost_unless(allowed.contains(&found), || format!("{found:?} is there, and none of {allowed:?}"))?;
        // It works, and no cell is lost.
        put(&self.dict, CHECKERS, OTHERS, LONG);
        for key in found.keys().chain([&CHECKERS]) {
            let had = self.dict.remove(key).map_err(torn)?;
            lost_unless(had.is_some(), || format!("{key} is not found"))?;
        }
        // Two bytes are the key's and the length's.
        let whole = vec![FIRST; 44 + 60 * CELLS - 3];
        let fits = self.dict.insert(&CHECKERS, &whole);
        lost_unless(fits.is_ok(), || format!("not all of its memory is free: {fits:?}"))?;
        let alone = self.dict.items().map_err(torn)?;
        torn_unless(alone == [(CHECKERS, whole)], || "what takes all of its memory is not whole".to_owned())
    }
}
