//! AnyChild: a started process without the type of its value.

use super::child::{Child, Record};
use super::join_error::JoinError;
use crate::error::OsResult;
use crate::sys::signal::{SIGINT, SIGKILL, SIGTERM};
use crate::word::Deadline;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

/// A started process without the type of its value: for a list of processes that return different types. Made from
/// a [`Child`], and returned by [`active_children`](crate::active_children).
///
/// It is a handle, like a `Child`: dropping it does not end the process, and clones are the same process.
///
/// ```no_run
/// use mp_core::{AnyChild, Process};
///
/// let children: Vec<AnyChild> = vec![
///     Process::new(|| 7_u64, ()).start()?.into(),
///     Process::new(|| "seven".to_owned(), ()).start()?.into(),
/// ];
/// for child in &children {
///     child.join()?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: a `multiprocessing.Process`, which never has a value.
#[derive(Clone)]
pub struct AnyChild {
    record: Arc<Record>,
}

impl AnyChild {
    pub(super) fn new(record: Arc<Record>) -> AnyChild {
        AnyChild { record }
    }

    /// Its name. Python: `Process.name`.
    pub fn name(&self) -> &str {
        self.record.name()
    }

    /// Its process id. After its end another process may have it. Python: `Process.pid`.
    #[doc(alias = "ident")]
    pub fn pid(&self) -> u32 {
        self.record.pid()
    }

    /// Whether it is killed when this process ends. Python: `Process.daemon`.
    pub fn daemon(&self) -> bool {
        self.record.daemon()
    }

    /// Whether it still runs. Shortly after [`terminate`](AnyChild::terminate) it may still run: join first.
    ///
    /// Python: `Process.is_alive`.
    pub fn is_alive(&self) -> bool {
        self.record.is_alive()
    }

    /// Its exit status: `None` while it runs, its exit code (0 to 255), or minus the number of the signal that
    /// killed it. Also `None` if the status is lost ([`JoinError::Lost`]). Python: `Process.exitcode`.
    pub fn exitcode(&self) -> Option<i32> {
        self.record.exitcode()
    }

    /// A descriptor that is readable when the process has ended: for `wait()` and every other poller. Python:
    /// `Process.sentinel`.
    pub fn sentinel(&self) -> BorrowedFd<'_> {
        self.record.sentinel()
    }

    /// Waits for its end. Its value is not read: a [`Child`] of the same process can still return it.
    ///
    /// Python: `Process.join`.
    ///
    /// # Errors
    /// The errors of [`Child::join`], if its function did not return.
    pub fn join(&self) -> Result<(), JoinError> {
        self.record.join(None, |_| Ok(())).unwrap_or(Err(JoinError::Lost))
    }

    /// Whether it has ended, and how, as [`join`](AnyChild::join).
    ///
    /// # Errors
    /// [`JoinError::WouldBlock`]: it still runs. Else as [`join`](AnyChild::join).
    pub fn try_join(&self) -> Result<(), JoinError> {
        self.join_within(Duration::ZERO, JoinError::WouldBlock)
    }

    /// Waits for its end at most this long. Python: `Process.join(timeout)`.
    ///
    /// # Errors
    /// [`JoinError::Timeout`]: it still runs. Else as [`join`](AnyChild::join).
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), JoinError> {
        self.join_within(timeout, JoinError::Timeout)
    }

    fn join_within(&self, timeout: Duration, late: JoinError) -> Result<(), JoinError> {
        self.record.join(Deadline::after(timeout), |_| Ok(())).unwrap_or(Err(late))
    }

    /// Sends SIGTERM. Has no effect on a process that has ended. Python: `Process.terminate`.
    pub fn terminate(&self) -> OsResult<()> {
        self.record.signal(SIGTERM)
    }

    /// Kills it (SIGKILL). Python: `Process.kill`.
    pub fn kill(&self) -> OsResult<()> {
        self.record.signal(SIGKILL)
    }

    /// Interrupts it like Ctrl-C (SIGINT). Python: `Process.interrupt`.
    pub fn interrupt(&self) -> OsResult<()> {
        self.record.signal(SIGINT)
    }
}

impl<R> From<Child<R>> for AnyChild {
    fn from(child: Child<R>) -> AnyChild {
        AnyChild::new(child.record())
    }
}

impl<R> From<&Child<R>> for AnyChild {
    fn from(child: &Child<R>) -> AnyChild {
        AnyChild::new(child.record())
    }
}

/// Two handles are equal if they are of the same process.
impl PartialEq for AnyChild {
    fn eq(&self, other: &AnyChild) -> bool {
        Arc::ptr_eq(&self.record, &other.record)
    }
}

impl Eq for AnyChild {}

impl AsFd for AnyChild {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sentinel()
    }
}

impl fmt::Debug for AnyChild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyChild")
            .field("name", &self.name())
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}
