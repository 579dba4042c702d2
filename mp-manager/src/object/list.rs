//! A list of packed values; and an array, of which the length does not change.

use super::attempt::{Attempt, Caller, ClientId, Object};
use super::leases::Leases;
use super::number;
use super::stored::{Counts, Stored};
use crate::protocol::{Call, Failure, ListCall, Packed, Reply};
use std::ops::Range;

#[derive(Debug)]
pub(crate) struct List {
    counts: Counts,
    items: Vec<Stored>,
    /// Of the whole list: positions change.
    leases: Leases<()>,
}

impl Object for List {
    fn attempt(&mut self, caller: Caller, call: &mut Call) -> Attempt {
        let Call::List(call) = call else { return Failure::WrongKind.into() };
        if writes(call)
            && let Err(attempt) = self.leases.check(caller, &[()])
        {
            return attempt;
        }
        Attempt::Done(self.run(caller, std::mem::replace(call, ListCall::Len)))
    }

    fn holds(&self, caller: Caller) -> bool {
        self.leases.has(caller)
    }

    fn is_held_up_by(&self, holder: Caller, call: &Call) -> bool {
        matches!(call, Call::List(call) if writes(call)) && self.leases.has(holder)
    }

    fn client_gone(&mut self, client: ClientId) {
        self.leases.client_gone(client);
    }

    fn minds_deaths(&self) -> bool {
        !self.leases.is_empty()
    }
}

/// Whether it must wait for a change that another caller has begun.
fn writes(call: &ListCall) -> bool {
    !matches!(
        call,
        ListCall::Get(_)
            | ListCall::Range(..)
            | ListCall::Find(_)
            | ListCall::Count(_)
            | ListCall::Len
            | ListCall::All
            | ListCall::Commit(_)
            | ListCall::CommitOne(..)
            | ListCall::Abort
    )
}

fn stored(counts: &Counts, values: Vec<Packed>) -> impl Iterator<Item = Stored> {
    values.into_iter().map(|value| Stored::new(counts, value))
}

impl List {
    pub(crate) fn new(counts: &Counts, values: Vec<Packed>) -> List {
        List { counts: counts.clone(), items: stored(counts, values).collect(), leases: Leases::default() }
    }

    fn run(&mut self, caller: Caller, call: ListCall) -> Result<Reply, Failure> {
        Ok(match call {
            ListCall::Push(value) => {
                self.items.push(Stored::new(&self.counts, value));
                Reply::Done
            }
            ListCall::Extend(values) => {
                self.items.extend(stored(&self.counts, values));
                Reply::Done
            }
            ListCall::Get(index) => Reply::Value(Some(self.items[self.at(index)?].packed())),
            ListCall::Range(from, to) => {
                Reply::Values(self.items[self.range(from, to)].iter().map(Stored::packed).collect())
            }
            ListCall::Set(index, value) => {
                let at = self.at(index)?;
                Reply::Value(Some(self.replace(at, value)))
            }
            ListCall::Insert(index, value) => {
                // At most at the end, as Python's.
                let at = usize::try_from(index).unwrap_or(usize::MAX).min(self.items.len());
                self.items.insert(at, Stored::new(&self.counts, value));
                Reply::Done
            }
            ListCall::Remove(index) => {
                let at = self.at(index)?;
                Reply::Value(Some(self.items.remove(at).packed()))
            }
            ListCall::Splice(from, to, values) => {
                let (range, new) = (self.range(from, to), stored(&self.counts, values));
                Reply::Values(self.items.splice(range, new).map(|value| value.packed()).collect())
            }
            ListCall::Pop => Reply::Value(self.items.pop().map(|value| value.packed())),
            ListCall::Find(value) => Reply::Number(self.find(&value).map(|at| at as u64)),
            ListCall::Count(value) => {
                Reply::Count(self.items.iter().filter(|item| item.bytes() == value).count() as u64)
            }
            ListCall::RemoveValue(value) => {
                let found = self.find(&value);
                found.into_iter().for_each(|at| drop(self.items.remove(at)));
                Reply::Flag(found.is_some())
            }
            ListCall::Reverse => {
                self.items.reverse();
                Reply::Done
            }
            ListCall::Len => Reply::Count(self.items.len() as u64),
            ListCall::All => Reply::Values(self.items.iter().map(Stored::packed).collect()),
            ListCall::Clear => {
                self.items.clear();
                Reply::Done
            }
            ListCall::Add(index, kind, by) => {
                let item = self.at(index)?;
                let before = self.items[item].packed();
                let sum = number::sum(kind, &before.message.bytes, &by)?;
                self.items[item].set_bytes(sum);
                Reply::Value(Some(before))
            }
            ListCall::CompareExchange { index, expected, new } => {
                let at = self.at(index)?;
                let before = self.items[at].packed();
                if before.message.bytes == expected {
                    self.replace(at, new);
                }
                Reply::Value(Some(before))
            }
            ListCall::Begin => {
                self.leases.begin(caller, [()]);
                Reply::Values(self.items.iter().map(Stored::packed).collect())
            }
            ListCall::BeginOne(index) => {
                let value = self.items[self.at(index)?].packed();
                self.leases.begin(caller, [()]);
                Reply::Value(Some(value))
            }
            ListCall::Commit(values) => {
                self.leases.end(caller, &[()])?;
                self.items = stored(&self.counts, values).collect();
                Reply::Done
            }
            ListCall::CommitOne(index, value) => {
                self.leases.end(caller, &[()])?;
                let at = self.at(index)?;
                self.replace(at, value);
                Reply::Done
            }
            ListCall::Abort => {
                self.leases.end(caller, &[()])?;
                Reply::Done
            }
        })
    }

    fn replace(&mut self, at: usize, value: Packed) -> Packed {
        std::mem::replace(&mut self.items[at], Stored::new(&self.counts, value)).packed()
    }

    fn at(&self, index: u64) -> Result<usize, Failure> {
        let len = self.items.len();
        match usize::try_from(index) {
            Ok(at) if at < len => Ok(at),
            _ => Err(Failure::IndexOutOfRange { index, len: len as u64 }),
        }
    }

    /// As Python's slices: what is beyond the end is left out.
    fn range(&self, from: u64, to: u64) -> Range<usize> {
        let within = |index: u64| usize::try_from(index).unwrap_or(usize::MAX).min(self.items.len());
        let from = within(from);
        from..within(to).max(from)
    }

    fn find(&self, value: &[u8]) -> Option<usize> {
        self.items.iter().position(|item| item.bytes() == value)
    }
}
