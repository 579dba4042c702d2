//! The children of this process: one record each, from `start` until it is reaped and nobody asks any more.

use super::child::{End, Record};
use std::sync::{Arc, Mutex, PoisonError};

static CHILDREN: Mutex<Vec<Arc<Record>>> = Mutex::new(Vec::new());

/// A child that was alive a moment ago.
///
/// Python: what `multiprocessing.active_children` lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveChild {
    /// Its name.
    pub name: String,
    /// Its process id.
    pub pid: u32,
}

/// The children of this process that are alive, in the order they were started. Those that have ended are
/// reaped.
///
/// Python: `multiprocessing.active_children`.
pub fn active_children() -> Vec<ActiveChild> {
    let living = reap_ended();
    living.iter().map(|child| ActiveChild { name: child.name().to_owned(), pid: child.pid() }).collect()
}

pub(super) fn add(child: Arc<Record>) {
    // As Python does, so that a program that never joins has few zombies.
    reap_ended();
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).push(child);
}

/// Reaps those that have ended, takes them out of the table, and gives the others.
fn reap_ended() -> Vec<Arc<Record>> {
    // Asked without the table's lock: a child's end may take a moment to be reported.
    let all = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (living, ended): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|child| child.end_now() == End::Running);
    let mut table = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
    table.retain(|child| !ended.iter().any(|other| Arc::ptr_eq(child, other)));
    living
}

/// At this process's end: daemons are killed, the others are waited for.
///
/// Python: `multiprocessing.util._exit_function`.
pub(crate) fn end_all() {
    let all = std::mem::take(&mut *CHILDREN.lock().unwrap_or_else(PoisonError::into_inner));
    for daemon in all.iter().filter(|child| child.daemon()) {
        let _ = daemon.signal(crate::sys::signal::SIGKILL);
    }
    for child in all {
        let _ = child.wait(None);
    }
}

/// In a forked child: the parent's children are not ours. Our copies of their sockets are closed, so that they
/// see the parent's end.
pub(crate) fn after_fork() {
    let all = std::mem::take(&mut *CHILDREN.lock().unwrap_or_else(PoisonError::into_inner));
    for child in all {
        child.disown();
    }
}
