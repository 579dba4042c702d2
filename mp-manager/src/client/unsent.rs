//! What a client has to tell the server, and could not yet: it goes out with the next call.

use crate::protocol::{ObjectId, Request};

#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// References to give up.
    pub(super) objects: Vec<ObjectId>,
    /// Calls that were given up.
    pub(super) serials: Vec<u64>,
}

impl Unsent {
    /// What is sent first.
    pub(super) fn first(&self) -> Option<Request> {
        if !self.objects.is_empty() {
            return Some(Request::Release(self.objects.clone()));
        }
        (!self.serials.is_empty()).then(|| Request::GiveUp(self.serials.clone()))
    }

    /// That was sent.
    pub(super) fn drop_first(&mut self) {
        if self.objects.is_empty() {
            self.serials.clear();
        } else {
            self.objects.clear();
        }
    }

    /// Others may have come meanwhile.
    pub(super) fn put_back(&mut self, mut unsent: Unsent) {
        self.objects.append(&mut unsent.objects);
        self.serials.append(&mut unsent.serials);
    }
}
