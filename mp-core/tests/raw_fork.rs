//! A copy of this process that other code makes by a `fork(2)` of its own has no family: its exit ends, waits for and
//! takes nothing of the original's, and what it starts is its own.
#![allow(unsafe_code, reason = "fork(2), as other code calls it")]

use mp_core::popen::forkserver::template_pid;
use mp_core::sys::fd::pipe;
use mp_core::sys::owning_process::OwningProcess;
use mp_core::sys::poll::{Interest, pidfd_open, wait_for};
use mp_core::transfer::Handle;
use mp_core::{Child, JoinError, Process, StartMethod, active_children, finalize, get_start_method};
use mp_testing::{
    Fate, all_gone, exit_code_of, filter, fork_copy, leave_pid_namespace, line, parent_in_role, read_word,
    role, state, write_word,
};
use std::ffi::c_void;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

mp_testing::cases! {
    plain: [
        handlers_are_the_originals,
        a_copy_is_forked_while_other_threads_start_children,
        a_copy_is_forked_in_the_middle_of_the_first_start,
        the_bare_system_call_makes_such_a_copy_too,
        what_belongs_to_the_original_is_not_a_copys,
        a_kernel_that_accepts_any_advice_hides_no_copy,
    ],
    every_method: [
        the_originals_daemons_outlive_a_copy,
        a_copys_exit_waits_for_no_child_of_the_originals,
        a_copy_takes_no_result,
        a_copy_with_the_originals_id_takes_no_result,
        both_start_children,
        an_original_is_seen_to_end_while_its_copy_lives,
        a_copy_of_a_child_gives_no_result,
    ]
}

/// A child that ends, with 49, when a word is said; and where to say it.
fn waiting_child(daemon: bool) -> (Child<u64>, Handle) {
    let (read, write) = line();
    let work = |gate: Handle| {
        read_word(&gate);
        49
    };
    let child = Process::new(work, (read,));
    let child = if daemon { child.daemon() } else { child.not_daemon() };
    (child.start().unwrap(), write)
}

fn the_originals_daemons_outlive_a_copy() {
    let (daemon, gate) = waiting_child(true);
    assert_eq!(exit_code_of(fork_copy(|| ())), 0);
    write_word(&gate);
    assert_eq!(daemon.join().unwrap(), 49);
}

fn a_copys_exit_waits_for_no_child_of_the_originals() {
    let (child, gate) = waiting_child(false);
    assert_eq!(exit_code_of(fork_copy(|| ())), 0);
    assert!(child.is_alive());
    write_word(&gate);
    assert_eq!(child.join().unwrap(), 49);
}

fn a_copy_takes_no_result() {
    let (child, gate) = waiting_child(false);
    write_word(&gate);
    assert!(wait_for(child.sentinel(), Interest::Read, None).unwrap());
    let code = exit_code_of(fork_copy(|| {
        assert_eq!(active_children(), []);
        assert!(matches!(child.join(), Err(JoinError::NotOurChild)));
        assert_eq!(child.exitcode(), None);
    }));
    assert_eq!(code, 0);
    assert_eq!((child.join().unwrap(), child.exitcode()), (49, Some(0)));
}

/// Process 1 of a pid namespace, whose copy is process 1 of another one.
fn a_copy_with_the_originals_id_takes_no_result() {
    leave_pid_namespace();
    let first = fork_copy(|| {
        assert_eq!(std::process::id(), 1);
        let (child, gate) = waiting_child(false);
        write_word(&gate);
        assert!(wait_for(child.sentinel(), Interest::Read, None).unwrap());
        leave_pid_namespace();
        let copy = fork_copy(|| {
            assert_eq!((std::process::id(), active_children().len()), (1, 0));
            assert!(matches!(child.join(), Err(JoinError::NotOurChild)));
        });
        assert_eq!(exit_code_of(copy), 0);
        assert_eq!((child.join().unwrap(), child.exitcode()), (49, Some(0)));
    });
    assert_eq!(exit_code_of(first), 0);
}

fn echo(x: u64) -> u64 {
    x
}

fn start_many(from: u64) {
    for x in from..from + 50 {
        assert_eq!(Process::new(echo, (x,)).start().unwrap().join().unwrap(), x);
    }
}

fn both_start_children() {
    start_many(0);
    let original = template_pid();
    let copy = fork_copy(|| {
        assert_eq!(template_pid(), None);
        start_many(1000);
        let has_one = get_start_method().unwrap() == StartMethod::ForkServer;
        assert_eq!(template_pid().is_some_and(|pid| Some(pid) != original), has_one);
    });
    start_many(2000);
    assert_eq!(exit_code_of(copy), 0);
    start_many(3000);
    assert_eq!(template_pid(), original);
}

/// The original is killed, a copy of it lives: the daemon ends.
fn an_original_is_seen_to_end_while_its_copy_lives() {
    if role().is_some() {
        let (daemon, _gate) = waiting_child(true);
        fork_copy(|| {
            std::io::stdin().read_exact(&mut [0]).unwrap();
        });
        println!("{}", daemon.pid());
        loop {
            std::thread::park();
        }
    }
    mp_core::sys::process::become_subreaper().unwrap();
    let mut original = parent_in_role("original").spawn().unwrap();
    let mut text = String::new();
    BufReader::new(original.stdout.take().unwrap()).read_line(&mut text).unwrap();
    let daemon = pidfd_open(text.trim().parse().unwrap()).unwrap();
    original.kill().unwrap();
    assert!(wait_for(daemon.as_fd(), Interest::Read, None).unwrap());
    original.stdin.take().unwrap().write_all(b"!").unwrap();
    original.wait().unwrap();
    all_gone();
}

fn a_copy_of_a_child_gives_no_result() {
    let work = || {
        // SAFETY: this child has one thread.
        match unsafe { libc::fork() } {
            0 => 1,
            copy => {
                assert_eq!(exit_code_of(copy), 0);
                2
            }
        }
    };
    assert_eq!(Process::new(work, ()).start().unwrap().join().unwrap(), 2);
}

fn handlers_are_the_originals() {
    if role().is_some() {
        finalize::at_exit(|| println!("handler of {}", std::process::id()));
        assert_eq!(exit_code_of(fork_copy(|| ())), 0);
        println!("{}", std::process::id());
        return;
    }
    let output = parent_in_role("original").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let [original, handler] = lines[..] else { panic!("{text}") };
    assert_eq!(handler, format!("handler of {original}"));
}

/// A lock of the library's own that another thread held would hang the copy, or its exit.
fn a_copy_is_forked_while_other_threads_start_children() {
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for method in [StartMethod::ForkServer, StartMethod::Spawn] {
            let stop = &stop;
            threads.spawn(move || {
                // ORDERING: Relaxed: only whether to go on.
                while !stop.load(Ordering::Relaxed) {
                    Process::new(echo, (1,)).method(method).start().unwrap().join().unwrap();
                    active_children();
                }
            });
        }
        for x in 0..50 {
            let copy = fork_copy(|| {
                assert_eq!(Process::new(echo, (x,)).start().unwrap().join().unwrap(), x);
            });
            assert_eq!(exit_code_of(copy), 0);
        }
        // ORDERING: as above.
        stop.store(true, Ordering::Relaxed);
    });
}

/// The thread for which the next registration of an exit handler waits, until it is inside its fork; 0: for none.
static REGISTRATION_WAITS_FOR: AtomicI32 = AtomicI32::new(0);
static IN_THE_MIDDLE: AtomicBool = AtomicBool::new(false);
static HAS_FORKED: AtomicBool = AtomicBool::new(false);

type Register = unsafe extern "C" fn(unsafe extern "C" fn(*mut c_void), *mut c_void, *mut c_void) -> i32;

/// What `atexit` calls, in the place of the C library's.
// SAFETY: of the C library's type, and calls the C library's own with what it was given.
#[unsafe(no_mangle)]
unsafe extern "C" fn __cxa_atexit(
    handler: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
    object: *mut c_void,
) -> i32 {
    // ORDERING: SeqCst, here and below: a test.
    let forker = REGISTRATION_WAITS_FOR.swap(0, Ordering::SeqCst);
    if forker != 0 {
        IN_THE_MIDDLE.store(true, Ordering::SeqCst);
        let waits_in_its_fork = || {
            let call = fs::read_to_string(format!("/proc/self/task/{forker}/syscall")).unwrap();
            call.split(' ').next() == Some(&libc::SYS_futex.to_string())
        };
        while !HAS_FORKED.load(Ordering::SeqCst) && !waits_in_its_fork() {
            std::thread::yield_now();
        }
    }
    // SAFETY: a name with a zero at its end.
    let next = unsafe { libc::dlsym(libc::RTLD_NEXT, c"__cxa_atexit".as_ptr()) };
    // SAFETY: the C library has a function of this type by this name.
    let register = unsafe { std::mem::transmute::<*mut c_void, Register>(next) };
    // SAFETY: as the caller promises.
    unsafe { register(handler, argument, object) }
}

/// A step that is done once in a process must not be half done in a copy: it would wait for the other half without end.
fn a_copy_is_forked_in_the_middle_of_the_first_start() {
    // SAFETY: no memory is passed.
    REGISTRATION_WAITS_FOR.store(unsafe { libc::gettid() }, Ordering::SeqCst);
    std::thread::scope(|threads| {
        threads.spawn(|| assert_eq!(Process::new(echo, (1,)).start().unwrap().join().unwrap(), 1));
        while !IN_THE_MIDDLE.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let copy = fork_copy(|| {
            assert_eq!(Process::new(echo, (2,)).start().unwrap().join().unwrap(), 2);
        });
        HAS_FORKED.store(true, Ordering::SeqCst);
        assert_eq!(exit_code_of(copy), 0);
    });
}

/// No fork handlers run then.
fn the_bare_system_call_makes_such_a_copy_too() {
    let (daemon, gate) = waiting_child(true);
    let (read, write) = pipe().unwrap();
    // SAFETY: as `fork`, which passes the same; one thread runs.
    let copy = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } as i32;
    if copy == 0 {
        assert_eq!(Process::new(echo, (5,)).start().unwrap().join().unwrap(), 5);
        File::from(write).write_all(b"!").unwrap();
        std::process::exit(0);
    }
    drop(write);
    File::from(read).read_exact(&mut [0]).unwrap();
    exit_code_of(copy);
    assert_ne!(state(daemon.pid()), None);
    write_word(&gate);
    assert_eq!(daemon.join().unwrap(), 49);
}

/// By whatever call the copy is made, and in a copy of a copy.
fn what_belongs_to_the_original_is_not_a_copys() {
    let original = OwningProcess::current();
    assert_eq!(exit_code_of(bare_copy(|| !original.is_current())), 0);
    let copy = fork_copy(|| {
        assert!(!original.is_current());
        let copy = OwningProcess::current();
        assert_eq!(exit_code_of(bare_copy(|| !copy.is_current() && !original.is_current())), 0);
        assert!(copy.is_current());
    });
    assert_eq!(exit_code_of(copy), 0);
    assert!(original.is_current());
}

/// Under an emulator that accepts every advice and does nothing (older qemu-user).
fn a_kernel_that_accepts_any_advice_hides_no_copy() {
    fn child() -> bool {
        let original = OwningProcess::current();
        exit_code_of(bare_copy(|| !original.is_current())) == 0 && original.is_current()
    }
    filter(libc::SYS_madvise, &[], Fate::Fails(0));
    // A new program, which has asked for nothing yet.
    let child = Process::new(child, ()).method(StartMethod::Spawn).start().unwrap();
    assert!(child.join().unwrap());
}

/// A copy in which no fork handlers run, and whose exit code says whether this held there.
fn bare_copy(holds: impl FnOnce() -> bool) -> i32 {
    // SAFETY: as `fork`, which passes the same; one thread runs.
    let copy = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } as i32;
    if copy == 0 {
        let code = i32::from(!holds());
        // SAFETY: ends this process at once.
        unsafe { libc::_exit(code) };
    }
    copy
}
