//! A service (`popen/service.rs`): what it has of the program, whose child it is, what ends it; and the number of the
//! family, by which its processes find what serves them.
//!
//! | item                    | in a service                                             | case                          |
//! |-------------------------|----------------------------------------------------------|-------------------------------|
//! | parent                  | the system: the starter does not wait for it             | `it_is_no_programs_child`         |
//! | session                 | its own                                                  | `it_has_nothing_of_*`         |
//! | descriptors             | those it is handed; /dev/null for the standard three     | `it_has_nothing_of_*`         |
//! | arguments, directory    | its title alone; `/`                                     | `it_has_nothing_of_*`         |
//! | constructors            | have not run                                             | `it_has_nothing_of_*`         |
//! | signals                 | only SIGKILL ends it                                     | `requests_to_end_*`           |
#![allow(unsafe_code, reason = "a constructor")]

use mp_core::popen::service;
use mp_core::process::{Family, args_os};
use mp_core::sys::fd::pipe;
use mp_core::sys::poll::{Interest, pidfd_open, wait_for};
use mp_core::sys::process::{become_subreaper, reap, send_signal};
use mp_core::sys::signal::{SIGCHLD, SIGINT, SIGKILL, SIGTERM};
use mp_core::transfer::Handle;
use mp_core::{Process, StartError};
use mp_testing::{descendants, open_descriptors, process_name};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

mp_testing::cases! {
    plain: [
        it_has_nothing_of_the_programs,
        it_is_no_programs_child,
        requests_to_end_do_not_end_it,
        one_that_panics_disturbs_no_other_process,
        threads_are_no_trouble,
        a_starter_that_ignores_ends_of_children,
        a_function_of_a_wrong_program_is_refused,
        a_stranger_is_of_another_family,
    ],
    every_method: [
        a_child_starts_one_too,
        a_family_is_one_from_the_first_to_the_last,
    ]
}

static CONSTRUCTED: AtomicU32 = AtomicU32::new(0);

extern "C" fn construct() {
    // ORDERING: Relaxed: one thread.
    CONSTRUCTED.fetch_add(1, Ordering::Relaxed);
}

#[used]
// SAFETY: the dynamic linker calls every entry of this section once.
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = construct;

fn constructed() -> u32 {
    // ORDERING: Relaxed: one thread.
    CONSTRUCTED.load(Ordering::Relaxed)
}

/// What a service says of itself.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Facts {
    pid: u32,
    descriptors: Vec<(u32, String)>,
    arguments: Vec<String>,
    directory: String,
    name: String,
    constructed: u32,
    /// Process group, session and terminal, from `/proc/self/stat`.
    group_session_terminal: [i64; 3],
}

fn facts() -> Facts {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let pid = std::process::id();
    Facts {
        pid,
        descriptors: open_descriptors(pid).into_iter().filter(|(_, to)| !to.contains("/proc/")).collect(),
        arguments: args_os().into_iter().map(|argument| argument.into_string().unwrap()).collect(),
        directory: std::env::current_dir().unwrap().display().to_string(),
        name: process_name(pid),
        constructed: constructed(),
        group_session_terminal: [2, 3, 4].map(|at| fields[at].parse().unwrap()),
    }
}

/// Says what it is, then waits until no process holds the other end of `until`.
fn tell_and_wait(to: Handle, until: Handle) {
    let text = format!("{:?}", mp_core::transfer::pack(&facts()).unwrap().bytes);
    File::from(to.into_fd().unwrap()).write_all(text.as_bytes()).unwrap();
    let _ = File::from(until.into_fd().unwrap()).read_to_end(&mut Vec::new());
}

/// A service that runs: what it says, its pidfd, and what it waits for the end of.
fn begin() -> (Facts, OwnedFd, OwnedFd) {
    let ((said, to), (until, held)) = (pipe().unwrap(), pipe().unwrap());
    service::start("mp-tested", tell_and_wait, &(Handle::new(to), Handle::new(until))).unwrap();
    let mut text = String::new();
    File::from(said).read_to_string(&mut text).unwrap();
    let bytes: Vec<u8> =
        text.trim_matches(['[', ']']).split(", ").map(|byte| byte.parse().unwrap()).collect();
    let facts: Facts = mp_core::transfer::unpack(&bytes, vec![]).unwrap();
    let pidfd = pidfd_open(facts.pid).unwrap();
    (facts, pidfd, held)
}

fn ended(pidfd: &OwnedFd) {
    assert!(wait_for(pidfd.as_fd(), Interest::Read, None).unwrap());
}

fn it_has_nothing_of_the_programs() {
    assert_eq!(constructed(), 1);
    let not_for_it = File::open("/proc/self/exe").unwrap();
    // SAFETY: integers only. Without CLOEXEC it would go through exec.
    assert_eq!(unsafe { libc::fcntl(not_for_it.as_raw_fd(), libc::F_SETFD, 0) }, 0);
    let (facts, pidfd, held) = begin();
    let is_pipe = |(_, to): &&(u32, String)| to.starts_with("pipe:");
    // What it is handed: the end that it writes to, and the one it waits for.
    assert_eq!(facts.descriptors.iter().filter(is_pipe).count(), 2, "{facts:?}");
    let rest: Vec<_> = facts.descriptors.iter().filter(|found| !is_pipe(found)).cloned().collect();
    assert_eq!(rest, [0, 1, 2].map(|number| (number, "/dev/null".to_owned())));
    assert_eq!(facts.arguments, ["mp-tested"]);
    assert_eq!((facts.directory.as_str(), facts.name.as_str(), facts.constructed), ("/", "mp-tested", 0));
    let [group, session, terminal] = facts.group_session_terminal;
    assert_eq!([group, session, terminal], [i64::from(facts.pid), i64::from(facts.pid), 0]);
    drop(held);
    ended(&pidfd);
}

fn it_is_no_programs_child() {
    let (facts, pidfd, held) = begin();
    assert!(descendants(std::process::id()).is_empty());
    drop(held);
    ended(&pidfd);
    // It is now, to be reaped.
    become_subreaper().unwrap();
    let (second, pidfd, held) = begin();
    let below: Vec<u32> = descendants(std::process::id()).into_iter().map(|(pid, _)| pid).collect();
    assert_eq!(below, [second.pid]);
    assert_ne!(second.pid, facts.pid);
    drop(held);
    ended(&pidfd);
    reap(pidfd.as_fd()).unwrap();
    assert!(descendants(std::process::id()).is_empty());
}

fn requests_to_end_do_not_end_it() {
    let (facts, pidfd, held) = begin();
    for signal in [SIGINT, SIGTERM, libc::SIGHUP, libc::SIGUSR1, libc::SIGALRM, libc::SIGPIPE] {
        send_signal(pidfd.as_fd(), signal).unwrap();
    }
    // They have come, and wait for ever.
    let status = std::fs::read_to_string(format!("/proc/{}/status", facts.pid)).unwrap();
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap();
    assert_ne!(u64::from_str_radix(pending.trim(), 16).unwrap(), 0, "{status}");
    assert!(
        !wait_for(pidfd.as_fd(), Interest::Read, mp_core::word::Deadline::after(Default::default())).unwrap()
    );
    send_signal(pidfd.as_fd(), SIGKILL).unwrap();
    ended(&pidfd);
    drop(held);
}

fn panic_at_once(_end: Handle) {
    panic!("on purpose");
}

fn one_that_panics_disturbs_no_other_process() {
    let (read, write) = pipe().unwrap();
    service::start("mp-tested", panic_at_once, &(Handle::new(write),)).unwrap();
    assert_eq!(File::from(read).read_to_end(&mut Vec::new()).unwrap(), 0);
}

fn threads_are_no_trouble() {
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(begin)).collect();
    let begun: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    for (_, pidfd, held) in begun {
        drop(held);
        ended(&pidfd);
    }
}

/// The kernel reaps what it would have waited for.
fn a_starter_that_ignores_ends_of_children() {
    // SAFETY: no handler of ours runs.
    unsafe { libc::signal(SIGCHLD, libc::SIG_IGN) };
    let (_, pidfd, held) = begin();
    drop(held);
    ended(&pidfd);
}

/// As if the hook had not run.
fn a_function_of_a_wrong_program_is_refused() {
    // SAFETY: one thread.
    unsafe { std::env::set_var("MP_RS_BOOT", "none") };
    let (_, write) = pipe().unwrap();
    let error = service::start("mp-tested", panic_at_once, &(Handle::new(write),)).unwrap_err();
    assert!(matches!(error, StartError::HookMissing), "{error}");
}

fn begin_and_end() -> i64 {
    let (facts, pidfd, held) = begin();
    drop(held);
    ended(&pidfd);
    facts.group_session_terminal[1]
}

fn a_child_starts_one_too() {
    let session = Process::new(begin_and_end, ()).start().unwrap().join().unwrap();
    assert!(session > 0);
}

fn number() -> String {
    Family::of_this_process().unwrap().to_string()
}

fn numbers() -> [String; 2] {
    [number(), Process::new(number, ()).start().unwrap().join().unwrap()]
}

fn a_family_is_one_from_the_first_to_the_last() {
    // Before it is asked for here: it is made when the first child is.
    let below = Process::new(numbers, ()).start().unwrap().join().unwrap();
    assert_eq!(below, [number(), number()]);
    assert_eq!(number().len(), 32);
}

fn a_stranger_is_of_another_family() {
    if mp_testing::role().is_some() {
        print!("{}", number());
        return;
    }
    let output = mp_testing::parent_in_role("a stranger").output().unwrap();
    let theirs = String::from_utf8(output.stdout).unwrap();
    assert_eq!(theirs.len(), 32, "{theirs}");
    assert_ne!(theirs, number());
}
