//! Orphans: processes of the family whose parent has ended, and that this process adopts, as process 1 of a container or
//! as a subreaper. It reaps each by its pidfd, and no other process: the program may have children of its own.
//!
//! ```text
//!  adopter (main process)                             orphan: a service, a template, a child
//!    │ listens at an address of its own                  │
//!    │◄──────────────── connects, and hangs up ──────────┤ when it has become a service; before it exits
//!    │ at its next start, join, look at its children:    ╳
//!    │ takes the caller's pidfd from the kernel, reaps it once it has ended
//! ```
//! An orphan cannot be asked afterwards who it was, and to wait for any child would take ends away from the rest of the
//! program. So the orphan calls while it lives. The pidfd is the kernel's own note of who called, so it is exact also if
//! the number has another process by then.
//!
//! # When a process dies
//! The adopter: its address is free, and an orphan that connects is refused, and exits. The next adopter has it.
//! An orphan that is killed before it calls: it stays a zombie until the adopter ends. Those that are killed in the
//! ordinary course of things are known otherwise: children of this process, and forks of its template, by their pidfds.
//! Before Linux 6.5 the kernel keeps no such note: services and templates of dead children stay zombies.

use crate::process::Family;
use crate::sys::poll::pidfd_pid;
use crate::sys::process::{self, Reaped};
use crate::sys::socket;
use crate::word::Deadline;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

struct Adopter {
    listener: OwnedFd,
    /// Those who live, or whose parent has not been told of their end yet, by their pidfds.
    known: Vec<OwnedFd>,
}

static OURS: Mutex<Option<Adopter>> = Mutex::new(None);
/// Whether there is one: most processes adopt none, and ask at each start and join.
static ADOPTS: AtomicBool = AtomicBool::new(false);

#[inline]
fn ours() -> MutexGuard<'static, Option<Adopter>> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Held over a fork that other threads see.
pub(super) fn hold() -> impl Sized {
    ours()
}

/// So many may call between two looks. The system's own limit is as large, or smaller.
const QUEUE: i32 = 4096;

fn address(family: Family, adopter: u32) -> String {
    format!("mp-adopter-{family}-{adopter}")
}

/// Before this process starts another one: from now on orphans find it, if it adopts any.
pub(crate) fn prepare() {
    // ORDERING: Relaxed, here and below: the lock orders the rest.
    if ADOPTS.load(Ordering::Relaxed) || !process::adopts_orphans() {
        return;
    }
    let mut ours = ours();
    let address = Family::of_this_process().map(|family| address(family, std::process::id()));
    // Without a descriptor to spare the next start tries again.
    if ours.is_none()
        && let Ok(listener) = address.and_then(|address| socket::listen_abstract_for(&address, QUEUE))
    {
        *ours = Some(Adopter { listener, known: Vec::new() });
        ADOPTS.store(true, Ordering::Relaxed);
    }
}

/// Reaps the orphans that have ended. It does not sleep.
#[inline]
pub(crate) fn reap() {
    if ADOPTS.load(Ordering::Relaxed)
        && let Some(adopter) = &mut *ours()
    {
        adopter.reap();
    }
}

/// The process behind this pidfd may come to this process, and is reaped then.
pub(crate) fn expect(pidfd: impl FnOnce() -> Option<OwnedFd>) {
    if ADOPTS.load(Ordering::Relaxed)
        && let Some(adopter) = &mut *ours()
    {
        adopter.known.extend(pidfd());
    }
}

impl Adopter {
    fn reap(&mut self) {
        while let Ok(caller) = socket::accept(self.listener.as_fd()) {
            // Of another user's nothing is taken. One that has been reaped has no pidfd any more.
            if socket::peer_is_ours(caller.as_fd()).unwrap_or(false) {
                self.known.extend(socket::peer_pidfd(caller.as_fd()));
            }
        }
        self.known.retain(|pidfd| match process::reap(pidfd.as_fd()) {
            Ok(Reaped::Ended(_)) => false,
            Ok(Reaped::Running) => true,
            // Its parent has not ended yet; or this process reaped it elsewhere.
            Ok(Reaped::NotOurs) | Err(_) => pidfd_pid(pidfd.as_fd()).is_some(),
        });
    }
}

/// How long a parent that is about to end may take, which has nothing more to do.
const PATIENCE: Duration = Duration::from_secs(1);

/// In a process whose parent is ending or has ended: tells the process that has adopted it, if that is of the family.
/// A process that ends lets go of its descriptors before its children are adopted, so the adoption is waited for. It
/// is not told of a parent that is stopped there.
pub(crate) fn call_after(parent: u32, family: Family) {
    let give_up = Deadline::after(PATIENCE);
    while process::parent_id() == parent && !give_up.is_some_and(Deadline::passed) {
        std::thread::yield_now();
    }
    call(family);
}

/// In a process that may be an orphan: tells its parent, if that is a process of the family which adopts orphans.
pub(crate) fn call(family: Family) {
    let _ = socket::connect_abstract(&address(family, process::parent_id()));
}

/// In a forked child, which adopts nothing of its parent's.
#[inline]
pub(super) fn after_fork() {
    // ORDERING: Relaxed: one thread only, just after the fork.
    if ADOPTS.swap(false, Ordering::Relaxed) {
        *ours() = None;
    }
}
