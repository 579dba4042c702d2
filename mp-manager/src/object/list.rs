//! A list of packed values.

use super::apply;
use crate::protocol::{Failure, ListCall, Reply};
use mp_core::transfer::Message;
use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct List(Mutex<Vec<Message>>);

impl List {
    pub(crate) fn call(&self, call: ListCall) -> Result<Reply, Failure> {
        let mut items = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let len = items.len();
        let within = |index: u64, len: usize| match usize::try_from(index) {
            Ok(at) if at < len => Ok(at),
            _ => Err(Failure::IndexOutOfRange { index, len: len as u64 }),
        };
        Ok(match call {
            ListCall::Push(value) => {
                items.push(value);
                Reply::Done
            }
            ListCall::Extend(values) => {
                items.extend(values);
                Reply::Done
            }
            ListCall::Get(index) => Reply::Value(Some(items[within(index, len)?].clone())),
            ListCall::Set(index, value) => {
                items[within(index, len)?] = value;
                Reply::Done
            }
            ListCall::Insert(index, value) => {
                // At most at the end, as Python's.
                items.insert(usize::try_from(index).unwrap_or(len).min(len), value);
                Reply::Done
            }
            ListCall::Remove(index) => Reply::Value(Some(items.remove(within(index, len)?))),
            ListCall::Pop => Reply::Value(items.pop()),
            ListCall::Len => Reply::Count(len as u64),
            ListCall::All => Reply::Values(items.clone()),
            ListCall::Clear => {
                items.clear();
                Reply::Done
            }
            ListCall::Update(index, code) => {
                let at = within(index, len)?;
                let changed = apply(&code, items[at].clone())?;
                items[at] = changed.clone();
                Reply::Value(Some(changed))
            }
        })
    }
}
