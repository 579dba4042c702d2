//! A stored value, and the counts of references to objects.

use super::ids::IdMap;
use super::room::{Charge, Room};
use crate::protocol::{ObjectId, Packed};
use mp_core::transfer::{Handle, Message};
use std::cell::RefCell;
use std::rc::Rc;

/// How many references there are to each object: of clients, of proxies in flight, of stored values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counts(Rc<RefCell<State>>, Room);

#[derive(Debug, Default)]
struct State {
    counts: IdMap<u64>,
    /// Whose count came to nothing since they were last asked for; some have references again.
    unused: Vec<ObjectId>,
}

impl Counts {
    /// For what clients at an address store.
    pub(crate) fn room(&self) -> &Room {
        &self.1
    }

    /// One reference more; `false` if there is no such object.
    pub(crate) fn hold(&self, object: ObjectId) -> bool {
        match self.0.borrow_mut().counts.get_mut(&object) {
            Some(count) => {
                *count += 1;
                true
            }
            None => false,
        }
    }

    /// The first reference to a new object.
    pub(crate) fn begin(&self, object: ObjectId) {
        self.0.borrow_mut().counts.insert(object, 1);
    }

    pub(crate) fn release(&self, object: ObjectId) {
        let state = &mut *self.0.borrow_mut();
        if let Some(count) = state.counts.get_mut(&object) {
            *count -= 1;
            if *count == 0 {
                // It stays until the end of the step: what the step takes out of an object may be its reply, to whose
                // receiver it is then a reference.
                state.unused.push(object);
            }
        }
    }

    /// An object that no reference is left to: it is to be dropped, which may make others so. Asked for between steps.
    pub(crate) fn next_unused(&self) -> Option<ObjectId> {
        let State { counts, unused } = &mut *self.0.borrow_mut();
        while let Some(object) = unused.pop() {
            if counts.get(&object) == Some(&0) {
                counts.remove(&object);
                return Some(object);
            }
        }
        None
    }
}

/// A reference to an object.
#[derive(Debug)]
pub(crate) struct Kept {
    object: ObjectId,
    counts: Counts,
}

impl Kept {
    /// None if there is no such object.
    pub(crate) fn new(counts: &Counts, object: ObjectId) -> Option<Kept> {
        counts.hold(object).then(|| Kept { object, counts: counts.clone() })
    }

    pub(crate) fn object(&self) -> ObjectId {
        self.object
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.counts.release(self.object);
    }
}

/// A value as the server keeps it: of a relative's value without handles and proxies, the bytes alone.
#[derive(Debug)]
pub(crate) struct Stored {
    bytes: Box<[u8]>,
    beside: Option<Box<Beside>>,
}

#[derive(Debug)]
struct Beside {
    handles: Vec<Handle>,
    objects: Vec<Kept>,
    _charge: Option<Charge>,
}

impl Stored {
    pub(crate) fn new(counts: &Counts, packed: Packed) -> Stored {
        Stored::keyed(counts, &[], packed)
    }

    /// The value of a key, which counts with it.
    pub(crate) fn keyed(counts: &Counts, key: &[u8], packed: Packed) -> Stored {
        let Packed { message: Message { bytes, handles }, objects } = packed;
        let charge = counts.room().charge(key.len() + bytes.len());
        let beside = (!handles.is_empty() || !objects.is_empty() || charge.is_some()).then(|| {
            let objects = objects.into_iter().filter_map(|object| Kept::new(counts, object)).collect();
            Box::new(Beside { handles, objects, _charge: charge })
        });
        Stored { bytes: bytes.into(), beside }
    }

    /// Of plain bytes.
    pub(crate) fn plain(counts: &Counts, key: &[u8], bytes: &[u8]) -> Stored {
        let charge = counts.room().charge(key.len() + bytes.len());
        let beside = charge.map(|charge| {
            Box::new(Beside { handles: Vec::new(), objects: Vec::new(), _charge: Some(charge) })
        });
        Stored { bytes: bytes.into(), beside }
    }

    /// The bytes, if they are all that is sent of it.
    #[inline]
    pub(crate) fn as_plain(&self) -> Option<&[u8]> {
        let is_plain = |beside: &Beside| beside.handles.is_empty() && beside.objects.is_empty();
        self.beside.as_deref().is_none_or(is_plain).then_some(&self.bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Puts other bytes in the place of a number's.
    pub(crate) fn set_bytes(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes.into();
    }

    /// Itself, to be sent.
    pub(crate) fn into_packed(self) -> Packed {
        if self.beside.is_some() {
            return self.packed();
        }
        self.bytes.into_vec().into()
    }

    /// A copy to be sent.
    pub(crate) fn packed(&self) -> Packed {
        let (handles, objects) = self.beside.as_ref().map_or_else(Default::default, |beside| {
            (beside.handles.clone(), beside.objects.iter().map(Kept::object).collect())
        });
        Packed { message: Message { bytes: self.bytes.to_vec(), handles }, objects }
    }
}
