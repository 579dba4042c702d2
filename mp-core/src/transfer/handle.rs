//! Handle: a descriptor that travels inside a value.

use super::message::{from_incoming, to_outgoing};
use crate::error::{MemError, OsError};
use crate::mem::{Kind, Mapping, SharedRef, Structure, small};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};

/// An open descriptor that can be sent to another process inside any value that is sent there.
///
/// Clones share the descriptor; it is closed when the last clone is dropped. A handle that appears twice in one
/// message arrives as clones of one descriptor.
///
/// The memory of a shared object (of a lock, value, array, queue) is not a handle: a process that has its descriptor
/// can write there without the object's lock. It cannot be received as one, and [`into_fd`](Handle::into_fd) refuses
/// it.
#[doc(alias = "DupFd")]
#[derive(Debug, Clone)]
pub struct Handle(Arc<OwnedFd>);

impl Handle {
    /// Takes a descriptor over.
    pub fn new(fd: OwnedFd) -> Handle {
        Handle(Arc::new(fd))
    }

    /// The descriptor itself, if this is the only clone; a duplicate otherwise.
    ///
    /// # Errors
    /// No descriptor for the duplicate is left; `InvalidInput`: it is the memory of a shared object.
    pub fn into_fd(self) -> io::Result<OwnedFd> {
        if Mapping::is_object(self.0.as_fd()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, OBJECT));
        }
        self.into_any_fd()
    }

    /// As `into_fd`, of a shared object's memory too.
    fn into_any_fd(self) -> io::Result<OwnedFd> {
        match Arc::try_unwrap(self.0) {
            Ok(fd) => Ok(fd),
            Err(shared) => shared.try_clone(),
        }
    }

    /// For the crates of the family: does not keep the descriptor open.
    #[doc(hidden)]
    pub fn downgrade(&self) -> WeakHandle {
        WeakHandle(Arc::downgrade(&self.0))
    }

    pub(super) fn is_same(&self, other: &Handle) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A [`Handle`] that does not keep its descriptor open.
#[doc(hidden)]
#[derive(Debug, Clone, Default)]
pub struct WeakHandle(Weak<OwnedFd>);

impl WeakHandle {
    /// The handle, if a clone of it is left.
    pub fn upgrade(&self) -> Option<Handle> {
        self.0.upgrade().map(Handle)
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

const OBJECT: &str = "this is the memory of a shared object (lock, value, array, queue), which is used by its type alone: \
                      receive it as the type that was sent";

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let index = to_outgoing(self).ok_or_else(|| ser::Error::custom(OUTSIDE))?;
        serializer.serialize_u32(index)
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let AnyHandle(handle) = AnyHandle::deserialize(deserializer)?;
        if Mapping::is_object(handle.as_fd()) { Err(de::Error::custom(OBJECT)) } else { Ok(handle) }
    }
}

/// What is sent beside a message: a handle, or a shared object's memory, which code outside of `transfer` cannot reach.
pub(super) struct AnyHandle(pub(super) Handle);

impl<'de> Deserialize<'de> for AnyHandle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let index = u32::deserialize(deserializer)?;
        match from_incoming(index) {
            Some(Some(handle)) => Ok(AnyHandle(handle)),
            Some(None) => Err(de::Error::custom(format!("handle {index} did not come with the message"))),
            None => Err(de::Error::custom(OUTSIDE)),
        }
    }
}

/// A shared object made of one structure travels as the descriptor of its memory, and its offset there: 0 if the memory
/// is its own.
impl<T: Structure> Serialize for SharedRef<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&**self.mapping(), self.offset() as u64).serialize(serializer)
    }
}

impl<'de, T: Structure> Deserialize<'de> for SharedRef<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (AnyHandle(handle), offset) = <(AnyHandle, u64)>::deserialize(deserializer)?;
        let file = handle.into_any_fd().map_err(de::Error::custom)?;
        place_in(file, offset).map_err(de::Error::custom)
    }
}

fn place_in<T: Structure>(file: OwnedFd, offset: u64) -> Result<SharedRef<T>, MemError> {
    let (kind, expected) = (Kind::of::<T>(), std::any::type_name::<T>());
    if offset == 0 {
        return SharedRef::at(Mapping::attach(file, kind, expected)?, 0);
    }
    let page = Mapping::attach(file, small::page_kind(), expected)?;
    let offset = usize::try_from(offset).map_err(|_| MemError::NotOurs("no object begins there"))?;
    small::check(&page, offset, kind, expected)?;
    SharedRef::at(page, offset)
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
    attach_part(deserializer, kind, expected, usize::MAX)
}

/// The same, of which at most the first `mapped` bytes of payload are mapped.
pub fn attach_part<'de, D: Deserializer<'de>>(
    deserializer: D,
    kind: Kind,
    expected: &'static str,
    mapped: usize,
) -> Result<Arc<Mapping>, D::Error> {
    let AnyHandle(handle) = AnyHandle::deserialize(deserializer)?;
    let file = handle.into_any_fd().map_err(|source| de::Error::custom(OsError { call: "fcntl", source }))?;
    Mapping::attach_part(file, kind, expected, mapped).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::super::message::{Message, pack, unpack};
    use super::*;
    use crate::sys::fd::pipe;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn the_memory_of_an_object_is_no_handle() {
        let place = SharedRef::<AtomicU32>::create("test").unwrap();
        let message = pack(&place).unwrap();
        let refused = message.handles[0].clone().into_fd().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        assert!(refused.to_string().contains("the type that was sent"), "{refused}");
        assert!(unpack::<Handle>(&message.bytes, message.handles.clone()).is_err());
        assert!(unpack::<Vec<Handle>>(&[1, 0], message.handles.clone()).is_err());
        // As what it is it arrives, within a message that is passed on as well.
        let outer = pack(&message).unwrap();
        let inner: Message = unpack(&outer.bytes, outer.handles).unwrap();
        let same: SharedRef<AtomicU32> = unpack(&inner.bytes, inner.handles).unwrap();
        // ORDERING: Relaxed: one thread.
        same.store(7, Ordering::Relaxed);
        assert_eq!(place.load(Ordering::Relaxed), 7);
    }

    #[test]
    fn sealed_memory_of_ones_own_is_a_handle() {
        let file = crate::sys::memory::sealed_file("own", 4096).unwrap();
        assert!(Handle::new(file).into_fd().is_ok());
        let (read, _write) = pipe().unwrap();
        assert!(Handle::new(read).into_fd().is_ok());
    }
}
