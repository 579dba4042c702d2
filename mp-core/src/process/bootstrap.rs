//! The life of a child, in this order:
//!
//! 1. It takes its identity: name, parent, default start method.
//! 2. A daemon ties its life to the parent's.
//! 3. The user's function runs. A panic is caught, with its message and location.
//! 4. The result is sent to the parent.
//! 5. Its exit handlers run, its own daemons are killed, its other children joined, standard output flushed.
//! 6. `_exit`: 0 after a return, 101 after a panic, 1 if the call could not be made.
//!
//! No code of the parent's runs: no destructor, no exit handler, no frame below the first line.

use crate::component::{Component, Rank, Steps};
use crate::finalize;
use crate::popen::job::{ChildIdentity, Inherited, Outcome};
use crate::popen::{StartMethod, force_start_method, lifeline, orphans, raw_fork};
use crate::process::authkey::{self, AuthKey, set_authkey};
use crate::process::current::{self, CurrentProcess};
use crate::process::family;
use crate::process::join_error::At;
use crate::process::logging::{self, TARGET};
use crate::process::panics;
use crate::sys::fd;
use crate::sys::process::{exit_now, set_title, write_coverage, write_stderr};
use crate::transfer::{Code, Message, ParcelError, Part, pack, send_parts};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, take_hook};
use std::sync::{Mutex, PoisonError};

const PANICKED: i32 = 101;
const CALL_FAILED: i32 = 1;

/// The state of a child, made before it exists: a fork copies it, so that the child itself allocates nothing.
/// Each page of memory that a new child writes to is copied for it, at a price of microseconds.
#[derive(Debug)]
pub(crate) struct ChildBootstrap {
    me: CurrentProcess,
    method: StartMethod,
    has_stdin: bool,
    /// `None` in a fork of the parent, which has this state already.
    inherited: Option<Inherited>,
    /// Whether [`prepare`] ran in the process that forked it.
    prepared: bool,
}

impl ChildBootstrap {
    /// For a program that is executed again.
    pub(crate) fn of_spawn(mut identity: ChildIdentity) -> ChildBootstrap {
        let inherited = identity.inherited.take();
        let (method, has_stdin) = (identity.method, identity.has_stdin);
        ChildBootstrap { method, has_stdin, me: CurrentProcess::from(identity), inherited, prepared: false }
    }

    /// For a fork of a template, which has called [`prepare`].
    pub(crate) fn of_template(identity: ChildIdentity) -> ChildBootstrap {
        ChildBootstrap { prepared: true, ..ChildBootstrap::of_spawn(identity) }
    }

    /// For a fork of the parent.
    pub(crate) fn of_fork(identity: ChildIdentity) -> ChildBootstrap {
        ChildBootstrap { inherited: None, ..ChildBootstrap::of_spawn(identity) }
    }

    /// Runs the child's work, and ends the process. An error of the work is a sentence for the parent.
    pub(crate) fn run(
        self,
        lifeline: Option<OwnedFd>,
        outcome: OwnedFd,
        work: impl FnOnce() -> Result<Message, String>,
    ) -> ! {
        // A panic must not unwind into the frames below, which belong to the parent.
        let live = || live(self, lifeline, outcome, work);
        exit_now(catch_unwind(AssertUnwindSafe(live)).unwrap_or(PANICKED))
    }
}

/// This process's end of its outcome socket, until it has sent its result.
static OUTCOME: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// A copy closes the outcome socket, whose end must not wait for it.
static COMPONENT: Component =
    Component::new(Rank::Outcome, Steps { forget: Some(|| drop(take_outcome())), ..Steps::NONE });

#[inline]
fn take_outcome() -> Option<OwnedFd> {
    OUTCOME.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn take_over(Inherited { authkey, family, adopter, log_level }: Inherited) {
    set_authkey(AuthKey::inherited(authkey));
    family::join(family);
    orphans::inherit_adopter(adopter);
    if let Some(level) = log_level {
        logging::inherit(level);
    }
}

fn common_to_all() {
    finalize::install();
    panics::install(say_panicked);
}

/// The part of the bootstrap that is equal for all children: a template does it once, before its forks.
pub(crate) fn prepare() {
    common_to_all();
    // What each child would register.
    let components = [
        &current::COMPONENT,
        &authkey::COMPONENT,
        &COMPONENT,
        &lifeline::COMPONENT,
        &family::COMPONENT,
        &panics::COMPONENT,
    ];
    for component in components {
        component.register();
    }
    // Built once, and inherited by each fork.
    crate::sys::image::build();
    // Made now: otherwise each child would make it, to flush it at its exit.
    let _ = std::io::stdout();
}

#[inline]
fn live(
    child: ChildBootstrap,
    lifeline: Option<OwnedFd>,
    outcome: OwnedFd,
    work: impl FnOnce() -> Result<Message, String>,
) -> i32 {
    let ChildBootstrap { me, method, has_stdin, inherited, prepared } = child;
    // First: what is known here belongs to the child from now on. Otherwise its exit would end the parent's
    // children.
    raw_fork::become_owner();
    if !has_stdin {
        fd::empty_standard_input();
    }
    set_title(me.name());
    force_start_method(method);
    // Before the work: a daemon that outlived its parent here could never be killed.
    let daemon = me.daemon();
    if lifeline.is_none() || lifeline::hold(lifeline, daemon).is_err() {
        let name = me.name();
        write_stderr(format!("mp-core: {name} does not run: it cannot watch its parent\n").as_bytes());
        return CALL_FAILED;
    }
    current::become_child(me);
    COMPONENT.register();
    *OUTCOME.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    if !prepared {
        common_to_all();
    }
    if let Some(inherited) = inherited {
        take_over(inherited);
    }
    // A template's children are known to it, and it tells of them.
    if daemon && method != StartMethod::ForkServer {
        orphans::introduce(current::parent_process().map_or(0, |parent| parent.pid()));
    }
    log::info!(target: TARGET, "child process calling its function");
    panics::begin_process();
    let code = report(catch_unwind(AssertUnwindSafe(work)).map_err(panics::explain));
    log::info!(target: TARGET, "process shutting down");
    // After the result: the parent's join shall not wait for handlers and children.
    finalize::run();
    let _ = std::io::stdout().flush();
    write_coverage();
    log::info!(target: TARGET, "process exiting with exitcode {code}");
    if lifeline::is_orphan()
        && let Ok(family) = family::Family::of_this_process()
    {
        orphans::call_after(current::parent_process().map_or(0, |parent| parent.pid()), family);
    }
    code
}

/// Sends the result of the work.
#[inline]
fn report(result: Result<Result<Message, String>, (String, String)>) -> i32 {
    match result {
        // On the stack: the page of the program's constants is not mapped yet.
        Ok(Ok(value)) => match say(&std::hint::black_box(Outcome::RETURNED), Some(&value)) {
            Ok(()) | Err(ParcelError::Closed) => 0,
            Err(error) => {
                let reason = format!("cannot send its result: {error}");
                // The memory that it has is what the rest may need.
                drop(value);
                say_failed(reason)
            }
        },
        Ok(Err(reason)) => say_failed(reason),
        Err((message, location)) => {
            say_packed(Outcome::Panicked { message, location });
            PANICKED
        }
    }
}

fn say_failed(reason: String) -> i32 {
    // The parent first: standard error output may be a file, and the same limit end this process for a write to it.
    say_packed(Outcome::Failed { reason: reason.clone() });
    complain(&reason);
    CALL_FAILED
}

fn complain(what: &str) {
    let name = current::current_process();
    write_stderr(format!("Process {}: {what}\n", name.name()).as_bytes());
}

/// Says why there is no value. A long text takes memory, which may not be had: then its beginning is sent, which takes
/// none.
fn say_packed(what: Outcome) {
    let send = |what: &Outcome| pack(what).is_ok_and(|message| say(&message.bytes, None).is_ok());
    if !send(&what) {
        send(&what.cut());
    }
    // A parent that has ended needs no message.
    drop(take_outcome());
}

/// Sends the last message on the outcome socket, and closes it: what follows must not delay the end that the
/// parent reads. On an error it stays open, for what is said instead.
#[inline]
fn say(what: &[u8], value: Option<&Message>) -> Result<(), ParcelError> {
    let Some(outcome) = take_outcome() else { return Ok(()) };
    let value = value.map_or(Part::EMPTY, Part::from);
    let sent = send_parts(outcome.as_fd(), Part { bytes: what, handles: &[] }, value);
    if sent.is_err() {
        *OUTCOME.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
    sent
}

/// Calls a template's preload function in a thread of its own: thread-local state that it leaves (the keys of a
/// `RandomState`, for example) would be equal in every child. `Err` has the reason of a failure.
pub(crate) fn preload(code: Code) -> Result<(), String> {
    panics::install_for_template();
    let called = std::thread::Builder::new().name("preload".to_owned()).spawn(move || code.call(&[], vec![]));
    let result = called.map_err(|error| error.to_string())?.join();
    drop(take_hook());
    match result {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(payload) => {
            let (message, location) = panics::explain(payload);
            Err(format!("panicked{}: {message}", At(&location)))
        }
    }
}

/// Sends the panic that ends this process, in a build with `panic = "abort"`.
fn say_panicked(message: String, location: String) {
    say_packed(Outcome::Panicked { message, location });
}
