//! ListProxy: a list in the server.

use super::{Number, Proxy, proxy, show, unexpected};
use crate::error::ManagerError;
use crate::packed::{pack_all_for, pack_for};
use crate::protocol::{Call, ListCall, Packed, Reply};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::{Bound, RangeBounds};

proxy! {
    /// A list in the manager's process. Clones, and copies that travel to other processes, are the same list. Each call
    /// is one step there; two calls are two, so `get` then `set` may lose an update: [`update`](ListProxy::update) does
    /// not.
    ///
    /// Values may be proxies of the same manager, which live as long as they are stored. A value that comes out is a
    /// copy.
    ///
    /// Python: `multiprocessing.managers.ListProxy`.
    ListProxy<T>, List
}

impl<T> ListProxy<T> {
    /// How many items there are. Python: `len(l)`.
    pub fn len(&self) -> Result<usize, ManagerError> {
        self.reference.count(Call::List(ListCall::Len))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> Result<bool, ManagerError> {
        Ok(self.len()? == 0)
    }

    /// Removes all items. Python: `l.clear()`.
    pub fn clear(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::List(ListCall::Clear))
    }

    /// Reverses the order of the items. Python: `l.reverse()`.
    pub fn reverse(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::List(ListCall::Reverse))
    }
}

/// Reading.
impl<T: DeserializeOwned> ListProxy<T> {
    /// The item at a position. Python: `l[index]`.
    ///
    /// # Errors
    /// [`ManagerError::IndexOutOfRange`].
    pub fn get(&self, index: usize) -> Result<T, ManagerError> {
        self.reference.value(Call::List(ListCall::Get(index as u64)))
    }

    /// The items of a range; what lies beyond the end is left out. Python: `l[from:to]`.
    #[doc(alias = "slice")]
    pub fn get_range(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>, ManagerError> {
        let (from, to) = bounds(range);
        self.reference.values(Call::List(ListCall::Range(from, to)))
    }

    /// All items, copied. Python: `list(l)`, `l[:]`.
    #[doc(alias = "copy")]
    pub fn to_vec(&self) -> Result<Vec<T>, ManagerError> {
        self.reference.values(Call::List(ListCall::All))
    }

    /// Removes the last item. Python: `l.pop()`.
    pub fn pop(&self) -> Result<Option<T>, ManagerError> {
        self.reference.optional(Call::List(ListCall::Pop))
    }

    /// Removes the item at a position, and gives it. Python: `l.pop(index)`, `del l[index]`; its `l.remove(item)` is
    /// [`remove_value`](ListProxy::remove_value).
    ///
    /// # Errors
    /// [`ManagerError::IndexOutOfRange`].
    pub fn remove(&self, index: usize) -> Result<T, ManagerError> {
        self.reference.value(Call::List(ListCall::Remove(index as u64)))
    }

    /// Removes the items of a range, and gives them. Python: `del l[from:to]`.
    pub fn remove_range(&self, range: impl RangeBounds<usize>) -> Result<Vec<T>, ManagerError> {
        let (from, to) = bounds(range);
        self.reference.values(Call::List(ListCall::Splice(from, to, Vec::new())))
    }
}

/// Writing: each call is one step.
impl<T: Serialize + DeserializeOwned> ListProxy<T> {
    fn pack(&self, value: &T) -> Result<Packed, ManagerError> {
        pack_for(self.reference.manager(), value)
    }

    fn bytes(&self, value: &T) -> Result<Vec<u8>, ManagerError> {
        Ok(self.pack(value)?.message.bytes)
    }

    /// Adds an item at the end. Python: `l.append(item)`.
    #[doc(alias = "append")]
    pub fn push(&self, value: T) -> Result<(), ManagerError> {
        self.reference.done(Call::List(ListCall::Push(self.pack(&value)?)))
    }

    /// Adds items at the end, in one call. Python: `l.extend(items)`, `l += items`.
    pub fn extend(&self, values: impl IntoIterator<Item = T>) -> Result<(), ManagerError> {
        let (packed, _holders) = pack_all_for(self.reference.manager(), values)?;
        self.reference.done(Call::List(ListCall::Extend(packed)))
    }

    /// Replaces the item at a position, and returns the one before. Python: `l[index] = item`.
    ///
    /// # Errors
    /// [`ManagerError::IndexOutOfRange`].
    pub fn set(&self, index: usize, value: T) -> Result<T, ManagerError> {
        self.reference.value(Call::List(ListCall::Set(index as u64, self.pack(&value)?)))
    }

    /// Inserts an item before a position; at the end, if the position lies beyond it. Python: `l.insert(index, item)`.
    pub fn insert(&self, index: usize, value: T) -> Result<(), ManagerError> {
        self.reference.done(Call::List(ListCall::Insert(index as u64, self.pack(&value)?)))
    }

    /// Replaces the items of a range by others, as many as there are, and returns those before.
    /// Python: `l[from:to] = items`.
    pub fn splice(
        &self,
        range: impl RangeBounds<usize>,
        values: impl IntoIterator<Item = T>,
    ) -> Result<Vec<T>, ManagerError> {
        let (from, to) = bounds(range);
        let (packed, _holders) = pack_all_for(self.reference.manager(), values)?;
        self.reference.values(Call::List(ListCall::Splice(from, to, packed)))
    }

    /// The position of the first such item: of one that packs to equal bytes. Python: `l.index(item)`.
    #[doc(alias = "index")]
    pub fn position(&self, value: &T) -> Result<Option<usize>, ManagerError> {
        match self.reference.call(Call::List(ListCall::Find(self.bytes(value)?)))? {
            Reply::Number(found) => Ok(found.map(|at| at as usize)),
            other => Err(unexpected(&other)),
        }
    }

    /// Whether there is such an item. Python: `item in l`.
    pub fn contains(&self, value: &T) -> Result<bool, ManagerError> {
        Ok(self.position(value)?.is_some())
    }

    /// How many such items there are. Python: `l.count(item)`.
    pub fn count(&self, value: &T) -> Result<usize, ManagerError> {
        self.reference.count(Call::List(ListCall::Count(self.bytes(value)?)))
    }

    /// Removes the first such item; whether there was one. Python: `l.remove(item)`, which raises `ValueError` if there
    /// is none.
    pub fn remove_value(&self, value: &T) -> Result<bool, ManagerError> {
        self.reference.flag(Call::List(ListCall::RemoveValue(self.bytes(value)?)))
    }

    /// Sorts the items. They are sorted here, so they all travel twice. Python: `l.sort()`.
    pub fn sort(&self) -> Result<(), ManagerError>
    where
        T: Ord,
    {
        self.with(|items| items.sort())
    }

    /// Adds to the number at a position, and returns the one before. One step, and one round trip.
    ///
    /// # Errors
    /// [`ManagerError::IndexOutOfRange`], [`ManagerError::Overflow`]: the number is as it was.
    pub fn fetch_add(&self, index: usize, by: T) -> Result<T, ManagerError>
    where
        T: Number,
    {
        self.reference.value(Call::List(ListCall::Add(index as u64, T::KIND, self.bytes(&by)?)))
    }

    /// If the item at a position is `expected`, it becomes `new`. `Ok(Err(value))`: it is another one, and nothing was
    /// changed. Items are equal if they pack to equal bytes.
    ///
    /// # Errors
    /// [`ManagerError::IndexOutOfRange`].
    pub fn compare_exchange(&self, index: usize, expected: &T, new: T) -> Result<Result<T, T>, ManagerError> {
        let (index, expected, new) = (index as u64, self.bytes(expected)?, self.pack(&new)?);
        let call = ListCall::CompareExchange { index, expected: expected.clone(), new };
        self.reference.exchange(&expected, Call::List(call))
    }

    /// Changes the item at a position: `change` gets it, and gives the new one, which is returned. No other write of
    /// the list comes between.
    ///
    /// The function runs here, in the calling process, and may capture what it likes. It costs two round trips.
    /// Meanwhile readers see the old item, and other writers of this list wait. If the function panics, or this process
    /// dies, nothing is changed.
    ///
    /// # Errors
    /// [`ManagerError::IndexOutOfRange`]; [`ManagerError::WouldDeadlock`] of a write of this list within `change`,
    /// and of one for which a caller is waited for that waits for this change.
    pub fn update(&self, index: usize, change: impl FnOnce(T) -> T) -> Result<T, ManagerError> {
        let begin = ListCall::BeginOne(index as u64);
        let (reply, begun) = self.reference.begin(Call::List(begin), Call::List(ListCall::Abort))?;
        let new = change(self.reference.unpack_one(reply)?);
        let packed = self.pack(&new)?;
        begun.commit(Call::List(ListCall::CommitOne(index as u64, packed)))?;
        Ok(new)
    }

    /// Changes the whole list in one step: a transaction. `change` gets all items, and what it leaves is written. It
    /// runs here, as the function of [`update`](ListProxy::update); all items travel twice.
    pub fn with<R>(&self, change: impl FnOnce(&mut Vec<T>) -> R) -> Result<R, ManagerError> {
        let (reply, begun) =
            self.reference.begin(Call::List(ListCall::Begin), Call::List(ListCall::Abort))?;
        let mut values = self.reference.unpack_all(reply)?;
        let result = change(&mut values);
        let packed = values.iter().map(|value| self.pack(value)).collect::<Result<_, _>>()?;
        begun.commit(Call::List(ListCall::Commit(packed)))?;
        Ok(result)
    }
}

/// From and to.
pub(super) fn bounds(range: impl RangeBounds<usize>) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(from) => *from as u64,
        Bound::Excluded(from) => *from as u64 + 1,
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(to) => (*to as u64).saturating_add(1),
        Bound::Excluded(to) => *to as u64,
        Bound::Unbounded => u64::MAX,
    };
    (from, to)
}

/// Shows the items: it asks the manager.
impl<T: DeserializeOwned + fmt::Debug> fmt::Debug for ListProxy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, "ListProxy", self.to_vec())
    }
}

impl<T> ListProxy<T> {
    /// The same list, for a proxy that shows less of it.
    pub(super) fn of(proxy: &impl Proxy) -> ListProxy<T> {
        ListProxy::from_reference(proxy.reference().clone())
    }
}
