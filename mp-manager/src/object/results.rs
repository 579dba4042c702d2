//! What tasks of a pool give, or the keys of a dict: elements that come one after the other, and are there to stay or
//! to be taken one by one.
//!
//! ```text
//!   a result   Get, Wait: wait until all have come; each caller gets a copy
//!   iterator   Take: waits for the next one; each goes to one caller, and back if that dies before it has read it
//! ```

use super::attempt::{Attempt, Caller, ClientId, Object};
use crate::protocol::{Arrived, Call, Element, Failure, Packed, Reply, ResultsCall};
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug)]
pub(crate) struct Results {
    /// By their places, from 0 on.
    here: BTreeMap<u64, Element>,
    /// Taken by a caller that died before it had read them.
    returned: VecDeque<Packed>,
    /// The place that is taken next.
    next: u64,
    /// How many have come.
    came: u64,
    total: u64,
    /// A place is a number in the order of their coming.
    is_unordered: bool,
}

impl Results {
    pub(crate) fn new(total: u64, is_unordered: bool) -> Results {
        Results { here: BTreeMap::new(), returned: VecDeque::new(), next: 0, came: 0, total, is_unordered }
    }

    /// With all elements there already.
    pub(crate) fn of(elements: impl IntoIterator<Item = Packed>) -> Results {
        let here: BTreeMap<u64, Element> = (0..).zip(elements.into_iter().map(Ok)).collect();
        let total = here.len() as u64;
        Results { here, came: total, ..Results::new(total, false) }
    }

    fn arrive(&mut self, arrived: Arrived) {
        match arrived {
            Arrived::One(place, element) => {
                let place = if self.is_unordered { self.came } else { place };
                self.came += 1;
                // What was taken or closed is wanted no more.
                if place >= self.next {
                    self.here.insert(place, element);
                }
            }
            Arrived::All(Ok(elements)) => {
                self.total = elements.len() as u64;
                self.came = self.total;
                self.here = (0..).zip(elements).collect();
            }
            Arrived::All(Err(failure)) => {
                (self.total, self.came) = (1, 1);
                self.here = [(0, Err(failure))].into();
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.came == self.total
    }

    fn failure(&self) -> Option<&Failure> {
        self.here.values().find_map(|element| element.as_ref().err())
    }

    fn all(&self) -> Result<Reply, Failure> {
        match self.failure() {
            Some(failure) => Err(failure.clone()),
            None => {
                Ok(Reply::Values(self.here.values().filter_map(|element| element.clone().ok()).collect()))
            }
        }
    }

    /// As many as are there, up to `most`; nothing is the end. A failure comes alone.
    fn take(&mut self, most: u64) -> Attempt {
        let mut taken = Vec::new();
        while (taken.len() as u64) < most.max(1) {
            if let Some(element) = self.returned.pop_front() {
                taken.push(element);
                continue;
            }
            let is_failure = match self.here.get(&self.next) {
                Some(element) => element.is_err(),
                None => break,
            };
            if is_failure && !taken.is_empty() {
                break;
            }
            let element = self.here.remove(&self.next);
            self.next += 1;
            match element {
                Some(Ok(element)) => taken.push(element),
                Some(Err(failure)) => return failure.into(),
                None => {}
            }
        }
        if taken.is_empty() && self.next < self.total { Attempt::Wait } else { Reply::Values(taken).into() }
    }
}

impl Object for Results {
    fn attempt(&mut self, _: Caller, call: &mut Call) -> Attempt {
        let Call::Results(call) = call else { return Failure::WrongKind.into() };
        match call {
            ResultsCall::Take(most) => self.take(*most),
            ResultsCall::Get if self.is_complete() => self.all().into(),
            ResultsCall::Wait if self.is_complete() => Reply::Done.into(),
            ResultsCall::Get | ResultsCall::Wait => Attempt::Wait,
            ResultsCall::IsReady => Reply::Flag(self.is_complete()).into(),
            ResultsCall::IsSuccessful if self.is_complete() => Reply::Flag(self.failure().is_none()).into(),
            ResultsCall::IsSuccessful => Failure::WouldBlock.into(),
            ResultsCall::Close => {
                self.here.clear();
                self.returned.clear();
                self.next = self.total;
                Reply::Done.into()
            }
            ResultsCall::Arrive(arrived) => {
                self.arrive(std::mem::replace(arrived, Arrived::All(Ok(Vec::new()))));
                Reply::Done.into()
            }
        }
    }

    fn wants_back(&self, reply: &Reply) -> bool {
        // A copy of a result is no loss.
        matches!(reply, Reply::Values(values) if !values.is_empty()) && self.next > 0
    }

    fn undo(&mut self, caller: Caller, call: &Call, reply: Reply) {
        match (call, reply) {
            // It was the last one to be taken.
            (Call::Results(ResultsCall::Take(_)), Reply::Failed(failure)) if self.next > 0 => {
                self.next -= 1;
                self.here.insert(self.next, Err(failure));
            }
            (_, reply) => self.undelivered(caller.client, reply),
        }
    }

    fn undelivered(&mut self, _: ClientId, reply: Reply) {
        if let Reply::Values(values) = reply {
            values.into_iter().rev().for_each(|value| self.returned.push_front(value));
        }
    }
}
