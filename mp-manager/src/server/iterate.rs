//! Iterators over dicts and sets, whose keys have no proxies in them. (Lists are read in parts, by position.)

use super::Server;
use super::table::Body;
use crate::object::{Attempt, BESIDE, Caller, ClientId, Results};
use crate::protocol::{Call, DictCall, Failure, Kind, ObjectId, Packed, Reply, SetCall};

impl Server {
    /// An iterator over the keys of a dict, or the items of a set, as they are now.
    pub(super) fn iterate(&mut self, client: ClientId, object: ObjectId) -> Result<ObjectId, Failure> {
        let entry = self.table.get(object).ok_or(Failure::NoSuchObject)?;
        let mut call = match entry.kind {
            Kind::Dict => Call::Dict(DictCall::Keys),
            Kind::Set => Call::Set(SetCall::All),
            _ => return Err(Failure::WrongKind),
        };
        let Body::Own(body) = &mut entry.body else { return Err(Failure::WrongKind) };
        let keys = match body.attempt(Caller { client, thread: 0 }, &mut call) {
            Attempt::Done(Ok(Reply::Keys(keys))) => keys,
            Attempt::Done(Err(failure)) => return Err(failure),
            _ => return Err(Failure::WrongKind),
        };
        let bytes = keys.iter().map(|key| key.len() as u64 + BESIDE).sum();
        let elements = Results::of(keys.into_iter().map(Packed::from));
        self.enter_with(client, Kind::Iterator, Body::Own(Box::new(elements)), bytes)
    }
}
