//! ForkServer, the parent's side: a template forks each child, one ahead. The template's side is `template.rs`.
//!
//! ```text
//!    parent                              template                     pre-forked child
//!      │── fork one more, with this socket ─►│──────────── fork ─────────►│ waits
//!      │◄── PreForked{pid, pidfd} ───────────┤                            │
//!    start:                                  │                            │
//!      │── Request + arguments ──────────────┼───────────────────────────►│ becomes the child, and runs
//!      │── fork one more, with this socket ─►│                            │
//!      │                                     │──────────── fork ─────────►  the next pre-forked child
//! ```
//!
//! So a start does not wait for a fork: the fork that it needs was made before.
//!
//! # When a process dies
//! - *The template*: its children run on, and send their results themselves. Their exit status comes from the
//!   kernel where it keeps it (Linux 6.15), otherwise it is `Lost`. The next start makes a new template.
//! - *A pre-forked child*: the request cannot be sent, and the next pre-forked child gets it. One that dies
//!   with the request counts as a child that was killed.
//! - *The parent*: the control socket ends; the template forks no more, reaps its last child and exits. The
//!   socket of the pre-forked child ends too, and it exits.

use super::boot::{Launched, launch};
use super::job::{Answer, Boot, Job, Refusal, Request, pack_limit};
use super::orphans;
use super::process_state::ProcessState;
use super::{Reaper, StartError, Started};
use crate::component::{Component, Rank, Steps};
use crate::error::{CodecError, OsError};
use crate::process::{Family, TARGET};
use crate::sys::confinement;
use crate::sys::poll::{Interest, wait_for};
use crate::sys::process::{self, Ended};
use crate::sys::signal::{self, SIGKILL};
use crate::sys::socket::{self, Mode};
use crate::sys::state::{Limit, State};
use crate::transfer::{
    Callable, Captures, Code, Message, ParcelError, Target, pack, receive_parcel, send_parts, unpack,
};
use crate::word::Deadline;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The template as its parent holds it.
#[derive(Debug)]
pub(super) struct Template {
    control: OwnedFd,
    pid: u32,
    pidfd: OwnedFd,
    /// The parent's end of the outcome socket of the newest pre-forked child.
    pre_forked: Option<OwnedFd>,
    /// The state of this process when the template began, which is the template's state.
    began_with: ProcessState,
    /// Whether this process could inspect the template then. A process that confines itself later cannot any
    /// more.
    was_visible: bool,
}

static COMPONENT: Component = Component::new(
    Rank::Template,
    Steps {
        hold: Some(|| Box::new((template(), retired(), preload()))),
        forget: Some(forget),
        exit: Some(release_template),
    },
);

static TEMPLATE: Mutex<Option<Template>> = Mutex::new(None);

#[inline]
fn template() -> MutexGuard<'static, Option<Template>> {
    COMPONENT.register();
    TEMPLATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Earlier templates, from before this process gave up rights, confined itself, or made a session: such changes
/// do not reach existing processes, so children of those templates would have the old state. Each by its pidfd,
/// until it has ended.
static RETIRED: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

#[inline]
fn retired() -> MutexGuard<'static, Vec<OwnedFd>> {
    COMPONENT.register();
    RETIRED.lock().unwrap_or_else(PoisonError::into_inner)
}

static PRELOAD: Mutex<Option<Code>> = Mutex::new(None);

fn preload() -> MutexGuard<'static, Option<Code>> {
    COMPONENT.register();
    PRELOAD.lock().unwrap_or_else(PoisonError::into_inner)
}

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
pub fn set_forkserver_preload<F, Kind>(function: F) -> Result<(), CodecError>
where
    F: Target<(), Output = ()> + Callable<(), Kind>,
{
    let () = Captures::<F>::NOTHING;
    let code = Code::of::<F, ()>(&function)?;
    *preload() = Some(code);
    Ok(())
}

/// Replaces the template: the next child that ForkServer starts is forked by a new one, with this process's
/// state at that time. Running children go on.
///
/// It is needed only after a change that no start can detect: `docs/environments.md` has a table of what each
/// start detects. A process that confines itself for good, and is not sure, calls this afterwards, or starts
/// its children by `Spawn`.
///
/// Python has no counterpart.
pub fn replace_forkserver() {
    Template::retire(template().take());
}

/// The most pre-forked children that may be killed within one start.
pub(super) const MOST_KILLED: u32 = 100;

/// Starts a child: sends its work to the pre-forked child, and requests the next one.
pub(crate) fn start(job: Job, arguments: &Message) -> Result<Started, StartError> {
    let mut template = template();
    let now = template.as_ref().and_then(Template::unchanged_state);
    if now.is_none() {
        Template::retire(template.take());
    }
    let mut relaunched = false;
    let mut killed = 0;
    loop {
        if template.is_none() {
            *template = Some(Template::launch()?);
            relaunched = true;
        }
        let serving = template.as_mut().expect("made above");
        match serving.start_one(&job, now.as_ref(), arguments) {
            // The pre-forked child was killed while it waited. Its function has not run, so the next one can get
            // the work.
            Err(StartError::Parcel(ParcelError::Closed)) if killed < MOST_KILLED => {
                killed += 1;
            }
            Err(StartError::Parcel(ParcelError::Closed)) => return Err(StartError::Died),
            // The template was killed: make a new one, once in each start.
            Err(StartError::Died) if !relaunched => drop(Template::reap(template.take())),
            Err(StartError::Died) => return Err(StartError::ended_early(Template::reap(template.take()))),
            Err(error @ (StartError::Preload { .. } | StartError::TemplateThreads { .. })) => {
                // This template will never fork. A new one may have another preload function.
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
        let preload = *preload();
        let (blocked, parent) = (signal::blocked(), std::process::id());
        let boot = Boot::Serve { preload, blocked, parent, family };
        let Launched { pid, pidfd, socket } = launch(&boot, &Message::default())?;
        let limit = began_with.process_limit();
        let mut template = Template {
            control: socket,
            pid,
            pidfd,
            pre_forked: None,
            began_with,
            was_visible: confinement::may_inspect(pid) == Some(true),
        };
        // If no descriptor is left, the start reports it, and the next start requests a fork again.
        let _ = template.request_fork(limit);
        Ok(template)
    }

    /// A template that is a copy of this process.
    pub(super) fn of_copy(control: OwnedFd, pid: u32, pidfd: OwnedFd, began_with: ProcessState) -> Template {
        let limit = began_with.process_limit();
        let mut template = Template { control, pid, pidfd, pre_forked: None, began_with, was_visible: false };
        // As in `launch`.
        let _ = template.request_fork(limit);
        template
    }

    /// Starts a child, with this process's state `now`.
    pub(super) fn start_one(
        &mut self,
        job: &Job,
        now: Option<&State>,
        arguments: &Message,
    ) -> Result<Started, StartError> {
        let (changes, limit) = self.began_with.changes(now, job.identity.has_stdin)?;
        let request = pack(&Request { job: job.clone(), changes })?;
        self.hand_over(&request, arguments, limit)
    }

    /// This process's current state, if a child of this template can get it: if this process is confined,
    /// scheduled and entitled as it was when the template began.
    pub(super) fn unchanged_state(&self) -> Option<State> {
        let is_hidden = self.was_visible && confinement::may_inspect(self.pid) == Some(false);
        if is_hidden { None } else { self.began_with.unchanged_state() }
    }

    /// Requests one more fork. The template gets this process's limit of processes, so that the fork fails
    /// where this process's own fork would.
    fn request_fork(&mut self, limit: Limit) -> Result<(), StartError> {
        let (ours, theirs) = socket::packet_pair()?;
        let sent = socket::send(self.control.as_fd(), &[&pack_limit(limit)], &[theirs.as_fd()], Mode::Block);
        sent.map_err(|error| if socket::is_gone(&error) { StartError::Died } else { error.into() })?;
        self.pre_forked = Some(ours);
        Ok(())
    }

    /// Sends a request to the pre-forked child, and requests the next one. In this order: the child is waited
    /// for, the next pre-forked child is not. [`ParcelError::Closed`] if the pre-forked child has died.
    fn hand_over(
        &mut self,
        request: &Message,
        arguments: &Message,
        limit: Limit,
    ) -> Result<Started, StartError> {
        let pre_forked = match self.take_pre_forked() {
            // The error is from the last start: its cause may be gone by now.
            Err(StartError::Os(_)) => self.request_fork(limit).and_then(|()| self.take_pre_forked()),
            first => first,
        };
        let started = pre_forked.and_then(|pre_forked| {
            // A template that reaps has the other end open too, so the socket of a dead pre-forked child still
            // takes packets. Without this check the work would be lost.
            if wait_for(pre_forked.pidfd.as_fd(), Interest::Read, Deadline::after(Duration::ZERO))? {
                return Err(StartError::Parcel(ParcelError::Closed));
            }
            send_parts(pre_forked.outcome.as_fd(), request.into(), arguments.into())?;
            Ok(pre_forked)
        });
        // If the template was killed meanwhile, its last pre-forked child still works.
        let _ = self.request_fork(limit);
        started
    }

    /// The newest pre-forked child. An error of the system if it could not be requested: no descriptor is left,
    /// or none was left then.
    fn take_pre_forked(&mut self) -> Result<Started, StartError> {
        let outcome = self.pre_forked.take().ok_or_else(socket::no_descriptor_left)?;
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
            // Killed before the template opened its pidfd.
            Answer::Refused(Refusal::System { errno: process::NO_SUCH_PROCESS }) => {
                Err(StartError::Parcel(ParcelError::Closed))
            }
            Answer::Refused(Refusal::System { errno }) => Err(OsError::new("fork", errno).into()),
            Answer::Refused(Refusal::Preload { reason }) => Err(StartError::Preload { reason }),
            Answer::Refused(Refusal::Threads { threads }) => Err(StartError::TemplateThreads { threads }),
        }
    }

    /// Releases a template whose children live on: it ends after the last of them.
    fn retire(template: Option<Template>) {
        let mut retired = retired();
        retired.retain(|pidfd| process::reap(pidfd.as_fd()).is_ok_and(|it| it == process::Reaped::Running));
        retired.extend(template.map(|template| {
            template.tell_it_is_released();
            template.pidfd
        }));
    }

    /// Tells the template that it is released. Without this it would take the end of its socket for the end of
    /// this process, and would call the process that adopts it.
    fn tell_it_is_released(&self) {
        let _ = socket::send(self.control.as_fd(), &[&[0]], &[], Mode::Now);
    }

    /// Reaps the last pre-forked child of a killed template, if this process adopts orphans.
    fn expect_its_pre_forked(control: BorrowedFd<'_>) {
        // The first result may be a reset: data that was sent to the template was not read.
        for _ in 0..2 {
            if let Ok(message) = receive_parcel(control, Mode::Now)
                && let Ok(Answer::PreForked { pidfd, .. }) = unpack(&message.bytes, message.handles)
            {
                orphans::expect(|| pidfd.into_fd().ok());
            }
        }
    }

    /// Releases a template, waits for its end, and returns its exit status.
    fn reap(template: Option<Template>) -> Option<Ended> {
        process::end_of(template?.release().as_fd())
    }

    /// Releases a template, which ends after the last of its children; gives its pidfd.
    pub(super) fn release(self) -> OwnedFd {
        self.tell_it_is_released();
        let Template { control, pidfd, pre_forked, .. } = self;
        Template::expect_its_pre_forked(control.as_fd());
        // A remaining pre-forked child ends with its socket.
        drop((control, pre_forked));
        pidfd
    }
}

/// Reaps a killed template and its pre-forked child, also if no start follows.
pub(crate) fn reap_dead_template() {
    COMPONENT.register();
    // A thread that holds the lock starts a child, and does the same.
    let Ok(mut template) = TEMPLATE.try_lock() else { return };
    let at_once = Deadline::after(Duration::ZERO);
    let has_ended = |template: &Template| wait_for(template.pidfd.as_fd(), Interest::Read, at_once);
    if template.as_ref().is_some_and(|template| has_ended(template).unwrap_or(false)) {
        Template::reap(template.take());
    }
}

/// Whether a child lives on after this process.
static CHILD_LIVES_ON: AtomicBool = AtomicBool::new(false);

/// At this process's exit, before the template is released: a child lives on, so the template does.
pub(crate) fn leave_to_its_children() {
    // ORDERING: Relaxed: read by the same thread.
    CHILD_LIVES_ON.store(true, Ordering::Relaxed);
}

/// At this process's exit: releases the template and waits for it, so that nothing is left behind. Its last
/// child has ended by then, or belongs to another process. If a child lives on, the template ends after it, and is
/// not waited for.
fn release_template() {
    // ORDERING: as above.
    let all_have_ended = !CHILD_LIVES_ON.load(Ordering::Relaxed);
    let template = template().take();
    let last = template.map(|template| {
        template.tell_it_is_released();
        template.pidfd
    });
    for pidfd in retired().drain(..).chain(last) {
        if all_have_ended {
            end_soon(pidfd.as_fd());
        }
    }
}

/// How long a template without work may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Waits for the end of a template without children; kills it if it is stopped. The wait is bounded.
fn end_soon(pidfd: BorrowedFd<'_>) {
    let ended = |within| wait_for(pidfd, Interest::Read, Deadline::after(within)).unwrap_or(false);
    if ended(PATIENCE) || process::send_signal(pidfd, SIGKILL).is_ok() && ended(PATIENCE) {
        let _ = process::end_of(pidfd);
    } else {
        log::warn!(target: TARGET, "a template is not waited for at exit: it still runs, and this process may not kill it");
    }
}

/// In a forked child: forgets the template and the preload function, which are the parent's.
fn forget() {
    *template() = None;
    retired().clear();
}

/// The template's process id, if one runs, for tools and tests.
#[doc(hidden)]
pub fn template_pid() -> Option<u32> {
    template().as_ref().and_then(|template| crate::sys::poll::pidfd_pid(template.pidfd.as_fd()))
}
