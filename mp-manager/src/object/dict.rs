//! A dict: packed keys to packed values, in the order of their insertion, as Python's.

use super::apply;
use crate::protocol::{DictCall, Failure, Key, Reply};
use mp_core::transfer::Message;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct Dict(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When each key was inserted.
    places: HashMap<Key, u64>,
    items: BTreeMap<u64, (Key, Message)>,
    inserted: u64,
}

impl Dict {
    pub(crate) fn call(&self, call: DictCall) -> Result<Reply, Failure> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(match call {
            DictCall::Get(key) => Reply::Value(state.get(&key).cloned()),
            DictCall::Insert(key, value) => Reply::Value(state.insert(key, value)),
            DictCall::InsertMany(items) => {
                items.into_iter().for_each(|(key, value)| drop(state.insert(key, value)));
                Reply::Done
            }
            DictCall::GetOrInsert(key, value) => {
                if state.get(&key).is_none() {
                    state.insert(key.clone(), value);
                }
                Reply::Value(state.get(&key).cloned())
            }
            DictCall::Remove(key) => Reply::Value(state.remove(&key)),
            DictCall::Contains(key) => Reply::Flag(state.get(&key).is_some()),
            DictCall::Len => Reply::Count(state.items.len() as u64),
            DictCall::Items => Reply::Items(state.items.values().cloned().collect()),
            DictCall::Clear => {
                *state = State::default();
                Reply::Done
            }
            DictCall::Update(key, code) => {
                let changed = without_option(apply(&code, as_option(state.get(&key)))?)?;
                match &changed {
                    Some(value) => drop(state.insert(key, value.clone())),
                    None => drop(state.remove(&key)),
                }
                Reply::Value(changed)
            }
        })
    }
}

impl State {
    fn get(&self, key: &Key) -> Option<&Message> {
        self.items.get(self.places.get(key)?).map(|(_, value)| value)
    }

    /// A key that is there keeps its place.
    fn insert(&mut self, key: Key, value: Message) -> Option<Message> {
        if let Some(place) = self.places.get(&key) {
            return self.items.insert(*place, (key, value)).map(|(_, before)| before);
        }
        self.inserted += 1;
        self.places.insert(key.clone(), self.inserted);
        self.items.insert(self.inserted, (key, value));
        None
    }

    fn remove(&mut self, key: &Key) -> Option<Message> {
        self.items.remove(&self.places.remove(key)?).map(|(_, value)| value)
    }
}

/// The packed form of an `Option` of a packed value: a byte 0 or 1, then the value.
fn as_option(value: Option<&Message>) -> Message {
    let mut option = Message { bytes: vec![u8::from(value.is_some())], handles: Vec::new() };
    if let Some(value) = value {
        option.bytes.extend_from_slice(&value.bytes);
        option.handles.extend(value.handles.iter().cloned());
    }
    option
}

fn without_option(mut option: Message) -> Result<Option<Message>, Failure> {
    match option.bytes.first() {
        Some(0) => Ok(None),
        Some(1) => {
            option.bytes.remove(0);
            Ok(Some(option))
        }
        _ => Err(Failure::Codec("the function did not return an Option".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp_core::transfer::{pack, unpack};

    #[test]
    fn options_are_packed_as_serde_packs_them() {
        let value = pack(&300_u32).unwrap();
        assert_eq!(as_option(Some(&value)).bytes, pack(&Some(300_u32)).unwrap().bytes);
        assert_eq!(as_option(None).bytes, pack(&None::<u32>).unwrap().bytes);
        let back = without_option(pack(&Some(300_u32)).unwrap()).unwrap().unwrap();
        assert_eq!(unpack::<u32>(&back.bytes, vec![]).unwrap(), 300);
        assert!(without_option(pack(&None::<u32>).unwrap()).unwrap().is_none());
    }

    #[test]
    fn keys_keep_the_order_of_their_insertion() {
        let mut state = State::default();
        let value = |number: u8| Message { bytes: vec![number], handles: vec![] };
        for key in [3, 1, 2] {
            assert!(state.insert(vec![key], value(key)).is_none());
        }
        assert_eq!(state.insert(vec![1], value(9)).unwrap().bytes, [1]);
        assert!(state.remove(&vec![3]).is_some() && state.remove(&vec![3]).is_none());
        state.insert(vec![3], value(3));
        let keys: Vec<u8> = state.items.values().map(|(key, _)| key[0]).collect();
        assert_eq!(keys, [1, 2, 3]);
    }
}
