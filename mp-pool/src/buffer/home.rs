//! Where the elements of a buffer lie, and how it crosses.
//!
//! | they lie in           | sent within its pool | sent by any other way | arrives as            |
//! |-----------------------|----------------------|-----------------------|-----------------------|
//! | the pool's memory     | its place            | a copy                | the same, or a vector |
//! | memory of its own     | its descriptor       | its descriptor        | the same              |
//! | a vector: a short one | a copy               | a copy                | a vector              |
//!
//! To a pool whose workers are on other hosts a copy is sent in any case. The caller looks a place up among those that
//! the result may name. A worker takes one from its task's arguments alone: the caller holds what these name while the
//! task runs. Any other place is an error, and is never read.

use super::lease::{Lease, Lies, is_packing, lies, packs, packs_for_elsewhere};
use super::slice::Span;
use super::task::{self, TaskMemory, leaves_this_host};
use crate::lent::LONG;
use mp_core::MemError;
use mp_core::mem::{Kind, Mapping, MovingLoan, Shareable, bytes_of_all, value_of};
use mp_core::transfer::{attach, from_block, is_block};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// What a buffer's own memory is known by.
struct Contents;

pub(super) enum Home<T> {
    Vector(Vec<T>),
    Shared { span: Span<T>, owner: Owner, loan: Option<MovingLoan> },
}

/// What keeps shared elements where they are.
pub(super) enum Owner {
    /// The caller's: a block of the arena, or of a slot's results.
    Lease(Arc<Lease>, Place),
    /// A worker's: of its task.
    Task(Arc<TaskMemory>, Place),
    Own(Arc<Mapping>, usize),
}

/// Of the pool's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    at: usize,
    bytes: usize,
}

/// The bytes of so many elements.
pub(super) fn bytes_of_len<T>(len: usize) -> Result<usize, MemError> {
    const { assert!(size_of::<T>() > 0, "elements without a size: send their number instead") }
    let bytes = len.checked_mul(size_of::<T>()).filter(|bytes| isize::try_from(*bytes).is_ok());
    bytes.ok_or_else(|| MemError::NoMemory {
        asked: u64::MAX,
        available: mp_core::sys::memory::available_memory(),
    })
}

impl<T: Shareable> Home<T> {
    pub(super) fn vector(len: usize) -> Home<T> {
        Home::Vector(vec![value_of(&vec![0; size_of::<T>()]); len])
    }

    /// Whether elements of so many bytes are not worth a place in shared memory.
    pub(super) fn is_short(bytes: usize) -> bool {
        bytes < LONG
    }

    /// In memory of its own.
    pub(super) fn own(bytes: usize) -> Result<Home<T>, MemError> {
        let mapping = Mapping::create("mp-buffer", Kind::of::<Contents>(), bytes)?;
        Home::over(mapping, bytes, Some(MovingLoan::default()))
    }

    fn over(mapping: Arc<Mapping>, bytes: usize, loan: Option<MovingLoan>) -> Result<Home<T>, MemError> {
        let span = Span::at(&mapping, 0, bytes)?;
        Ok(Home::Shared { span, owner: Owner::Own(mapping, bytes), loan })
    }

    /// In a block that has room for so many bytes, wherever an element may begin.
    pub(super) fn leased(lease: Arc<Lease>, bytes: usize) -> Result<Home<T>, MemError> {
        let at = lease.at.next_multiple_of(Mapping::ALIGNMENT);
        Home::in_lease(lease, Place { at, bytes })
    }

    fn in_lease(lease: Arc<Lease>, place: Place) -> Result<Home<T>, MemError> {
        let span = Span::at(lease.bytes.mapping(), lease.base + place.at, place.bytes)?;
        Ok(Home::Shared { span, owner: Owner::Lease(lease, place), loan: Some(MovingLoan::default()) })
    }

    fn in_task(task: Arc<TaskMemory>, place: Place) -> Result<Home<T>, MemError> {
        let within = task.bytes.len().checked_sub(place.bytes).is_some_and(|last| place.at <= last);
        if !within {
            return Err(MemError::NotOurs("it is too short"));
        }
        let span = Span::at(task.bytes.mapping(), task.base + place.at, place.bytes)?;
        Ok(Home::Shared { span, owner: Owner::Task(task, place), loan: Some(MovingLoan::default()) })
    }

    /// For a task that runs in this thread: in the room for its results, if there is enough.
    pub(super) fn here(len: usize) -> Result<Home<T>, MemError> {
        let bytes = bytes_of_len::<T>(len)?;
        if Home::<T>::is_short(bytes) || leaves_this_host() {
            return Ok(Home::vector(len));
        }
        match task::current().and_then(|task| Some((task.take(bytes)?, task))) {
            Some((at, task)) => Home::in_task(task, Place { at, bytes }),
            None => {
                task::want(bytes + Mapping::ALIGNMENT);
                Home::own(bytes)
            }
        }
    }

    /// It is not written to any more.
    pub(super) fn frozen(mut self) -> Home<T> {
        if let Home::Shared { owner: Owner::Own(..), loan, .. } = &mut self {
            // No process can change it, here or in a fork.
            *loan = None;
        }
        self
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[T] {
        match self {
            Home::Vector(elements) => elements,
            Home::Shared { span, .. } => span.as_slice(),
        }
    }

    #[inline]
    pub(super) fn as_mut_slice(&mut self) -> &mut [T] {
        match self {
            Home::Vector(elements) => elements,
            Home::Shared { span, .. } => span.as_mut_slice(),
        }
    }

    fn from_bytes(bytes: Vec<u8>) -> Result<Home<T>, &'static str> {
        let size = size_of::<T>();
        if size == 0 || !bytes.len().is_multiple_of(size) {
            return Err(LENGTH);
        }
        if is_block::<Vec<T>>() {
            return Ok(Home::Vector(from_block(bytes).unwrap_or_default()));
        }
        Ok(Home::Vector(bytes.chunks_exact(size).map(value_of).collect()))
    }
}

const LENGTH: &str = "the bytes are no whole number of elements: send and receive a buffer of the same type";
const ELSEWHERE: &str = "a buffer's place does not belong to what this process received: receive a buffer as what it \
                         was sent as, an argument or a result of the pool";

/// How it crosses: two numbers, and what lies between them.
const COPY: u8 = 0;
const PLACE: u8 = 1;
const OWN: u8 = 2;

impl<T: Shareable> Serialize for Home<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut parts = serializer.serialize_tuple(3)?;
        let place = match self {
            Home::Shared { owner: Owner::Lease(lease, place), .. } if packs(lease) => Some(place),
            Home::Shared { owner: Owner::Task(task, place), .. } if task::names(task) => Some(place),
            _ => None,
        };
        match (self, place) {
            (_, Some(place)) => {
                parts.serialize_element(&PLACE)?;
                parts.serialize_element(&(place.at as u64))?;
                parts.serialize_element(&(place.bytes as u64))?;
            }
            (Home::Shared { owner: Owner::Own(mapping, bytes), .. }, None) if !packs_for_elsewhere() => {
                parts.serialize_element(&OWN)?;
                parts.serialize_element(&**mapping)?;
                parts.serialize_element(&(*bytes as u64))?;
            }
            _ => {
                parts.serialize_element(&COPY)?;
                parts.serialize_element(&Copied(bytes_of_all(self.as_slice())))?;
                parts.serialize_element(&0_u64)?;
            }
        }
        parts.end()
    }
}

struct Copied<'a>(&'a [u8]);

impl Serialize for Copied<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

struct Attached(Arc<Mapping>);

impl<'de> Deserialize<'de> for Attached {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        attach(deserializer, Kind::of::<Contents>(), "the memory of a buffer").map(Attached)
    }
}

impl<'de, T: Shareable> Deserialize<'de> for Home<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(3, Parts(PhantomData))
    }
}

struct Parts<T>(PhantomData<T>);

impl<'de, T: Shareable> Visitor<'de> for Parts<T> {
    type Value = Home<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a buffer")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Home<T>, A::Error> {
        fn next<'de, A: SeqAccess<'de>, P: Deserialize<'de>>(parts: &mut A) -> Result<P, A::Error> {
            parts.next_element()?.ok_or_else(|| A::Error::custom("a buffer ends early"))
        }
        match next::<A, u8>(&mut parts)? {
            COPY => {
                let bytes: Vec<u8> = next(&mut parts)?;
                next::<A, u64>(&mut parts)?;
                Home::from_bytes(bytes).map_err(A::Error::custom)
            }
            PLACE => {
                let (at, bytes) =
                    (next::<A, u64>(&mut parts)? as usize, next::<A, u64>(&mut parts)? as usize);
                at_place(Place { at, bytes }).map_err(A::Error::custom)
            }
            OWN => {
                let (Attached(mapping), bytes) = (next(&mut parts)?, next::<A, u64>(&mut parts)?);
                mapping.is_whole().map_err(A::Error::custom)?;
                Home::over(mapping, bytes as usize, None).map_err(A::Error::custom)
            }
            _ => Err(A::Error::custom("no buffer begins so")),
        }
    }
}

/// What lies there: of a result that the caller decodes, or of an argument that a worker does.
fn at_place<T: Shareable>(place: Place) -> Result<Home<T>, String> {
    // The first value of a type is read back before it is sent, and that copy is forgotten: it would be kept for ever.
    if is_packing() {
        return Err(ELSEWHERE.to_owned());
    }
    let home = match (lies(place.at, place.bytes), task::of_arguments()) {
        (Some(Lies::In(lease)), _) => Home::in_lease(lease, place),
        (Some(Lies::Copied(bytes)), _) => return Home::from_bytes(bytes).map_err(str::to_owned),
        (None, Some(task)) => Home::in_task(task, place),
        (None, None) => return Err(ELSEWHERE.to_owned()),
    };
    home.map_err(|error| error.to_string())
}
