//! Requests of a client that were read ahead: it has not taken all its replies, and they wait until it has.
//!
//! They are read because one of them may say that a call was given up. Such a client may never read again: it sleeps in
//! a slot, or does not call at all, while others wait for what that call has taken.

use super::clients::Next;
use crate::object::{BESIDE, Charge, Room};
use crate::protocol::Request;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Ahead(VecDeque<(Next, Option<Charge>)>);

impl Ahead {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `charged`: the room that it takes, of a client at an address.
    pub(super) fn push(&mut self, next: Next, bytes: usize, charged: Option<&Room>) {
        let charge = charged.map(|room| room.hold(BESIDE + bytes as u64));
        self.0.push_back((next, charge));
    }

    pub(super) fn pop(&mut self) -> Option<Next> {
        self.0.pop_front().map(|(next, _)| next)
    }

    /// Takes a request away whose client waits no longer for its reply. A slot is given all the same.
    pub(super) fn give_up(&mut self, serial: u64) -> Option<Request> {
        let is_it = |(next, _): &(Next, Option<Charge>)| {
            next.0 == serial && matches!(&next.1, Ok(request) if !matches!(request, Request::Slot { .. }))
        };
        let at = self.0.iter().position(is_it)?;
        self.0.remove(at).and_then(|((_, request), _)| request.ok())
    }
}
