//! A child's end and its last message, read once and kept. Nothing here sleeps.
//!
//! ```text
//!  RUNNING ──its pidfd is readable, and its status is known──► ENDED(status)
//!     └───── no process will ever report its status ─────────► LOST
//! ```
//! The sources of the status, in this order:
//!
//! | source                         | when                                                                        |
//! |--------------------------------|-----------------------------------------------------------------------------|
//! | `waitid` on the pidfd          | it is this process's child: started by it, or adopted when its template died|
//! | the kernel's record of the end | since Linux 6.15, once any process has reaped it                            |
//! | the zombie's line in `/proc`   | it was not reaped: a slow init process, a tracer                            |
//! | the template's report          | before Linux 6.15                                                           |
//!
//! # When a process dies
//! The template, before its report: process 1, a subreaper, or this process adopts the child, and one of the
//! first three sources has the status. If the adopter has reaped the child on a kernel that keeps no status,
//! the status is lost.

use crate::error::OsResult;
use crate::popen::Reaper;
use crate::popen::job::Outcome;
use crate::sys::poll::pidfd_pid;
use crate::sys::process::{self, Ended, Reaped};
use crate::sys::socket::{self, is_want_of_descriptors, would_block};
use crate::sys::zombie::end_of_zombie;
use crate::transfer::{Message, ParcelError, receive_parts_or_leave, unpack};
use crate::word::Deadline;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The end of a child, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Running,
    Ended(Ended),
    Lost,
}

/// The last message of a child.
#[derive(Debug)]
pub(super) enum Said {
    Value(Message),
    Panicked { message: String, location: String },
    Failed { reason: String },
}

#[derive(Debug)]
pub(super) struct Ending {
    /// Open until everything was read.
    outcome: Option<OwnedFd>,
    said: Option<Said>,
    end: End,
    /// When a status without a source counts as lost.
    give_up: Option<Deadline>,
}

/// How long the template may take to report an ended child.
const REPORT: Duration = Duration::from_secs(1);

impl Ending {
    pub(super) fn new(outcome: OwnedFd) -> Ending {
        Ending { outcome: Some(outcome), said: None, end: End::Running, give_up: None }
    }

    pub(super) fn end(&self) -> End {
        self.end
    }

    /// In a forked child: the child is its parent's.
    pub(super) fn disown(&mut self) {
        self.outcome = None;
        self.end = End::Lost;
    }

    /// Closes the parent's direction: the child reads that nothing follows.
    pub(super) fn end_sending(&self) {
        if let Some(outcome) = &self.outcome {
            let _ = socket::end_sending(outcome.as_fd());
        }
    }

    /// The child's last message, once it has ended. An error if no descriptor is left for it: the message stays
    /// in the socket, and can be read again.
    pub(super) fn said(&mut self) -> OsResult<Option<&Said>> {
        if self.end != End::Running {
            self.read()?;
        }
        Ok(self.said.as_ref())
    }

    /// The process has ended: reads its status, if a source has it now.
    pub(super) fn complete(&mut self, reaper: Reaper, pidfd: BorrowedFd<'_>) -> OsResult<()> {
        if self.end != End::Running {
            return Ok(());
        }
        let mut status = match reaper {
            // The kernel has reaped it, in most cases.
            Reaper::Template => process::remembered_end(pidfd),
            Reaper::Us => None,
        };
        if status.is_none() {
            status = match process::reap(pidfd)? {
                Reaped::Ended(ended) => Some(ended),
                // A tracer gets the status first; until then the parent does not.
                Reaped::Running => return Ok(()),
                Reaped::NotOurs => told_by_kernel(pidfd),
            };
        }
        // This fails if no descriptor is left; then the message is read when it is asked for.
        let reported = self.read();
        match status.or(*reported.as_ref().unwrap_or(&None)) {
            Some(ended) => self.end = End::Ended(ended),
            None if self.may_be_told(reaper, pidfd) => {
                reported?;
            }
            None => self.end = End::Lost,
        }
        Ok(())
    }

    /// Whether a source may still report the status.
    fn may_be_told(&mut self, reaper: Reaper, pidfd: BorrowedFd<'_>) -> bool {
        let reporter = reaper == Reaper::Template && self.outcome.is_some();
        // Not reaped yet, or about to be.
        let is_listed = pidfd_pid(pidfd).is_some();
        if !reporter && !is_listed {
            return false;
        }
        let give_up = self.give_up.or_else(|| Deadline::after(REPORT));
        self.give_up = give_up;
        !give_up.is_some_and(Deadline::passed)
    }

    /// Reads the messages on the outcome socket; returns the status if the template reports it. All messages of
    /// the child itself are there, since it has ended.
    fn read(&mut self) -> OsResult<Option<Ended>> {
        while let Some(socket) = &self.outcome {
            match receive_parts_or_leave(socket.as_fd()) {
                Ok((message, value)) => {
                    let reported = self.note(message, value);
                    if reported.is_some() {
                        return Ok(reported);
                    }
                }
                // The child's last message was read; a template may still report.
                Err(ParcelError::Os(error)) if would_block(&error) => {
                    if self.end != End::Running {
                        self.outcome = None;
                    }
                    return Ok(None);
                }
                Err(ParcelError::Os(error)) if is_want_of_descriptors(&error) => return Err(error),
                Err(ParcelError::Closed | ParcelError::Os(_)) => self.outcome = None,
                // A malformed message. The next message follows it.
                Err(error) => {
                    let reason = format!("cannot receive its last message: {error}");
                    self.said.get_or_insert(Said::Failed { reason });
                }
            }
        }
        Ok(None)
    }

    /// Stores one message; returns the status if it was that.
    fn note(&mut self, message: Message, value: Message) -> Option<Ended> {
        match unpack(&message.bytes, message.handles).ok()? {
            Outcome::Ended(ended) => return Some(ended),
            Outcome::Returned => self.said = Some(Said::Value(value)),
            Outcome::Panicked { message, location } => self.said = Some(Said::Panicked { message, location }),
            Outcome::Failed { reason } => self.said = Some(Said::Failed { reason }),
        }
        None
    }
}

/// The status of a process that this one does not reap.
fn told_by_kernel(pidfd: BorrowedFd<'_>) -> Option<Ended> {
    // The process that reaps it may do so between the two calls.
    process::remembered_end(pidfd).or_else(|| end_of_zombie(pidfd)).or_else(|| process::remembered_end(pidfd))
}
