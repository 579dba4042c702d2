//! Identities of processes, and the proof that a process or a thread is dead.
//!
//! A process id is reused after its process has ended. So in shared memory each id has a stamp beside it, in
//! the same word, which distinguishes a later process with the same id:
//!
//! | stamp                  | source                                                                             |
//! |------------------------|------------------------------------------------------------------------------------|
//! | of an inode (bit 31)   | the pidfd's: since Linux 6.9 no two processes of one boot have the same            |
//! | of a start time        | `/proc`, on older kernels, and where `pidfd_open` is refused: see `started.rs`      |
//! | unknown (0)            | neither was available: the id alone counts, and a later process with it is equal    |
//!
//! Stamps of two kinds cannot be compared; such a pair counts as the same process.
//!
//! # What proves a death
//! Only an answer of the kernel about this very process or thread: there is none with this id, its pidfd is
//! readable (also of a zombie), or its stamp is another one. A missing file, a refused call and a full table
//! prove nothing: then the result is [`Liveness::Unknown`], and the caller waits. An id is valid within its pid
//! namespace only: objects are used within one (`namespace.rs`, `mem/mapping.rs`), and a process that does not
//! know its own namespace proves nothing.

use super::fork_handler::ForkHandler;
use super::poll::{self, Interest, pidfd_open, pidfd_open_thread};
use super::{memory, namespace, started};
use crate::error::OsResult;
use crate::word::Deadline;
use nix::errno::Errno;
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::Pid;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What is known about a process or a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It has not ended.
    Alive,
    /// It has ended; it may be a zombie.
    Dead,
    /// Nothing can be learned here and now. Nothing may be taken from it.
    Unknown,
}

/// A process, told apart from a later one with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    /// What a later process with this id has another one of.
    pub stamp: Stamp,
}

/// What tells a process from a later one with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp(u32);

/// The kind of a stamp: set for an inode's.
const INODE: u32 = 1 << 31;
/// `PID_FS_MAGIC`: the file system whose inodes are one process's each.
const PIDFS: FsType = FsType(0x5049_4446);
/// No process and no thread has this id or a greater one (`PID_MAX_LIMIT`).
pub(super) const IDS: u32 = 1 << 22;

impl Stamp {
    const UNKNOWN: Stamp = Stamp(0);

    fn of_inode(inode: u64) -> Stamp {
        Stamp(inode as u32 | INODE)
    }

    fn of_start(ticks: u64) -> Stamp {
        Stamp((ticks as u32 & !INODE).max(1))
    }

    /// From a pidfd; unknown before Linux 6.9, where all pidfds have one inode.
    fn of_pidfd(pidfd: &OwnedFd) -> Stamp {
        let is_unique = fstatfs(pidfd).is_ok_and(|system| system.filesystem_type() == PIDFS);
        let inode = memory::file_identity(pidfd.as_fd()).ok().filter(|_| is_unique);
        inode.map_or(Stamp::UNKNOWN, |(_, inode, _)| Stamp::of_inode(inode))
    }

    /// Whether the two are surely of two processes.
    fn differs(self, other: Stamp) -> bool {
        let comparable = self != Stamp::UNKNOWN && other != Stamp::UNKNOWN && (self.0 ^ other.0) & INODE == 0;
        comparable && self != other
    }
}

/// The calling process, packed, once it was asked for.
static ME: AtomicU64 = AtomicU64::new(0);

extern "C" fn after_fork() {
    // ORDERING: Relaxed: one thread only, just after fork.
    ME.store(0, Ordering::Relaxed);
}

impl Identity {
    /// The calling process.
    #[inline]
    pub fn me() -> Identity {
        // ORDERING: Relaxed: a thread that does not see it yet asks for itself, and the first answer stays.
        match ME.load(Ordering::Relaxed) {
            0 => Identity::ask(),
            packed => Identity::unpack(packed),
        }
    }

    #[cold]
    fn ask() -> Identity {
        static AT_FORK: ForkHandler = ForkHandler::new(after_fork);
        AT_FORK.register();
        let pid = std::process::id();
        let inode = pidfd_open(pid).map_or(Stamp::UNKNOWN, |pidfd| Stamp::of_pidfd(&pidfd));
        let stamp = if inode == Stamp::UNKNOWN { start_of(pid) } else { inode };
        let asked = Identity { pid, stamp }.packed();
        // One answer for all threads and for good: the words in shared memory that hold it are compared with it.
        // ORDERING: as in `me`.
        let first = ME.compare_exchange(0, asked, Ordering::Relaxed, Ordering::Relaxed);
        Identity::unpack(first.err().unwrap_or(asked))
    }

    /// Both in one word, never 0.
    #[inline]
    pub fn packed(self) -> u64 {
        u64::from(self.pid) << 32 | u64::from(self.stamp.0)
    }

    /// What [`packed`](Identity::packed) made one word of. From shared memory it may be any word.
    #[inline]
    pub fn unpack(packed: u64) -> Identity {
        Identity { pid: (packed >> 32) as u32, stamp: Stamp(packed as u32) }
    }

    /// Whether that is the calling process.
    pub fn is_me(self) -> bool {
        let me = Identity::me();
        self.pid == me.pid && !self.stamp.differs(me.stamp)
    }

    /// A process with this id that is no more: for tests.
    #[doc(hidden)]
    pub fn an_earlier_one(self) -> Identity {
        let stamp = Stamp(self.stamp.0 & INODE | (self.stamp.0 & !INODE).wrapping_sub(1) & !INODE);
        Identity { stamp, ..self }
    }

    /// Whether that very process lives.
    pub fn liveness(self) -> Liveness {
        if self.is_me() {
            return Liveness::Alive;
        }
        if namespace::own().is_none() {
            return Liveness::Unknown;
        }
        if self.pid == 0 || self.pid >= IDS {
            return Liveness::Dead;
        }
        match pidfd_open(self.pid) {
            Ok(pidfd) if has_ended(&pidfd) || self.stamp.differs(self.stamp_now(&pidfd)) => Liveness::Dead,
            Ok(_) => Liveness::Alive,
            Err(error) if error.errno() == Some(libc::ESRCH) => Liveness::Dead,
            Err(_) => self.without_pidfd(),
        }
    }

    /// The stamp, of this one's kind, of the process that has the id now.
    fn stamp_now(self, pidfd: &OwnedFd) -> Stamp {
        if self.stamp.0 & INODE != 0 { Stamp::of_pidfd(pidfd) } else { start_of(self.pid) }
    }

    fn without_pidfd(self) -> Liveness {
        if !exists(self.pid) {
            return Liveness::Dead;
        }
        // The id may be a thread's by now: where stamps are inodes, such a thread has a pidfd.
        let thread = pidfd_open_thread(self.pid).map_or(Stamp::UNKNOWN, |pidfd| Stamp::of_pidfd(&pidfd));
        match started::read(self.pid) {
            _ if self.stamp.differs(thread) => Liveness::Dead,
            Some(stat) if stat.ended || self.stamp.differs(Stamp::of_start(stat.ticks)) => Liveness::Dead,
            _ => Liveness::Unknown,
        }
    }
}

/// Whether a thread with this id lives, in any process. A later thread with the id is taken for this one.
pub fn thread_liveness(tid: u32) -> Liveness {
    if namespace::own().is_none() {
        return Liveness::Unknown;
    }
    if tid == 0 || tid >= IDS || !exists(tid) {
        return Liveness::Dead;
    }
    // Before Linux 6.9 only a process's first thread has a pidfd; another one is not there any more once it has
    // ended.
    match pidfd_open_thread(tid).or_else(|_| pidfd_open(tid)) {
        Ok(pidfd) if has_ended(&pidfd) => Liveness::Dead,
        Ok(_) => Liveness::Alive,
        Err(error) if error.errno() == Some(libc::ESRCH) => Liveness::Dead,
        Err(_) if started::read(tid).is_some_and(|stat| stat.ended) => Liveness::Dead,
        Err(_) => Liveness::Unknown,
    }
}

/// Whether any process or thread has this id, a zombie included.
fn exists(id: u32) -> bool {
    nix::sys::signal::kill(Pid::from_raw(id as libc::pid_t), None) != Err(Errno::ESRCH)
}

fn has_ended(pidfd: &OwnedFd) -> bool {
    let look: OsResult<bool> = poll::wait_for(pidfd.as_fd(), Interest::Read, Deadline::after(Duration::ZERO));
    look.unwrap_or(false)
}

fn start_of(pid: u32) -> Stamp {
    started::read(pid).map_or(Stamp::UNKNOWN, |stat| Stamp::of_start(stat.ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_an_earlier_one_with_its_id_does_not() {
        let me = Identity::me();
        let earlier = me.an_earlier_one();
        assert!(me.is_me() && !earlier.is_me());
        assert_eq!((me.liveness(), earlier.liveness()), (Liveness::Alive, Liveness::Dead));
    }

    #[test]
    fn of_one_without_a_stamp_the_id_alone_counts() {
        let me = Identity { stamp: Stamp::UNKNOWN, ..Identity::me() };
        assert!(me.is_me());
        assert_eq!(me.liveness(), Liveness::Alive);
    }

    #[test]
    fn stamps_of_two_kinds_are_not_compared() {
        let (inode, start) = (Stamp::of_inode(7), Stamp::of_start(8));
        assert!(!inode.differs(start) && !start.differs(inode) && !inode.differs(Stamp::UNKNOWN));
        assert!(inode.differs(Stamp::of_inode(8)) && start.differs(Stamp::of_start(7)));
    }

    #[test]
    fn what_is_no_id_is_dead() {
        for id in [0, IDS, u32::MAX >> 2, u32::MAX] {
            assert_eq!(thread_liveness(id), Liveness::Dead);
            assert_eq!(Identity { pid: id, stamp: Stamp::UNKNOWN }.liveness(), Liveness::Dead);
        }
    }

    #[test]
    fn a_thread_is_alive_until_it_has_ended() {
        let (say, hear) = std::sync::mpsc::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            say.send(crate::sys::process::gettid()).unwrap();
            let _ = ends.recv();
        });
        let tid = hear.recv().unwrap();
        assert_eq!(thread_liveness(tid), Liveness::Alive);
        drop(end);
        thread.join().unwrap();
        // A join may return a moment before the kernel has removed the thread.
        while thread_liveness(tid) != Liveness::Dead {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_zombie_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let it = Identity { pid: child.id(), stamp: Stamp::UNKNOWN };
        while it.liveness() != Liveness::Dead {
            std::thread::yield_now();
        }
        assert_eq!(thread_liveness(child.id()), Liveness::Dead);
        child.wait().unwrap();
        assert_eq!((it.liveness(), thread_liveness(it.pid)), (Liveness::Dead, Liveness::Dead));
    }
}
