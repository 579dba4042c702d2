//! The template: a clean process with one thread that forks on request. The other side of ForkServer.
//!
//! ```text
//!     boot ──preload──► SERVING ──control socket ends──► DRAINING ──last child gone──► exit
//!                         │  └─ request ─► fork ──► PRE-FORKED ──Request──► a child: applies the parent's state, runs
//!                         │                          └─ its socket ends: exit
//!                         └─ killed: children go on, the parent's next start makes a new template
//! ```
//!
//! It is this program, executed again and caught before `main`. So it has no threads, locks or memory of the
//! user's program: its fork is always safe, and costs the same however large the parent is. It keeps no random
//! state (no `HashMap`), since all children would share it.
//!
//! It reaps its children only before Linux 6.15 (`Ends::Template`); from then on the kernel does
//! (`Ends::Kernel`).

use super::boot;
use super::fork;
use super::job::{Answer, Job, Outcome, Refusal, Request, unpack_limit};
use super::orphans;
use crate::component;
use crate::error::{OsError, OsResult};
use crate::finalize;
use crate::process::bootstrap::{self, ChildBootstrap};
use crate::process::{Family, current};
use crate::sys::fd;
use crate::sys::poll::{Interest, pidfd_open, poll, wait_for};
use crate::sys::process::{self, Forked, Reaped};
use crate::sys::signal::{self, Kept};
use crate::sys::socket::{self, Mode};
use crate::sys::state::TemplateLimits;
use crate::transfer::{Code, Handle, ParcelError, pack, receive_parts, send_parcel, unpack};
use crate::word::Deadline;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The main function of the template's process.
pub(super) fn serve(
    control: OwnedFd,
    preload: Option<Code>,
    blocked: &[i32],
    parent_and_family: (u32, Family),
) -> ! {
    process::set_title("mp-template");
    let (parent, family) = parent_and_family;
    let kept = signal::block_template_signals(blocked);
    let refusal = preload.and_then(|code| bootstrap::preload(code).err());
    let refusal = refusal.map(|reason| Refusal::Preload { reason }).or_else(threads);
    // For its children: it starts none itself.
    boot::has_started();
    detach_standard();
    bootstrap::prepare();
    match Serving::begin(control, refusal).map_or(End::Released, Serving::until_end) {
        End::PreForked(pre_forked) => pre_forked.live(&kept, family),
        End::Released => process::exit_now(0),
        End::Orphaned => {
            orphans::call_after(parent, family);
            process::exit_now(0)
        }
    }
}

/// A template's work in a copy of this process, which is a child: returns when the copy is to end.
pub(super) fn serve_copy(control: OwnedFd, blocked: &[i32], family: Family) {
    let kept = signal::block_template_signals(blocked);
    // Handlers of the program's are for the program.
    signal::hold_back_all();
    detach_standard();
    if let Some(End::PreForked(pre_forked)) = Serving::begin(control, threads()).map(Serving::until_end) {
        // What the copy has of its own, its outcome socket and its lifeline, is not its children's.
        component::forget_all();
        current::after_fork();
        pre_forked.live(&kept, family);
    }
}

/// The threads that a preload function or a constructor of the program has started: a fork would not be safe.
fn threads() -> Option<Refusal> {
    let threads = process::threads_that_stay().unwrap_or(1);
    (threads > 1).then_some(Refusal::Threads { threads })
}

/// Replaces standard input and output by `/dev/null`: a copy here would hide their ends from other processes.
/// Standard error stays the parent's, if it is open.
fn detach_standard() {
    let Ok(null) = fd::dev_null() else { return };
    let closed = fd::standard(2).is_none().then_some(2);
    for number in [0, 1].into_iter().chain(closed) {
        let _ = fd::put_at_standard(null.as_fd(), number);
    }
}

/// The state of the template. Its descriptors are closed when it becomes a child.
struct Serving {
    /// `None` after the parent's end.
    control: Option<OwnedFd>,
    ends: Ends,
    /// The reason why it makes no children.
    refusal: Option<Refusal>,
    limits: TemplateLimits,
    /// Whether the parent has released it.
    released: bool,
}

/// The process that reaps the children and reports their exit status.
enum Ends {
    /// The kernel: it reaps, and keeps the status for holders of the pidfd.
    Kernel,
    /// The template: it reaps, and reports on each child's outcome socket.
    Template { events: signal::ChildEvents, children: BTreeMap<u32, OwnedFd> },
}

impl Ends {
    fn begin() -> Option<Ends> {
        if kernel_remembers() {
            return Some(Ends::Kernel);
        }
        Some(Ends::Template { events: signal::child_events().ok()?, children: BTreeMap::new() })
    }

    /// Registers a new child and the template's copy of its outcome socket; returns its pidfd.
    fn expect(&mut self, pid: u32, theirs: OwnedFd) -> OsResult<OwnedFd> {
        if let Ends::Template { children, .. } = self {
            children.insert(pid, theirs);
            return pidfd_open(pid);
        }
        let pidfd = pidfd_open(pid)?;
        // It may have been killed and reaped by now; then the number may belong to another process.
        match process::reap(pidfd.as_fd())? {
            Reaped::Running => Ok(pidfd),
            _ => Err(OsError::new("fork", process::NO_SUCH_PROCESS)),
        }
    }

    /// Waits for a request or the parent's end, and reports ended children meanwhile.
    fn until_asked(&mut self, control: BorrowedFd<'_>) {
        while let Ends::Template { events, children } = self {
            let ready = poll(&[(events.as_fd(), Interest::Read), (control, Interest::Read)], None);
            // Ends first: a process may wait for one, while a pre-forked child is only for the next start.
            if !ready.as_ref().is_ok_and(|ready| ready.contains(&0)) {
                return;
            }
            report_ended(events, children);
        }
    }

    /// Waits for the end of the last child.
    fn until_none(&mut self) {
        match self {
            Ends::Kernel => process::outlive_children(),
            Ends::Template { events, children } => {
                while !children.is_empty() && wait_for(events.as_fd(), Interest::Read, None).is_ok() {
                    report_ended(events, children);
                }
            }
        }
    }
}

/// Reaps ended children, and reports each on its outcome socket.
fn report_ended(events: &signal::ChildEvents, children: &mut BTreeMap<u32, OwnedFd>) {
    events.take();
    while !children.is_empty()
        && let Ok(Some((pid, ended))) = process::reap_any()
    {
        if let Some(outcome) = children.remove(&pid) {
            tell(&outcome, &Outcome::Ended(ended));
        }
    }
}

/// Whether the kernel keeps the exit status of a child that it reaps, as Linux 6.15 does: tried with one child.
/// That child does not end before its pidfd is open, unless the template does.
fn kernel_remembers() -> bool {
    signal::leave_ends_to_kernel();
    let Ok((held, hold)) = fd::pipe() else { return false };
    match fork::fork_template() {
        Ok(Forked::Child) => {
            drop(hold);
            let _ = wait_for(held.as_fd(), Interest::Read, None);
            process::exit_now(0)
        }
        Ok(Forked::Parent(pid)) => {
            let pidfd = pidfd_open(pid);
            drop(hold);
            process::outlive_children();
            pidfd.is_ok_and(|pidfd| process::remembered_end(pidfd.as_fd()).is_some())
        }
        Err(_) => false,
    }
}

impl Serving {
    fn begin(control: OwnedFd, refusal: Option<Refusal>) -> Option<Serving> {
        Some(Serving {
            control: Some(control),
            ends: Ends::begin()?,
            refusal,
            limits: TemplateLimits::begin(),
            released: false,
        })
    }

    /// Returns in a new pre-forked child, or in the template at its end.
    fn until_end(mut self) -> End {
        while let Some(control) = &self.control {
            self.ends.until_asked(control.as_fd());
            if let Some(pre_forked) = self.serve_one() {
                return End::PreForked(pre_forked);
            }
        }
        self.ends.until_none();
        if self.released { End::Released } else { End::Orphaned }
    }

    /// Takes one request and forks; returns a pre-forked child in that child.
    fn serve_one(&mut self) -> Option<PreForked> {
        let control = self.control.as_ref()?;
        let mut limit = [0; 16];
        let mut asked = socket::receive(control.as_fd(), &mut limit, Mode::Block);
        // The parent has closed the socket with an answer unread. The reset comes before the data that it sent:
        // receive again.
        if asked.as_ref().is_err_and(socket::is_gone) {
            asked = socket::receive(control.as_fd(), &mut limit, Mode::Block);
        }
        let has_come = asked.as_ref().is_ok_and(|asked| asked.bytes > 0);
        let Some(theirs) =
            asked.ok().filter(|asked| asked.bytes == limit.len()).map(|mut asked| asked.fds.pop())
        else {
            self.control = None;
            self.released = has_come;
            return None;
        };
        self.limits.allow_processes(unpack_limit(limit));
        let forked = match (&self.refusal, theirs) {
            (Some(refusal), _) => Ok(Fork::Template(Answer::Refused(refusal.clone()))),
            (None, Some(theirs)) => self.fork(theirs),
            (None, None) => Err(socket::no_descriptor_left()),
        };
        let answer = match forked {
            Ok(Fork::PreForked(pre_forked)) => {
                self.limits.restore();
                return Some(pre_forked);
            }
            Ok(Fork::Template(answer)) => answer,
            Err(error) => Answer::Refused(Refusal::System { errno: error.errno().unwrap_or(0) }),
        };
        tell(self.control.as_ref()?, &answer);
        None
    }

    fn fork(&mut self, outcome: OwnedFd) -> OsResult<Fork> {
        match fork::fork_template()? {
            Forked::Child => Ok(Fork::PreForked(PreForked { outcome })),
            Forked::Parent(pid) => {
                // A child whose pidfd cannot be opened reads the end of its socket, and exits.
                let pidfd = Handle::new(self.ends.expect(pid, outcome)?);
                Ok(Fork::Template(Answer::PreForked { pid, pidfd }))
            }
        }
    }
}

/// The end of a template's loop.
enum End {
    /// In a new pre-forked child.
    PreForked(PreForked),
    /// The parent lives, has released it, and reaps it.
    Released,
    /// The parent has ended.
    Orphaned,
}

/// The two sides of a fork.
enum Fork {
    PreForked(PreForked),
    Template(Answer),
}

/// Sends a message; ignores errors, since a dead parent needs none.
fn tell<T: Serialize>(socket: &OwnedFd, what: &T) {
    if let Ok(message) = pack(what) {
        let _ = send_parcel(socket.as_fd(), &message);
    }
}

/// Ends a child that could not receive its work. Its parent gets the reason, as for a call that failed.
pub(super) fn not_received(outcome: &OwnedFd, error: &ParcelError) -> ! {
    tell(
        outcome,
        &Outcome::Failed { reason: format!("cannot receive the function and its arguments: {error}") },
    );
    process::exit_now(1)
}

/// A fork of the template that waits for its request.
struct PreForked {
    outcome: OwnedFd,
}

impl PreForked {
    fn live(self, kept: &Kept, family: Family) -> ! {
        process::set_title("mp-spare");
        // Nothing is buffered. This loads the code that the child needs at its exit.
        let _ = std::io::stdout().flush();
        let (request, arguments) = match receive_parts(self.outcome.as_fd(), Mode::Block) {
            Ok(both) => both,
            // The socket ends when the pre-forked child is not needed any more.
            Err(ParcelError::Closed) => {
                orphans::call(family);
                process::exit_now(0)
            }
            Err(error) => not_received(&self.outcome, &error),
        };
        let Ok(Request { job, changes }) = unpack(&request.bytes, request.handles) else {
            process::exit_now(1)
        };
        // An interrupt that arrived while it waited was not meant for the child that it is now.
        let parent_has_sent = || {
            let at_once = Deadline::after(Duration::ZERO);
            // Nothing follows the request: a parent closes its direction before it signals the child.
            wait_for(self.outcome.as_fd(), Interest::Read, at_once).unwrap_or(true)
        };
        signal::forget_what_was_not_for_the_child(parent_has_sent);
        kept.restore();
        let applied = changes.apply(fork::set_environment);
        drop(changes);
        finalize::run_after_fork();
        let Job { identity, code, lifeline } = job;
        ChildBootstrap::of_template(identity).run(lifeline.into_fd().ok(), self.outcome, move || {
            applied.map_err(|error| {
                format!(
                    "the child could not take over the parent's directory or standard descriptors: {error}"
                )
            })?;
            code.call(&arguments.bytes, arguments.handles).map_err(|error| error.to_string())
        })
    }
}
