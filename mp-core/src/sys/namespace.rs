//! The pid namespace of this process: ids of processes and threads are valid within one only.
//!
//! ```text
//!   unshare(CLONE_NEWPID), setns ──► this process stays where it is; its next child is in the new one
//!                                         │
//!              fork ──► child: has its parent an id here (getppid)? ── yes ──► the same namespace
//!                                                                     └─ no ──► asks, and refuses objects that would hang
//! ```
//!
//! A namespace is identified by the inode of its file, from a pidfd (Linux 6.11) or from `/proc`. It is read once and
//! kept, so a process may lose its `/proc` afterwards. Where it is not known, no death can be proved.

use super::fork_handler::ForkHandler;
use super::poll::{pidfd_namespace, pidfd_open};
use super::{memory, process};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// `PIDFD_GET_PID_NAMESPACE` and `PIDFD_GET_PID_FOR_CHILDREN_NAMESPACE`.
const OWN: libc::c_ulong = 5;
const OF_CHILDREN: libc::c_ulong = 6;

/// The inode of the own namespace; two values that no inode has.
static CACHED: AtomicU64 = AtomicU64::new(NOT_ASKED);
const NOT_ASKED: u64 = 0;
const UNKNOWN: u64 = u64::MAX;

/// Told in a child that was forked into another namespace.
static LEFT: OnceLock<fn()> = OnceLock::new();

/// The pid namespace of this process, or nothing where it cannot be told.
#[inline]
pub fn own() -> Option<u64> {
    // ORDERING: Relaxed: a thread that does not see it yet asks the system, with the same result.
    let known = match CACHED.load(Ordering::Relaxed) {
        NOT_ASKED => learn(),
        known => known,
    };
    (known != UNKNOWN).then_some(known)
}

#[cold]
fn learn() -> u64 {
    static AT_FORK: ForkHandler = ForkHandler::new(after_fork);
    AT_FORK.register();
    let inode = by_pidfd(OWN).or_else(|| by_proc("/proc/self/ns/pid")).unwrap_or(UNKNOWN);
    // ORDERING: as in `own`.
    CACHED.store(inode, Ordering::Relaxed);
    inode
}

/// Has `left` called in each child that was forked into another namespace by one that has asked for its own. One
/// only; it does what a forked child may do.
pub(crate) fn when_left(left: fn()) {
    let _ = LEFT.set(left);
    own();
}

/// Whether a child that is forked now would be in another namespace. `false` also where that cannot be told.
pub(crate) fn is_left_by_children() -> bool {
    let Some(own) = own() else { return false };
    match by_pidfd(OF_CHILDREN) {
        Some(inode) => inode != own,
        // The file cannot be opened while no process lives there.
        None => {
            by_proc("/proc/self/ns/pid").is_some() && by_proc("/proc/self/ns/pid_for_children") != Some(own)
        }
    }
}

fn by_pidfd(which: libc::c_ulong) -> Option<u64> {
    let pidfd = pidfd_open(std::process::id()).ok()?;
    let namespace = pidfd_namespace(pidfd.as_fd(), which).ok()?;
    memory::file_identity(namespace.as_fd()).ok().map(|(_, inode, _)| inode)
}

fn by_proc(path: &str) -> Option<u64> {
    fs::metadata(path).ok().map(|file| file.ino())
}

extern "C" fn after_fork() {
    // A parent in the same namespace has an id in it, and so has a process that replaces it as the parent.
    if process::parent_id() != 0 {
        return;
    }
    // ORDERING: Relaxed, twice: one thread only, just after fork.
    let before = CACHED.load(Ordering::Relaxed);
    if before != NOT_ASKED && (learn() != before || before == UNKNOWN) {
        LEFT.get().into_iter().for_each(|left| left());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_tell_the_same() {
        let by_proc = by_proc("/proc/self/ns/pid");
        assert!(by_proc.is_some() && own() == by_proc);
        // Before Linux 6.11 there is one way only.
        assert!(by_pidfd(OWN).is_none_or(|inode| Some(inode) == by_proc));
        assert!(!is_left_by_children());
    }
}
