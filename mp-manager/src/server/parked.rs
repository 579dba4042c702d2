//! The calls that wait: by their numbers, by their deadlines, and by their clients.

use crate::object::{Caller, Charge, ClientId};
use crate::protocol::{Call, ObjectId};
use mp_core::word::Deadline;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) parked: HashMap<u64, Parked>,
    pub(super) deadlines: BTreeSet<(Deadline, u64)>,
    pub(super) of_client: HashMap<ClientId, HashSet<u64>>,
    last: u64,
}

/// A call that waits.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) caller: Caller,
    pub(super) serial: u64,
    pub(super) object: ObjectId,
    pub(super) deadline: Option<Deadline>,
    /// It may wait for a time only.
    pub(super) is_timed: bool,
    /// Its client has given up, and is sent no reply.
    pub(super) is_left: bool,
    /// Of a client at an address: what it would store.
    pub(super) held: Option<Charge>,
    pub(super) call: Call,
}

impl Parked {
    /// One that waits for ever, and nothing is held of.
    pub(super) fn new(caller: Caller, serial: u64, object: ObjectId, call: Call) -> Parked {
        Parked { caller, serial, object, deadline: None, is_timed: false, is_left: false, held: None, call }
    }
}

impl Calls {
    pub(super) fn next_deadline(&self) -> Option<Deadline> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn park(&mut self, parked: Parked) -> u64 {
        self.last += 1;
        let number = self.last;
        self.deadlines.extend(parked.deadline.map(|deadline| (deadline, number)));
        self.of_client.entry(parked.caller.client).or_default().insert(number);
        self.parked.insert(number, parked);
        number
    }

    /// The client of a call waits no longer: its time is over. `false`: no such call waits.
    pub(super) fn leave(&mut self, client: ClientId, serial: u64) -> bool {
        let numbers = self.of_client.get(&client).into_iter().flatten().copied();
        let with_serial = |number: &u64| self.parked.get(number).is_some_and(|call| call.serial == serial);
        let Some(number) = numbers.into_iter().find(with_serial) else { return false };
        let Some(parked) = self.parked.get_mut(&number) else { return false };
        parked.is_left = true;
        if let Some(deadline) = parked.deadline.take() {
            self.deadlines.remove(&(deadline, number));
        }
        parked.deadline = Deadline::after(Duration::ZERO);
        self.deadlines.extend(parked.deadline.map(|deadline| (deadline, number)));
        true
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Parked> {
        let parked = self.parked.remove(&number)?;
        if let Some(deadline) = parked.deadline {
            self.deadlines.remove(&(deadline, number));
        }
        if let Some(numbers) = self.of_client.get_mut(&parked.caller.client) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.of_client.remove(&parked.caller.client);
            }
        }
        Some(parked)
    }
}
