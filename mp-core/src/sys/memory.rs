//! Memory that processes share: `memfd_create`, `mmap`, seals, and pages that are reserved.
//!
//! # Safety
//! The one invariant: a [`Pages`] owns its address range, and nothing else maps or unmaps within it.
#![allow(unsafe_code)]

use super::available;
pub use super::available::{SMALL, available_memory};
use super::fd::above_standard;
use super::{named, retried};
use crate::error::{MemError, OsError, OsResult};
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap, munmap};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::fstat;
use nix::sys::statvfs::fstatvfs;
use nix::sys::uio::pread;
use nix::unistd::ftruncate;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;

/// Bytes in a page; every length here is rounded up to it.
pub const PAGE: usize = 4096;

/// Rounds up to whole pages.
pub const fn whole_pages(bytes: usize) -> usize {
    bytes.div_ceil(PAGE) * PAGE
}

/// An anonymous file of `bytes` bytes, sparse, sealed against any change of its size.
pub fn sealed_file(name: &str, bytes: usize) -> OsResult<OwnedFd> {
    let file = growing_file(name)?;
    below_file_limit(bytes as u64)?;
    named("ftruncate", ftruncate(&file, bytes as i64))?;
    named("fcntl(F_ADD_SEALS)", fcntl(&file, FcntlArg::F_ADD_SEALS(size_seals())))?;
    Ok(file)
}

/// An anonymous file of no bytes, which grows where it is written.
pub fn growing_file(name: &str) -> OsResult<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // Kernels before 6.3 do not know this flag and say EINVAL.
    let no_exec = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    let file = memfd_create(name, flags | no_exec).or_else(|_| memfd_create(name, flags));
    above_standard(named("memfd_create", file)?)
}

/// Seals a file for good: no process can change its bytes or its size any more, this one neither.
pub fn freeze(file: BorrowedFd<'_>) -> OsResult<()> {
    let seals = size_seals() | SealFlag::F_SEAL_WRITE;
    named("fcntl(F_ADD_SEALS)", fcntl(file, FcntlArg::F_ADD_SEALS(seals)).map(drop))
}

/// Whether a file is sealed as [`freeze`] seals it.
pub fn is_frozen(file: BorrowedFd<'_>) -> bool {
    let wanted = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(file, FcntlArg::F_GET_SEALS).is_ok_and(|seals| SealFlag::from_bits_truncate(seals).contains(wanted))
}

/// Whether a file is sealed as [`sealed_file`] seals it: no process can shrink it under a mapping.
pub fn is_sealed(file: BorrowedFd<'_>) -> bool {
    fcntl(file, FcntlArg::F_GET_SEALS)
        .is_ok_and(|seals| SealFlag::from_bits_truncate(seals).contains(size_seals()))
}

fn size_seals() -> SealFlag {
    SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL
}

/// How long a file this process may make: RLIMIT_FSIZE. Where that cannot be read (a filter on system calls), there is
/// no limit to go by: it is hardly ever set, and an object that cannot be made is worse than a signal then.
pub fn file_limit() -> u64 {
    getrlimit(Resource::RLIMIT_FSIZE).map_or(u64::MAX, |(soft, _)| soft)
}

/// A file beyond the limit would end the process by SIGXFSZ: refuse first.
pub fn below_file_limit(bytes: u64) -> OsResult<()> {
    if bytes > file_limit() { Err(OsError::new("ftruncate", libc::EFBIG)) } else { Ok(()) }
}

/// Device, inode and size: which file this is.
pub fn file_identity(file: BorrowedFd<'_>) -> OsResult<(u64, u64, u64)> {
    let stat = named("fstat", fstat(file))?;
    Ok((stat.st_dev, stat.st_ino, stat.st_size as u64))
}

/// Bytes of a file that are really there: a sparse file has fewer than its size says.
pub fn taken_bytes(file: BorrowedFd<'_>) -> OsResult<u64> {
    let stat = named("fstat", fstat(file))?;
    // The unit is 512 bytes on every file system.
    Ok(stat.st_blocks as u64 * 512)
}

/// Whether a file's first bytes are these.
pub fn begins_with(file: BorrowedFd<'_>, bytes: &[u8; 8]) -> bool {
    let mut seen = [0; 8];
    pread(file, &mut seen, 0) == Ok(seen.len()) && seen == *bytes
}

/// Takes the pages of a range for good, so that touching them cannot fail. Refuses what would leave too little for
/// other processes before the kernel is asked: a memfd has no "disk full", and the kernel would kill instead. Up to
/// [`SMALL`] bytes the kernel alone decides.
pub fn reserve(file: BorrowedFd<'_>, offset: usize, bytes: usize) -> Result<(), MemError> {
    let refused = |available| MemError::NoMemory { asked: bytes as u64, available };
    available::take(bytes as u64).map_err(refused)?;
    let taken =
        retried("fallocate", || fallocate(file, FallocateFlags::empty(), offset as i64, bytes as i64));
    match taken {
        Ok(()) => Ok(()),
        Err(error) if error.errno() == Some(libc::ENOSPC) => Err(no_room(file, bytes)),
        Err(error) if error.errno() == Some(libc::ENOMEM) => Err(refused(available_memory())),
        Err(error) => Err(error.into()),
    }
}

/// What a file system says that has no room for so many bytes more: it has less than the machine.
pub(super) fn no_room(file: BorrowedFd<'_>, asked: usize) -> MemError {
    let left = fstatvfs(file).map_or(0, |all| all.blocks_available() * all.fragment_size());
    MemError::NoMemory { asked: asked as u64, available: left.min(available_memory()) }
}

/// Gives the pages of a range back to the system; the range reads as zeros afterwards.
pub fn punch(file: BorrowedFd<'_>, offset: usize, bytes: usize) -> OsResult<()> {
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    retried("fallocate(PUNCH_HOLE)", || fallocate(file, flags, offset as i64, bytes as i64))
}

/// A mapping of a file, unmapped when dropped.
#[derive(Debug)]
pub struct Pages {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a range of addresses; each access to it is justified where it is made.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Pages {
    /// Maps `bytes` bytes of a file from `offset` on, a multiple of the page: readable, writable and shared.
    pub fn map_part(file: BorrowedFd<'_>, offset: usize, bytes: usize) -> OsResult<Pages> {
        Pages::map(file, offset, bytes, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_SHARED)
    }

    /// Maps the first `bytes` bytes of a file, to be read alone. Private: a kernel before 6.7 maps what is sealed
    /// against writes in no other way. The pages are the file's, which all processes that map it share, since none is
    /// written.
    pub fn map_to_read(file: BorrowedFd<'_>, bytes: usize) -> OsResult<Pages> {
        Pages::map(file, 0, bytes, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE)
    }

    fn map(
        file: BorrowedFd<'_>,
        offset: usize,
        bytes: usize,
        protection: ProtFlags,
        flags: MapFlags,
    ) -> OsResult<Pages> {
        let refused = || OsError::new("mmap", libc::EINVAL);
        let length = NonZeroUsize::new(bytes).ok_or_else(refused)?;
        let offset = offset.try_into().map_err(|_| refused())?;
        // SAFETY: a fresh range, chosen by the kernel: no other memory is touched.
        let mapped = unsafe { mmap(None, length, protection, flags, file.as_fd(), offset) };
        Ok(Pages { base: named("mmap", mapped)?.cast(), bytes })
    }

    /// Takes over a range that was [leaked](Pages::leak).
    ///
    /// # Safety
    /// It was, with these bounds, and nothing else takes it over.
    pub unsafe fn of(base: NonNull<u8>, bytes: usize) -> Pages {
        Pages { base, bytes }
    }

    /// If the process crashes, the kernel does not write these pages into a core dump. While it writes one, the
    /// waiters for the process's locks wait for that, too.
    pub fn leave_out_of_core_dumps(&self) {
        // SAFETY: advice that changes no content, for a range of this mapping.
        let _ = unsafe { madvise(self.base.cast(), self.bytes, MmapAdvise::MADV_DONTDUMP) };
    }

    /// Where it begins in this process.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Its length.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All of its addresses.
    pub fn addresses(&self) -> std::ops::Range<usize> {
        let start = self.base.as_ptr() as usize;
        start..start + self.bytes
    }

    /// Leaves the range mapped for the rest of the process's life.
    pub fn leak(self) {
        std::mem::forget(self);
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the range belongs to this mapping alone (the invariant above), and nothing refers to it any more:
        // `Mapping` hands out places that keep it alive.
        let _ = unsafe { munmap(self.base.cast(), self.bytes) };
    }
}
