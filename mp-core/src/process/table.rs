//! The children of this process: one record each, from `start` until it is reaped and its last handle is dropped.

use super::any_child::AnyChild;
use super::child::Record;
use super::ending::End;
use super::logging::TARGET;
use crate::component::{Component, Rank, Steps};
use crate::popen::{forkserver, orphans};
use crate::sys::signal::SIGKILL;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

static CHILDREN: Mutex<Vec<Arc<Record>>> = Mutex::new(Vec::new());
/// The number of children that lived at the last search.
static LIVED: AtomicUsize = AtomicUsize::new(0);

static COMPONENT: Component = Component::new(
    Rank::Children,
    Steps { hold: Some(|| Box::new(children())), forget: Some(forget), exit: Some(end_all) },
);

#[inline]
fn children() -> MutexGuard<'static, Vec<Arc<Record>>> {
    COMPONENT.register();
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The living children of this process, in the order of their start: handles that can be joined, waited for and
/// ended. Children that have ended are reaped.
///
/// ```no_run
/// for child in mp_core::active_children() {
///     child.terminate()?;
///     let _ = child.join();
/// }
/// # Ok::<(), mp_core::OsError>(())
/// ```
///
/// Python: `multiprocessing.active_children`.
pub fn active_children() -> Vec<AnyChild> {
    reap_ended().into_iter().map(AnyChild::new).collect()
}

/// Children without a `join` may be zombies. A start searches for them when there are this many more children than
/// twice those that lived at the last search. So the cost of a start does not depend on their number, and zombies
/// are few.
const SLACK: usize = 16;

pub(super) fn add(child: Arc<Record>) {
    // As Python does at each start, so that a program that never joins has few zombies.
    // ORDERING: Relaxed, here and below: it only tells when to look.
    if children().len() > 2 * LIVED.load(Ordering::Relaxed) + SLACK {
        reap_ended();
    }
    children().push(child);
}

/// Removes a child whose end is known.
pub(super) fn remove(ended: &Record) {
    children().retain(|child| !std::ptr::eq(&raw const **child, ended));
}

/// Reaps children that have ended and removes them; returns the others.
fn reap_ended() -> Vec<Arc<Record>> {
    forkserver::reap_dead_template();
    orphans::reap();
    // Asked without the table's lock, which a child that has ended takes to leave.
    let mut all = children().clone();
    all.retain(|child| child.end_now() == End::Running);
    // ORDERING: as above.
    LIVED.store(all.len(), Ordering::Relaxed);
    all
}

/// At this process's exit: kills daemons and waits for the other children. A daemon that may not be signalled, since
/// this process has given up its rights, is not waited for: the kernel kills it after this process has ended.
///
/// Python: `multiprocessing.util._exit_function`.
fn end_all() {
    if children().is_empty() {
        return;
    }
    let all = std::mem::take(&mut *children());
    let is_out_of_reach = |child: &Arc<Record>| child.daemon() && child.signal(SIGKILL).is_err();
    let (out_of_reach, ending): (Vec<_>, Vec<_>) = all.into_iter().partition(is_out_of_reach);
    for child in ending {
        let _ = child.wait(None);
    }
    for daemon in &out_of_reach {
        let (name, pid) = (daemon.name(), daemon.pid());
        log::warn!(target: TARGET, "{name} (pid {pid}) is not waited for at exit: this process may not signal it");
    }
    if !out_of_reach.is_empty() {
        forkserver::leave_to_its_children();
    }
}

/// In a forked child: forgets the parent's children. The copies of their sockets are closed, so that they
/// see the parent's end.
fn forget() {
    let mut all = children();
    all.iter().for_each(|child| child.disown());
    all.clear();
}
