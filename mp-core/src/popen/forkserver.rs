//! ForkServer, the parent's side: a template (`template.rs` is its side) forks each child, one ahead.
//!
//! ```text
//!   parent                              template                     spare
//!     │── one more, with this socket ─────►│──────────── fork ─────────►│ waits
//!     │◄── PreForked{pid, pidfd} ──────────────┤                            │
//!   start:                                 │                            │
//!     │── one more, with this socket ─────►│                            │
//!     │── Request + arguments ─────────────┼───────────────────────────►│ is a child, and runs
//!     │                                    │──────────── fork ─────────►  the next spare
//! ```
//!
//! So a start waits for nobody: the fork that it needs was made before, while something else went on.
//!
//! # When a process dies
//! The *template*: its children run on; their results come straight from them, and how they ended from the
//! kernel where it remembers (Linux 6.15), else it is `Lost`. The next start makes a new template.
//! A *spare*: the request cannot be sent, and the next spare gets it. One that dies with the request in hand is a
//! child that was killed.
//! The *parent*: the control socket ends, the template forks no more, reaps its last child and exits; a pre-forked child's
//! socket ends, and it exits.

use super::boot::{Launched, launch};
use super::job::{Answer, Boot, Job, Refusal, Request, pack_limit};
use super::orphans;
use super::process_state::ProcessState;
use super::{Reaper, StartError, Started};
use crate::error::OsError;
use crate::process::{Family, TARGET};
use crate::sys::confinement;
use crate::sys::poll::{Interest, wait_for};
use crate::sys::process::{self, Ended};
use crate::sys::signal::{self, SIGKILL};
use crate::sys::socket::{self, Mode};
use crate::sys::state::{Limit, State};
use crate::transfer::{
    Callable, Captures, Code, CodeError, Message, ParcelError, Target, pack, receive_parcel, send_parts,
    unpack,
};
use crate::word::Deadline;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The template as its parent holds it.
struct Template {
    control: OwnedFd,
    pid: u32,
    pidfd: OwnedFd,
    /// Our end of the outcome socket of the pre-forked child that was asked for last.
    spare: Option<OwnedFd>,
    /// What this process was like when the template began, and so what the template is like.
    began_with: ProcessState,
    /// Whether this process could look at it then, as the kernel has it: one that confines itself cannot any more.
    was_visible: bool,
}

static TEMPLATE: Mutex<Option<Template>> = Mutex::new(None);

#[inline]
fn template() -> MutexGuard<'static, Option<Template>> {
    TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Templates of before this process gave up rights, confined itself, or made a session: those are had by birth, so their
/// children would have the old ones. Each by its pidfd, until it has ended.
static RETIRED: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

#[inline]
fn retired() -> MutexGuard<'static, Vec<OwnedFd>> {
    RETIRED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Held over a fork that other threads see.
pub(super) fn hold() -> impl Sized {
    (template(), retired(), PRELOAD.lock().unwrap_or_else(PoisonError::into_inner))
}

static PRELOAD: Mutex<Option<Code>> = Mutex::new(None);

/// Has `function` called once in the template, before its first fork, so that every child begins with what it did:
/// a parsed configuration, a loaded table.
///
/// It is called by a thread that ends before the first fork, so that children share no thread's random state. One
/// that starts threads which go on, or panics, makes each start fail ([`StartError::Preload`],
/// [`StartError::TemplateThreads`]). A template that runs already stays as it is; children inherit no preload for
/// templates of their own.
///
/// ```no_run
/// use std::sync::OnceLock;
///
/// static TABLE: OnceLock<Vec<u64>> = OnceLock::new();
///
/// fn make_table() {
///     TABLE.get_or_init(|| (0..1_000_000).collect());
/// }
///
/// mp_core::popen::set_forkserver_preload(make_table)?;
/// let child = mp_core::Process::new(|| TABLE.get().is_some(), ()).start()?;
/// assert!(child.join()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `set_forkserver_preload`, which takes names of modules.
pub fn set_forkserver_preload<F, Kind>(function: F) -> Result<(), CodeError>
where
    F: Target<(), Output = ()> + Callable<(), Kind>,
{
    let () = Captures::<F>::NOTHING;
    let code = Code::of::<F, ()>(&function)?;
    *PRELOAD.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
    Ok(())
}

/// Replaces the template: the next child that is started by ForkServer is forked by a new one, which has everything that
/// this process has by then. Children that run go on.
///
/// It is needed only after a change that no start can see: what a start sees, and what it does then, is in the table of
/// `docs/environments.md`. A process that confines itself for good, and is not sure, calls this afterwards, or starts
/// its children by `Spawn`.
pub fn replace_forkserver() {
    Template::retire(template().take());
}

/// How many spares may be killed, one after the other, within one start: more are no accident.
const MOST_KILLED_SPARES: u32 = 100;

/// Starts a child: tells the pre-forked child that the template has ready what to be, and has the next one made.
pub(crate) fn start(job: Job, arguments: &Message) -> Result<Started, StartError> {
    let mut template = template();
    let now = template.as_ref().and_then(Template::followed);
    if now.is_none() {
        Template::retire(template.take());
    }
    let mut relaunched = false;
    let mut killed_spares = 0;
    loop {
        if template.is_none() {
            *template = Some(Template::launch()?);
            relaunched = true;
        }
        let serving = template.as_mut().expect("made above");
        let (changes, limit) = serving.began_with.changes(now.as_ref(), job.identity.has_stdin)?;
        let request = pack(&Request { job: job.clone(), changes })?;
        match serving.hand_over(&request, arguments, limit) {
            // The pre-forked child was killed while it waited: nothing has run.
            Err(StartError::Parcel(ParcelError::Closed)) if killed_spares < MOST_KILLED_SPARES => {
                killed_spares += 1;
            }
            Err(StartError::Parcel(ParcelError::Closed)) => return Err(StartError::Died),
            // The template was killed. A second time in one start is no accident.
            Err(StartError::Died) if !relaunched => drop(Template::reap(template.take())),
            Err(StartError::Died) => return Err(StartError::ended_early(Template::reap(template.take()))),
            Err(error @ (StartError::Preload { .. } | StartError::TemplateThreads { .. })) => {
                // It will never fork. Its successor may be given another preload.
                Template::reap(template.take());
                return Err(error);
            }
            started_or_refused => return started_or_refused,
        }
    }
}

impl Template {
    fn launch() -> Result<Template, StartError> {
        let began_with = ProcessState::current().map_err(StartError::of_execution)?;
        let family = Family::of_this_process()?;
        let preload = *PRELOAD.lock().unwrap_or_else(PoisonError::into_inner);
        let (blocked, parent) = (signal::blocked(), std::process::id());
        let boot = Boot::Serve { preload, blocked, parent, family };
        let Launched { pid, pidfd, socket } = launch(&boot, &Message::default())?;
        let limit = began_with.process_limit();
        let mut template = Template {
            control: socket,
            pid,
            pidfd,
            spare: None,
            began_with,
            was_visible: confinement::may_look_at(pid) == Some(true),
        };
        // Refused for want of a descriptor: the start says so, and the next one asks again.
        let _ = template.ask_for_spare(limit);
        Ok(template)
    }

    /// This process's state now, if a child of this template can be as if it were this process's own: if this process
    /// is not confined, scheduled or entitled in another way than it was.
    fn followed(&self) -> Option<State> {
        let is_hidden = self.was_visible && confinement::may_look_at(self.pid) == Some(false);
        if is_hidden { None } else { self.began_with.followed() }
    }

    /// Its fork is to be refused where this process's own would be: the template is told this process's limit.
    fn ask_for_spare(&mut self, limit: Limit) -> Result<(), StartError> {
        let (ours, theirs) = socket::packet_pair()?;
        let sent = socket::send(self.control.as_fd(), &[&pack_limit(limit)], &[theirs.as_fd()], Mode::Block);
        sent.map_err(|error| if socket::is_gone(&error) { StartError::Died } else { error.into() })?;
        self.spare = Some(ours);
        Ok(())
    }

    /// Gives a request to the pre-forked child that was asked for before, and asks for the next: in this order, since the child
    /// is waited for and the next spare is not. [`ParcelError::Closed`] if the pre-forked child is gone.
    fn hand_over(
        &mut self,
        request: &Message,
        arguments: &Message,
        limit: Limit,
    ) -> Result<Started, StartError> {
        let spare = match self.take_spare() {
            // That was at the last start: what was lacking may be there by now.
            Err(StartError::Os(_)) => self.ask_for_spare(limit).and_then(|()| self.take_spare()),
            first => first,
        };
        let started = spare.and_then(|spare| {
            // Where the template reaps, it has the other end open too, and a dead spare's socket takes what is sent.
            if wait_for(spare.pidfd.as_fd(), Interest::Read, Deadline::after(Duration::ZERO))? {
                return Err(StartError::Parcel(ParcelError::Closed));
            }
            send_parts(spare.outcome.as_fd(), request.into(), arguments.into())?;
            Ok(spare)
        });
        // A template that was killed meanwhile has left its last spare, which is good.
        let _ = self.ask_for_spare(limit);
        started
    }

    /// The pre-forked child that was asked for last. An error of the system's if none could be asked for: there is no descriptor
    /// left, or there was none then.
    fn take_spare(&mut self) -> Result<Started, StartError> {
        let outcome = self.spare.take().ok_or_else(socket::no_descriptor_left)?;
        let answer = receive_parcel(self.control.as_fd(), Mode::Block);
        let message = answer.map_err(|error| match error {
            ParcelError::Closed => StartError::Died,
            other => other.into(),
        })?;
        match unpack(&message.bytes, message.handles)? {
            Answer::PreForked { pid, pidfd } => {
                let into_fd = pidfd.into_fd();
                let pidfd = into_fd.map_err(|source| OsError { call: "fcntl(F_DUPFD_CLOEXEC)", source })?;
                Ok(Started { pid, pidfd, outcome, reaper: Reaper::Template })
            }
            // Killed before the template could tell of it.
            Answer::Refused(Refusal::System { errno: process::NO_SUCH_PROCESS }) => {
                Err(StartError::Parcel(ParcelError::Closed))
            }
            Answer::Refused(Refusal::System { errno }) => Err(OsError::new("fork", errno).into()),
            Answer::Refused(Refusal::Preload { reason }) => Err(StartError::Preload { reason }),
            Answer::Refused(Refusal::Threads { threads }) => Err(StartError::TemplateThreads { threads }),
        }
    }

    /// Lets go of one whose children live on: it ends after the last of them.
    fn retire(template: Option<Template>) {
        let mut retired = retired();
        retired.retain(|pidfd| process::reap(pidfd.as_fd()).is_ok_and(|it| it == process::Reaped::Running));
        retired.extend(template.map(|template| {
            template.say_that_it_is_let_go();
            template.pidfd
        }));
    }

    /// Else it would take the end of its socket for this process's, and look for the process that adopts it.
    fn say_that_it_is_let_go(&self) {
        let _ = socket::send(self.control.as_fd(), &[&[0]], &[], Mode::Now);
    }

    /// A killed one has left its last spare to the process that adopts orphans, perhaps this one.
    fn expect_its_spare(control: BorrowedFd<'_>) {
        // The first answer may be that the socket was reset, what was sent to the template not having been read.
        for _ in 0..2 {
            if let Ok(message) = receive_parcel(control, Mode::Now)
                && let Ok(Answer::PreForked { pidfd, .. }) = unpack(&message.bytes, message.handles)
            {
                orphans::expect(|| pidfd.into_fd().ok());
            }
        }
    }

    /// Lets go of one, waits for its end, and says how it ended.
    fn reap(template: Option<Template>) -> Option<Ended> {
        let template = template?;
        template.say_that_it_is_let_go();
        let Template { control, pidfd, spare, .. } = template;
        Template::expect_its_spare(control.as_fd());
        // A pre-forked child that is left over ends with its socket.
        drop((control, spare));
        process::end_of(pidfd.as_fd())
    }
}

/// Lets go of a template that was killed, so that it and its pre-forked child are reaped although no start follows.
pub(crate) fn look_after_template() {
    // A thread that holds it starts a child, and sees to it.
    let Ok(mut template) = TEMPLATE.try_lock() else { return };
    let at_once = Deadline::after(Duration::ZERO);
    let has_ended = |template: &Template| wait_for(template.pidfd.as_fd(), Interest::Read, at_once);
    if template.as_ref().is_some_and(|template| has_ended(template).unwrap_or(false)) {
        Template::reap(template.take());
    }
}

/// At this process's end: the template may go, and is waited for, so that nothing is left behind. Its last child has gone
/// by then, or belongs to another process. If a child lives on (`all_have_ended` is false), the template ends after it,
/// and is not waited for.
#[inline]
pub(crate) fn let_go(all_have_ended: bool) {
    let template = template().take();
    let last = template.map(|template| {
        template.say_that_it_is_let_go();
        template.pidfd
    });
    for pidfd in retired().drain(..).chain(last) {
        if all_have_ended {
            end_soon(pidfd.as_fd());
        }
    }
}

/// How long a template may take to end that has nothing left to do.
const PATIENCE: Duration = Duration::from_secs(2);

/// Waits for the end of a template without children; one that is stopped is killed. It does not wait for ever.
fn end_soon(pidfd: BorrowedFd<'_>) {
    let ended = |within| wait_for(pidfd, Interest::Read, Deadline::after(within)).unwrap_or(false);
    if ended(PATIENCE) || process::send_signal(pidfd, SIGKILL).is_ok() && ended(PATIENCE) {
        let _ = process::end_of(pidfd);
    } else {
        log::warn!(target: TARGET, "a template is not waited for at exit: it still runs, and this process may not kill it");
    }
}

/// In a forked child: the template is the parent's, and what it was to preload.
#[inline]
pub(super) fn after_fork() {
    *template() = None;
    retired().clear();
}

/// The template's process id, if one runs: for tools and tests that look from outside.
pub fn template_pid() -> Option<u32> {
    template().as_ref().and_then(|template| crate::sys::poll::pidfd_pid(template.pidfd.as_fd()))
}
