//! Ending processes and seeing them end; words that say how far one has come.
//!
//! For a case that has made itself the heir of its orphans (`become_subreaper`): what ends is reaped, by its id.

use crate::inspect::{descendants, process_name};
use mp_core::sys::fd::pipe;
use mp_core::sys::poll::{Interest, pidfd_open, wait_for};
use mp_core::sys::process::{Ended, reap, reap_any, send_signal};
use mp_core::sys::signal::SIGKILL;
use mp_core::transfer::Handle;
use mp_core::word::Deadline;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::Child as Program;
use std::thread::sleep;
use std::time::Duration;

/// Kills a process, and waits for its end.
pub fn kill(pid: u32) {
    if let Ok(pidfd) = pidfd_open(pid) {
        send_signal(pidfd.as_fd(), SIGKILL).expect("a pidfd takes signals");
    }
    wait_for_end(pid);
}

/// Kills a process, and does not wait; whether it was there to be killed.
pub fn kill_if_it_lives(pid: u32) -> bool {
    let Ok(pidfd) = pidfd_open(pid) else { return false };
    let now = Deadline::after(Duration::ZERO);
    let lives = !wait_for(pidfd.as_fd(), Interest::Read, now).expect("a pidfd can be waited for");
    if lives {
        send_signal(pidfd.as_fd(), SIGKILL).expect("a pidfd takes signals");
    }
    lives
}

/// Waits for the end of a program of ours, and reaps orphans meanwhile, as an init process does, so that
/// the kernel can tell their parent how they ended.
pub fn end_of(program: &mut Program) -> Ended {
    loop {
        match reap_any() {
            Ok(Some((pid, ended))) if pid == program.id() => return ended,
            Ok(Some(_)) => {}
            _ => sleep(LOOK),
        }
    }
}

/// Waits until nothing is left that descends from this process. The harness's deadline ends a wait that does not end.
pub fn all_gone() {
    while !descendants(std::process::id()).is_empty() {
        while let Ok(Some(_)) = reap_any() {}
        sleep(LOOK);
    }
}

/// How often orphans are looked after.
const LOOK: Duration = Duration::from_micros(200);

/// Waits for a process's end, and reaps it if it is ours.
pub fn wait_for_end(pid: u32) {
    if let Ok(pidfd) = pidfd_open(pid) {
        wait_for(pidfd.as_fd(), Interest::Read, None).expect("a pidfd can be waited for");
        reap(pidfd.as_fd()).expect("a pidfd can be asked");
    }
}

/// The keepers of shared memory that have come to this process, and live.
pub fn keepers() -> Vec<u32> {
    let below = descendants(std::process::id());
    let keepers = below.into_iter().filter(|(pid, _)| process_name(*pid) == "mp-keeper");
    let (ended, living): (Vec<_>, Vec<_>) = keepers.partition(|(_, state)| *state == 'Z');
    ended.into_iter().for_each(|(pid, _)| wait_for_end(pid));
    living.into_iter().map(|(pid, _)| pid).collect()
}

/// The one keeper that there is.
pub fn the_keeper() -> u32 {
    let [one] = keepers()[..] else { panic!("not one keeper: {:?}", keepers()) };
    one
}

/// A child's last line, when it is to be there until it is killed.
pub fn stay() -> ! {
    loop {
        std::thread::park();
    }
}

/// A pipe for words: where they are read, and where they are said.
pub fn line() -> (Handle, Handle) {
    let (read, write) = pipe().expect("descriptors are left");
    (Handle::new(read), Handle::new(write))
}

/// Says a word on a pipe.
pub fn write_word(to: &Handle) {
    file(to).write_all(b"!").expect("a process reads");
}

/// Waits for the next word.
pub fn read_word(from: &Handle) {
    file(from).read_exact(&mut [0]).expect("the writer lives");
}

fn file(end: &Handle) -> File {
    File::from(end.as_fd().try_clone_to_owned().expect("descriptors are left"))
}
