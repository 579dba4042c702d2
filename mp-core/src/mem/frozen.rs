//! Frozen: memory that no process can change any more, and that any number of them read without a copy.
//!
//! ```text
//!  Freezing:  memfd ◄── write ── values          finish: header, then the kernel's seals against writes
//!                                                     │
//!  Frozen:    [ header | values …………………… ]  ◄──mmap, read alone── each process that gets the descriptor
//! ```
//!
//! A plain reference promises that its data does not change. In other shared memory no process can promise that for
//! the others; here the kernel does: a file with these seals can be written to by no process, by no means.
//!
//! # When a process dies
//! The memory is the kernel's, and goes with the last descriptor and mapping of it. A process that dies before `finish`
//! leaves nothing.
//!
//! # Safety
//! The one invariant: the pages are those of a file that is sealed against writes and shrinking, and that has at least
//! `HEADER + count * size` bytes.
#![allow(unsafe_code)]

use super::mapping::Kind;
use super::plain::{bytes_of, bytes_of_all, value_of};
use super::shared_ref::Shareable;
use crate::error::{MemError, OsError};
use crate::sys::memory::{self, Pages};
use crate::transfer::Handle;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::slice;

const MAGIC: u64 = u64::from_le_bytes(*b"mp-fz\0\0\x01");
/// As much as values may be aligned to.
const HEADER: usize = 128;
/// Magic, kind, number of values, size of a value.
type Header = [u64; 4];

const TOO_ALIGNED: &str = "this type is aligned to more than 128 bytes, as much as shared memory is: give it `align(128)` \
                           or less";

/// Memory that is being written, by this process alone.
#[derive(Debug)]
pub struct Freezing {
    file: File,
    /// Bytes behind the header.
    written: usize,
}

impl Freezing {
    /// Begins with no value. `name` is what process maps show.
    pub fn begin(name: &str) -> Result<Freezing, MemError> {
        Ok(Freezing { file: memory::growing_file(name)?.into(), written: 0 })
    }

    /// Appends bytes. Their pages are reserved first, so that a want of memory is this call's error.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), MemError> {
        let at = HEADER + self.written;
        self.reserve(at, bytes.len())?;
        self.file.write_all_at(bytes, at as u64).map_err(|source| OsError { call: "pwrite", source })?;
        self.written += bytes.len();
        Ok(())
    }

    fn reserve(&self, at: usize, bytes: usize) -> Result<(), MemError> {
        let end = at.checked_add(bytes).filter(|end| i64::try_from(*end).is_ok());
        let end =
            end.ok_or(MemError::NoMemory { asked: bytes as u64, available: memory::available_memory() })?;
        memory::below_file_limit(end as u64)?;
        if bytes > 0 { memory::reserve(self.file.as_fd(), at, bytes) } else { Ok(()) }
    }

    /// Has the kernel seal what was written: `count` values of a type, of this kind.
    pub fn finish<T: Shareable>(self, kind: Kind, count: usize) -> Result<Frozen, MemError> {
        self.reserve(0, HEADER)?;
        let header: Header = [MAGIC, kind.to_bits(), count as u64, size_of::<T>() as u64];
        let written = self.file.write_all_at(bytes_of(&header), 0);
        written.map_err(|source| OsError { call: "pwrite", source })?;
        memory::freeze(self.file.as_fd())?;
        Frozen::attach::<T>(Handle::new(self.file.into()), kind, std::any::type_name::<T>())
    }
}

/// Values that do not change any more, mapped in this process to be read.
#[derive(Debug)]
pub struct Frozen {
    file: Handle,
    pages: Pages,
    count: usize,
    size: usize,
}

impl Frozen {
    /// The values of a descriptor from another process. Everything that a peer could set wrongly is checked: seals,
    /// magic, kind, length.
    pub fn attach<T: Shareable>(
        file: Handle,
        kind: Kind,
        expected: &'static str,
    ) -> Result<Frozen, MemError> {
        if !memory::is_frozen(file.as_fd()) {
            return Err(MemError::NotOurs("it is not sealed against writes"));
        }
        let (_, _, bytes) = memory::file_identity(file.as_fd())?;
        let bytes = usize::try_from(bytes)
            .map_err(|_| MemError::NotOurs("it is longer than this machine's memory"))?;
        if bytes < HEADER {
            return Err(MemError::NotOurs("it is too short for a header"));
        }
        let pages = Pages::map_to_read(file.as_fd(), memory::whole_pages(bytes))?;
        // SAFETY: the file has a header's bytes, checked above, which are mapped and never change (the invariant).
        let header = unsafe { slice::from_raw_parts(pages.base().as_ptr(), size_of::<Header>()) };
        let [magic, of_kind, count, size]: Header = value_of(header);
        if magic != MAGIC {
            return Err(MemError::NotOurs("its header is of another library or version"));
        }
        if of_kind != kind.to_bits() || size != size_of::<T>() as u64 {
            return Err(MemError::TypeMismatch { expected });
        }
        let whole =
            usize::try_from(count).ok().and_then(|count| Some((count, count.checked_mul(size_of::<T>())?)));
        match whole {
            Some((count, length)) if length <= bytes - HEADER => {
                Ok(Frozen { file, pages, count, size: size_of::<T>() })
            }
            _ => Err(MemError::NotOurs("its header names more bytes than it has")),
        }
    }

    /// The values.
    ///
    /// # Panics
    /// If they are of another size: the caller keeps the type that it was made with.
    pub fn values<T: Shareable>(&self) -> &[T] {
        const { assert!(align_of::<T>() <= HEADER, "{}", TOO_ALIGNED) }
        assert_eq!(self.size, size_of::<T>(), "values have the type that they were made with");
        // SAFETY: within the pages: a file of at least a header's bytes.
        let at = unsafe { self.pages.base().add(HEADER) };
        // SAFETY: so many values are within the file, checked in `attach`, and behind the header they are aligned.
        // Every bit pattern is a value, and no process can change one while `self` is borrowed (the invariant).
        unsafe { slice::from_raw_parts(at.cast::<T>().as_ptr(), self.count) }
    }
}

/// Within a transfer: its descriptor.
impl Serialize for Frozen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.file.serialize(serializer)
    }
}

/// The counterpart of `Frozen::serialize`.
pub fn attach_frozen<'de, T: Shareable, D: Deserializer<'de>>(
    deserializer: D,
    kind: Kind,
    expected: &'static str,
) -> Result<Frozen, D::Error> {
    Frozen::attach::<T>(Handle::deserialize(deserializer)?, kind, expected).map_err(D::Error::custom)
}

/// How many bytes of values are written at once, where they come one by one.
const PIECE: usize = 1 << 20;

/// Writes the values of an iterator, piece by piece: they are never all there twice.
pub fn freeze_each<T: Shareable>(
    name: &str,
    kind: Kind,
    values: impl IntoIterator<Item = T>,
) -> Result<Frozen, MemError> {
    let mut freezing = Freezing::begin(name)?;
    let most = (PIECE / size_of::<T>().max(1)).max(1);
    let (mut piece, mut count) = (Vec::with_capacity(most.min(PIECE)), 0_usize);
    for value in values {
        piece.push(value);
        count += 1;
        if piece.len() == most {
            freezing.write(bytes_of_all(&piece))?;
            piece.clear();
        }
    }
    freezing.write(bytes_of_all(&piece))?;
    freezing.finish::<T>(kind, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;

    fn numbers(count: u64) -> Frozen {
        freeze_each("test", Kind::of::<[u64]>(), 0..count).unwrap()
    }

    fn attach(file: OwnedFd) -> Result<Frozen, MemError> {
        Frozen::attach::<u64>(Handle::new(file), Kind::of::<[u64]>(), "[u64]")
    }

    #[test]
    fn values_are_read_as_they_were_written() {
        for count in [0, 1, 500, PIECE as u64 / 8, PIECE as u64 / 8 + 1, 300_000] {
            let frozen = numbers(count);
            let again = Frozen::attach::<u64>(frozen.file.clone(), Kind::of::<[u64]>(), "[u64]").unwrap();
            for frozen in [&frozen, &again] {
                assert!(frozen.values::<u64>().iter().copied().eq(0..count), "{count}");
            }
        }
        let nothing = freeze_each::<[u64; 0]>("test", Kind::of::<[[u64; 0]]>(), [[]; 7]).unwrap();
        assert_eq!(nothing.values::<[u64; 0]>().len(), 7);
    }

    #[test]
    fn no_process_can_write_there() {
        let frozen = numbers(10);
        let file = File::from(frozen.file.clone().into_fd().unwrap());
        assert!(file.write_at(&[1], HEADER as u64).is_err());
        assert!(file.set_len(0).is_err() && file.set_len(1 << 20).is_err());
        assert!(Pages::map_part(file.as_fd(), 0, 4096).is_err());
        assert!(frozen.values::<u64>().iter().copied().eq(0..10));
    }

    #[test]
    fn what_is_not_sealed_or_not_ours_is_refused() {
        let unsealed = memory::growing_file("test").unwrap();
        File::from(unsealed.try_clone().unwrap()).set_len(4096).unwrap();
        assert!(matches!(attach(unsealed), Err(MemError::NotOurs(_))));
        assert!(matches!(attach(memory::sealed_file("test", 4096).unwrap()), Err(MemError::NotOurs(_))));
        for bytes in [0, HEADER - 1, 4096] {
            let foreign = memory::growing_file("test").unwrap();
            File::from(foreign.try_clone().unwrap()).set_len(bytes as u64).unwrap();
            memory::freeze(foreign.as_fd()).unwrap();
            assert!(matches!(attach(foreign), Err(MemError::NotOurs(_))), "{bytes}");
        }
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        for header in [
            [MAGIC, Kind::of::<[u64]>().to_bits(), 3, 8],
            [MAGIC, Kind::of::<[u64]>().to_bits(), u64::MAX / 4, 8],
        ] {
            let file = File::from(memory::growing_file("test").unwrap());
            file.write_all_at(bytes_of(&header), 0).unwrap();
            file.set_len(HEADER as u64 + 16).unwrap();
            memory::freeze(file.as_fd()).unwrap();
            let refused = attach(file.into()).unwrap_err();
            assert!(refused.to_string().contains("more bytes than it has"), "{refused}");
        }
        let other = Frozen::attach::<i64>(numbers(3).file.clone(), Kind::of::<[i64]>(), "[i64]");
        assert!(matches!(other, Err(MemError::TypeMismatch { expected: "[i64]" })));
    }
}
