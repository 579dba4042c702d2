//! The template: a clean process with one thread that forks on request. ForkServer's other side.
//!
//! ```text
//!    boot ──preload──► SERVING ──control socket ends──► DRAINING ──last child gone──► exit
//!                        │  └─ asked ──► fork ──► SPARE ──request──► a child: puts on its surroundings, runs
//!                        │                          └─ its socket ends: exit
//!                        └─ killed: children go on, the parent's next start makes a new template
//! ```
//!
//! It is this program, executed anew and caught before `main`, so it holds no thread, no lock and no memory of
//! the user's: a fork of it is always safe and costs the same however large the parent is. It keeps no random
//! state (no `HashMap`), since all children would share it.

use super::fork;
use super::job::{Answer, Job, Outcome, Refusal, Request, unpack_limit};
use crate::error::OsResult;
use crate::finalize;
use crate::process::bootstrap::{self, Newborn};
use crate::sys::fd;
use crate::sys::poll::{Interest, pidfd_open, poll};
use crate::sys::process::{self, Forked};
use crate::sys::signal::{self, Kept};
use crate::sys::socket::{self, Mode};
use crate::sys::state::TemplateLimits;
use crate::transfer::{CallError, Code, Handle, pack, receive_parts, send_parcel, unpack};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

/// The template's whole life.
pub(super) fn serve(control: OwnedFd, preload: Option<Code>) -> ! {
    process::set_title("mp-template");
    let kept = signal::settle_template();
    let refusal = preload.and_then(|code| bootstrap::preload(code).err());
    let refusal = refusal.map(|reason| Refusal::Preload { reason }).or_else(threads);
    detach_standard();
    bootstrap::prepare();
    match Serving::begin(control, refusal).and_then(Serving::until_spare) {
        Some(spare) => spare.live(&kept),
        None => process::exit_now(0),
    }
}

/// Threads that a preload, or a constructor of the program's, has started: a fork would not be safe.
fn threads() -> Option<Refusal> {
    let threads = process::threads_that_stay().unwrap_or(1);
    (threads > 1).then_some(Refusal::Threads { threads })
}

/// Standard input and output belong to the family: held here, their ends would not be seen. Errors still go
/// where the parent's go, if anywhere.
fn detach_standard() {
    let Ok(null) = fd::dev_null() else { return };
    let closed = fd::standard(2).is_none().then_some(2);
    for number in [0, 1].into_iter().chain(closed) {
        let _ = fd::put_at_standard(null.as_fd(), number);
    }
}

/// The template at work. What it holds open is closed when it becomes a child.
struct Serving {
    /// `None` once the parent is gone.
    control: Option<OwnedFd>,
    child_events: signal::ChildEvents,
    /// Each child's outcome socket, to report how it ended.
    children: BTreeMap<u32, OwnedFd>,
    /// Why it makes no children.
    refusal: Option<Refusal>,
    limits: TemplateLimits,
}

impl Serving {
    fn begin(control: OwnedFd, refusal: Option<Refusal>) -> Option<Serving> {
        let child_events = signal::child_events().ok()?;
        let (control, limits) = (Some(control), TemplateLimits::begin());
        Some(Serving { control, child_events, children: BTreeMap::new(), refusal, limits })
    }

    /// Comes back in a new spare, or in the template when all is done.
    fn until_spare(mut self) -> Option<Spare> {
        while self.control.is_some() || !self.children.is_empty() {
            let mut waiting = vec![(self.child_events.as_fd(), Interest::Read)];
            waiting.extend(self.control.iter().map(|control| (control.as_fd(), Interest::Read)));
            let ready = poll(&waiting, None).ok()?;
            // Ends first: somebody may wait for one, while a spare is only for the next start.
            if ready.contains(&0) {
                self.child_events.take();
                self.report_ended();
            }
            if ready.contains(&1)
                && let Some(spare) = self.serve_one()
            {
                return Some(spare);
            }
        }
        None
    }

    /// Takes one request and forks; comes back with a spare in the spare.
    fn serve_one(&mut self) -> Option<Spare> {
        let control = self.control.as_ref()?;
        let mut limit = [0; 16];
        let asked = socket::receive(control.as_fd(), &mut limit, Mode::Block);
        if !asked.is_ok_and(|asked| asked.bytes == limit.len()) {
            self.control = None;
            return None;
        }
        self.limits.allow_processes(unpack_limit(limit));
        let answer = match &self.refusal {
            Some(refusal) => Answer::Refused(refusal.clone()),
            None => match self.fork() {
                Ok(Fork::Spare(spare)) => {
                    self.limits.restore();
                    return Some(spare);
                }
                Ok(Fork::Template(answer)) => answer,
                Err(error) => Answer::Refused(Refusal::System { errno: error.errno().unwrap_or(0) }),
            },
        };
        tell(self.control.as_ref()?, &answer);
        None
    }

    fn fork(&mut self) -> OsResult<Fork> {
        let (outcome, theirs) = socket::packet_pair()?;
        match fork::fork_template()? {
            Forked::Child => Ok(Fork::Spare(Spare { outcome: theirs })),
            Forked::Parent(pid) => {
                // One that cannot be handed out reads the end of its socket, and ends.
                self.children.insert(pid, theirs);
                let pidfd = Handle::new(pidfd_open(pid)?);
                Ok(Fork::Template(Answer::Spare { pid, pidfd, outcome: Handle::new(outcome) }))
            }
        }
    }

    fn report_ended(&mut self) {
        while !self.children.is_empty()
            && let Ok(Some((pid, ended))) = process::reap_any()
        {
            if let Some(outcome) = self.children.remove(&pid) {
                tell(&outcome, &Outcome::Ended(ended));
            }
        }
    }
}

/// The two sides of a fork.
enum Fork {
    Spare(Spare),
    Template(Answer),
}

/// A parent that is gone cannot be told, and need not be.
fn tell<T: Serialize>(socket: &OwnedFd, what: &T) {
    if let Ok(message) = pack(what) {
        let _ = send_parcel(socket.as_fd(), &message);
    }
}

/// A fork of the template that does not know yet what it is to be.
struct Spare {
    outcome: OwnedFd,
}

impl Spare {
    fn live(self, kept: &Kept) -> ! {
        process::set_title("mp-spare");
        // Nothing to flush: but the code is in place when the child comes to it.
        let _ = std::io::stdout().flush();
        // Its end comes when nobody needs a spare any more.
        let Ok((request, arguments)) = receive_parts(self.outcome.as_fd(), Mode::Block) else {
            process::exit_now(0)
        };
        let Ok(Request { job, changes }) = unpack(&request.bytes, request.handles) else {
            process::exit_now(1)
        };
        // Not before: an interrupt that came while it waited was not for the child that it is now.
        kept.restore();
        let worn = changes.put_on();
        drop(changes);
        finalize::run_after_fork();
        let Job { who, code, lifeline } = job;
        Newborn::of_template(who).run(lifeline.into_fd().ok(), self.outcome, move || {
            worn.map_err(CallError::Surroundings)?;
            code.call(&arguments.bytes, arguments.handles)
        })
    }
}
