//! Orphans: processes of the family whose parent has ended, and that this process adopts, as process 1 of a
//! container or as a subreaper. It reaps each by its pidfd, and no other process: the program may have children
//! of its own.
//!
//! ```text
//!  adopter (main process)                             orphan: a service, a template, a child
//!    │ listens at its own address                        │
//!    │◄──────────────── connects, and hangs up ──────────┤ when it has become a service or a
//!    │                                                   │ daemon; before it exits
//!    │ at its next start or join:                        ╳
//!    │ takes the caller's pidfd from the kernel, reaps it once it has ended
//! ```
//! An orphan cannot be identified afterwards, and a wait for any child would take exit statuses away from the
//! rest of the program. So the orphan calls while it lives. The kernel records the caller's pidfd, so it is
//! right even if another process has the number by then.
//!
//! # When a process dies
//! - *The adopter*: its address is free; an orphan that connects is refused, and exits. The next adopter binds
//!   it.
//! - *An orphan that is killed before it calls*: it stays a zombie until the adopter ends. The common cases are
//!   known otherwise: children of this process, and forks of its template, by their pidfds. The kernel kills a
//!   daemon together with its parent, so a daemon calls when it begins.
//!
//! Before Linux 6.5 the kernel records no pidfd: services, templates and daemons of dead children stay zombies.

use crate::component::{Component, Rank, Steps};
use crate::process::Family;
use crate::sys::poll::pidfd_pid;
use crate::sys::process::{self, Reaped};
use crate::sys::socket;
use crate::word::Deadline;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The state of an adopter.
struct Adopter {
    listener: OwnedFd,
    /// The pidfds of orphans that live, or whose parent has not been told of their end yet.
    known: Vec<OwnedFd>,
}

static OURS: Mutex<Option<Adopter>> = Mutex::new(None);
/// Whether this process adopts orphans: most do not, and read this at each start and join.
static ADOPTS: AtomicBool = AtomicBool::new(false);

/// The process that adopts this one if its ancestors end, as its parent said; 0: none.
static ADOPTER: AtomicU32 = AtomicU32::new(0);

static COMPONENT: Component = Component::new(
    Rank::Orphans,
    Steps { hold: Some(|| Box::new(ours())), forget: Some(forget), ..Steps::NONE },
);

#[inline]
fn ours() -> MutexGuard<'static, Option<Adopter>> {
    COMPONENT.register();
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most calls between two accepts. The system's own limit is as large, or smaller.
const QUEUE: i32 = 4096;

fn address(family: Family, adopter: u32) -> String {
    format!("mp-adopter-{family}-{adopter}")
}

/// Before this process starts another one: makes the address for orphans, if it adopts any.
pub(crate) fn prepare() {
    // ORDERING: Relaxed, here and below: the lock orders the rest.
    if ADOPTS.load(Ordering::Relaxed) || !process::adopts_orphans() {
        return;
    }
    let mut ours = ours();
    let address = Family::of_this_process().map(|family| address(family, std::process::id()));
    // If no descriptor is left, the next start tries again.
    if ours.is_none()
        && let Ok(listener) = address.and_then(|address| socket::listen_abstract_for(&address, QUEUE))
    {
        *ours = Some(Adopter { listener, known: Vec::new() });
        ADOPTS.store(true, Ordering::Relaxed);
    }
}

/// Reaps the orphans that have ended. Does not sleep.
#[inline]
pub(crate) fn reap() {
    if ADOPTS.load(Ordering::Relaxed)
        && let Some(adopter) = &mut *ours()
    {
        adopter.reap();
    }
}

/// The process of this pidfd may be adopted by this one, and is reaped then.
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
            // Calls of other users are ignored. A caller that was reaped has no pidfd any more.
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

/// How long a parent without work may take to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// In a process whose parent is ending or has ended: calls its adopter, if that is of the family. A process
/// closes its descriptors before its children are adopted, so the adoption is waited for. Nothing is called if
/// the parent is stopped there.
pub(crate) fn call_after(parent: u32, family: Family) {
    let give_up = Deadline::after(PATIENCE);
    while process::parent_id() == parent && !give_up.is_some_and(Deadline::passed) {
        std::thread::yield_now();
    }
    call(family);
}

/// In a process that may be an orphan: calls its parent, if that is a process of the family which adopts
/// orphans.
pub(crate) fn call(family: Family) {
    let _ = socket::connect_abstract(&address(family, process::parent_id()));
}

/// The process that adopts what this process's children leave.
pub(crate) fn adopter() -> Option<u32> {
    // ORDERING: Relaxed, here and below: set before this process starts a child, by the thread that starts it, or at
    // its own start.
    if ADOPTS.load(Ordering::Relaxed) {
        return Some(std::process::id());
    }
    Some(ADOPTER.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
}

/// In a child: what its parent's [`adopter`] is.
pub(crate) fn inherit_adopter(adopter: Option<u32>) {
    // ORDERING: Relaxed: see `adopter`.
    ADOPTER.store(adopter.unwrap_or(0), Ordering::Relaxed);
}

/// In a daemon, which is killed together with its parent and cannot call then: calls the adopter now, if that is
/// not its parent, which knows it. `parent`: the process that started it, which may have ended.
pub(crate) fn introduce(parent: u32) {
    if let Some(adopter) = adopter().filter(|adopter| *adopter != parent)
        && let Ok(family) = Family::of_this_process()
    {
        let _ = socket::connect_abstract(&address(family, adopter));
    }
}

/// In a forked child, which adopts nothing of its parent's: its parent may be its adopter.
fn forget() {
    // ORDERING: Relaxed: one thread only, just after the fork.
    if ADOPTS.swap(false, Ordering::Relaxed) {
        ADOPTER.store(process::parent_id(), Ordering::Relaxed);
        *ours() = None;
    }
}
