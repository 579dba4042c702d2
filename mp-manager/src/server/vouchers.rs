//! Vouchers: what keeps the objects of proxies in flight.
//!
//! A voucher is a socket pair. The message in flight has one end, and so has the process that receives it, until
//! it has references of its own; the server has the other. The kernel counts the copies, also of messages that are
//! never read.

use crate::object::{ClientId, Counts};
use crate::protocol::ObjectId;
use mp_core::sys::poll::Interest;
use mp_core::sys::waitset::WaitSet;
use mp_core::transfer::Handle;
use std::collections::HashMap;
use std::os::fd::AsFd;

#[derive(Debug, Default)]
pub(super) struct Vouchers {
    vouchers: HashMap<u64, Voucher>,
    /// By the client's own numbers, for its further objects.
    numbers: HashMap<(ClientId, u64), u64>,
}

#[derive(Debug)]
struct Voucher {
    /// Closed when the voucher ends.
    _end: Handle,
    number: Option<(ClientId, u64)>,
    objects: Vec<ObjectId>,
}

impl Vouchers {
    /// A new one, with this key in the set.
    pub(super) fn begin(&mut self, set: &WaitSet, key: u64, number: Option<(ClientId, u64)>, end: Handle) {
        if set.add(end.as_fd(), key, Interest::Hangup).is_ok() {
            self.vouchers.insert(key, Voucher { _end: end, number, objects: Vec::new() });
            self.numbers.extend(number.map(|number| (number, key)));
        }
    }

    /// Keeps an object too. A voucher that has ended keeps none.
    pub(super) fn lend(&mut self, counts: &Counts, number: (ClientId, u64), object: ObjectId) {
        if let Some(key) = self.numbers.get(&number) {
            self.add(counts, *key, object);
        }
    }

    /// The same, by the key in the set.
    pub(super) fn add(&mut self, counts: &Counts, key: u64, object: ObjectId) {
        if let Some(voucher) = self.vouchers.get_mut(&key)
            && counts.hold(object)
        {
            voucher.objects.push(object);
        }
    }

    /// Whether this is the key of a voucher, whose last copy is closed now.
    pub(super) fn end(&mut self, counts: &Counts, key: u64) -> bool {
        let Some(voucher) = self.vouchers.remove(&key) else { return false };
        voucher.objects.iter().for_each(|object| counts.release(*object));
        if let Some(number) = voucher.number {
            self.numbers.remove(&number);
        }
        true
    }

    /// No further object comes from it. Its messages may still be in flight.
    pub(super) fn forget_client(&mut self, client: ClientId) {
        self.numbers.retain(|(other, _), _| *other != client);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.vouchers.is_empty()
    }
}
