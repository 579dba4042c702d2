//! The exit of a process beside threads that go on: it ends the children, and no other thread starts one then.
#![allow(unsafe_code, reason = "atexit(3), as other code calls it")]

use mp_core::{Process, StartError, StartMethod, get_start_method};
use mp_testing::{parent_in_role, role};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock};

mp_testing::cases! {
    every_method: [
        no_other_thread_starts_a_child_once_the_exit_has_ended_them,
    ]
}

fn add_one(x: u64) -> u64 {
    x + 1
}

/// One that starts children beside threads.
fn method() -> StartMethod {
    get_start_method().unwrap().for_helpers()
}

/// Asks a thread to start a child, and hears what came of that.
static THREAD: OnceLock<Mutex<(Sender<()>, Receiver<String>)>> = OnceLock::new();

fn start_one() -> String {
    match Process::new(add_one, (4,)).method(method()).start() {
        Ok(child) => format!("{:?}", child.join()),
        Err(StartError::Ending) => "refused".to_owned(),
        Err(other) => other.to_string(),
    }
}

/// Called after the library's own, which was registered later.
extern "C" fn at_the_end() {
    let thread = THREAD.get().unwrap().lock().unwrap();
    thread.0.send(()).unwrap();
    println!("the other thread: {}", thread.1.recv().unwrap());
    println!("this one: {}", start_one());
}

fn no_other_thread_starts_a_child_once_the_exit_has_ended_them() {
    if role().is_none() {
        let ended = parent_in_role("exits").stderr(Stdio::inherit()).output().unwrap();
        assert_eq!(ended.status.code(), Some(3));
        let says = String::from_utf8(ended.stdout).unwrap();
        assert_eq!(says, "the other thread: refused\nthis one: Ok(5)\n");
        return;
    }
    // SAFETY: a function of the program.
    assert_eq!(unsafe { libc::atexit(at_the_end) }, 0);
    assert_eq!(start_one(), "Ok(5)");
    let (ask, asked) = channel();
    let (say, said) = channel();
    assert!(THREAD.set(Mutex::new((ask, said))).is_ok());
    std::thread::spawn(move || {
        while let Ok(()) = asked.recv() {
            say.send(start_one()).unwrap();
        }
    });
    std::process::exit(3);
}
