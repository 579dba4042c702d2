//! A set of packed keys, in the order of their insertion.

use super::attempt::{Attempt, Caller, Object};
use super::room::Charge;
use super::stored::Counts;
use crate::protocol::{Call, Failure, Key, Reply, SetCall};
use std::collections::{HashMap, HashSet};

#[derive(Debug)]
pub(crate) struct Set {
    counts: Counts,
    keys: HashMap<Box<[u8]>, Place>,
    inserted: u64,
}

#[derive(Debug)]
struct Place {
    /// When the key was inserted.
    number: u64,
    _charge: Option<Box<Charge>>,
}

impl Object for Set {
    fn attempt(&mut self, _: Caller, call: &mut Call) -> Attempt {
        let Call::Set(call) = call else { return Failure::WrongKind.into() };
        match std::mem::replace(call, SetCall::Len) {
            SetCall::Insert(key) => Reply::Flag(self.insert(key)),
            SetCall::Remove(key) => Reply::Flag(self.keys.remove(&*key).is_some()),
            SetCall::Contains(key) => Reply::Flag(self.keys.contains_key(&*key)),
            SetCall::ContainsAll(keys) => Reply::Flag(keys.iter().all(|key| self.keys.contains_key(&**key))),
            SetCall::InsertMany(keys) => {
                Reply::Count(keys.into_iter().filter(|key| self.insert(key.clone())).count() as u64)
            }
            SetCall::RemoveMany(keys) => {
                Reply::Count(keys.iter().filter(|key| self.keys.remove(&***key).is_some()).count() as u64)
            }
            SetCall::Retain(keys) => {
                let (before, kept) = (self.keys.len(), keys.into_iter().collect::<HashSet<Key>>());
                self.keys.retain(|key, _| kept.contains(&**key));
                Reply::Count((before - self.keys.len()) as u64)
            }
            SetCall::Pop => {
                let first =
                    self.keys.iter().min_by_key(|(_, place)| place.number).map(|(key, _)| key.to_vec());
                if let Some(key) = &first {
                    self.keys.remove(&**key);
                }
                Reply::Keys(first.into_iter().collect())
            }
            SetCall::Len => Reply::Count(self.keys.len() as u64),
            SetCall::All => Reply::Keys(self.in_order()),
            SetCall::Clear => {
                self.keys.clear();
                Reply::Done
            }
        }
        .into()
    }
}

impl Set {
    pub(crate) fn new(counts: &Counts) -> Set {
        Set { counts: counts.clone(), keys: HashMap::new(), inserted: 0 }
    }

    /// Whether it is new.
    fn insert(&mut self, key: Key) -> bool {
        if self.keys.contains_key(&*key) {
            return false;
        }
        self.inserted += 1;
        let charge = self.counts.room().charge(key.len()).map(Box::new);
        self.keys.insert(key.into(), Place { number: self.inserted, _charge: charge });
        true
    }

    fn in_order(&self) -> Vec<Key> {
        let mut keys: Vec<(&u64, &[u8])> =
            self.keys.iter().map(|(key, place)| (&place.number, &**key)).collect();
        keys.sort_unstable();
        keys.into_iter().map(|(_, key)| key.to_vec()).collect()
    }
}
