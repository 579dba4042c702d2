//! The whole course: every lesson as a program of its own, under every start method.
//!
//! Run:      cargo run --release --example course
//!           cargo run --release --example course -- ex06        (lessons whose name holds "ex06")
//!           cargo run --release --example course -- --fail ex05 (what a lesson that falls short looks like)
//!
//! A lesson passes if it ends with status 0 and prints what its header promises, line by line: the counts in the table
//! are of those lines. The exit status is 1 if one falls short.

// Each lesson stands alone, so two of them bring the same file of `support` along.
#![allow(clippy::duplicate_mod)]

#[macro_use]
#[path = "support/lesson.rs"]
mod lesson;

use lesson::{Lesson, Promise};
use mp::StartMethod;
use mp::base::sys::poll::pidfd_open;
use mp::base::sys::process::send_signal;
use mp::base::sys::signal::SIGKILL;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

macro_rules! lessons {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*
        /// (name, its main, its source)
        const LESSONS: &[(&str, fn() -> mp::Result<()>, &str)] =
            &[$((stringify!($name), $name::main, include_str!(concat!(stringify!($name), ".rs")))),*];
    };
}

all_lessons!(lessons);

/// The first argument of a program that is to be one lesson.
const BE: &str = "--be";
const AS_IN_COURSE: &str = "--as-in-course";
/// The columns of the table.
const METHODS: [StartMethod; 3] = [StartMethod::Fork, StartMethod::Spawn, StartMethod::ForkServer];
/// A lesson that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, ..] = &words[..]
        && flag == BE
    {
        return be(name);
    }
    let Some(wanted) = Wanted::parse(&words) else {
        eprintln!("usage: course [part of a lesson's name] [--fail part of a lesson's name]");
        return ExitCode::from(2);
    };
    let (mut passed, mut runs) = (0, 0);
    println!("{:<26} {:<12} {:>11} {:>11} {:>11}   shows", "lesson", "", "fork", "spawn", "forkserver");
    for (name, _, source) in LESSONS.iter().filter(|(name, ..)| name.contains(&wanted.part)) {
        let lesson = Lesson::read(name, source);
        let must_fail = wanted.failing.as_ref().is_some_and(|part| name.contains(part));
        passed += row(&lesson, &lesson.prints, false, must_fail);
        runs += METHODS.len();
        if let Some(promise) = &lesson.as_in_course {
            passed += row(&lesson, promise, true, must_fail);
            runs += METHODS.len();
        }
    }
    println!("{passed} of {runs} runs pass");
    // To have run nothing is no success.
    if passed == runs && runs > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the command line asks for.
#[derive(Default)]
struct Wanted {
    /// Lessons whose name holds this: all, if it is empty.
    part: String,
    /// Lessons whose name holds this are made to fail.
    failing: Option<String>,
}

impl Wanted {
    fn parse(words: &[String]) -> Option<Wanted> {
        let mut wanted = Wanted::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--fail" => wanted.failing = Some(words.next()?.clone()),
                flag if flag.starts_with('-') => return None,
                part => wanted.part = part.to_owned(),
            }
        }
        // A lesson that is to fail and is not there would pass for one that did.
        let failing = |part: &String| LESSONS.iter().any(|(name, ..)| name.contains(part));
        wanted.failing.as_ref().is_none_or(failing).then_some(wanted)
    }
}

/// In the lesson's own process.
fn be(name: &str) -> ExitCode {
    let lesson = LESSONS.iter().find(|(other, ..)| *other == name);
    match lesson.map(|(_, main, _)| main()) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
        None => ExitCode::FAILURE,
    }
}

/// Runs a lesson under every method, prints its row, and gives how many runs passed.
fn row(lesson: &Lesson, promise: &Promise, as_in_course: bool, must_fail: bool) -> usize {
    let mut cells = Vec::new();
    let mut good = 0;
    for method in METHODS {
        progress(&format!("{} under {method}", lesson.name));
        let (kept, passed) = run(lesson.name, promise, as_in_course, must_fail, method);
        good += usize::from(passed);
        let verdict = if passed { "pass" } else { "FAIL" };
        cells.push(format!("{kept}/{} {verdict}", promise.count()));
    }
    progress("");
    let variant = if as_in_course { "as in course" } else { "" };
    let shows = if as_in_course { "the fault that the course's own program has" } else { &lesson.shows };
    println!(
        "{:<26} {variant:<12} {:>11} {:>11} {:>11}   {shows}",
        lesson.name, cells[0], cells[1], cells[2]
    );
    good
}

/// A line that is written over, on a terminal only.
fn progress(what: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{what}");
        let _ = std::io::stderr().flush();
    }
}

fn run(
    name: &str,
    promise: &Promise,
    as_in_course: bool,
    must_fail: bool,
    method: StartMethod,
) -> (usize, bool) {
    let mut command = Command::new("/proc/self/exe");
    command.args([BE, name]).env("MP_START_METHOD", method.name());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if as_in_course {
        command.arg(AS_IN_COURSE);
    }
    if must_fail {
        // No process can be started so.
        command.env("MP_START_METHOD", "no such method");
    }
    let Some(output) = output_within(command, DEADLINE) else {
        eprintln!("{name} under {method}: hangs");
        return (0, false);
    };
    let (kept, all) = promise.kept_by(&String::from_utf8_lossy(&output.stdout));
    let passed = all && output.status.success();
    if !passed && !must_fail {
        eprintln!("{name} under {method}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    (kept, passed)
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
