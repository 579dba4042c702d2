//! One packed value.

use super::attempt::{Attempt, Caller, ClientId, Object};
use super::leases::Leases;
use super::number;
use super::stored::{Counts, Stored};
use crate::protocol::{Call, CellCall, Failure, Packed, Reply};

#[derive(Debug)]
pub(crate) struct Cell {
    counts: Counts,
    value: Stored,
    leases: Leases<()>,
}

impl Object for Cell {
    fn attempt(&mut self, caller: Caller, call: &mut Call) -> Attempt {
        let Call::Cell(call) = call else { return Failure::WrongKind.into() };
        if writes(call)
            && let Err(attempt) = self.leases.check(caller, &[()])
        {
            return attempt;
        }
        Attempt::Done(self.run(caller, std::mem::replace(call, CellCall::Get)))
    }

    fn holds(&self, caller: Caller) -> bool {
        self.leases.has(caller)
    }

    fn is_held_up_by(&self, holder: Caller, call: &Call) -> bool {
        matches!(call, Call::Cell(call) if writes(call)) && self.leases.has(holder)
    }

    fn client_gone(&mut self, client: ClientId) {
        self.leases.client_gone(client);
    }

    fn minds_deaths(&self) -> bool {
        !self.leases.is_empty()
    }
}

/// Whether it must wait for a change that another caller has begun.
fn writes(call: &CellCall) -> bool {
    !matches!(call, CellCall::Get | CellCall::Commit(_) | CellCall::Abort)
}

impl Cell {
    pub(crate) fn new(counts: &Counts, value: Packed) -> Cell {
        Cell { counts: counts.clone(), value: Stored::new(counts, value), leases: Leases::default() }
    }

    fn run(&mut self, caller: Caller, call: CellCall) -> Result<Reply, Failure> {
        let before = || Reply::Value(Some(self.value.packed()));
        Ok(match call {
            CellCall::Get => before(),
            CellCall::Set(value) => {
                let before = before();
                self.value = Stored::new(&self.counts, value);
                before
            }
            CellCall::Add(kind, by) => {
                let before = before();
                self.value.set_bytes(number::sum(kind, self.value.bytes(), &by)?);
                before
            }
            CellCall::CompareExchange { expected, new } => {
                let before = before();
                if self.value.bytes() == expected {
                    self.value = Stored::new(&self.counts, new);
                }
                before
            }
            CellCall::Begin => {
                let before = before();
                self.leases.begin(caller, [()]);
                before
            }
            CellCall::Commit(value) => {
                self.leases.end(caller, &[()])?;
                self.value = Stored::new(&self.counts, value);
                Reply::Done
            }
            CellCall::Abort => {
                self.leases.end(caller, &[()])?;
                Reply::Done
            }
        })
    }
}
