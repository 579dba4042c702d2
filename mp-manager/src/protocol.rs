//! Requests and replies. Keys and values are packed by the proxy and stay packed in the server, which knows no type
//! of the user's.

use mp_core::transfer::{Code, Handle, Message};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Which object: random, so that it cannot be guessed from another.
pub(crate) type ObjectId = u64;

/// What a client asks.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// A new object. It lives until every copy of the other end of `held` is closed: each proxy has one.
    Create {
        kind: Kind,
        held: Handle,
    },
    Dict(ObjectId, DictCall),
    List(ObjectId, ListCall),
    Lock(ObjectId, LockCall),
    /// How many objects there are.
    Count,
    Shutdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    Dict,
    List,
    Lock,
}

/// A key as bytes: equal keys have equal bytes.
pub(crate) type Key = Vec<u8>;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum DictCall {
    Get(Key),
    Insert(Key, Message),
    InsertMany(Vec<(Key, Message)>),
    GetOrInsert(Key, Message),
    Remove(Key),
    Contains(Key),
    Len,
    Items,
    Clear,
    /// Calls `code` with the packed `Option<value>`; it gives the packed new one.
    Update(Key, Code),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ListCall {
    Push(Message),
    Extend(Vec<Message>),
    Get(u64),
    Set(u64, Message),
    Insert(u64, Message),
    Remove(u64),
    Pop,
    Len,
    All,
    Clear,
    Update(u64, Code),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum LockCall {
    /// `None`: for ever; zero: not at all.
    Acquire(Option<Duration>),
    Release,
    Locked,
}

/// What the server answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Created(ObjectId),
    Count(u64),
    Flag(bool),
    Value(Option<Message>),
    Items(Vec<(Key, Message)>),
    Values(Vec<Message>),
    Failed(Failure),
}

/// Why the server did not do it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Failure {
    NoSuchObject,
    IndexOutOfRange { index: u64, len: u64 },
    OwnerDied,
    Busy,
    Panicked { message: String, location: String },
    Codec(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp_core::transfer::{pack, unpack};

    #[test]
    fn requests_come_back_as_they_were() {
        let value = Message { bytes: vec![1, 2, 3], handles: vec![] };
        let request = Request::Dict(7, DictCall::Insert(vec![9], value));
        let message = pack(&request).unwrap();
        match unpack::<Request>(&message.bytes, message.handles).unwrap() {
            Request::Dict(7, DictCall::Insert(key, value)) => {
                assert_eq!((key, value.bytes), (vec![9], vec![1, 2, 3]))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn garbage_is_no_request() {
        assert!(unpack::<Request>(&[200, 1, 2], vec![]).is_err());
    }
}
