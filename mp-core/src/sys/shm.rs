//! Named shared memory: `shm_open`, `shm_unlink`.
//!
//! A name here is one that the system takes as it is: a single leading slash, then 1 to 255 bytes, none of them a
//! slash or zero. mp-shm checks names.

use super::fd::above_standard;
use super::{memory, named, retried};
use crate::error::{MemError, OsError, OsResult};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::sys::mman::{shm_open, shm_unlink};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::sys::uio::pwrite;
use nix::unistd::{Uid, ftruncate, linkat};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Where the C libraries keep the names.
const FOLDER: &str = "/dev/shm";
/// Where an open file has a path, whatever else it has.
const OPEN_FILES: &str = "/proc/self/fd";

/// Makes a block of `bytes` zeros under a name that is free (`EEXIST` otherwise), open to its owner alone, every
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

/// Makes a file of `bytes` zeros that has no name yet, as [`create`] makes one that has: its maker can say which
/// file it is before any process can find it. `None` where the system has no such files, or no way to name them.
pub fn create_unnamed(bytes: usize) -> Result<Option<OwnedFd>, MemError> {
    if !fs::exists(OPEN_FILES).unwrap_or(false) {
        return Ok(None);
    }
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let file = match retried("open(O_TMPFILE)", || nix::fcntl::open(FOLDER, flags, mode)) {
        Ok(file) => file,
        Err(error) if matches!(error.errno(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    fill(file.as_fd(), mode, bytes)?;
    Ok(Some(above_standard(file)?))
}

/// Gives a file of [`create_unnamed`] its name; `EEXIST` if it is another one's.
pub fn give_name(file: BorrowedFd<'_>, name: &str) -> OsResult<()> {
    let path = format!("{OPEN_FILES}/{}", file.as_raw_fd());
    let target = format!("{FOLDER}{name}");
    let follow = AtFlags::AT_SYMLINK_FOLLOW;
    retried("linkat", || linkat(AT_FDCWD, path.as_str(), AT_FDCWD, target.as_str(), follow))
}

/// Writes all of `bytes` at `offset`. A file would not be made longer than the process may make one.
pub fn write_at(file: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> Result<(), MemError> {
    memory::below_file_limit(offset + bytes.len() as u64)?;
    match retried("pwrite", || pwrite(file, bytes, offset as i64)) {
        Ok(written) if written == bytes.len() => Ok(()),
        Err(error) if error.errno() != Some(libc::ENOSPC) => Err(error.into()),
        _ => Err(memory::no_room(file, bytes.len())),
    }
}

/// All names that there are, without their slashes.
pub fn names() -> OsResult<impl Iterator<Item = String>> {
    let entries = fs::read_dir(FOLDER).map_err(|source| OsError { call: "read /dev/shm", source })?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()))
}

fn fill(file: BorrowedFd<'_>, mode: Mode, bytes: usize) -> Result<(), MemError> {
    // The umask may have removed permissions that the owner needs.
    named("fchmod", fchmod(file, mode))?;
    if bytes == 0 {
        // What is written later takes its pages then.
        return Ok(());
    }
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

/// Unlinks the name. The block lives on while it is open.
pub fn unlink(name: &str) -> OsResult<()> {
    retried("shm_unlink", || shm_unlink(name))
}

/// Device and inode of the file that has this name: which one it is, whether or not it may be opened. Needs no
/// descriptor, so that a process without free descriptors can clean up.
pub fn file_of(name: &str) -> OsResult<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let file = fs::symlink_metadata(format!("{FOLDER}{name}"));
    let file = file.map_err(|source| OsError { call: "lstat", source })?;
    Ok((file.dev(), file.ino()))
}

/// Whether a file belongs to the user that this process acts for.
pub fn is_ours(file: BorrowedFd<'_>) -> OsResult<bool> {
    Ok(named("fstat", fstat(file))?.st_uid == Uid::effective().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(of: &str) -> String {
        format!("/mp-core-test-{}-{of}", std::process::id())
    }

    fn is_there(name: &str) -> bool {
        names().unwrap().any(|other| name.strip_prefix('/') == Some(&other))
    }

    #[test]
    fn a_file_has_no_name_before_it_is_given_one() {
        let name = name("given");
        let Some(file) = create_unnamed(100).unwrap() else { return };
        assert!(!is_there(&name));
        let (device, inode, bytes) = memory::file_identity(file.as_fd()).unwrap();
        give_name(file.as_fd(), &name).unwrap();
        assert!(is_there(&name));
        assert_eq!((file_of(&name).unwrap(), bytes), ((device, inode), 100));
        let found = open(&name).unwrap();
        assert!(is_ours(found.as_fd()).unwrap());
        unlink(&name).unwrap();
        assert_eq!(file_of(&name).unwrap_err().errno(), Some(libc::ENOENT));
    }

    #[test]
    fn a_taken_name_is_an_error_and_stays_with_its_owner() {
        let name = name("taken");
        let first = create(&name, 1).unwrap();
        let Some(second) = create_unnamed(1).unwrap() else { return unlink(&name).unwrap() };
        assert_eq!(give_name(second.as_fd(), &name).unwrap_err().errno(), Some(libc::EEXIST));
        let (device, inode, _) = memory::file_identity(first.as_fd()).unwrap();
        assert_eq!(file_of(&name).unwrap(), (device, inode));
        unlink(&name).unwrap();
    }

    #[test]
    fn what_is_written_lies_where_it_was_to() {
        use std::os::unix::fs::FileExt;
        let Some(file) = create_unnamed(0).unwrap() else { return };
        write_at(file.as_fd(), b"there", 512).unwrap();
        let mut bytes = [9; 6];
        fs::File::from(file).read_exact_at(&mut bytes, 511).unwrap();
        assert_eq!(&bytes, b"\0there");
    }
}
