//! What a client has to tell the server, and could not yet: it goes out behind what another thread sends, or with the
//! next call. So where a request was sent in part and its caller has given up, it is not told before the next call.

use crate::protocol::{ObjectId, Request};

/// Numbers in one message, of up to ten bytes each: it is sent whole or not at all.
const MOST: usize = 1000;

#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// References to give up.
    pub(super) objects: Vec<ObjectId>,
    /// Slots' serials whose replies were read.
    pub(super) read: Vec<u64>,
    /// Calls that were given up.
    pub(super) serials: Vec<u64>,
}

impl Unsent {
    /// What is sent first.
    pub(super) fn first(&self) -> Option<Request> {
        let some = |numbers: &[u64]| numbers.iter().copied().take(MOST).collect();
        if !self.objects.is_empty() {
            return Some(Request::Release(some(&self.objects)));
        }
        // A later call through the slot may have been given up.
        if let Some(serial) = self.read.first() {
            return Some(Request::Received(*serial));
        }
        (!self.serials.is_empty()).then(|| Request::GiveUp(some(&self.serials)))
    }

    /// That was sent.
    pub(super) fn drop_first(&mut self) {
        if !self.objects.is_empty() {
            drop_some(&mut self.objects, MOST);
        } else if !self.read.is_empty() {
            drop_some(&mut self.read, 1);
        } else {
            drop_some(&mut self.serials, MOST);
        }
    }

    /// Others may have come meanwhile.
    pub(super) fn put_back(&mut self, mut unsent: Unsent) {
        self.objects.append(&mut unsent.objects);
        self.read.append(&mut unsent.read);
        self.serials.append(&mut unsent.serials);
    }
}

fn drop_some(numbers: &mut Vec<u64>, most: usize) {
    numbers.drain(..most.min(numbers.len()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ONE_WAY;
    use mp_core::transfer::pack;

    /// Part of a message would stay with this process until it calls over the connection.
    #[test]
    fn each_number_is_sent_once_in_a_message_that_is_sent_whole() {
        let numbers = |count: u64| (0..count).map(|number| u64::MAX - number).collect::<Vec<_>>();
        let mut unsent =
            Unsent { objects: numbers(2500), read: numbers(2), serials: numbers(MOST as u64 + 1) };
        let (mut objects, mut read, mut serials) = (Vec::new(), Vec::new(), Vec::new());
        while let Some(request) = unsent.first() {
            assert!(pack(&(ONE_WAY, &request)).unwrap().bytes.len() < 16 << 10);
            match request {
                Request::Release(some) => objects.extend(some),
                Request::Received(serial) => read.push(serial),
                Request::GiveUp(some) => serials.extend(some),
                other => panic!("{other:?}"),
            }
            unsent.drop_first();
        }
        assert_eq!((objects, read, serials), (numbers(2500), numbers(2), numbers(MOST as u64 + 1)));
    }
}
