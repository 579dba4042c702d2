//! Handle: a descriptor that travels inside a value.

use super::message::{from_incoming, to_outgoing};
use crate::mem::{Kind, Mapping, Place, Structure};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// An open descriptor that can be sent to another process inside any value that is sent there.
///
/// Clones share the descriptor; it is closed when the last clone is dropped. A handle that appears twice in one
/// message arrives as clones of one descriptor.
#[derive(Debug, Clone)]
pub struct Handle(Arc<OwnedFd>);

impl Handle {
    /// Takes a descriptor over.
    pub fn new(fd: OwnedFd) -> Handle {
        Handle(Arc::new(fd))
    }

    /// The descriptor itself, if this is the only clone; a duplicate otherwise.
    pub fn into_fd(self) -> std::io::Result<OwnedFd> {
        match Arc::try_unwrap(self.0) {
            Ok(fd) => Ok(fd),
            Err(shared) => shared.try_clone(),
        }
    }

    pub(super) fn is_same(&self, other: &Handle) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl From<OwnedFd> for Handle {
    fn from(fd: OwnedFd) -> Handle {
        Handle::new(fd)
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

const OUTSIDE: &str = "a handle (lock, queue, connection, shared value) can only be sent to another process: as an \
                       argument or result of a process, through a queue or a connection";

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let index = to_outgoing(self).ok_or_else(|| ser::Error::custom(OUTSIDE))?;
        serializer.serialize_u32(index)
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let index = u32::deserialize(deserializer)?;
        match from_incoming(index) {
            Some(Some(handle)) => Ok(handle),
            Some(None) => Err(de::Error::custom(format!("handle {index} did not come with the message"))),
            None => Err(de::Error::custom(OUTSIDE)),
        }
    }
}

/// A shared object made of one structure travels as the descriptor of its memory.
impl<T: Structure> Serialize for Place<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.mapping().serialize(serializer)
    }
}

impl<'de, T: Structure> Deserialize<'de> for Place<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mapping = attach(deserializer, Kind::of::<T>(), std::any::type_name::<T>())?;
        Place::at(mapping, 0).map_err(de::Error::custom)
    }
}

impl Serialize for Mapping {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Handle(self.shared_file()).serialize(serializer)
    }
}

/// Reads a mapping of the given kind: the counterpart of `Mapping::serialize`, for objects of several parts.
pub fn attach<'de, D: Deserializer<'de>>(
    deserializer: D,
    kind: Kind,
    expected: &'static str,
) -> Result<Arc<Mapping>, D::Error> {
    let handle = Handle::deserialize(deserializer)?;
    let file = handle.into_fd().map_err(de::Error::custom)?;
    Mapping::attach(file, kind, expected).map_err(de::Error::custom)
}
