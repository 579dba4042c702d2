//! What counts against the limit of clients at an address: their objects and names, beside the values in them.

use super::Server;
use super::table::Body;
use crate::object::{BESIDE, Charge, ClientId, Kept, make};
use crate::protocol::{Failure, Kind, ObjectId, Reply, Start, new_number};

impl Server {
    /// Whether what a client stores counts: it has connected by an address.
    pub(super) fn is_charged(&self, client: ClientId) -> bool {
        self.clients.is_remote(client)
    }

    /// So many bytes for this client, if they count.
    fn charge(&self, client: ClientId, bytes: u64) -> Result<Option<Charge>, Failure> {
        if !self.is_charged(client) {
            return Ok(None);
        }
        self.counts.room().check(bytes)?;
        Ok(Some(self.counts.room().hold(bytes)))
    }

    /// A new object of one of the library's own kinds.
    pub(super) fn create(&mut self, client: ClientId, kind: Kind, start: Start) -> Result<ObjectId, Failure> {
        let is_charged = self.is_charged(client);
        if is_charged {
            self.counts.room().check(start.stores())?;
        }
        let object = self.counts.room().charging(is_charged, || make(&self.counts, &kind, start))?;
        self.enter(client, kind, Body::Own(object))
    }

    /// Enters a new object, to which the client has the first reference.
    pub(super) fn enter(&mut self, client: ClientId, kind: Kind, body: Body) -> Result<ObjectId, Failure> {
        self.enter_with(client, kind, body, 0)
    }

    /// The same for an object with so many bytes of its own.
    pub(super) fn enter_with(
        &mut self,
        client: ClientId,
        kind: Kind,
        body: Body,
        bytes: u64,
    ) -> Result<ObjectId, Failure> {
        let charge = self.charge(client, BESIDE + bytes)?;
        let object = new_number()?;
        self.table.insert(object, kind, body, charge);
        self.counts.begin(object);
        self.clients.add_reference(client, object);
        Ok(object)
    }

    pub(super) fn publish(
        &mut self,
        client: ClientId,
        name: String,
        object: Option<ObjectId>,
    ) -> Result<Reply, Failure> {
        let Some(object) = object else {
            return Ok(Reply::Flag(self.names.remove(&name).is_some()));
        };
        let kind = self.table.kind(object).ok_or(Failure::NoSuchObject)?;
        let kept = Kept::new(&self.counts, object).ok_or(Failure::NoSuchObject)?;
        let charge = self.charge(client, BESIDE + name.len() as u64)?;
        Ok(Reply::Flag(self.names.insert(name, (kind, kept, charge)).is_some()))
    }
}
