//! The identity of this process, and of its parent.

use crate::component::{Component, Rank, Steps};
use crate::popen::job::ChildIdentity;
use crate::popen::lifeline;
use crate::process::JoinError;
use crate::sys::poll::{Interest, wait_for};
use crate::word::Deadline;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The identity of this process.
///
/// Python: `multiprocessing.current_process`.
#[derive(Debug, Clone)]
pub struct CurrentProcess(Arc<Myself>);

#[derive(Debug)]
struct Myself {
    name: String,
    daemon: bool,
    ordinals: Vec<u32>,
    parent: Option<Parent>,
}

#[derive(Debug)]
struct Parent {
    name: String,
    pid: u32,
}

/// `None`: no identity was set, so this is the main process.
static CURRENT: Mutex<Option<CurrentProcess>> = Mutex::new(None);

pub(super) static COMPONENT: Component =
    Component::new(Rank::Identity, Steps { hold: Some(|| Box::new(current())), ..Steps::NONE });

fn current() -> MutexGuard<'static, Option<CurrentProcess>> {
    COMPONENT.register();
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of children so far, with named ones: the last part of a default name.
static CREATED: AtomicU32 = AtomicU32::new(0);

/// The identity of this process: its name, its id, whether it is a daemon.
///
/// ```
/// assert_eq!(mp_core::current_process().name(), "MainProcess");
/// assert!(mp_core::parent_process().is_none());
/// ```
///
/// Python: `multiprocessing.current_process`.
pub fn current_process() -> CurrentProcess {
    let mut current = current();
    let main = || {
        CurrentProcess(Arc::new(Myself {
            name: "MainProcess".to_owned(),
            daemon: false,
            ordinals: Vec::new(),
            parent: None,
        }))
    };
    current.get_or_insert_with(main).clone()
}

/// The parent, which started this process; `None` in the main process.
///
/// Python: `multiprocessing.parent_process`.
pub fn parent_process() -> Option<ParentProcess> {
    let current = current_process();
    current.0.parent.as_ref()?;
    Some(ParentProcess { child: current.0, lifeline: lifeline::of_parent()? })
}

/// The program's arguments, in every process of the program. Unlike `std::env::args_os`, also in a child of a
/// program that is linked with musl.
///
/// Python: `sys.argv`.
pub fn args_os() -> Vec<OsString> {
    let known: Vec<OsString> = std::env::args_os().collect();
    if !known.is_empty() {
        return known;
    }
    let text = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let text = text.strip_suffix(b"\0").unwrap_or(&text);
    text.split(|byte| *byte == 0).map(|argument| OsString::from_vec(argument.to_vec())).collect()
}

impl CurrentProcess {
    /// Its name: `MainProcess`, or the name that its parent gave it. Python: `Process.name`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its process id. Python: `Process.pid`.
    pub fn pid(&self) -> u32 {
        std::process::id()
    }

    /// Whether it is killed when its parent ends. Python: `Process.daemon`.
    pub fn daemon(&self) -> bool {
        self.0.daemon
    }

    /// The numbers in the default name of this process's next child.
    pub(super) fn next_ordinals(&self) -> Vec<u32> {
        // ORDERING: Relaxed: only the number matters.
        let number = CREATED.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.ordinals.iter().copied().chain([number]).collect()
    }
}

/// The parent of this process.
///
/// Python: what `multiprocessing.parent_process` returns.
#[derive(Debug, Clone)]
pub struct ParentProcess {
    /// The child's identity, which has the parent's name and id.
    child: Arc<Myself>,
    lifeline: Arc<OwnedFd>,
}

impl ParentProcess {
    fn parent(&self) -> &Parent {
        self.child.parent.as_ref().expect("made only where there is one")
    }

    /// Its name. Python: `Process.name`.
    pub fn name(&self) -> &str {
        &self.parent().name
    }

    /// Its process id. After its end another process may have it. Python: `Process.pid`.
    pub fn pid(&self) -> u32 {
        self.parent().pid
    }

    /// Whether it still runs. Python: `Process.is_alive`.
    pub fn is_alive(&self) -> bool {
        matches!(self.try_join(), Err(JoinError::WouldBlock))
    }

    /// Waits for its end. Python: `Process.join`.
    ///
    /// # Errors
    /// The system's alone ([`JoinError::Os`]): how it ended is known to its own parent.
    pub fn join(&self) -> Result<(), JoinError> {
        self.ended_by(None, JoinError::Lost)
    }

    /// Whether it has ended: [`JoinError::WouldBlock`] while it runs.
    pub fn try_join(&self) -> Result<(), JoinError> {
        self.ended_by(Deadline::after(Duration::ZERO), JoinError::WouldBlock)
    }

    /// Waits for its end at most this long; then [`JoinError::Timeout`]. Python: `Process.join(timeout)`.
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        self.ended_by(Deadline::after(timeout), JoinError::Timeout)
    }

    fn ended_by(&self, until: Option<Deadline>, late: JoinError) -> Result<(), JoinError> {
        if wait_for(self.sentinel(), Interest::Hangup, until)? { Ok(()) } else { Err(late) }
    }

    /// A descriptor that is ready when the parent has ended: for `wait()`, beside queues and connections, and for
    /// every other poller (which sees a hang-up). Nothing can be read from it.
    ///
    /// Python: `Process.sentinel`.
    pub fn sentinel(&self) -> BorrowedFd<'_> {
        self.lifeline.as_fd()
    }
}

impl AsFd for ParentProcess {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sentinel()
    }
}

impl From<ChildIdentity> for CurrentProcess {
    fn from(identity: ChildIdentity) -> CurrentProcess {
        let parent = Some(Parent { name: identity.parent_name, pid: identity.parent_pid });
        CurrentProcess(Arc::new(Myself {
            name: identity.name,
            daemon: identity.daemon,
            ordinals: identity.ordinals,
            parent,
        }))
    }
}

/// In a child: sets its identity.
#[inline]
pub(super) fn become_child(me: CurrentProcess) {
    let before = current().replace(me);
    // The parent's, in a fork: dropping it would copy its page.
    std::mem::forget(before);
}

/// In a forked child: counts its own children from one.
#[inline]
pub(crate) fn after_fork() {
    // ORDERING: Relaxed: one thread only.
    CREATED.store(0, Ordering::Relaxed);
}
