//! One run of a lesson, as a program of its own.

use crate::lesson::{Lesson, Promise};
use mp::StartMethod;
use mp::base::sys::poll::pidfd_open;
use mp::base::sys::process::send_signal;
use mp::base::sys::signal::SIGKILL;
use std::os::fd::AsFd;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// The first argument of a program that is to be one lesson.
pub(crate) const BE: &str = "--be";
const AS_IN_COURSE: &str = "--as-in-course";

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run<'a> {
    pub(crate) lesson: &'a Lesson,
    /// As the document has it, with its fault.
    pub(crate) as_in_course: bool,
    pub(crate) method: StartMethod,
    pub(crate) must_fail: bool,
    pub(crate) limit: Duration,
}

/// How it went.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How many of the promised lines were printed.
    pub(crate) kept: usize,
    pub(crate) passed: bool,
    /// As a person reads it: an exit status, or that it hangs.
    pub(crate) end: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl<'a> Run<'a> {
    pub(crate) fn promise(&self) -> &'a Promise {
        let twin = self.lesson.as_in_course.as_ref().filter(|_| self.as_in_course);
        twin.unwrap_or(&self.lesson.prints)
    }

    pub(crate) fn run(&self) -> Outcome {
        let mut command = Command::new("/proc/self/exe");
        command.args([BE, self.lesson.name]).env("MP_START_METHOD", self.method.name());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.as_in_course {
            command.arg(AS_IN_COURSE);
        }
        if self.must_fail {
            // No process can be started so.
            command.env("MP_START_METHOD", "no such method");
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let Some(output) = output_within(command, self.limit) else {
            let end = format!("hangs: not done after {:?}", self.limit);
            return Outcome { kept: 0, passed: false, end, stdout: String::new(), stderr: String::new() };
        };
        let stdout = text(&output.stdout);
        let (kept, all) = self.promise().kept_by(&stdout);
        Outcome {
            kept,
            passed: all && output.status.success(),
            end: output.status.to_string(),
            stdout,
            stderr: text(&output.stderr),
        }
    }
}

/// What a program says until it has ended; nothing if it cannot be started, or is killed because it hangs.
fn output_within(mut command: Command, limit: Duration) -> Option<Output> {
    let child = command.spawn().ok()?;
    let pidfd = pidfd_open(child.id()).ok()?;
    let (done, output) = mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let output = output.recv_timeout(limit);
    if output.is_err() {
        // Its children may hold its output open even then, so this does not wait for the end of it.
        let _ = send_signal(pidfd.as_fd(), SIGKILL);
    }
    output.ok()?.ok()
}
