//! Named shared memory: `shm_open`, `shm_unlink`.
//!
//! A name here is one that the system takes as it is: a single leading slash, then 1 to 255 bytes, none of them a
//! slash or zero. Who checks it is mp-shm.

use super::fd::above_standard;
use super::{memory, named, retried};
use crate::error::{MemError, OsError, OsResult};
use nix::fcntl::OFlag;
use nix::sys::mman::{shm_open, shm_unlink};
use nix::sys::stat::{Mode, fchmod, fstat, lstat};
use nix::unistd::{Uid, ftruncate};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Makes a block of `bytes` zeros under a name that nobody has (`EEXIST` otherwise), open to its owner alone, every
/// page reserved. On an error the name is gone again.
pub fn create(name: &str, bytes: usize) -> Result<OwnedFd, MemError> {
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let file = retried("shm_open", || shm_open(name, flags, mode))?;
    match fill(file.as_fd(), mode, bytes).and_then(|()| Ok(above_standard(file)?)) {
        Ok(file) => Ok(file),
        Err(error) => {
            // The first error is the one that tells.
            let _ = unlink(name);
            Err(error)
        }
    }
}

fn fill(file: BorrowedFd<'_>, mode: Mode, bytes: usize) -> Result<(), MemError> {
    // The umask may have taken away what the owner needs.
    named("fchmod", fchmod(file, mode))?;
    let length = i64::try_from(bytes).map_err(|_| OsError::new("ftruncate", libc::EFBIG))?;
    memory::below_file_limit(bytes as u64)?;
    retried("ftruncate", || ftruncate(file, length))?;
    memory::reserve(file, 0, bytes)
}

/// Opens the block that has this name, for reading and writing.
pub fn open(name: &str) -> OsResult<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    above_standard(retried("shm_open", || shm_open(name, flags, Mode::empty()))?)
}

/// Device and inode of the block that has this name. Needs no descriptor, so that who has none left can tidy
/// up.
pub fn file_of(name: &str) -> OsResult<(u64, u64)> {
    let stat = named("lstat", lstat(format!("/dev/shm{name}").as_str()))?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Takes the name away. The block lives on for those who have it open.
pub fn unlink(name: &str) -> OsResult<()> {
    retried("shm_unlink", || shm_unlink(name))
}

/// Whether a file belongs to the user that this process acts for.
pub fn is_ours(file: BorrowedFd<'_>) -> OsResult<bool> {
    Ok(named("fstat", fstat(file))?.st_uid == Uid::effective().as_raw())
}
