//! The objects, and the calls that wait for each.

use super::hosted::Custom;
use super::pool::Workers;
use crate::object::{Charge, IdMap, Kept, Object};
use crate::protocol::{Kind, ObjectId};
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Table(IdMap<Entry>);

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) body: Body,
    pub(super) kind: Kind,
    /// By their numbers, in the order of their coming.
    pub(super) waiting: VecDeque<u64>,
    /// Of an object that a client at an address has made.
    _charge: Option<Charge>,
}

#[derive(Debug)]
pub(super) enum Body {
    Own(Box<dyn Object>),
    /// A condition over a lock that has an entry of its own: calls of it are done there.
    Over(Kept),
    /// Of a user's type.
    Custom(Custom),
    Pool(Workers),
    /// Values of Python programs.
    #[cfg(feature = "pickle")]
    Python(crate::pickled::Object),
}

impl Table {
    pub(super) fn insert(&mut self, object: ObjectId, kind: Kind, body: Body, charge: Option<Charge>) {
        self.0.insert(object, Entry { body, kind, waiting: VecDeque::new(), _charge: charge });
    }

    pub(super) fn peek(&self, object: ObjectId) -> Option<&Entry> {
        self.0.get(&object)
    }

    pub(super) fn get(&mut self, object: ObjectId) -> Option<&mut Entry> {
        self.0.get_mut(&object)
    }

    pub(super) fn kind(&self, object: ObjectId) -> Option<Kind> {
        self.0.get(&object).map(|entry| entry.kind.clone())
    }

    pub(super) fn remove(&mut self, object: ObjectId) -> Option<Entry> {
        self.0.remove(&object)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
