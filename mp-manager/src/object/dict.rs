//! A dict: packed keys to packed values, in the order of their insertion, as Python's.

use super::attempt::{Attempt, Caller, ClientId, Object};
use super::leases::{Leases, is_its_own};
use super::number;
use super::stored::{Counts, Stored};
use crate::protocol::{
    Batch, BatchCall, BatchValue, Call, DictCall, Failure, Key, Number, Packed, Reply, Results,
};
use std::collections::HashMap;
use std::mem;

#[derive(Debug)]
pub(crate) struct Dict {
    counts: Counts,
    items: HashMap<Box<[u8]>, Item>,
    inserted: u64,
    leases: Leases<Key>,
}

#[derive(Debug)]
struct Item {
    /// When the key was inserted.
    place: u64,
    value: Stored,
}

impl Object for Dict {
    fn attempt(&mut self, caller: Caller, call: &mut Call) -> Attempt {
        let Call::Dict(call) = call else { return Failure::WrongKind.into() };
        if let Err(attempt) = self.may(caller, call) {
            return attempt;
        }
        // It is done now, so it is not asked for again.
        Attempt::Done(self.run(caller, std::mem::replace(call, DictCall::Len)))
    }

    fn holds(&self, caller: Caller) -> bool {
        self.leases.has(caller)
    }

    fn is_held_up_by(&self, holder: Caller, call: &Call) -> bool {
        matches!(call, Call::Dict(call) if is_its_own(&self.may(holder, call)))
    }

    fn client_gone(&mut self, client: ClientId) {
        self.leases.client_gone(client);
    }

    fn minds_deaths(&self) -> bool {
        !self.leases.is_empty()
    }
}

impl Dict {
    pub(crate) fn new(counts: &Counts) -> Dict {
        Dict { counts: counts.clone(), items: HashMap::new(), inserted: 0, leases: Leases::default() }
    }

    /// Whether no other caller is changing what this call writes; if one is, what becomes of the call.
    fn may(&self, caller: Caller, call: &DictCall) -> Result<(), Attempt> {
        match call {
            DictCall::Insert(key, _)
            | DictCall::GetOrInsert(key, _)
            | DictCall::Remove(key)
            | DictCall::CompareExchange { key, .. }
            | DictCall::Add(key, ..) => self.leases.check(caller, [key]),
            DictCall::InsertMany(items) => self.leases.check(caller, items.iter().map(|(key, _)| key)),
            DictCall::Begin(keys) => self.leases.check(caller, keys),
            DictCall::Clear | DictCall::RemoveLast => self.leases.check_all(caller),
            DictCall::Batch(batch) if !self.leases.is_empty() => {
                // Where the batch is damaged, that is the error of its run.
                let written = batch.calls().map_while(Result::ok).filter_map(|call| call.written());
                self.leases.check(caller, written)
            }
            _ => Ok(()),
        }
    }

    fn run(&mut self, caller: Caller, call: DictCall) -> Result<Reply, Failure> {
        Ok(match call {
            DictCall::Get(key) => Reply::Value(self.get(&key)),
            DictCall::Insert(key, value) => Reply::Value(self.insert(key, value)),
            DictCall::InsertMany(items) => {
                items.into_iter().for_each(|(key, value)| drop(self.insert(key, value)));
                Reply::Done
            }
            DictCall::GetOrInsert(key, value) => {
                if !self.items.contains_key(&*key) {
                    self.insert(key.clone(), value);
                }
                Reply::Value(self.get(&key))
            }
            DictCall::Remove(key) => Reply::Value(self.remove(&key)),
            DictCall::RemoveLast => Reply::Item(self.remove_last()),
            DictCall::Contains(key) => Reply::Flag(self.items.contains_key(&*key)),
            DictCall::Len => Reply::Count(self.items.len() as u64),
            DictCall::Items => {
                Reply::Items(self.in_order().map(|(key, item)| (key.to_vec(), item.value.packed())).collect())
            }
            DictCall::Keys => Reply::Keys(self.in_order().map(|(key, _)| key.to_vec()).collect()),
            DictCall::Values => Reply::Values(self.in_order().map(|(_, item)| item.value.packed()).collect()),
            DictCall::Clear => {
                self.items.clear();
                Reply::Done
            }
            DictCall::CompareExchange { key, expected, new } => {
                let before = self.get(&key);
                if before.as_ref().map(|value| &value.message.bytes) == expected.as_ref() {
                    self.set(key, new);
                }
                Reply::Value(before)
            }
            DictCall::Add(key, kind, by) => {
                let mut before = None;
                self.add(&key, kind, &by, |value| before = value.map(Stored::packed))?;
                Reply::Value(before)
            }
            DictCall::Begin(keys) => {
                let values = keys.iter().map(|key| self.get(key)).collect();
                self.leases.begin(caller, keys);
                Reply::Options(values)
            }
            DictCall::Commit(changes) => {
                self.leases.end(caller, changes.iter().map(|(key, _)| key))?;
                changes.into_iter().for_each(|(key, new)| self.set(key, new));
                Reply::Done
            }
            DictCall::Abort(keys) => {
                self.leases.end(caller, &keys)?;
                Reply::Done
            }
            DictCall::Batch(batch) => Reply::Batch(self.run_each(&batch)?),
        })
    }

    /// Each call gives a value, or nothing. Of a batch in which one fails those before it are done.
    fn run_each(&mut self, batch: &Batch) -> Result<Results, Failure> {
        let mut results = Results::default();
        for call in batch.calls() {
            match call? {
                BatchCall::Get(key) => give(&mut results, self.items.get(key).map(|item| &item.value)),
                BatchCall::Insert(key, value) => {
                    let value = match value {
                        BatchValue::Plain(bytes) => Stored::plain(&self.counts, key, bytes),
                        BatchValue::Beside(packed) => Stored::keyed(&self.counts, key, packed.clone()),
                    };
                    give(&mut results, self.replace(key, value).as_ref());
                }
                BatchCall::Remove(key) => {
                    give(&mut results, self.items.remove(key).map(|item| item.value).as_ref());
                }
                BatchCall::Add(key, kind, by) => {
                    self.add(key, kind, by, |value| give(&mut results, value))?;
                }
            }
        }
        Ok(results)
    }

    fn get(&self, key: &Key) -> Option<Packed> {
        Some(self.items.get(&**key)?.value.packed())
    }

    /// A key that is there keeps its place.
    fn insert(&mut self, key: Key, value: Packed) -> Option<Packed> {
        let value = Stored::keyed(&self.counts, &key, value);
        self.replace(key, value).map(Stored::into_packed)
    }

    /// The value before.
    fn replace(&mut self, key: impl AsRef<[u8]> + Into<Box<[u8]>>, value: Stored) -> Option<Stored> {
        if let Some(item) = self.items.get_mut(key.as_ref()) {
            return Some(mem::replace(&mut item.value, value));
        }
        self.insert_new(key.into(), value);
        None
    }

    /// A key that is not there.
    fn insert_new(&mut self, key: Box<[u8]>, value: Stored) {
        self.inserted += 1;
        self.items.insert(key, Item { place: self.inserted, value });
    }

    /// Adds to a number, or puts it there. `give` gets the value before.
    fn add(
        &mut self,
        key: &[u8],
        kind: Number,
        by: &[u8],
        give: impl FnOnce(Option<&Stored>),
    ) -> Result<(), Failure> {
        match self.items.get_mut(key) {
            Some(item) => {
                let sum = number::sum(kind, item.value.bytes(), by)?;
                give(Some(&item.value));
                item.value.set_bytes(sum);
            }
            None => {
                give(None);
                self.insert_new(key.into(), Stored::plain(&self.counts, key, by));
            }
        }
        Ok(())
    }

    fn set(&mut self, key: Key, new: Option<Packed>) {
        match new {
            Some(value) => drop(self.insert(key, value)),
            None => drop(self.remove(&key)),
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Packed> {
        Some(self.items.remove(&**key)?.value.into_packed())
    }

    fn remove_last(&mut self) -> Option<(Key, Packed)> {
        let key = self.items.iter().max_by_key(|(_, item)| item.place)?.0.to_vec();
        let value = self.remove(&key)?;
        Some((key, value))
    }

    /// Sorted when it is asked for: an order beside the map would cost memory for each item.
    fn in_order(&self) -> impl Iterator<Item = (&[u8], &Item)> {
        let mut items: Vec<(&[u8], &Item)> = self.items.iter().map(|(key, item)| (&**key, item)).collect();
        items.sort_unstable_by_key(|(_, item)| item.place);
        items.into_iter()
    }
}

impl<'a> BatchCall<'a> {
    /// The key that it writes.
    fn written(self) -> Option<&'a [u8]> {
        match self {
            BatchCall::Get(_) => None,
            BatchCall::Insert(key, _) | BatchCall::Remove(key) | BatchCall::Add(key, ..) => Some(key),
        }
    }
}

/// A copy of a value that is there, as a call's result.
#[inline]
fn give(results: &mut Results, value: Option<&Stored>) {
    match value.map(|value| value.as_plain().ok_or(value)) {
        None => results.none(),
        Some(Ok(bytes)) => results.plain(bytes),
        Some(Err(value)) => results.value(value.packed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(number: u8) -> Packed {
        vec![number].into()
    }

    #[test]
    fn keys_keep_the_order_of_their_insertion() {
        let mut dict = Dict::new(&Counts::default());
        for key in [3, 1, 2] {
            assert!(dict.insert(vec![key], value(key)).is_none());
        }
        assert_eq!(dict.insert(vec![1], value(9)).unwrap().message.bytes, [1]);
        assert!(dict.remove(&vec![3]).is_some() && dict.remove(&vec![3]).is_none());
        dict.insert(vec![3], value(3));
        let keys: Vec<u8> = dict.in_order().map(|(key, _)| key[0]).collect();
        assert_eq!(keys, [1, 2, 3]);
        assert_eq!(dict.remove_last().unwrap().0, [3]);
    }

    #[test]
    fn a_leased_key_keeps_other_writers_away_and_no_reader() {
        let mut dict = Dict::new(&Counts::default());
        let (one, other) = (Caller { client: 1, thread: 1 }, Caller { client: 2, thread: 1 });
        let mut call = |caller, call| dict.attempt(caller, &mut Call::Dict(call));
        let done = |attempt| matches!(attempt, Attempt::Done(Ok(_)));
        assert!(done(call(one, DictCall::Begin(vec![vec![1], vec![2]]))));
        assert!(matches!(call(other, DictCall::Insert(vec![1], value(1))), Attempt::Wait));
        assert!(matches!(call(other, DictCall::Clear), Attempt::Wait));
        assert!(done(call(other, DictCall::Insert(vec![3], value(1)))));
        assert!(done(call(other, DictCall::Get(vec![1]))));
        let batch = |writes: bool| {
            let key = |bytes: &mut Vec<u8>| {
                bytes.push(1);
                Ok::<_, Failure>(())
            };
            let mut batch = Batch::default();
            batch.get(key).unwrap();
            if writes {
                batch.insert(key, value(1)).unwrap();
            }
            DictCall::Batch(batch)
        };
        assert!(done(call(other, batch(false))));
        assert!(matches!(call(other, batch(true)), Attempt::Wait));
        assert!(matches!(call(one, batch(true)), Attempt::Done(Err(Failure::WouldDeadlock))));
        let own = call(one, DictCall::Remove(vec![2]));
        assert!(matches!(own, Attempt::Done(Err(Failure::WouldDeadlock))));
        let foreign = call(other, DictCall::Commit(vec![(vec![1], None)]));
        assert!(matches!(foreign, Attempt::Done(Err(Failure::NotChanging))));
        let both = vec![(vec![1], Some(value(7))), (vec![2], None)];
        assert!(done(call(one, DictCall::Commit(both))));
        assert!(done(call(other, DictCall::Clear)));
    }
}
