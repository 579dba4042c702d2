//! Whether several descriptors have nothing to read, asked again and again: `epoll(7)`.
//!
//! The kernel lists those that something was written to, so while there is none the answer is one short system call,
//! however many they are. The set can be another process's: it has none of the descriptors open, and one that its maker
//! closes leaves it.

use super::named;
use super::waitset::new_epoll;
use crate::error::OsResult;
use nix::poll::PollTimeout;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use std::os::fd::{BorrowedFd, OwnedFd};

/// A set of descriptors.
#[derive(Debug)]
pub struct Silence(Epoll);

impl Silence {
    /// Of these.
    pub fn of<'a>(fds: impl IntoIterator<Item = BorrowedFd<'a>>) -> OsResult<Silence> {
        let epoll = new_epoll()?;
        for fd in fds {
            named("epoll_ctl", epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, 0)))?;
        }
        Ok(Silence(epoll))
    }

    /// The set, from a descriptor that [`into_fd`](Silence::into_fd) has given.
    pub fn from_fd(fd: OwnedFd) -> Silence {
        Silence(Epoll(fd))
    }

    /// Its descriptor, for another process.
    pub fn into_fd(self) -> OwnedFd {
        self.0.0
    }

    /// Whether there is nothing to read on any of them. `false`, too, where that cannot be told.
    pub fn is_silent(&self) -> bool {
        self.0.wait(&mut [EpollEvent::empty()], PollTimeout::ZERO) == Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::pipe;
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    #[test]
    fn what_was_written_to_any_of_them_is_seen_until_it_is_read() {
        let [(one, to_one), (other, to_other)] = [pipe().unwrap(), pipe().unwrap()];
        let silence = Silence::from_fd(Silence::of([one.as_fd(), other.as_fd()]).unwrap().into_fd());
        let mut pipes = [(File::from(one), File::from(to_one)), (File::from(other), File::from(to_other))];
        for (read, write) in &mut pipes {
            for _ in 0..2 {
                assert!(silence.is_silent() && silence.is_silent());
                write.write_all(b"some").unwrap();
                assert!(!silence.is_silent() && !silence.is_silent());
                assert_eq!(read.read(&mut [0; 3]).unwrap(), 3);
                assert!(!silence.is_silent());
                assert_eq!(read.read(&mut [0; 3]).unwrap(), 1);
            }
        }
        drop(pipes);
        assert!(silence.is_silent(), "none is left");
    }
}
