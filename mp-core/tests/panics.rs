//! The reported panic is that of the call that failed, with its own text, whatever else panics and whatever hook the
//! program has.

use mp_core::process::{CaughtError, caught, note_panics};
use mp_core::sys::fd::pipe;
use mp_core::transfer::Handle;
use mp_core::{JoinError, Process, StartMethod};
use mp_testing::{parent_in_role, role};
use std::fs::File;
use std::io::{Read, Write};
use std::panic::{catch_unwind, panic_any, resume_unwind, set_hook};
use std::process::Stdio;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

mp_testing::cases! {
    plain: [
        a_hook_of_main_runs_in_forked_children,
        a_hook_of_a_child_runs_in_its_forks,
        a_hook_in_front_of_the_programs_runs_it_too,
        a_panic_of_another_thread_does_not_take_the_place_away,
        a_backtrace_begins_and_ends_in_the_programs_code,
    ],
    every_method: [
        a_resumed_payload_is_the_message,
        what_was_caught_before_is_not_told,
        a_helpers_panic_during_the_unwind_is_not_told,
        two_threads_at_once_are_told_apart,
        a_panic_that_comes_out_of_a_thread_keeps_its_place,
        with_a_hook_of_its_own_the_message_stays,
        what_is_no_text_is_told_as_such,
        a_payload_that_panics_again_is_told,
    ]
}

/// (message, place) of a child's panic.
fn told(function: fn()) -> (String, String) {
    let child = Process::new(call, (function_number(function),)).start().unwrap();
    match child.join() {
        Err(JoinError::Panicked { message, location }) => (message, location),
        other => panic!("{other:?}"),
    }
}

const FUNCTIONS: [fn(); 9] = [
    resumes,
    caught_then_resumes,
    helper_while_unwinding,
    two_threads,
    out_of_a_thread,
    own_hook,
    no_text,
    bomb,
    caught_then_own,
];

fn function_number(function: fn()) -> usize {
    FUNCTIONS.iter().position(|one| std::ptr::fn_addr_eq(*one, function)).unwrap()
}

fn call(number: usize) {
    FUNCTIONS[number]();
}

fn resumes() {
    resume_unwind(Box::new("its own message".to_owned()))
}

fn a_resumed_payload_is_the_message() {
    // Whatever was caught here is not the child's, under Fork either.
    assert!(catch_unwind(|| panic!("the parent's")).is_err());
    assert_eq!(told(resumes), ("its own message".into(), String::new()));
}

fn caught_then_resumes() {
    assert!(thread::spawn(|| panic!("a helper's")).join().is_err());
    assert!(catch_unwind(|| panic!("one that is caught")).is_err());
    resumes()
}

fn caught_then_own() {
    assert!(catch_unwind(|| panic!("the same words")).is_err());
    panic!("the same words")
}

fn what_was_caught_before_is_not_told() {
    assert_eq!(told(caught_then_resumes), ("its own message".into(), String::new()));
    let (message, place) = told(caught_then_own);
    assert_eq!(message, "the same words");
    assert!(place.ends_with(&format!("{}:5", OWN_LINE)), "{place}");
}

/// Of the second panic in `caught_then_own`.
const OWN_LINE: u32 = line!() - 11;

fn helper_while_unwinding() {
    struct Helper;
    impl Drop for Helper {
        fn drop(&mut self) {
            let _ = thread::spawn(|| panic!("a helper's, during the unwind")).join();
            let _ = catch_unwind(|| panic!("one more, which is caught"));
        }
    }
    let _helper = Helper;
    panic!("number {} of its own", 7)
}

fn a_helpers_panic_during_the_unwind_is_not_told() {
    let (message, place) = told(helper_while_unwinding);
    assert_eq!(message, "number 7 of its own");
    assert!(place.starts_with("mp-core/tests/panics.rs:"), "{place}");
}

fn two_threads() {
    let both = Barrier::new(2);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            both.wait();
            panic!("in a thread")
        });
        let mine = catch_unwind(|| {
            both.wait();
            panic!("in the first thread")
        });
        assert!(other.join().is_err());
        resume_unwind(mine.unwrap_err())
    })
}

fn two_threads_at_once_are_told_apart() {
    for _ in 0..20 {
        let (message, place) = told(two_threads);
        assert_eq!(message, "in the first thread");
        assert!(!place.is_empty());
    }
}

fn out_of_a_thread() {
    let helper = thread::spawn(|| -> () { panic!("number {}, in a thread", 3) });
    resume_unwind(helper.join().unwrap_err())
}

fn a_panic_that_comes_out_of_a_thread_keeps_its_place() {
    let (message, place) = told(out_of_a_thread);
    assert_eq!(message, "number 3, in a thread");
    assert!(place.starts_with("mp-core/tests/panics.rs:"), "{place}");
}

fn own_hook() {
    set_hook(Box::new(|_| {}));
    panic!("with a hook of its own")
}

fn with_a_hook_of_its_own_the_message_stays() {
    assert_eq!(told(own_hook), ("with a hook of its own".into(), String::new()));
}

fn no_text() {
    panic_any(5_u8)
}

fn what_is_no_text_is_told_as_such() {
    let (message, place) = told(no_text);
    assert_eq!(message, "(a payload that is not text)");
    assert!(place.starts_with("mp-core/tests/panics.rs:"), "{place}");
}

fn bomb() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the payload's")
        }
    }
    panic_any(Bomb)
}

fn a_payload_that_panics_again_is_told() {
    assert_eq!(told(bomb).0, "(a payload that is not text)");
}

fn panics_and_starts_one_that_does() {
    let grandchild = Process::new(plain, ()).method(StartMethod::Fork).start().unwrap();
    assert!(grandchild.join().is_err());
    plain()
}

fn plain() {
    panic!("plain")
}

/// In a child of the child too, and once for each panic.
fn a_hook_of_main_runs_in_forked_children() {
    let (read, write) = pipe().unwrap();
    let write = File::from(write);
    set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or_default();
        (&write).write_all(format!("[{text}]").as_bytes()).unwrap();
    }));
    let child = Process::new(panics_and_starts_one_that_does, ()).method(StartMethod::Fork).start().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Panicked { message, .. }) if message == "plain"));
    let mut text = [0; 14];
    File::from(read).read_exact(&mut text).unwrap();
    assert_eq!(&text, b"[plain][plain]");
    let _ = std::panic::take_hook();
}

fn deeper(_: Handle) {
    plain()
}

fn a_backtrace_begins_and_ends_in_the_programs_code() {
    if role().is_some() {
        let handle = Handle::new(pipe().unwrap().0);
        let child = Process::new(deeper, (handle,)).method(StartMethod::ForkServer).start().unwrap();
        assert!(child.join().is_err());
        return;
    }
    let output = parent_in_role("starts one that panics")
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("stack backtrace:") && text.contains("panics::deeper"), "{text}");
    for frame in ["mp_core::process", "mp_core::popen", "note_panic", "libc_start"] {
        assert!(!text.contains(frame), "{frame} in {text}");
    }
}

fn puts_a_hook_in_front_and_starts_one_that_panics(told: Handle) {
    let told = File::from(told.into_fd().unwrap());
    let before = std::panic::take_hook();
    set_hook(Box::new(move |info| {
        (&told).write_all(b"[hook]").unwrap();
        before(info);
    }));
    let grandchild = Process::new(plain, ()).method(StartMethod::Fork).start().unwrap();
    match grandchild.join() {
        Err(JoinError::Panicked { message, location }) => {
            assert!(message == "plain" && location.contains("panics.rs"), "{message} {location}");
        }
        other => panic!("{other:?}"),
    }
}

/// It passes on to this library's, which would pass on to it.
fn a_hook_of_a_child_runs_in_its_forks() {
    let (read, write) = pipe().unwrap();
    let start = Process::new(puts_a_hook_in_front_and_starts_one_that_panics, (Handle::new(write),));
    start.method(StartMethod::Spawn).start().unwrap().join().unwrap();
    let mut text = String::new();
    File::from(read).read_to_string(&mut text).unwrap();
    assert_eq!(text, "[hook]");
}

/// What a call in this process tells of its panic.
fn told_here(call: impl FnOnce()) -> (String, String) {
    match caught(call) {
        Err(CaughtError::Panicked { message, location }) => (message, location),
        other => panic!("{other:?}"),
    }
}

/// Both ways round, and in a fork, whose panics are printed with its name where the program has no hook.
fn a_hook_in_front_of_the_programs_runs_it_too() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    set_hook(Box::new(|_| {
        SEEN.fetch_add(1, Ordering::SeqCst);
    }));
    note_panics();
    note_panics();
    let (message, location) = told_here(plain);
    assert!(message == "plain" && location.contains("panics.rs"), "{message} {location}");
    assert_eq!(SEEN.load(Ordering::SeqCst), 1);
    let before = std::panic::take_hook();
    set_hook(Box::new(move |info| {
        SEEN.fetch_add(10, Ordering::SeqCst);
        before(info);
    }));
    note_panics();
    assert!(told_here(plain).1.contains("panics.rs"));
    assert_eq!(SEEN.load(Ordering::SeqCst), 12);
    let child = Process::new(plain, ()).method(StartMethod::Fork).start().unwrap();
    assert!(
        matches!(child.join(), Err(JoinError::Panicked { location, .. }) if location.contains("panics.rs"))
    );
    // A hook of the program's alone.
    set_hook(Box::new(|_| ()));
    assert_eq!(told_here(plain), ("plain".to_owned(), String::new()));
}

/// Between the panic of one thread and the end of its unwinding, calls begin and panic in another.
fn a_panic_of_another_thread_does_not_take_the_place_away() {
    struct Others(Barrier);
    impl Others {
        fn call(&self) {
            self.0.wait();
            for _ in 0..5 {
                assert!(told_here(plain).1.contains("panics.rs"));
            }
            assert!(caught(|| ()).is_ok());
            self.0.wait();
        }
    }
    struct Unwinds<'a>(&'a Barrier);
    impl Drop for Unwinds<'_> {
        fn drop(&mut self) {
            self.0.wait();
            self.0.wait();
        }
    }
    set_hook(Box::new(|_| ()));
    note_panics();
    let others = Others(Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| others.call());
        let (message, location) = told_here(|| {
            let _waits = Unwinds(&others.0);
            panic!("slow");
        });
        assert!(message == "slow" && location.contains("panics.rs"), "{message} {location}");
    });
}
