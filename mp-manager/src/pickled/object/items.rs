//! The items of a dict, in the order of insertion: a dict, its iterators and a namespace have them.

use crate::object::Counts;
use crate::pickled::compare::{Key, key};
use crate::pickled::held::Held;
use crate::pickled::raised::Raised;
use mp_pipe::pickle::Value;
use std::collections::HashMap;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Items {
    places: HashMap<Key, usize>,
    /// In the order of insertion; `None` where one was removed.
    entries: Vec<Option<Entry>>,
    /// How often the entries have changed their places.
    pub(super) moves: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Held,
    pub(super) value: Held,
}

impl Items {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn get(&self, name: &Value) -> Result<Option<&Held>, Raised> {
        let at = self.places.get(&key(name)?);
        Ok(at.and_then(|at| self.entries[*at].as_ref()).map(|entry| &entry.value))
    }

    /// An equal key that is there stays as it is.
    pub(super) fn insert(&mut self, counts: &Counts, name: Value, value: Value) -> Result<(), Raised> {
        let (key, value) = (key(&name)?, Held::new(counts, value));
        if let Some(entry) = self.places.get(&key).and_then(|at| self.entries[*at].as_mut()) {
            entry.value = value;
            return Ok(());
        }
        self.compact();
        self.places.insert(key, self.entries.len());
        self.entries.push(Some(Entry { key: Held::new(counts, name), value }));
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &Value) -> Result<Option<Entry>, Raised> {
        Ok(self.places.remove(&key(name)?).and_then(|at| self.entries[at].take()))
    }

    /// Closes the gaps once they are more than the items.
    fn compact(&mut self) {
        if self.entries.len() < 2 * self.places.len() + 8 {
            return;
        }
        let mut new = vec![usize::MAX; self.entries.len()];
        let mut count = 0;
        for (at, entry) in self.entries.iter().enumerate() {
            new[at] = count;
            count += usize::from(entry.is_some());
        }
        self.entries.retain(Option::is_some);
        self.places.values_mut().for_each(|at| *at = new[*at]);
        self.moves += 1;
    }

    pub(super) fn pop_last(&mut self) -> Result<Option<Entry>, Raised> {
        while let Some(last) = self.entries.pop() {
            if let Some(entry) = last {
                self.places.remove(&key(&entry.key.value)?);
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.entries.clear();
        self.moves += 1;
    }

    /// The first key from a place on, and the place after it.
    pub(super) fn next_key(&self, from: usize) -> Option<(Value, usize)> {
        let (at, entry) = self.entries.iter().enumerate().skip(from).find(|(_, entry)| entry.is_some())?;
        Some((entry.as_ref()?.key.value.clone(), at + 1))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Value, &Value)> {
        self.entries.iter().flatten().map(|entry| (&entry.key.value, &entry.value.value))
    }
}
