//! How a child ended and what it said, learned once and kept. Nothing here sleeps.
//!
//! ```text
//!  RUNNING ──its pidfd says that it has ended; its status is known──► ENDED(status)
//!     └───── no process will ever tell its status ──────────────────► LOST
//! ```
//! ChildIdentity tells the status, asked in this order:
//!
//! | who                            | when                                                                        |
//! |--------------------------------|-----------------------------------------------------------------------------|
//! | `waitid` on the pidfd          | it is this process's child: started by it, or adopted when its template died|
//! | the kernel's memory of the end | since Linux 6.15, once it has been reaped by any process                     |
//! | the zombie's line in `/proc`   | it has not been reaped: an init process that is slow, a tracer               |
//! | the template's report          | before Linux 6.15                                                            |
//!
//! # When a process dies
//! The template, before its report: the child is adopted by process 1, a subreaper, or this process, and one of the
//! first three tells. If the adopter has reaped it on a kernel that does not remember, the status is lost.

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

/// What is known of a child's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Running,
    Ended(Ended),
    Lost,
}

/// What a child said of its work.
#[derive(Debug)]
pub(super) enum Said {
    Value(Message),
    Panicked { message: String, location: String },
    Failed { reason: String },
}

#[derive(Debug)]
pub(super) struct Ending {
    /// Open until all has been read.
    outcome: Option<OwnedFd>,
    said: Option<Said>,
    end: End,
    /// When a status that no process tells counts as lost.
    give_up: Option<Deadline>,
}

/// How long the template may take to report a child that has ended.
const REPORT: Duration = Duration::from_secs(1);

impl Ending {
    pub(super) fn new(outcome: OwnedFd) -> Ending {
        Ending { outcome: Some(outcome), said: None, end: End::Running, give_up: None }
    }

    pub(super) fn end(&self) -> End {
        self.end
    }

    /// In a forked child: the child is not its own.
    pub(super) fn disown(&mut self) {
        self.outcome = None;
        self.end = End::Lost;
    }

    /// Tells the child, which sends alone from now on, that no more comes.
    pub(super) fn end_sending(&self) {
        if let Some(outcome) = &self.outcome {
            let _ = socket::end_sending(outcome.as_fd());
        }
    }

    /// What the child has said, once it has ended. An error if it cannot be taken now, for want of descriptors: it
    /// stays where it is, and can be asked for again.
    pub(super) fn said(&mut self) -> OsResult<Option<&Said>> {
        if self.end != End::Running {
            self.read()?;
        }
        Ok(self.said.as_ref())
    }

    /// The process has ended: learns how, if that is to be had now.
    pub(super) fn settle(&mut self, reaper: Reaper, pidfd: BorrowedFd<'_>) -> OsResult<()> {
        if self.end != End::Running {
            return Ok(());
        }
        let mut status = match reaper {
            // Reaped by the kernel, in most cases.
            Reaper::Template => process::remembered_end(pidfd),
            Reaper::Us => None,
        };
        if status.is_none() {
            status = match process::reap(pidfd)? {
                Reaped::Ended(ended) => Some(ended),
                // A tracer is told first; until then the end is kept from the parent.
                Reaped::Running => return Ok(()),
                Reaped::NotOurs => told_by_kernel(pidfd),
            };
        }
        // For want of descriptors it may fail; then what was said is read when it is asked for.
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

    /// Whether a status that nothing tells now may be told in a moment.
    fn may_be_told(&mut self, reaper: Reaper, pidfd: BorrowedFd<'_>) -> bool {
        let reporter = reaper == Reaper::Template && self.outcome.is_some();
        // Not reaped yet, or in the middle of it.
        let is_listed = pidfd_pid(pidfd).is_some();
        if !reporter && !is_listed {
            return false;
        }
        let give_up = self.give_up.or_else(|| Deadline::after(REPORT));
        self.give_up = give_up;
        !give_up.is_some_and(Deadline::passed)
    }

    /// Reads what there is on the outcome socket; gives the status if the template reports it. Whatever the child
    /// itself said is there, since it has ended.
    fn read(&mut self) -> OsResult<Option<Ended>> {
        while let Some(socket) = &self.outcome {
            match receive_parts_or_leave(socket.as_fd()) {
                Ok((message, value)) => {
                    let reported = self.note(message, value);
                    if reported.is_some() {
                        return Ok(reported);
                    }
                }
                // The child's last word has been read; a template may report still.
                Err(ParcelError::Os(error)) if would_block(&error) => {
                    if self.end != End::Running {
                        self.outcome = None;
                    }
                    return Ok(None);
                }
                Err(ParcelError::Os(error)) if is_want_of_descriptors(&error) => return Err(error),
                Err(ParcelError::Closed | ParcelError::Os(_)) => self.outcome = None,
                // Something came that cannot be taken in. What follows it is the next parcel.
                Err(error) => {
                    let reason = format!("cannot receive its last message: {error}");
                    self.said.get_or_insert(Said::Failed { reason });
                }
            }
        }
        Ok(None)
    }

    /// Takes in one parcel; gives the status if that is what it was.
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

/// How a process ended that is not this process's to reap.
fn told_by_kernel(pidfd: BorrowedFd<'_>) -> Option<Ended> {
    // Whoever is to reap it may do so in between.
    process::remembered_end(pidfd).or_else(|| end_of_zombie(pidfd)).or_else(|| process::remembered_end(pidfd))
}
