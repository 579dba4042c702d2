//! Holds every example to the output that its header promises, under each start method, and looks from outside at what
//! it leaves: no process, no file, no name in shared memory. What an example counts is counted again from its lines
//! (`examples/counts.rs`), so that header and program cannot be wrong together.
//!
//! `MP_EXAMPLES_REPEATS=50` runs each so many times: the same output every time.

#[path = "examples/counts.rs"]
mod counts;
#[path = "examples/course.rs"]
mod course;
#[path = "examples/folder.rs"]
mod folder;
#[path = "examples/pipelines.rs"]
mod pipelines;
#[path = "examples/ports.rs"]
mod ports;
#[macro_use]
#[path = "../examples/support/lesson.rs"]
mod lesson;

use counts::Said;
use course::{
    the_course_gives_json, the_course_is_plain_but_on_a_terminal,
    the_course_lists_all_lessons_of_each_document, the_course_notices_a_lesson_that_fails,
    the_course_passes_as_a_whole, the_course_refuses_to_run_nothing,
    the_course_runs_one_or_a_group_or_what_has_a_part_of_a_name,
    the_course_shows_source_and_output_side_by_side,
};
use folder::Folder;
use lesson::{Lesson, Promise};
use mp::StartMethod;
use mp::base::sys::poll::{Interest, pidfd_open, wait_for};
use mp::base::sys::process::{become_subreaper, reap_any};
use mp_testing::{
    descendants, keepers, open_descriptors, parent_in_role, process_name, role, shared_memory_names,
};
use ports::*;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

macro_rules! examples {
    ($($name:ident),* $(,)?) => {
        mp_testing::cases! {
            plain: [
                the_course_passes_as_a_whole, the_course_notices_a_lesson_that_fails,
                the_course_refuses_to_run_nothing, the_course_runs_one_or_a_group_or_what_has_a_part_of_a_name,
                the_course_shows_source_and_output_side_by_side, the_course_lists_all_lessons_of_each_document,
                the_course_gives_json, the_course_is_plain_but_on_a_terminal,
                every_port_has_its_counterpart_and_its_case, port_active_pool, port_async_results,
                port_custom_manager, port_feed_tasks, port_hash_files, port_log_listener, port_mandelbrot,
                port_poison_pills, port_pool_imap, port_python_manager, port_shared_table, port_stages, port_supervisor,
                port_word_count, a_killed_parent_takes_its_daemon,
                a_case_that_fails_or_is_killed_leaves_no_folder, the_two_kinds_of_coroutines_print_the_same,
                a_log_that_cannot_be_written_ends_main_with_an_error, the_figures_are_of_work_that_was_done,
                a_pipeline_that_fails_ends_main_with_an_error, a_plot_is_written_on_request,
            ],
            every_method: [$($name),*]
        }

        /// The source of each.
        const LESSONS: &[&str] = &[$(include_str!(concat!("../examples/", stringify!($name), ".rs"))),*];

        $(fn $name() {
            let source = include_str!(concat!("../examples/", stringify!($name), ".rs"));
            hold(&Lesson::read(stringify!($name), source), counts::$name);
        })*
    };
}

all_lessons!(examples);

/// Cargo builds the examples beside the tests: target/PROFILE/deps/this and target/PROFILE/examples/those. It does so
/// for `cargo test`, and not for `cargo test --test examples`, which would try what was built some other day.
fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().unwrap();
    let program = this.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(name);
    let written = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified());
    let built = written(&program).expect("`cargo build --examples` has built it");
    let sources = std::fs::read_to_string(program.with_extension("d")).unwrap();
    // As make has it: "program: source source", where a space within a name has a backslash before it.
    let (_, sources) = sources.lines().next().and_then(|line| line.split_once(": ")).unwrap();
    for source in sources.replace("\\ ", "\0").split(' ') {
        let source = PathBuf::from(source.replace('\0', " "));
        let older = written(&source).is_ok_and(|changed| changed <= built);
        assert!(older, "{name} is older than {}: run `cargo build --examples`", source.display());
    }
    program
}

fn command(name: &str) -> Command {
    command_under(mp::get_start_method().unwrap(), name)
}

fn command_under(method: StartMethod, name: &str) -> Command {
    let mut command = Command::new(program(name));
    command.env("MP_START_METHOD", method.name()).stdin(Stdio::null());
    command
}

/// How long a name that a neighbour has in shared memory may live. One that the example has left stays for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs an example, and checks from outside that nothing of it is left when it has ended.
fn run(name: &str, arguments: &[&str]) -> Output {
    run_under(mp::get_start_method().unwrap(), name, arguments)
}

fn run_under(method: StartMethod, name: &str, arguments: &[&str]) -> Output {
    let files = Folder::new();
    let (open, names) = (open_descriptors(std::process::id()), shared_memory_names());
    let mut command = command_under(method, name);
    command.args(arguments).env("TMPDIR", files.path());
    // At its end, and when all that holds its output has ended. The case's own deadline ends one that hangs.
    let output = command.output().unwrap();
    // All that it started is gone when it is: this process inherits what is not. The keeper of its names in shared
    // memory ends after it, whatever its end was.
    while !keepers().is_empty() {
        std::thread::yield_now();
    }
    let left: Vec<(u32, char, String)> = descendants(std::process::id())
        .into_iter()
        .map(|(pid, state)| (pid, state, process_name(pid)))
        .collect();
    assert!(left.is_empty(), "{name} left processes: {left:?}");
    assert!(files.is_empty(), "{name} left a file or a socket");
    assert_eq!(open, open_descriptors(std::process::id()), "{name}");
    no_name_stays(name, &names);
    output
}

/// The whole machine sees the same names, so others may come and go meanwhile.
fn no_name_stays(name: &str, before: &[String]) {
    let is_new = |name: &String| !before.contains(name);
    let mut new: Vec<String> = shared_memory_names().into_iter().filter(is_new).collect();
    let give_up = Instant::now() + PATIENCE;
    while !new.is_empty() {
        assert!(Instant::now() < give_up, "{name} left names in shared memory: {new:?}");
        std::thread::sleep(Duration::from_millis(5));
        let living = shared_memory_names();
        new.retain(|name| living.contains(name));
    }
}

fn hold(lesson: &Lesson, count: fn(&Said)) {
    become_subreaper().unwrap();
    assert!(!lesson.shows.is_empty());
    let repeats: usize = std::env::var("MP_EXAMPLES_REPEATS").map_or(1, |number| number.parse().unwrap());
    assert!(repeats > 0);
    for _ in 0..repeats {
        count(&keeps(lesson.name, &lesson.prints, &run(lesson.name, &[]), false));
        if let Some(promise) = &lesson.as_in_course {
            count(&keeps(lesson.name, promise, &run(lesson.name, &["--as-in-course"]), true));
        }
    }
}

/// The example ended well and printed what its header says. Its output, to be counted again.
fn keeps(name: &str, promise: &Promise, output: &Output, as_in_course: bool) -> Said {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: {}\n{said}\n{complained}", output.status);
    let (kept, all) = promise.kept_by(&said);
    assert!(all, "{name}: {kept} of {} lines as promised\n{said}\n{complained}", promise.count());
    Said { lines: said.lines().map(str::to_owned).collect(), complained, as_in_course }
}

fn the_two_kinds_of_coroutines_print_the_same() {
    let [by_hand, by_library] = ["ex36_async_generators", "ex37_async_library"].map(|name| run(name, &[]));
    assert!(!by_hand.stdout.is_empty());
    assert_eq!(by_hand.stdout, by_library.stdout);
}

fn a_log_that_cannot_be_written_ends_main_with_an_error() {
    let output = run("ex51_log_in_thread", &["--bad-path"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("No such file"), "{output:?}");
    assert_eq!(output.stdout, b"3\n");
}

/// The teaching document's own failure: nothing ran, a time was printed, and the exit status was 0.
fn a_pipeline_that_fails_ends_main_with_an_error() {
    become_subreaper().unwrap();
    let output = run("ex40_threads_vs_processes", &["--cannot-cross"]);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{output:?}");
    assert!(
        complained.contains("sport_mode: 0 of 4 tasks are done, 0 started; vision 0 is not serializable")
    );
    let output = run("ex46_pipeline_failures", &["--fails"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("all: 1 of 6 tasks are done"));
}

fn a_plot_is_written_on_request() {
    become_subreaper().unwrap();
    let folder = Folder::new();
    let file = folder.path().join("figure.svg");
    let output = run("ex40_threads_vs_processes", &["--rounds", "1000", "--plot", file.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let plot = std::fs::read_to_string(&file).unwrap();
    assert!(plot.starts_with("<svg ") && plot.ends_with("</svg>\n"));
    assert_eq!(plot.matches("<rect ").count(), 4, "{plot}");
}

fn the_figures_are_of_work_that_was_done() {
    become_subreaper().unwrap();
    let output = run("which", &["--short"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for line in [
        "process, by fork",
        "process, by spawn",
        "process, by forkserver",
        "thread ",
        "processes, over a pipe",
        "threads, over a pipe",
        "coroutine, there and back",
        "serial",
        "threads under one lock",
        "processes ",
        "processes, by a queue",
        "threads, by a channel",
        "coroutine ",
    ] {
        let of = said.lines().find_map(|found| found.trim_start().strip_prefix(line));
        assert!(of.is_some_and(|rest| rest.contains(|c: char| c.is_ascii_digit())), "{line}: {said}");
    }
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

fn a_case_that_fails_or_is_killed_leaves_no_folder() {
    if role().is_some() {
        println!("{}", Folder::new().path().display());
        let kept = Folder::new();
        println!("{}", kept.path().display());
        loop {
            std::thread::park();
        }
    }
    let ours = Folder::new();
    let mut of_failed = PathBuf::new();
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let folder = Folder::new();
        of_failed = folder.path().to_owned();
        std::fs::write(folder.path().join("a file"), "left").unwrap();
        panic!("a deliberate panic");
    }));
    assert!(failed.is_err() && !of_failed.as_os_str().is_empty() && !of_failed.exists());

    let mut killed = parent_in_role("killed").spawn().unwrap();
    let mut lines = BufReader::new(killed.stdout.take().unwrap()).lines();
    let [gone, kept] = [lines.next(), lines.next()].map(|line| PathBuf::from(line.unwrap().unwrap()));
    assert!(!gone.exists() && kept.exists());
    std::fs::write(kept.join("a file"), "left").unwrap();
    // While its case lives no other process touches it.
    drop(Folder::new());
    assert!(kept.exists() && ours.path().exists());
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(kept.exists());
    drop(Folder::new());
    assert!(!kept.exists() && ours.path().exists());
}
