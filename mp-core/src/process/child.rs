//! Child: a started process, as its parent holds it.
//!
//! ```text
//!   RUNNING ──the process ends──► its outcome is read, its status reaped, once ──► ENDED (kept)
//! ```
//!
//! The exit status is read from the kernel once and kept (`ending.rs`), so any number of threads may join, at any
//! time. A signal goes through the pidfd, so it cannot reach another process.

use super::ending::{End, Ending, Said};
use super::join_error::JoinError;
use super::table;
use crate::error::OsResult;
use crate::popen::job::ChildIdentity;
use crate::popen::{Reaper, Started, orphans};
use crate::sys::owning_process::OwningProcess;
use crate::sys::poll::{Interest, wait_for};
use crate::sys::process::Ended;
use crate::sys::signal::{self, SIGINT, SIGKILL, SIGTERM};
use crate::transfer::{Message, unpack};
use crate::word::Deadline;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One child, shared by its handles and the table.
#[derive(Debug)]
pub(super) struct Record {
    name: String,
    daemon: bool,
    pid: u32,
    starter: OwningProcess,
    pidfd: OwnedFd,
    reaper: Reaper,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ending: Ending,
    /// Whether it was joined.
    asked: bool,
}

impl Record {
    pub(super) fn new(identity: &ChildIdentity, started: Started) -> Record {
        Record {
            name: identity.name.clone(),
            daemon: identity.daemon,
            pid: started.pid,
            starter: OwningProcess::current(),
            pidfd: started.pidfd,
            reaper: started.reaper,
            state: Mutex::new(State { ending: Ending::new(started.outcome), asked: false }),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn daemon(&self) -> bool {
        self.daemon
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn signal(&self, signal: i32) -> OsResult<()> {
        // A fork of the template may not know yet that it is a child. If another process's signal of this number
        // waits there, the kernel drops this one; so the child is told beside it, before it. Nothing else is sent
        // that way.
        if self.reaper == Reaper::Template {
            self.lock().ending.end_sending();
        }
        signal::send_to_child(self.pidfd.as_fd(), signal)
    }

    /// Waits for the end; [`End::Running`] at the deadline.
    pub(super) fn wait(&self, until: Option<Deadline>) -> OsResult<End> {
        // A copy of the starter's: how the child ended, and what it said, is for the starter alone.
        if !self.is_ours() {
            return Ok(End::Lost);
        }
        let known = self.lock().ending.end();
        if known != End::Running {
            return Ok(known);
        }
        let mut pause = SHORTEST_PAUSE;
        loop {
            // Slept on without the lock, so that other threads can join and ask meanwhile.
            if !wait_for(self.pidfd.as_fd(), Interest::Read, until)? {
                return Ok(End::Running);
            }
            let mut state = self.lock();
            let completed = state.ending.complete(self.reaper, self.pidfd.as_fd());
            let end = state.ending.end();
            drop(state);
            completed?;
            if end != End::Running {
                self.leave_to_be_reaped();
                table::remove(self);
                return Ok(end);
            }
            // It has ended, and its status is still on its way: a tracer (`strace -f`) is told first, or the
            // template has not reported it.
            if until.is_some_and(Deadline::passed) {
                return Ok(End::Running);
            }
            std::thread::sleep(until.map_or(pause, |until| pause.min(until.remaining())));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The status may be known before this process can reap the child, while its template ends.
    fn leave_to_be_reaped(&self) {
        if self.reaper == Reaper::Template {
            orphans::expect(|| self.pidfd.try_clone().ok());
        }
        orphans::reap();
    }

    /// The state that is known now, without a wait.
    pub(super) fn end_now(&self) -> End {
        self.wait(Deadline::after(Duration::ZERO)).unwrap_or(End::Lost)
    }

    /// Whether it failed, and its value was not asked for.
    pub(super) fn failed_unseen(&self) -> bool {
        let mut state = self.lock();
        !state.asked && !matches!(state.ending.said(), Ok(Some(Said::Value(_))))
    }

    /// In a forked child: the child is its parent's. The copy of the parent's socket is closed.
    pub(super) fn disown(&self) {
        // Another thread of the parent may have held the lock at the fork: no thread of this process releases it.
        if let Ok(mut state) = self.state.try_lock() {
            state.ending.disown();
        }
    }

    fn is_ours(&self) -> bool {
        self.starter.is_current()
    }

    pub(super) fn is_alive(&self) -> bool {
        self.is_ours() && self.end_now() == End::Running
    }

    pub(super) fn exitcode(&self) -> Option<i32> {
        match self.end_now() {
            End::Ended(Ended::Exited(code)) => Some(code),
            End::Ended(Ended::Signaled(signal)) => Some(-signal),
            End::Running | End::Lost => None,
        }
    }

    pub(super) fn sentinel(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Waits for the end, and passes the returned value to `read`; `None` at the deadline.
    pub(super) fn join<T>(
        &self,
        until: Option<Deadline>,
        read: impl FnOnce(&Message) -> Result<T, JoinError>,
    ) -> Option<Result<T, JoinError>> {
        if !self.is_ours() {
            return Some(Err(JoinError::NotOurChild));
        }
        match self.wait(until) {
            Ok(End::Running) => None,
            Ok(end) => Some(self.value(end, read)),
            Err(error) => Some(Err(error.into())),
        }
    }

    fn value<T>(
        &self,
        end: End,
        read: impl FnOnce(&Message) -> Result<T, JoinError>,
    ) -> Result<T, JoinError> {
        let mut state = self.lock();
        state.asked = true;
        match (state.ending.said()?, end) {
            (Some(Said::Value(value)), _) => read(value),
            (Some(Said::Panicked { message, location }), _) => {
                Err(JoinError::Panicked { message: message.clone(), location: location.clone() })
            }
            (Some(Said::Failed { reason }), _) => Err(JoinError::Failed(reason.clone())),
            (None, End::Ended(Ended::Exited(code))) => Err(JoinError::Exited(code)),
            (None, End::Ended(Ended::Signaled(signal))) => Err(JoinError::Killed(signal)),
            (None, End::Lost | End::Running) => Err(JoinError::Lost),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The interval of reads of a status that will arrive soon: no event reports its arrival.
const SHORTEST_PAUSE: Duration = Duration::from_micros(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(1);

/// A started process that will return an `R`.
///
/// Dropping it does not end the process: it goes on, and is joined (a daemon: killed) when this process exits.
///
/// Python: a `multiprocessing.Process` after `start()`. Starting twice, joining before the start and use after
/// `close` do not compile.
pub struct Child<R> {
    record: Arc<Record>,
    value: PhantomData<fn() -> R>,
}

impl<R> Child<R> {
    pub(super) fn new(record: Arc<Record>) -> Self {
        Child { record, value: PhantomData }
    }

    pub(super) fn record(&self) -> Arc<Record> {
        Arc::clone(&self.record)
    }

    /// Its name. Python: `Process.name`.
    pub fn name(&self) -> &str {
        &self.record.name
    }

    /// Its process id. After its end another process may have it. Python: `Process.pid`.
    #[doc(alias = "ident")]
    #[doc(alias = "id")]
    pub fn pid(&self) -> u32 {
        self.record.pid
    }

    /// Whether it is killed when this process ends. Python: `Process.daemon`.
    pub fn daemon(&self) -> bool {
        self.record.daemon
    }

    /// Whether it still runs. Shortly after [`terminate`](Child::terminate) it may still run: join first.
    ///
    /// Python: `Process.is_alive`.
    pub fn is_alive(&self) -> bool {
        self.record.is_alive()
    }

    /// Its exit status: `None` while it runs, its exit code (0 to 255), or minus the number of the signal that
    /// killed it. Also `None` if the status is lost ([`JoinError::Lost`]).
    ///
    /// Python: `Process.exitcode`.
    pub fn exitcode(&self) -> Option<i32> {
        self.record.exitcode()
    }

    /// A descriptor that is readable when the process has ended: for `wait()` and every other poller.
    ///
    /// Python: `Process.sentinel`.
    pub fn sentinel(&self) -> BorrowedFd<'_> {
        self.record.sentinel()
    }

    /// Sends SIGTERM. Has no effect on a process that has ended. Its own children go on, except for its daemons.
    ///
    /// Python: `Process.terminate`.
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

    /// Lets go of a process that has ended.
    ///
    /// # Errors
    /// [`CloseError`]: it still runs. The error gives the handle back. Use after a close does not compile:
    ///
    /// ```compile_fail,E0382
    /// # fn closed(child: mp_core::Child<()>) {
    /// let _ = child.close();
    /// child.is_alive();
    /// # }
    /// ```
    ///
    /// Python: `Process.close`.
    pub fn close(self) -> Result<(), CloseError<R>> {
        if self.is_alive() { Err(CloseError(self)) } else { Ok(()) }
    }
}

impl<R: DeserializeOwned> Child<R> {
    /// Waits for its end, and returns the value of its function. May be called again, and from several threads.
    ///
    /// ```no_run
    /// # fn square(x: u64) -> u64 { x * x }
    /// let child = mp_core::Process::new(square, (7,)).start()?;
    /// assert_eq!(child.join()?, 49);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Python: `Process.join`, which returns nothing.
    pub fn join(&self) -> Result<R, JoinError> {
        self.join_until(None).unwrap_or(Err(JoinError::Lost))
    }

    /// Gives what its function returned, as [`join`](Child::join), if it has ended.
    ///
    /// # Errors
    /// [`JoinError::WouldBlock`]: it still runs. Else as [`join`](Child::join).
    pub fn try_join(&self) -> Result<R, JoinError> {
        self.join_until(Deadline::after(Duration::ZERO)).unwrap_or(Err(JoinError::WouldBlock))
    }

    /// Waits for its end at most this long, and gives what its function returned, as [`join`](Child::join).
    ///
    /// # Errors
    /// [`JoinError::Timeout`]: it still runs. Else as [`join`](Child::join).
    ///
    /// Python: `Process.join(timeout)`.
    pub fn join_timeout(&self, timeout: Duration) -> Result<R, JoinError> {
        self.join_until(Deadline::after(timeout)).unwrap_or(Err(JoinError::Timeout))
    }

    fn join_until(&self, until: Option<Deadline>) -> Option<Result<R, JoinError>> {
        self.record.join(until, |value| Ok(unpack(&value.bytes, value.handles.clone())?))
    }
}

impl<R> AsFd for Child<R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sentinel()
    }
}

impl<R> fmt::Debug for Child<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("name", &self.record.name)
            .field("pid", &self.record.pid)
            .finish_non_exhaustive()
    }
}

/// The process is still running, so its handle was not closed. The handle is here:
/// [`into_inner`](CloseError::into_inner).
#[derive(thiserror::Error)]
#[error("the process is still running: join or kill it first")]
pub struct CloseError<R>(Child<R>);

impl<R> CloseError<R> {
    /// The handle that was not closed.
    pub fn into_inner(self) -> Child<R> {
        self.0
    }
}

impl<R> fmt::Debug for CloseError<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CloseError").field(&self.0).finish()
    }
}
