//! A descriptor that is readable after it was signalled.

use super::fd::above_standard;
use crate::error::{OsError, OsResult};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::{read, write};
use std::os::fd::{BorrowedFd, OwnedFd};

/// Makes one that is not signalled.
pub fn eventfd() -> OsResult<OwnedFd> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let made = EventFd::from_value_and_flags(0, flags);
    above_standard(made.map_err(|errno| OsError::new("eventfd", errno as i32))?.into())
}

/// Makes it readable.
pub fn set(fd: BorrowedFd<'_>) {
    // It can fail only where it counts to the end, and is readable then.
    let _ = write(fd, &1_u64.to_ne_bytes());
}

/// Makes it unreadable.
pub fn clear(fd: BorrowedFd<'_>) {
    // Nothing to read is what is wanted.
    let _ = read(fd, &mut [0; 8]);
}

#[cfg(test)]
mod tests {
    use super::super::poll::{Interest, wait_for};
    use super::*;
    use crate::word::Deadline;
    use std::os::fd::AsFd;
    use std::time::Duration;

    #[test]
    fn it_can_be_read_between_set_and_clear() {
        let fd = eventfd().unwrap();
        let readable = || wait_for(fd.as_fd(), Interest::Read, Deadline::after(Duration::ZERO)).unwrap();
        for _ in 0..2 {
            assert!(!readable());
            set(fd.as_fd());
            set(fd.as_fd());
            assert!(readable());
            clear(fd.as_fd());
            clear(fd.as_fd());
        }
    }
}
