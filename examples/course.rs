//! The whole course: every lesson as a program of its own, under every start method.
//!
//! Run:      cargo run --release --example course
//!           cargo run --release --example course -- ex06        (lessons whose name holds "ex06")
//!           cargo run --release --example course -- --fail ex05 (what a lesson that falls short looks like)
//!
//! A lesson passes if it ends with status 0 and prints what its header promises, line by line: the counts in the table
//! are of those lines. The exit status is 1 if one falls short.

#[path = "support/lesson.rs"]
mod lesson;

use lesson::{Lesson, Promise};
use mp::StartMethod;
use std::io::{IsTerminal, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

macro_rules! lessons {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*
        /// (name, its main, its source)
        const LESSONS: &[(&str, fn() -> mp::Result<()>, &str)] =
            &[$((stringify!($name), $name::main, include_str!(concat!(stringify!($name), ".rs")))),*];
    };
}

lessons!(
    ex01_create_processes,
    ex02_process_names,
    ex03_background_process,
    ex03b_background_script,
    ex04_kill_process,
    ex05_process_trait,
    ex06_queue,
    ex07_pipe_chain,
    ex08_barrier_lock,
    ex08b_barrier_script,
    ex09_manager_dict,
    ex10_pool_map,
);

/// The first argument of a program that is to be one lesson.
const BE: &str = "--be";
const AS_IN_COURSE: &str = "--as-in-course";
/// A lesson that takes longer hangs.
const DEADLINE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, ..] = &words[..]
        && flag == BE
    {
        return be(name);
    }
    let failing = words.iter().position(|word| word == "--fail").and_then(|at| words.get(at + 1));
    let filter = words.iter().find(|word| !word.starts_with("--") && failing != Some(*word));
    let mut good = true;
    println!("{:<26} {:<12} {:>11} {:>11} {:>11}   shows", "lesson", "", "fork", "spawn", "forkserver");
    for (name, _, source) in
        LESSONS.iter().filter(|(name, ..)| filter.is_none_or(|filter| name.contains(filter)))
    {
        let lesson = Lesson::read(name, source);
        let must_fail = failing.is_some_and(|part| name.contains(part.as_str()));
        good &= row(&lesson, &lesson.prints, false, must_fail);
        if let Some(promise) = &lesson.as_in_course {
            good &= row(&lesson, promise, true, must_fail);
        }
    }
    println!("{}", if good { "all lessons pass" } else { "a lesson falls short" });
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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

/// Runs a lesson under every method, prints its row, and says whether all passed.
fn row(lesson: &Lesson, promise: &Promise, as_in_course: bool, must_fail: bool) -> bool {
    let mut cells = Vec::new();
    let mut good = true;
    for method in [StartMethod::Fork, StartMethod::Spawn, StartMethod::ForkServer] {
        progress(&format!("{} under {method}", lesson.name));
        let (kept, passed) = run(lesson.name, promise, as_in_course, must_fail, method);
        good &= passed;
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
    let Ok(mut child) = command.spawn() else { return (0, false) };
    let began = Instant::now();
    while matches!(child.try_wait(), Ok(None)) {
        if began.elapsed() > DEADLINE {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let Ok(output) = child.wait_with_output() else { return (0, false) };
    let (kept, all) = promise.kept_by(&String::from_utf8_lossy(&output.stdout));
    let passed = all && output.status.success();
    if !passed && !must_fail {
        eprintln!("{name} under {method}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    (kept, passed)
}
