//! Holds every example to the output that its header promises, under each start method, and looks from outside at what
//! it leaves: no process, no file, no name in shared memory.
//!
//! `MP_EXAMPLES_REPEATS=50` runs each so many times: the same output every time.

#[path = "../examples/support/lesson.rs"]
mod lesson;

use lesson::{Lesson, Promise};
use mp::core::sys::poll::{Interest, pidfd_open, wait_for};
use mp::core::sys::process::{become_subreaper, reap_any};
use mp_testing::{descendants, open_descriptors, shared_memory_names};
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

mp_testing::cases! {
    plain: [the_course_passes_as_a_whole, the_course_notices_a_lesson_that_fails, a_killed_parent_takes_its_daemon],
    every_method: [
        ex01_create_processes, ex02_process_names, ex03_background_process, ex03b_background_script,
        ex04_kill_process, ex05_process_trait, ex06_queue, ex07_pipe_chain, ex08_barrier_lock, ex08b_barrier_script,
        ex09_manager_dict, ex10_pool_map,
    ]
}

macro_rules! examples {
    ($($name:ident),* $(,)?) => {$(
        fn $name() {
            let source = include_str!(concat!("../examples/", stringify!($name), ".rs"));
            hold(&Lesson::read(stringify!($name), source));
        }
    )*};
}

examples!(
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

/// Cargo builds the examples beside the tests: target/PROFILE/deps/this and target/PROFILE/examples/those.
fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    this.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(name)
}

fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    let method = mp::get_start_method().unwrap();
    command.env("MP_START_METHOD", method.name()).stdin(Stdio::null());
    command
}

/// Runs an example, and checks from outside that nothing of it is left when it has ended.
fn run(name: &str, arguments: &[&str]) -> Output {
    let files = std::env::temp_dir().join(format!("mp-examples-{}", std::process::id()));
    std::fs::create_dir_all(&files).unwrap();
    let before = (open_descriptors(std::process::id()), shared_memory_names());
    let output = command(name).args(arguments).env("TMPDIR", &files).output().unwrap();
    // All that it started is gone when it is: this process inherits what is not.
    let left: Vec<(u32, char)> = descendants(std::process::id());
    assert!(left.is_empty(), "{name} left processes: {left:?}");
    assert_eq!(std::fs::read_dir(&files).unwrap().count(), 0, "{name} left a file");
    std::fs::remove_dir(&files).unwrap();
    assert_eq!(before, (open_descriptors(std::process::id()), shared_memory_names()), "{name}");
    output
}

fn hold(lesson: &Lesson) {
    become_subreaper().unwrap();
    assert!(!lesson.shows.is_empty());
    let repeats: usize = std::env::var("MP_EXAMPLES_REPEATS").map_or(1, |number| number.parse().unwrap());
    for _ in 0..repeats {
        keeps(lesson.name, &lesson.prints, &run(lesson.name, &[]));
        if let Some(promise) = &lesson.as_in_course {
            keeps(lesson.name, promise, &run(lesson.name, &["--as-in-course"]));
        }
    }
}

fn keeps(name: &str, promise: &Promise, output: &Output) {
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{said}\n{complained}", output.status);
    let (kept, all) = promise.kept_by(&said);
    assert!(all, "{name}: {kept} of {} lines as promised\n{said}\n{complained}", promise.count());
}

fn the_course_passes_as_a_whole() {
    become_subreaper().unwrap();
    let output = run("course", &[]);
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{table}\n{}", String::from_utf8_lossy(&output.stderr));
    // 12 lessons and 4 twins, each under three methods.
    let words: Vec<&str> = table.split_whitespace().collect();
    let passed = words.windows(2).filter(|pair| pair[0].contains('/') && pair[1] == "pass").count();
    assert_eq!(passed, 16 * 3, "{table}");
    assert!(!table.contains("FAIL"), "{table}");
}

fn the_course_notices_a_lesson_that_fails() {
    let output = command("course").args(["--fail", "ex05", "ex05"]).output().unwrap();
    let table = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert_eq!(table.matches("0/6 FAIL").count(), 3, "{table}");
}

fn a_killed_parent_takes_its_daemon() {
    become_subreaper().unwrap();
    let mut parent = command("ex03_background_process")
        .arg("--killed")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let daemon: u32 = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let daemon = pidfd_open(daemon).unwrap();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.ends_with("waiting to be killed\n"), "{line}");
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(wait_for(daemon.as_fd(), Interest::Read, None).unwrap());
    while !descendants(std::process::id()).is_empty() {
        let _ = reap_any();
        std::thread::yield_now();
    }
}
