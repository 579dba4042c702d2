//! A set of descriptors, with an alarm, that can be waited for as a whole: `epoll(7)` and `timerfd`.
//!
//! The set is a descriptor itself, readable while one of its members is ready or the alarm has gone off. So its
//! user can wait for a whole state machine over many sockets by one descriptor.

use super::fd::put_over;
use super::named;
use super::poll::{Interest, timeout};
use crate::error::{OsError, OsResult};
use crate::word::Deadline;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// What is ready in a [`WaitSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// The member with this key.
    Member(u64),
    /// The alarm; until it is set again.
    Alarm,
}

impl Ready {
    fn of(event: &EpollEvent) -> Ready {
        match event.data() {
            ALARM => Ready::Alarm,
            key => Ready::Member(key),
        }
    }
}

/// Where [`WaitSet::wait_for_all`] puts what is ready: memory that is kept from one wait to the next.
#[derive(Debug)]
pub struct Room(Vec<EpollEvent>);

impl Room {
    /// For one thing.
    pub fn new() -> Room {
        Room(vec![EpollEvent::empty()])
    }

    /// At least for so many.
    pub fn make(&mut self, count: usize) {
        if self.0.len() < count {
            self.0.resize(count.next_power_of_two(), EpollEvent::empty());
        }
    }
}

impl Default for Room {
    fn default() -> Room {
        Room::new()
    }
}

/// Whether an error of [`WaitSet::add`] says that the descriptor is a member already.
pub fn is_member(error: &OsError) -> bool {
    error.errno() == Some(libc::EEXIST)
}

/// Whether an error of [`WaitSet::add`] says that such a file cannot be waited for, since it is always ready: one
/// on a disk, for example.
pub fn is_always_ready(error: &OsError) -> bool {
    error.errno() == Some(libc::EPERM)
}

/// The alarm's key, which no member may have.
const ALARM: u64 = u64::MAX;

/// The set.
#[derive(Debug)]
pub struct WaitSet {
    epoll: Epoll,
    timer: TimerFd,
}

impl WaitSet {
    /// An empty one.
    pub fn new() -> OsResult<WaitSet> {
        let set = WaitSet { epoll: new_epoll()?, timer: new_timer()? };
        set.add(set.timer.as_fd(), ALARM, Interest::Read)?;
        Ok(set)
    }

    /// Takes a descriptor in. Closing it takes it out, once no other process has a copy.
    pub fn add(&self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> OsResult<()> {
        named("epoll_ctl", self.epoll.add(fd, event(key, interest)))
    }

    /// Waits for something else on a member.
    pub fn change(&self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> OsResult<()> {
        named("epoll_ctl", self.epoll.modify(fd, &mut event(key, interest)))
    }

    /// Takes a member out.
    pub fn remove(&self, fd: BorrowedFd<'_>) -> OsResult<()> {
        named("epoll_ctl", self.epoll.delete(fd))
    }

    /// Sets the alarm, or none.
    pub fn alarm(&self, at: Option<Deadline>) -> OsResult<()> {
        let Some(at) = at else { return named("timerfd_settime", self.timer.unset()) };
        // Zero would unset it.
        let left = TimeSpec::from_duration(at.remaining().max(Duration::from_nanos(1)));
        let set = self.timer.set(Expiration::OneShot(left), TimerSetTimeFlags::empty());
        named("timerfd_settime", set)
    }

    /// Waits until a member is ready, and returns one that is; `None` at the deadline. A caller that asks again and
    /// again hears of each in turn.
    pub fn wait(&self, until: Option<Deadline>) -> OsResult<Option<Ready>> {
        let mut ready = [EpollEvent::empty()];
        let count = self.wait_into(&mut ready, until)?;
        Ok(ready[..count].first().map(Ready::of))
    }

    /// Waits until something is ready, and gives all that is, as far as there is room; nothing at the deadline.
    pub fn wait_for_all<'a>(
        &self,
        room: &'a mut Room,
        until: Option<Deadline>,
    ) -> OsResult<impl Iterator<Item = Ready> + use<'a>> {
        let count = self.wait_into(&mut room.0, until)?;
        Ok(room.0[..count].iter().map(Ready::of))
    }

    fn wait_into(&self, ready: &mut [EpollEvent], until: Option<Deadline>) -> OsResult<usize> {
        loop {
            let count = match self.epoll.wait(ready, timeout(until.map(Deadline::remaining))) {
                Err(Errno::EINTR) => 0,
                other => named("epoll_wait", other)?,
            };
            if count > 0 || until.is_some_and(Deadline::passed) {
                return Ok(count);
            }
        }
    }

    /// In a forked child, which shares its parent's set: replaces it by its own empty set, under the same number.
    pub fn renew(&self) -> OsResult<()> {
        put_over(&new_epoll()?.0, self.epoll.0.as_fd())?;
        put_over(&OwnedFd::from(new_timer()?), self.timer.as_fd())?;
        self.add(self.timer.as_fd(), ALARM, Interest::Read)
    }
}

impl AsFd for WaitSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

/// An epoll set, above the standard numbers, closed by exec.
pub(super) fn new_epoll() -> OsResult<Epoll> {
    let Epoll(fd) = named("epoll_create1", Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC))?;
    super::fd::above_standard(fd).map(Epoll)
}

/// Above the standard numbers, as `above_standard` has it, which cannot give a timer back.
fn new_timer() -> OsResult<TimerFd> {
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    let timer = named("timerfd_create", TimerFd::new(ClockId::CLOCK_MONOTONIC, flags))?;
    if timer.as_fd().as_raw_fd() > 2 { Ok(timer) } else { new_timer() }
}

fn event(key: u64, interest: Interest) -> EpollEvent {
    let flags = match interest {
        Interest::Read => EpollFlags::EPOLLIN,
        Interest::Write => EpollFlags::EPOLLOUT,
        Interest::Both => EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT,
        Interest::Hangup => EpollFlags::empty(),
    };
    EpollEvent::new(flags, key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::pipe;
    use std::io::Write;

    fn at_once() -> Option<Deadline> {
        Deadline::after(Duration::ZERO)
    }

    #[test]
    fn members_and_the_alarm_make_it_ready() {
        let set = WaitSet::new().unwrap();
        let (read, write) = pipe().unwrap();
        set.add(read.as_fd(), 7, Interest::Read).unwrap();
        assert_eq!(set.wait(at_once()).unwrap(), None);
        std::fs::File::from(write).write_all(b"x").unwrap();
        assert_eq!(set.wait(None).unwrap(), Some(Ready::Member(7)));
        set.remove(read.as_fd()).unwrap();
        assert_eq!(set.wait(at_once()).unwrap(), None);
        set.alarm(at_once()).unwrap();
        assert_eq!(set.wait(None).unwrap(), Some(Ready::Alarm));
        set.alarm(None).unwrap();
        assert_eq!(set.wait(at_once()).unwrap(), None);
    }

    /// A set with five members, 0 to 4, all of them ready; and what keeps them so.
    fn five_ready() -> (WaitSet, Vec<(OwnedFd, OwnedFd)>) {
        let set = WaitSet::new().unwrap();
        let pipes: Vec<_> = (0..5).map(|_| pipe().unwrap()).collect();
        for (key, (read, write)) in pipes.iter().enumerate() {
            set.add(read.as_fd(), key as u64, Interest::Read).unwrap();
            std::fs::File::from(write.try_clone().unwrap()).write_all(b"x").unwrap();
        }
        (set, pipes)
    }

    #[track_caller]
    fn are_the_five(mut seen: Vec<Ready>) {
        seen.sort_by_key(|ready| if let Ready::Member(key) = ready { *key } else { ALARM });
        assert_eq!(seen, (0..5).map(Ready::Member).collect::<Vec<_>>());
    }

    #[test]
    fn each_of_many_has_its_turn() {
        let (set, _pipes) = five_ready();
        are_the_five((0..5).map(|_| set.wait(None).unwrap().unwrap()).collect());
    }

    #[test]
    fn all_come_at_once_as_far_as_there_is_room() {
        let (set, _pipes) = five_ready();
        let mut room = Room::new();
        assert_eq!(set.wait_for_all(&mut room, None).unwrap().count(), 1);
        room.make(5);
        are_the_five(set.wait_for_all(&mut room, None).unwrap().collect());
    }

    #[test]
    fn what_cannot_be_added_says_why() {
        let set = WaitSet::new().unwrap();
        let (read, _write) = pipe().unwrap();
        set.add(read.as_fd(), 1, Interest::Read).unwrap();
        assert!(is_member(&set.add(read.as_fd(), 2, Interest::Read).unwrap_err()));
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(is_always_ready(&set.add(file.as_fd(), 3, Interest::Read).unwrap_err()));
    }

    #[test]
    fn a_renewed_set_is_empty_and_has_the_same_number() {
        let set = WaitSet::new().unwrap();
        let (read, write) = pipe().unwrap();
        set.add(read.as_fd(), 1, Interest::Read).unwrap();
        drop(write);
        let number = set.as_fd().as_raw_fd();
        set.renew().unwrap();
        assert_eq!((set.as_fd().as_raw_fd(), set.wait(at_once()).unwrap()), (number, None));
        set.alarm(at_once()).unwrap();
        assert_eq!(set.wait(None).unwrap(), Some(Ready::Alarm));
    }
}
