//! Copies of a process that owns blocks: a fork has its parent's handles, record and line, and owns none of what they
//! are for. What it makes itself, it owns.
#![allow(unsafe_code, reason = "a fork that the library does not know of, and a promise that one is safe")]

use mp_core::popen::ForkIsSafe;
use mp_core::sys::process::{Forked, become_subreaper, exit_now, fork};
use mp_core::transfer::Handle;
use mp_core::{JoinError, Process, StartMethod};
use mp_shm::SharedMemory;
use mp_testing::{
    descendants, keepers, kill, line, no_new_shared_memory, read_word, shared_memory_exists as exists,
    shared_memory_names, stay, the_keeper, wait_for_end, wait_until_gone, write_word,
};
use std::sync::atomic::{AtomicBool, Ordering};

mp_testing::cases! {
    plain: [
        a_fork_child_does_not_own_what_its_parent_made,
        a_fork_child_owns_what_it_makes_itself,
        a_copied_process_owns_what_it_makes_itself,
        a_promise_lets_an_owner_with_threads_fork,
    ]
}

fn name(of: &str) -> String {
    format!("mp-shm-forked-{}-{of}", std::process::id())
}

fn make(name: &str) -> SharedMemory {
    SharedMemory::create(name, 1).unwrap()
}

fn make_and_stay(name: String, ready: Handle) -> ! {
    let _block = make(&name);
    write_word(&ready);
    stay()
}

/// The parent is the test itself, which goes on; the child inherits its handles, its record and its line.
fn a_fork_child_does_not_own_what_its_parent_made() {
    become_subreaper().unwrap();
    let block = make(&name("parents"));
    let keeper = the_keeper();
    let (read, write) = line();
    let copy = block.clone();
    let forked = Process::fork(move || -> () {
        copy.write(0, b"!").unwrap();
        write_word(&write);
        stay()
    });
    let child = forked.start().unwrap();
    read_word(&read);
    child.kill().unwrap();
    assert!(child.join().is_err());
    // One that makes a block afterwards, in the same way, and is killed: its end comes after the other's.
    let own = name("childs");
    let made = own.clone();
    let (read, write) = line();
    let forked = Process::fork(move || -> () { make_and_stay(made, write) });
    let child = forked.start().unwrap();
    read_word(&read);
    assert_eq!(the_keeper(), keeper);
    child.kill().unwrap();
    assert!(child.join().is_err());
    wait_until_gone(&own);
    assert!(exists(block.name()));
    let ends = Process::fork(|| -> () { exit_now(0) });
    assert!(ends.start().unwrap().join().is_err());
    assert!(exists(block.name()));
    let mut byte = [0];
    block.read(0, &mut byte).unwrap();
    assert_eq!(&byte, b"!");
}

fn a_fork_child_owns_what_it_makes_itself() {
    become_subreaper().unwrap();
    let block = make(&name("parents"));
    let own = name("childs");
    let made = own.clone();
    // Dropped by the child: the parent's record, of which it has a copy, must not lose the entry.
    let child = Process::fork(move || -> () {
        drop(make(&made));
        let _again = make(&made);
        exit_now(0)
    });
    assert!(matches!(child.start().unwrap().join(), Err(JoinError::Exited(0))));
    wait_until_gone(&own);
    assert!(exists(block.name()));
}

/// A fork that this library does not know of: none of its handlers has run.
fn a_copied_process_owns_what_it_makes_itself() {
    become_subreaper().unwrap();
    let before = shared_memory_names();
    let names = ["parents", "childs"].map(name);
    let [parents, childs] = names.clone();
    let (read, write) = line();
    let child = Process::new(
        |parents: String, childs: String, ready: Handle| -> () {
            let _block = make(&parents);
            // SAFETY: a fresh program with one thread.
            if let Forked::Child = unsafe { fork() }.unwrap() {
                make_and_stay(childs, ready);
            }
            stay()
        },
        (parents, childs, write),
    );
    let child = child.method(StartMethod::Spawn).start().unwrap();
    read_word(&read);
    let copy = descendants(child.pid())[0].0;
    let [parents, childs] = names;
    child.kill().unwrap();
    assert!(child.join().is_err());
    wait_until_gone(&parents);
    assert!(exists(&childs));
    kill(copy);
    keepers().into_iter().for_each(wait_for_end);
    no_new_shared_memory(&before);
}

/// The other threads make blocks all the time; a lock of this crate's that one of them held would hang a child, which
/// makes one of its own.
fn a_promise_lets_an_owner_with_threads_fork() {
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                // ORDERING: Relaxed: only whether to go on.
                while !stop.load(Ordering::Relaxed) {
                    drop(SharedMemory::new(1).unwrap());
                }
            });
        }
        for _ in 0..50 {
            // SAFETY: neither the other threads nor the child print, or touch the environment or the panic hook.
            let vouched = unsafe { ForkIsSafe::vouch() };
            let child = Process::fork(|| drop(SharedMemory::new(1).unwrap())).despite_threads(vouched);
            child.start().unwrap().join().unwrap();
        }
        // ORDERING: as above.
        stop.store(true, Ordering::Relaxed);
    });
}
