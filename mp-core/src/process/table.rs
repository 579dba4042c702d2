//! The children of this process: one record each, from `start` until it is reaped and its last handle is dropped.
//!
//! ```text
//!   start:  does another thread exit? ─ no ─► one more start under way ─► child ─► entered, one less under way
//!                                       └ yes ► refused
//!   exit:   ending ─► no start is under way ─► ends the children that are entered
//! ```
//! A thread that goes on at the exit may start a child in the place of one that the exit has just ended, as a pool's
//! does. Nothing would end that child, and the template would live as long as it does.

use super::any_child::AnyChild;
use super::child::Record;
use super::ending::End;
use super::logging::TARGET;
use crate::component::{Component, Rank, Steps};
use crate::popen::{StartError, forkserver, orphans};
use crate::sys::process::gettid;
use crate::sys::signal::SIGKILL;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

struct Children {
    all: Vec<Arc<Record>>,
    /// Starts that are under way.
    starting: usize,
    /// The thread by which this process ends. The handlers of exit that it calls may start processes, and no other
    /// thread may.
    ended_by: Option<u32>,
}

static CHILDREN: Mutex<Children> = Mutex::new(Children { all: Vec::new(), starting: 0, ended_by: None });
/// A start has ended, and this process is ending.
static STARTED: Condvar = Condvar::new();
/// The number of children that lived at the last search.
static LIVED: AtomicUsize = AtomicUsize::new(0);

static COMPONENT: Component = Component::new(
    Rank::Children,
    Steps { hold: Some(|| Box::new(children())), forget: Some(forget), exit: Some(end_all) },
);

#[inline]
fn children() -> MutexGuard<'static, Children> {
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

/// A start that is under way. In a child that is forked within it nothing drops this, and `forget` forgets it.
pub(super) struct Starting;

impl Starting {
    /// Refused once this process is ending.
    pub(super) fn begin() -> Result<Starting, StartError> {
        let mut children = children();
        if children.ended_by.is_some_and(|thread| thread != gettid()) {
            return Err(StartError::Ending);
        }
        children.starting += 1;
        Ok(Starting)
    }

    /// Enters the child that was started.
    pub(super) fn add(self, child: Arc<Record>) {
        // As Python does at each start, so that a program that never joins has few zombies.
        // ORDERING: Relaxed, here and below: it only tells when to look.
        if children().all.len() > 2 * LIVED.load(Ordering::Relaxed) + SLACK {
            reap_ended();
        }
        children().all.push(child);
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let mut children = children();
        children.starting = children.starting.saturating_sub(1);
        if children.ended_by.is_some() {
            STARTED.notify_all();
        }
    }
}

/// Removes a child whose end is known.
pub(super) fn remove(ended: &Record) {
    children().all.retain(|child| !std::ptr::eq(&raw const **child, ended));
}

/// Reaps children that have ended and removes them; returns the others.
fn reap_ended() -> Vec<Arc<Record>> {
    forkserver::reap_dead_template();
    orphans::reap();
    // Asked without the table's lock, which a child that has ended takes to leave.
    let mut all = children().all.clone();
    all.retain(|child| child.end_now() == End::Running);
    // ORDERING: as above.
    LIVED.store(all.len(), Ordering::Relaxed);
    all
}

/// How long an exit waits for starts of other threads: one whose template is stopped does not end.
const PATIENCE: Duration = Duration::from_secs(2);

/// At this process's exit: has other threads start no more children, kills daemons and waits for the other children. A
/// daemon that may not be signalled, since this process has given up its rights, is not waited for: the kernel kills it
/// after this process has ended.
///
/// Python: `multiprocessing.util._exit_function`.
fn end_all() {
    let all = {
        let mut children = children();
        children.ended_by = Some(gettid());
        let is_started = |children: &mut Children| children.starting > 0;
        let waited = STARTED.wait_timeout_while(children, PATIENCE, is_started);
        std::mem::take(&mut waited.unwrap_or_else(PoisonError::into_inner).0.all)
    };
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
    let mut children = children();
    children.all.iter().for_each(|child| child.disown());
    *children = Children { all: Vec::new(), starting: 0, ended_by: None };
}
