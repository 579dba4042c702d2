//! SharedMemory: a mapped named block.
//!
//! # Safety
//! The one invariant: bytes are copied to and from within the mapping, which lives as long as its block. Other
//! processes may write them at any time, so no reference to them is made. The length is that of the mapping, not
//! the file's current one: a process that can open the block can also shorten it, and access to the missing part is
//! a SIGBUS.
#![allow(unsafe_code)]

use crate::error::SharedMemoryError;
use crate::name::Name;
use crate::owner::{self, Ownership};
use crate::sweep;
use mp_core::mem::{copy_in, copy_out};
use mp_core::sys::memory::{self, Pages};
use mp_core::sys::shm;
use mp_core::transfer::Handle;
use mp_core::{OsError, OutOfRangeError};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::sync::Arc;

/// A named block of memory, shared between processes of this and of other programs.
///
/// ```
/// use mp_shm::SharedMemory;
///
/// let block = SharedMemory::new(16)?; // or create("scan", 16)
/// block.write(4, b"hello")?;
///
/// let same = SharedMemory::open(block.name())?; // in any process
/// let mut text = [0; 5];
/// same.read(4, &mut text)?;
/// assert_eq!(&text, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Clones share the mapping. When it is sent to another process, as an argument or through a queue, it is mapped
/// there, even if the name is gone by then. The process that made the block owns its name: see the [crate](crate).
///
/// The memory is readable and writable by this user's processes only (mode 0600). A process that can open it
/// is trusted: it may write anything at any time, and may shorten the block. Access to the missing part is a
/// SIGBUS.
///
/// Python: `multiprocessing.shared_memory.SharedMemory`; each side opens the blocks of the other.
#[derive(Clone)]
pub struct SharedMemory {
    block: Arc<Block>,
}

struct Block {
    name: Name,
    file: Handle,
    pages: Pages,
    /// Only in the process that made it.
    ownership: Option<Arc<Ownership>>,
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(ownership) = &self.ownership {
            ownership.dropped();
        }
    }
}

impl SharedMemory {
    /// Makes a block of `size` zero bytes with a random name: `psm_` and eight hexadecimal digits.
    ///
    /// Python: `SharedMemory(create=True, size=size)`.
    ///
    /// # Errors
    /// The errors of [`create`](SharedMemory::create).
    pub fn new(size: usize) -> Result<SharedMemory, SharedMemoryError> {
        owner::with_random_name(|name| SharedMemory::make(name, size))
    }

    /// Makes a block of `size` zero bytes under `name`; a leading slash makes no difference. All of its memory is
    /// reserved, so no later access can fail.
    ///
    /// Python: `SharedMemory(name, create=True, size=size)`, which reserves nothing. A negative size does not
    /// compile:
    ///
    /// ```compile_fail,E0600
    /// mp_shm::SharedMemory::create("scan", -1);
    /// ```
    ///
    /// # Errors
    /// The name is taken or not valid; the size is zero; there is not that much memory, or no descriptor for the
    /// register of this process (see the [crate](crate)). Nothing is left then.
    pub fn create(name: &str, size: usize) -> Result<SharedMemory, SharedMemoryError> {
        SharedMemory::make(Name::new(name).map_err(SharedMemoryError::Name)?, size)
    }

    fn make(name: Name, size: usize) -> Result<SharedMemory, SharedMemoryError> {
        if size == 0 {
            return Err(SharedMemoryError::NoSize);
        }
        // From here on the name is unlinked if a step fails.
        let (file, ownership) = owner::make(&name, size)?;
        match Pages::map_part(file.as_fd(), 0, size) {
            Ok(pages) => {
                let block = Block { name, file: Handle::new(file), pages, ownership: Some(ownership) };
                Ok(SharedMemory { block: Arc::new(block) })
            }
            Err(error) => {
                ownership.dropped();
                Err(error.into())
            }
        }
    }

    /// Maps the block that has this name, made by any process of the same user.
    ///
    /// Python: `SharedMemory(name)`. There a process that opened a block may unlink its name when it ends; here
    /// only the owner does.
    ///
    /// # Errors
    /// No block has the name, it belongs to another user, or the name is not valid.
    pub fn open(name: &str) -> Result<SharedMemory, SharedMemoryError> {
        let name = Name::new(name).map_err(SharedMemoryError::Name)?;
        sweep::sweep_now_and_then();
        let file = owner::open(&name)?;
        SharedMemory::attach(name, Handle::new(file))
    }

    fn attach(name: Name, file: Handle) -> Result<SharedMemory, SharedMemoryError> {
        let (_, _, bytes) = memory::file_identity(file.as_fd())?;
        let size = usize::try_from(bytes)
            .map_err(|_| OsError { call: "mmap", source: ErrorKind::FileTooLarge.into() })?;
        if size == 0 {
            return Err(SharedMemoryError::Empty(name.bare().to_owned()));
        }
        let pages = Pages::map_part(file.as_fd(), 0, size)?;
        Ok(SharedMemory { block: Arc::new(Block { name, file, pages, ownership: None }) })
    }

    /// Its name, without the leading slash. Python: `SharedMemory.name`.
    pub fn name(&self) -> &str {
        self.block.name.bare()
    }

    /// Its length in bytes, at least 1. Python: `SharedMemory.size`.
    #[doc(alias = "size")]
    #[allow(clippy::len_without_is_empty, reason = "a block is never empty")]
    pub fn len(&self) -> usize {
        self.block.pages.bytes()
    }

    /// Copies bytes from `offset` on into the whole of `to`. During a write of another process it is a mixture.
    ///
    /// Python: `SharedMemory.buf[offset:offset + len(to)]`.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result<(), OutOfRangeError> {
        let from = self.at(offset, to.len())?;
        // SAFETY: that many bytes are mapped there (`at`), and the slice, which is Rust's own memory, does not
        // overlap them.
        unsafe { copy_out(from, to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    /// Copies all of `from` to `offset`.
    ///
    /// Python: `SharedMemory.buf[offset:offset + len(from)] = from`.
    pub fn write(&self, offset: usize, from: &[u8]) -> Result<(), OutOfRangeError> {
        let to = self.at(offset, from.len())?;
        // SAFETY: as in `read`.
        unsafe { copy_in(from.as_ptr(), to, from.len()) };
        Ok(())
    }

    /// The address of the block in this process, where copies are too slow. It is aligned to a page, [`len`] bytes
    /// long, and mapped while a handle on it lives in this process.
    ///
    /// A caller that makes a reference from it must ensure that no process writes those bytes meanwhile.
    ///
    /// Python: `SharedMemory.buf`.
    ///
    /// [`len`]: SharedMemory::len
    #[doc(alias = "buf")]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        self.block.pages.base().as_ptr()
    }

    fn at(&self, offset: usize, count: usize) -> Result<*mut u8, OutOfRangeError> {
        let len = self.len();
        if offset > len || count > len - offset {
            return Err(OutOfRangeError::new(offset, offset.saturating_add(count), len));
        }
        // SAFETY: within the mapping or at its end, as was just checked.
        Ok(unsafe { self.as_mut_ptr().add(offset) })
    }

    /// Drops this handle and keeps the name, even the owner's: it can be opened until it is unlinked or the owner's
    /// process ends.
    ///
    /// Use afterwards does not compile:
    ///
    /// ```compile_fail,E0382
    /// let block = mp_shm::SharedMemory::new(1).unwrap();
    /// block.close();
    /// block.len();
    /// ```
    ///
    /// Python: `SharedMemory.close`, after which `buf` is `None`.
    pub fn close(self) {
        if let Some(ownership) = &self.block.ownership {
            ownership.close();
        }
    }

    /// Unlinks the name now. The memory stays where it is mapped. Any process may do it, once.
    ///
    /// Python: `SharedMemory.unlink`.
    ///
    /// # Errors
    /// [`SharedMemoryError::NotFound`] if it was unlinked already.
    pub fn unlink(&self) -> Result<(), SharedMemoryError> {
        let unlinked = shm::unlink(self.block.name.with_slash()).map_err(|error| match error.source.kind() {
            ErrorKind::NotFound => SharedMemoryError::NotFound(self.name().to_owned()),
            _ => error.into(),
        });
        if matches!(unlinked, Ok(()) | Err(SharedMemoryError::NotFound(_))) {
            self.persist();
        }
        unlinked
    }

    /// Lets the name outlive its owner, killed or not: only [`unlink`](SharedMemory::unlink) ends it.
    ///
    /// Python: `SharedMemory(track=False)`.
    #[doc(alias = "track")]
    pub fn persist(&self) {
        if let Some(ownership) = &self.block.ownership {
            ownership.give_up();
        }
    }
}

impl fmt::Debug for SharedMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedMemory").field("name", &self.name()).field("len", &self.len()).finish()
    }
}

/// Within a transfer only. The receiver does not own the name.
impl Serialize for SharedMemory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.name(), &self.block.file).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedMemory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (name, file): (String, Handle) = Deserialize::deserialize(deserializer)?;
        let name = Name::new(&name).map_err(de::Error::custom)?;
        SharedMemory::attach(name, file).map_err(de::Error::custom)
    }
}
