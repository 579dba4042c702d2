//! A child from its first line to its last, in this order:
//!
//! 1. it is who it was told to be: name, parent, default start method
//! 2. a daemon ties its life to the parent's
//! 3. the user's function runs; a panic is caught, with its message and place
//! 4. what came of it is sent to the parent
//! 5. its exit handlers, its own daemons killed, its other children joined, standard output flushed
//! 6. `_exit`: 0 after a return, 101 after a panic, 1 if the call could not be made
//!
//! Nothing of the parent's runs: no destructor, no exit handler, no frame below the first line.

use crate::error::OsResult;
use crate::finalize;
use crate::popen::job::{Job, Outcome, Who};
use crate::popen::lifeline::Lifeline;
use crate::popen::set_start_method_again;
use crate::process::current;
use crate::sys::process::{exit_now, set_title, write_stderr};
use crate::transfer::{CallError, Message, pack, send_parcel};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::sync::{Mutex, PoisonError};

const PANICKED: i32 = 101;
const CALL_FAILED: i32 = 1;

/// Runs a job that came over a socket.
pub(crate) fn run_job(job: Job, arguments: Message, outcome: OwnedFd) -> ! {
    let lifeline = Lifeline::hold(&job.lifeline);
    let Job { who, code, lifeline: given } = job;
    drop(given);
    run(who, lifeline, outcome, move || code.call(&arguments.bytes, arguments.handles))
}

/// Runs a child's work, and ends the process.
pub(crate) fn run(
    who: Who,
    lifeline: OsResult<Lifeline>,
    outcome: OwnedFd,
    work: impl FnOnce() -> Result<Message, CallError>,
) -> ! {
    // Whatever happens below, this function does not unwind into what is under it.
    let code = catch_unwind(AssertUnwindSafe(|| live(who, lifeline, outcome, work))).unwrap_or(PANICKED);
    exit_now(code)
}

fn live(
    who: Who,
    lifeline: OsResult<Lifeline>,
    outcome: OwnedFd,
    work: impl FnOnce() -> Result<Message, CallError>,
) -> i32 {
    let name = who.name.clone();
    set_title(&name);
    set_start_method_again(who.method);
    if who.daemon && lifeline.as_ref().map_or(true, |lifeline| lifeline.arm().is_err()) {
        write_stderr(format!("mp-core: {name} cannot watch its parent, so it does not run\n").as_bytes());
        return CALL_FAILED;
    }
    current::become_child(who, lifeline.ok());
    finalize::install();
    set_hook(Box::new(note_panic));
    let result = catch_unwind(AssertUnwindSafe(work));
    let code = report(&name, &outcome, result.map_err(drop));
    // The parent's end is not to be held up by what follows.
    drop(outcome);
    finalize::run();
    let _ = std::io::stdout().flush();
    code
}

/// Sends what came of the work. A parent that is gone cannot be told, and need not be.
fn report(name: &str, outcome: &OwnedFd, result: Result<Result<Message, CallError>, ()>) -> i32 {
    let (what, value, code) = match result {
        Ok(Ok(value)) => (Outcome::Returned, Some(value), 0),
        Ok(Err(error)) => {
            let reason = error.to_string();
            write_stderr(format!("Process {name}: {reason}\n").as_bytes());
            (Outcome::Failed { reason }, None, CALL_FAILED)
        }
        Err(()) => {
            let (message, location) = take_panic().unwrap_or_default();
            (Outcome::Panicked { message, location }, None, PANICKED)
        }
    };
    let Ok(what) = pack(&what) else { return CALL_FAILED };
    if let Some(value) = value {
        // The value first could be told from what announces it only by guessing.
        let sent = send_parcel(outcome.as_fd(), &what).and_then(|()| send_parcel(outcome.as_fd(), &value));
        if let Err(error) = sent {
            write_stderr(format!("Process {name}: its result could not be sent: {error}\n").as_bytes());
            return CALL_FAILED;
        }
    } else {
        let _ = send_parcel(outcome.as_fd(), &what);
    }
    code
}

/// The last panic's message and place, for the parent.
static LAST_PANIC: Mutex<Option<(String, String)>> = Mutex::new(None);

/// Message and place of the last panic that was caught, once.
pub(super) fn take_panic() -> Option<(String, String)> {
    LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Prints a panic as `Process NAME panicked at PLACE:` and remembers it.
fn note_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("(a payload that is not text)").to_owned();
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let name = current::current_process().name().to_owned();
    let mut text = format!("Process {name} panicked at {location}:\n{message}\n");
    let backtrace = std::backtrace::Backtrace::capture();
    if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
        text.push_str(&format!("{backtrace}\n"));
    }
    write_stderr(text.as_bytes());
    *LAST_PANIC.lock().unwrap_or_else(PoisonError::into_inner) = Some((message, location));
}
