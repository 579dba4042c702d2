//! How much a request would store, in bytes: values and keys, and what each counts beside them.

use super::{
    Batch, BatchCall, BatchValue, Call, CellCall, DictCall, Key, ListCall, Packed, QueueCall, SetCall, Start,
};
use crate::object::BESIDE;

fn of_bytes(bytes: &[u8]) -> u64 {
    bytes.len() as u64 + BESIDE
}

fn of_value(value: &Packed) -> u64 {
    of_bytes(&value.message.bytes)
}

fn of_values<'a>(values: impl IntoIterator<Item = &'a Packed>) -> u64 {
    values.into_iter().map(of_value).sum()
}

fn of_keys(keys: &[Key]) -> u64 {
    keys.iter().map(|key| of_bytes(key)).sum()
}

fn of_item(key: &Key, value: Option<&Packed>) -> u64 {
    value.map_or(0, |value| key.len() as u64 + of_value(value))
}

impl Call {
    /// At most so much; also while it waits.
    pub(crate) fn stores(&self) -> u64 {
        match self {
            Call::Dict(call) => call.stores(),
            Call::Set(SetCall::Insert(key)) => of_bytes(key),
            Call::Set(SetCall::InsertMany(keys)) => of_keys(keys),
            Call::List(call) => call.stores(),
            Call::Cell(CellCall::Set(value) | CellCall::Commit(value)) => of_value(value),
            Call::Cell(CellCall::CompareExchange { new, .. }) => of_value(new),
            Call::Queue(QueueCall::Put(value)) => of_value(value),
            _ => 0,
        }
    }
}

impl DictCall {
    fn stores(&self) -> u64 {
        match self {
            DictCall::Insert(key, value) | DictCall::GetOrInsert(key, value) => of_item(key, Some(value)),
            DictCall::InsertMany(items) => items.iter().map(|(key, value)| of_item(key, Some(value))).sum(),
            DictCall::CompareExchange { key, new, .. } => of_item(key, new.as_ref()),
            DictCall::Add(key, _, by) => of_bytes(key) + by.len() as u64,
            DictCall::Begin(keys) => of_keys(keys),
            DictCall::Commit(items) => items.iter().map(|(key, value)| of_item(key, value.as_ref())).sum(),
            DictCall::Batch(batch) => batch.stores(),
            _ => 0,
        }
    }
}

impl ListCall {
    fn stores(&self) -> u64 {
        match self {
            ListCall::Push(value)
            | ListCall::Set(_, value)
            | ListCall::Insert(_, value)
            | ListCall::CommitOne(_, value)
            | ListCall::CompareExchange { new: value, .. } => of_value(value),
            ListCall::Extend(values) | ListCall::Splice(_, _, values) | ListCall::Commit(values) => {
                of_values(values)
            }
            _ => 0,
        }
    }
}

impl Batch {
    fn stores(&self) -> u64 {
        let of_call = |call| match call {
            BatchCall::Insert(key, BatchValue::Plain(bytes)) => key.len() as u64 + of_bytes(bytes),
            BatchCall::Insert(key, BatchValue::Beside(value)) => key.len() as u64 + of_value(value),
            BatchCall::Add(key, _, by) => key.len() as u64 + of_bytes(by),
            BatchCall::Get(_) | BatchCall::Remove(_) => 0,
        };
        // Where it is damaged, that is the error of its run.
        self.calls().map_while(Result::ok).map(of_call).sum()
    }
}

impl Start {
    /// An object with these.
    pub(crate) fn stores(&self) -> u64 {
        BESIDE
            + match self {
                Start::Value(value) => of_value(value),
                Start::Values(values) => of_values(values),
                _ => 0,
            }
    }
}
