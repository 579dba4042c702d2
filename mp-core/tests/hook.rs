//! The hook before `main`: what a child finds, and where it is refused. `privilege.rs` tries what it trusts.
//!
//! | item                                  | in a ForkServer or Spawn child                                        |
//! |---------------------------------------|-----------------------------------------------------------------------|
//! | `main`                                | never runs                                                            |
//! | constructors of this and other crates | have run once                                                         |
//! | arguments                             | the parent's                                                          |
//! | SIGPIPE                               | as in the parent: ignored, so a write to a closed pipe is an error    |
//! | stack overflow                        | SIGSEGV, of which the parent hears; in a copy std's message and SIGABRT |
//! | another file at the program's path    | no matter: the child is the program that the parent runs              |
//! | a shared library that has mp-core     | ForkServer and Spawn refused by name, Fork works                      |
//! | a program built with `panic = "abort"`| a panic arrives with message and place; the exit code is -6           |
//!
//! Benches: `benches/start.rs` runs here as a test. Tests under libtest: `libtest.rs`. Constructors that start
//! processes: `constructors.rs`. Programs that are built or started in other ways: `builds.rs`.
#![allow(unsafe_code, reason = "a constructor, and a library loaded by hand")]

use mp_core::process::args_os;
use mp_core::{JoinError, Process, StartMethod};
use mp_testing::{Folder, add_role, build, program, role};
use std::ffi::{CString, OsString};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

mp_testing::cases! {
    plain: [
        a_replaced_program_starts_its_own_children,
        a_preload_is_run_once_and_seen_by_every_child,
        a_preload_that_panics_is_an_error_of_each_start,
        a_preload_that_leaves_threads_is_an_error_of_each_start,
    ],
    prepared: [
        a_loaded_library_is_refused_but_for_fork after build_plugin,
        panics_arrive_though_they_abort after build_abort,
    ],
    every_method: [
        constructors_have_run_once,
        arguments_are_the_parents,
        a_write_to_a_closed_pipe_is_an_error,
        an_overflow_ends_the_child,
    ]
}

static CONSTRUCTED: AtomicU32 = AtomicU32::new(0);

/// How often this one has run is counted in the process itself.
extern "C" fn construct() {
    // ORDERING: Relaxed: one thread.
    CONSTRUCTED.fetch_add(1, Ordering::Relaxed);
}

#[used]
// SAFETY: the dynamic linker calls every entry of this section once.
#[unsafe(link_section = ".init_array")]
static FIRST: extern "C" fn() = construct;

#[used]
// SAFETY: as above; the entries with the greatest number come last among those that have one.
#[unsafe(link_section = ".init_array.65000")]
static NUMBERED: extern "C" fn() = construct;

fn constructed() -> u32 {
    // ORDERING: Relaxed: one thread.
    CONSTRUCTED.load(Ordering::Relaxed)
}

fn constructors_have_run_once() {
    assert_eq!(constructed(), 2);
    assert_eq!(Process::new(constructed, ()).start().unwrap().join().unwrap(), 2);
}

fn arguments() -> Vec<OsString> {
    args_os()
}

fn arguments_are_the_parents() {
    let mine: Vec<OsString> = std::env::args_os().collect();
    assert!(mine.len() > 1);
    assert_eq!(args_os(), mine);
    assert_eq!(Process::new(arguments, ()).start().unwrap().join().unwrap(), mine);
}

fn write_to_a_closed_pipe() -> Option<i32> {
    let (read, write) = mp_core::sys::fd::pipe().unwrap();
    drop(read);
    fs::File::from(write).write_all(b"!").unwrap_err().raw_os_error()
}

fn a_write_to_a_closed_pipe_is_an_error() {
    const EPIPE: i32 = 32;
    let child = Process::new(write_to_a_closed_pipe, ()).start().unwrap();
    assert_eq!(child.join().unwrap(), Some(EPIPE));
}

#[allow(unconditional_recursion, reason = "that is what it is for")]
fn overflow(depth: u64) -> u64 {
    std::hint::black_box(overflow(std::hint::black_box(depth + 1))) + 1
}

fn an_overflow_ends_the_child() {
    let child = Process::new(overflow, (0,)).start().unwrap();
    // A copy of a Rust program has std's handler, which says so and aborts.
    let signal = if mp_core::get_start_method().unwrap() == mp_core::StartMethod::Fork { 6 } else { 11 };
    assert!(matches!(child.join(), Err(JoinError::Killed(by)) if by == signal), "{child:?}");
}

fn double(x: u64) -> u64 {
    2 * x
}

fn a_replaced_program_starts_its_own_children() {
    if role().is_some() {
        let mine = std::env::current_exe().unwrap();
        let other = mine.with_extension("other");
        fs::write(&other, "#!/bin/sh\nexit 9\n").unwrap();
        fs::rename(&other, &mine).unwrap();
        for method in StartMethod::ALL {
            assert_eq!(Process::new(double, (4,)).method(method).start().unwrap().join().unwrap(), 8);
        }
        fs::remove_file(&mine).unwrap();
        for method in StartMethod::ALL {
            assert_eq!(Process::new(double, (5,)).method(method).start().unwrap().join().unwrap(), 10);
        }
        return;
    }
    let folder = Folder::new("mp-core-replaced");
    let copy = folder.path().join("program");
    mp_testing::copy_program(&std::env::current_exe().unwrap(), &copy);
    let mut command = Command::new(&copy);
    let output = add_role(&mut command, "is replaced").stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const PLUGIN: &str = "hook.plugin";
const ABORT: &str = "hook.abort";

fn build_plugin() {
    build(PLUGIN, "plugin", "libplugin.so", "dev", &[]);
}

fn build_abort() {
    build(ABORT, "abort", "abort", "abort", &[]);
}

fn a_loaded_library_is_refused_but_for_fork() {
    let path = CString::new(program(PLUGIN).to_str().unwrap()).unwrap();
    // SAFETY: a library of our own, whose constructors are those of any Rust library.
    let library = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null());
    // SAFETY: an open library, and a name that ends in a zero.
    let start = unsafe { libc::dlsym(library, c"mp_test_plugin_start".as_ptr()) };
    assert!(!start.is_null());
    // SAFETY: the function of that name is of this type.
    let start = unsafe { std::mem::transmute::<*mut libc::c_void, extern "C" fn(u32) -> u32>(start) };
    let of = |method| start(StartMethod::ALL.iter().position(|other| *other == method).unwrap() as u32);
    assert_eq!(of(StartMethod::ForkServer), 1);
    assert_eq!(of(StartMethod::Spawn), 1);
    assert_eq!(of(StartMethod::Fork), 42);
}

fn panics_arrive_though_they_abort() {
    let output = Command::new(program(ABORT)).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    for method in StartMethod::ALL {
        for expected in [
            "returns: 7 Some(0)",
            "panics: the process panicked at mp-core/tests/programs/abort.rs:",
            "no luck Some(-6)",
            "panics in a thread: the process panicked at mp-core/tests/programs/abort.rs:",
            "no luck in a thread Some(-6)",
            "exits: the process exited with code 3 before its function returned Some(3)",
        ] {
            let says = |line: &str| line.starts_with(method.name()) && line.contains(expected);
            assert!(said.lines().any(says), "{method}: {expected}\nin:\n{said}");
        }
    }
    assert!(output.status.success());
}

static LOADED: AtomicU32 = AtomicU32::new(0);

fn load() {
    // ORDERING: Relaxed, here and below: the thread that counts has ended when others look.
    LOADED.fetch_add(1, Ordering::Relaxed);
}

fn loaded() -> (u32, u64) {
    use std::hash::{BuildHasher, RandomState};
    (LOADED.load(Ordering::Relaxed), RandomState::new().hash_one(1))
}

fn load_with_random_state() {
    load();
    loaded();
}

fn a_preload_is_run_once_and_seen_by_every_child() {
    mp_core::popen::set_forkserver_preload(load_with_random_state).unwrap();
    let started = || Process::new(loaded, ()).method(StartMethod::ForkServer).start().unwrap();
    let children: Vec<_> = (0..4).map(|_| started()).collect();
    let mut hashes: Vec<u64> = Vec::new();
    for child in children {
        let (times, hash) = child.join().unwrap();
        assert_eq!(times, 1);
        hashes.push(hash);
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 4, "children share their random state");
    // The others have no template.
    assert_eq!(Process::new(loaded, ()).method(StartMethod::Spawn).start().unwrap().join().unwrap().0, 0);
}

fn load_badly() {
    panic!("no table");
}

fn a_preload_that_panics_is_an_error_of_each_start() {
    mp_core::popen::set_forkserver_preload(load_badly).unwrap();
    for _ in 0..2 {
        let refused = Process::new(double, (4,)).method(StartMethod::ForkServer).start().unwrap_err();
        let text = refused.to_string();
        assert!(text.contains("no table") && text.contains("hook.rs:"), "{text}");
    }
    mp_core::popen::set_forkserver_preload(load).unwrap();
    let child = Process::new(double, (4,)).method(StartMethod::ForkServer).start().unwrap();
    assert_eq!(child.join().unwrap(), 8);
}

fn leave_a_thread() {
    std::thread::spawn(|| {
        loop {
            std::thread::park()
        }
    });
}

fn a_preload_that_leaves_threads_is_an_error_of_each_start() {
    mp_core::popen::set_forkserver_preload(leave_a_thread).unwrap();
    let refused = Process::new(double, (4,)).method(StartMethod::ForkServer).start().unwrap_err();
    assert!(matches!(refused, mp_core::StartError::TemplateThreads { threads: 2 }), "{refused:?}");
}
