//! ForkServer: the template, a clean process with one thread that forks on request.
//!
//! ```text
//!            first start                    control socket ends
//!   (none) ──────────────► SERVING ───────────────────────────► DRAINING ──last child gone──► exit
//!                            │  killed: children go on, the next start makes a new one
//! ```
//!
//! It is this program, executed anew and caught before `main`, so it holds no thread, no lock and no memory of
//! the user's: a fork of it is always safe and costs the same however large the parent is.
//!
//! # When a process dies
//! The *template*: its children run on; their results come straight from them, and how they ended from the
//! kernel where it remembers (Linux 6.15), else it is `Lost`. A start that was under way is repeated with a new
//! template, if the child has not said hello: a child says it before it does anything.
//! The *parent*: the control socket ends, the template forks no more, reaps its last child and exits.

use super::boot::{launch, os, reap_failed};
use super::job::{Boot, Job, Outcome, Request, Surroundings};
use super::{Reaper, StartError, Started, fork};
use crate::error::OsError;
use crate::process::bootstrap;
use crate::sys::poll::{Interest, pidfd_open, poll, wait_for};
use crate::sys::process::{self, Forked};
use crate::sys::signal;
use crate::sys::socket::{Mode, packet_pair};
use crate::transfer::{Handle, Message, ParcelError, pack, receive_parcel, send_parcel, unpack};
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// The template as its parent holds it.
struct Template {
    control: OwnedFd,
    pidfd: OwnedFd,
}

static TEMPLATE: Mutex<Option<Template>> = Mutex::new(None);

/// Starts a child. A template that dies meanwhile is replaced, once.
pub(crate) fn start(job: &Job, arguments: &Message) -> Result<Started, StartError> {
    match try_start(job, arguments) {
        Err(StartError::Died | StartError::Parcel(ParcelError::Closed)) => {
            forget_if_dead();
            try_start(job, arguments)
        }
        other => other,
    }
}

fn try_start(job: &Job, arguments: &Message) -> Result<Started, StartError> {
    let (ours, theirs) = packet_pair()?;
    let request =
        Request { job: job.clone(), outcome: Handle::new(theirs), surroundings: Surroundings::current()? };
    let message = pack(&request)?;
    {
        let mut template = TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner);
        if template.is_none() {
            *template = Some(launch_template()?);
        }
        let control = template.as_ref().expect("made above").control.as_fd();
        // Both parcels under one lock: requests of several threads do not mix.
        send_parcel(control, &message)?;
        send_parcel(control, arguments)?;
    }
    // Our copies of the child's end: while they are open its end cannot be seen.
    drop((message, request));
    let (pid, pidfd) = hello(ours.as_fd())?;
    Ok(Started { pid, pidfd, outcome: ours, reaper: Reaper::Template })
}

fn launch_template() -> Result<Template, StartError> {
    let (pid, control) = launch(&Boot::Serve, None)?;
    match pidfd_open(pid) {
        Ok(pidfd) => Ok(Template { control, pidfd }),
        Err(error) => {
            drop(control);
            reap_failed(pid);
            Err(error.into())
        }
    }
}

/// Waits for the child's first word.
fn hello(outcome: BorrowedFd<'_>) -> Result<(u32, OwnedFd), StartError> {
    let message = receive_parcel(outcome, Mode::Block).map_err(|error| match error {
        ParcelError::Closed => StartError::Died,
        other => other.into(),
    })?;
    match unpack(&message.bytes, message.handles)? {
        Outcome::Hello { pid, pidfd } => Ok((pid, pidfd.into_fd().map_err(os("fcntl(F_DUPFD_CLOEXEC)"))?)),
        Outcome::Refused { errno } => Err(OsError::new("fork", errno).into()),
        _ => Err(StartError::Died),
    }
}

/// Reaps a template that has ended, so that the next start makes a new one.
fn forget_if_dead() {
    let mut template = TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = |template: &Template| {
        process::reap(template.pidfd.as_fd()).is_ok_and(|it| it != process::Reaped::Running)
    };
    if template.as_ref().is_some_and(ended) {
        *template = None;
    }
}

/// At this process's end: the template may go, and is waited for, so that nothing is left behind. Its last
/// child has gone by then, or is somebody else's to wait for.
pub(crate) fn let_go() {
    let template = TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(Template { control, pidfd }) = template else { return };
    drop(control);
    let _ = wait_for(pidfd.as_fd(), Interest::Read, None);
    let _ = process::reap(pidfd.as_fd());
}

/// In a forked child: the template is the parent's.
pub(super) fn after_fork() {
    *TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

/// The template's process id, if one runs: for tools and tests that look from outside.
pub fn template_pid() -> Option<u32> {
    let template = TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner);
    template.as_ref().and_then(|template| crate::sys::poll::pidfd_pid(template.pidfd.as_fd()))
}

/// The template's own life.
pub(super) fn serve(control: OwnedFd) -> ! {
    process::set_title("mp-template");
    signal::ignore_requests_to_end();
    detach_standard();
    match serve_until_child(control) {
        Some(child) => child.live(),
        None => process::exit_now(0),
    }
}

/// Serves; comes back in a new child with what it is to be, or in the template when all is done. What the
/// template holds open is closed on the way out, so that a child starts without it.
fn serve_until_child(control: OwnedFd) -> Option<NewChild> {
    let child_events = signal::child_events().ok()?;
    let mut control = Some(control);
    let mut children: HashMap<u32, Handle> = HashMap::new();
    while control.is_some() || !children.is_empty() {
        let mut waiting = vec![(child_events.as_fd(), Interest::Read)];
        waiting.extend(control.iter().map(|control| (control.as_fd(), Interest::Read)));
        let ready = poll(&waiting, None).ok()?;
        if ready.contains(&1)
            && let Some(socket) = control.take()
        {
            match answer(&socket, &mut children) {
                Next::Serve => control = Some(socket),
                Next::ParentIsGone => {}
                Next::Child(child) => return Some(*child),
            }
        }
        if ready.contains(&0) {
            while let Ok(Some(_)) = child_events.read_signal() {}
            report_ended(&mut children);
        }
    }
    None
}

/// Standard input and output belong to the family: held here, their ends would not be seen. Errors still go
/// where the parent's go.
fn detach_standard() {
    if let Ok(null) = crate::sys::fd::dev_null() {
        for number in [0, 1] {
            let _ = crate::sys::fd::put_at_standard(null.as_fd(), number);
        }
    }
}

enum Next {
    Serve,
    ParentIsGone,
    Child(Box<NewChild>),
}

/// Takes one request and forks.
fn answer(control: &OwnedFd, children: &mut HashMap<u32, Handle>) -> Next {
    let Some(child) = NewChild::receive(control.as_fd()) else { return Next::ParentIsGone };
    match fork::fork_template() {
        Ok(Forked::Child) => return Next::Child(Box::new(child)),
        Ok(Forked::Parent(pid)) => {
            children.insert(pid, child.request.outcome);
        }
        Err(error) => tell(&child.request.outcome, &refused(&error)),
    }
    Next::Serve
}

fn refused(error: &OsError) -> Outcome {
    Outcome::Refused { errno: error.errno().unwrap_or(0) }
}

/// What a fork of the template is to be.
struct NewChild {
    request: Request,
    arguments: Message,
}

impl NewChild {
    fn receive(control: BorrowedFd<'_>) -> Option<NewChild> {
        let request = receive_parcel(control, Mode::Block).ok()?;
        let arguments = receive_parcel(control, Mode::Block).ok()?;
        Some(NewChild { request: unpack(&request.bytes, request.handles).ok()?, arguments })
    }

    fn live(self) -> ! {
        let Request { job, outcome, surroundings } = self.request;
        let ready = surroundings.put_on().and_then(|()| {
            drop(surroundings);
            let pid = std::process::id();
            Ok(Outcome::Hello { pid, pidfd: Handle::new(pidfd_open(pid)?) })
        });
        match ready {
            Ok(hello) => tell(&outcome, &hello),
            Err(error) => {
                tell(&outcome, &refused(&error));
                process::exit_now(1);
            }
        }
        match outcome.into_fd() {
            Ok(outcome) => bootstrap::run_job(job, self.arguments, outcome),
            Err(_) => process::exit_now(1),
        }
    }
}

/// A parent that is gone cannot be told, and need not be.
fn tell(outcome: &Handle, what: &Outcome) {
    if let Ok(message) = pack(what) {
        let _ = send_parcel(outcome.as_fd(), &message);
    }
}

fn report_ended(children: &mut HashMap<u32, Handle>) {
    while let Ok(Some((pid, ended))) = process::reap_any() {
        if let Some(outcome) = children.remove(&pid) {
            tell(&outcome, &Outcome::Ended(ended));
        }
    }
}
