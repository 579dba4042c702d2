//! CopyTemplate: a template that is a copy of this process, made at one moment, with all that it had in memory then.
//!
//! ```text
//!  this process ──fork──► copy: keeps the captured value, serves as template.rs does
//!       │                   │
//!       │── fork one more ─►│──fork──► pre-forked child ── Request ──► a child, with the captured value
//! ```
//! Its children are copies of a copy: they have the value without a byte of it being sent, and share its pages with the
//! copy until they write to them. They can be started at any later time, beside any number of threads of this process,
//! since the copy has one thread.
//!
//! # When a process dies
//! - *The copy*: what it has captured is lost. Its children run on; a start is [`StartError::CopyEnded`].
//! - *A child*: the next start forks another one, as of the same moment.
//! - *This process*: the copy is a daemon, so the kernel kills it. Its children are tied to this process as all
//!   children are.

use super::forkserver::{MOST_KILLED, Template};
use super::job::Job;
use super::process_state::ProcessState;
use super::{StartError, Started, template};
use crate::error::OsError;
use crate::process::{Child, Family, Process};
use crate::sys::owning_process::OwningProcess;
use crate::sys::signal;
use crate::sys::socket;
use crate::transfer::{Message, ParcelError, set_state};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A copy of this process that forks children on request.
#[derive(Debug)]
pub struct CopyTemplate {
    /// `None` once it is dropped.
    template: Mutex<Option<Template>>,
    child: Child<()>,
    /// A forked copy of this handle owns no process.
    owner: OwningProcess,
}

impl CopyTemplate {
    /// Copies this process. In the children of the copy `captured` is the state that tasks work on.
    ///
    /// # Errors
    /// As for [`Process::fork`]: [`StartError::Threads`] while other threads run.
    pub fn fork<C: 'static>(captured: C) -> Result<CopyTemplate, StartError> {
        let began_with = ProcessState::current().map_err(StartError::of_execution)?;
        let (family, blocked) = (Family::of_this_process()?, signal::blocked());
        let (control, theirs) = socket::packet_pair()?;
        // The copy closes its copy of this end: otherwise it would not see the end of it here.
        let control = Rc::new(Cell::new(Some(control)));
        let inherited = Rc::clone(&control);
        let serve = move || {
            drop(inherited.take());
            set_state(captured);
            template::serve_copy(theirs, &blocked, family);
        };
        let child = Process::fork(serve).name("mp-template").daemon().start()?;
        let pidfd = child.sentinel().try_clone_to_owned();
        let pidfd = pidfd.map_err(|source| OsError { call: "fcntl(F_DUPFD_CLOEXEC)", source })?;
        let template =
            control.take().map(|control| Template::of_copy(control, child.pid(), pidfd, began_with));
        Ok(CopyTemplate { template: Mutex::new(template), child, owner: OwningProcess::current() })
    }

    /// Starts a child.
    pub(crate) fn start(&self, job: &Job, arguments: &Message) -> Result<Started, StartError> {
        let mut template = self.template.lock().unwrap_or_else(PoisonError::into_inner);
        let template = template.as_mut().ok_or(StartError::CopyEnded)?;
        let now = template.unchanged_state().ok_or(StartError::CopyOutOfDate)?;
        for _ in 0..MOST_KILLED {
            match template.start_one(job, Some(&now), arguments) {
                // The pre-forked child was killed while it waited: the next one gets the work.
                Err(StartError::Parcel(ParcelError::Closed)) => {}
                Err(StartError::Died) => return Err(StartError::CopyEnded),
                started_or_refused => return started_or_refused,
            }
        }
        Err(StartError::Died)
    }

    /// The process id of the copy, for tools and tests.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }
}

/// How long a copy without children may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Releases the copy, which ends after the last of its children, and reaps it.
impl Drop for CopyTemplate {
    fn drop(&mut self) {
        if !self.owner.is_current() {
            return;
        }
        if let Some(template) = self.template.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            template.release();
        }
        // One that is stopped, or has a child that cannot be killed.
        if self.child.join_timeout(PATIENCE).is_err() && self.child.is_alive() {
            let _ = self.child.kill();
            let _ = self.child.join_timeout(PATIENCE);
        }
    }
}
