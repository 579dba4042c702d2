//! The lifeline: a pipe that is never written to, whose end tells every child that this process has ended.
//!
//! The kernel closes the write end however a process ends, so no end can be missed: no handler must run, no
//! signal must be sent, and no thread must live. A daemon arms its end, so that the kernel itself kills it
//! (SIGKILL, which cannot be masked or stopped). Other children only read theirs.

use crate::component::{Component, Rank, Steps};
use crate::error::{OsError, OsResult};
use crate::sys::address::this_user;
use crate::sys::fd::{self, pipe};
use crate::sys::poll::{Interest, wait_for};
use crate::sys::signal::SIGKILL;
use crate::transfer::Handle;
use crate::word::Deadline;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

struct Pipe {
    read: OwnedFd,
    /// Whose it is: another user may not open it again, as daemons do.
    user: u32,
    /// Held, never written to. Forked children close it first.
    write: OwnedFd,
    /// Those of the pipes that this process had as other users, whose children look at them.
    earlier: Vec<OwnedFd>,
}

static OURS: Mutex<Option<Pipe>> = Mutex::new(None);

/// A copy of the lifeline's write end would hide the end of the original.
pub(crate) static COMPONENT: Component = Component::new(
    Rank::Lifeline,
    Steps {
        hold: Some(|| Box::new((ours(), parents()))),
        forget: Some(|| drop(after_fork())),
        ..Steps::NONE
    },
);

#[inline]
fn ours() -> MutexGuard<'static, Option<Pipe>> {
    COMPONENT.register();
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes this process's lifeline, if it has none yet, or if it was another user when it made that: before a fork, whose
/// child gets it from [`after_fork`].
pub(crate) fn prepare() -> OsResult<()> {
    let (mut ours, user) = (ours(), this_user());
    if ours.as_ref().is_none_or(|pipe| pipe.user != user) {
        let (read, write) = pipe()?;
        let mut earlier = Vec::new();
        if let Some(pipe) = ours.take() {
            earlier = pipe.earlier;
            earlier.push(pipe.write);
        }
        *ours = Some(Pipe { read, user, write, earlier });
    }
    Ok(())
}

/// A read end of this process's lifeline, for a child.
pub(crate) fn for_child() -> OsResult<Handle> {
    prepare()?;
    let ours = ours();
    let copy = ours.as_ref().expect("just prepared").read.try_clone();
    copy.map(Handle::new).map_err(|source| OsError { call: "fcntl(F_DUPFD_CLOEXEC)", source })
}

/// In a forked child: the read end of its parent's lifeline. The child makes another one for its own children.
#[inline]
pub(crate) fn after_fork() -> Option<OwnedFd> {
    ours().take().map(|pipe| pipe.read)
}

/// The parent's lifeline, in a child.
static PARENTS: Mutex<Option<Arc<OwnedFd>>> = Mutex::new(None);

fn parents() -> MutexGuard<'static, Option<Arc<OwnedFd>>> {
    COMPONENT.register();
    PARENTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// In a child: keeps its end of the parent's lifeline. The kernel kills a daemon from now on as soon as the
/// parent has ended.
#[inline]
pub(crate) fn hold(end: Option<OwnedFd>, daemon: bool) -> OsResult<()> {
    let held = match end {
        Some(end) if daemon => Some(armed(&end)?),
        end => end,
    };
    *parents() = held.map(Arc::new);
    Ok(())
}

fn armed(end: &OwnedFd) -> OsResult<OwnedFd> {
    // Opened again: the signal settings belong to the open file, which other children share.
    let end = fd::reopen_for_reading(end.as_fd())?;
    fd::signal_on_hangup(end.as_fd(), SIGKILL)?;
    // If the parent ended before the arming, no signal comes: without this check the daemon would live on.
    if wait_for(end.as_fd(), Interest::Hangup, Deadline::after(Duration::ZERO))? {
        crate::sys::process::exit_now(1);
    }
    Ok(end)
}

/// This process's end of its parent's lifeline: hung up when the parent has ended. `None` without a parent in
/// this family.
pub(crate) fn of_parent() -> Option<Arc<OwnedFd>> {
    parents().clone()
}

/// Whether this process had a parent in this family, and the parent has ended.
pub(crate) fn is_orphan() -> bool {
    let at_once = Deadline::after(Duration::ZERO);
    parents().as_ref().is_some_and(|end| wait_for(end.as_fd(), Interest::Hangup, at_once).unwrap_or(false))
}
