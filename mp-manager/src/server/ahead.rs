//! Requests of a client that were read ahead: it has not taken all its replies, and they wait until it has.
//!
//! They are read because one of them may say that a call was given up. Such a client may never read again: it sleeps in
//! a slot, or does not call at all, while others wait for what that call has taken.

use super::clients::Next;
use crate::object::{BESIDE, Charge, Room};
use crate::protocol::Request;
use std::collections::VecDeque;

/// So many bytes of any client are read ahead, however little room clients at addresses have left: others may have
/// used that up, and the set does not tell when there is some again.
const LEAST: usize = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct Ahead {
    requests: VecDeque<Waiting>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    next: Next,
    bytes: usize,
    /// Held while it waits.
    _charge: Option<Charge>,
}

impl Ahead {
    pub(super) fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Whether there may be more of a client at an address, whose room is used up.
    pub(super) fn is_short(&self) -> bool {
        self.bytes < LEAST
    }

    /// `charged`: the room that it takes, of a client at an address.
    pub(super) fn push(&mut self, next: Next, bytes: usize, charged: Option<&Room>) {
        let bytes = BESIDE as usize + bytes;
        self.bytes += bytes;
        let _charge = charged.map(|room| room.hold(bytes as u64));
        self.requests.push_back(Waiting { next, bytes, _charge });
    }

    pub(super) fn pop(&mut self) -> Option<Next> {
        self.take(0)
    }

    /// Takes a request away whose client waits no longer for its reply. A slot is given all the same.
    pub(super) fn give_up(&mut self, serial: u64) -> Option<Request> {
        let is_it = |Waiting { next, .. }: &Waiting| {
            next.0 == serial && matches!(&next.1, Ok(request) if !matches!(request, Request::Slot { .. }))
        };
        let at = self.requests.iter().position(is_it)?;
        self.take(at).and_then(|(_, request)| request.ok())
    }

    fn take(&mut self, at: usize) -> Option<Next> {
        let Waiting { next, bytes, .. } = self.requests.remove(at)?;
        self.bytes -= bytes;
        Some(next)
    }
}
