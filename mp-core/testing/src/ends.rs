//! Ending processes and seeing them end; words that say how far one has come.
//!
//! For a case that has made itself the heir of its orphans (`become_subreaper`): what ends is reaped, by its id.

use crate::inspect::{descendants, process_name};
use mp_core::sys::fd::pipe;
use mp_core::sys::poll::{Interest, pidfd_open, wait_for};
use mp_core::sys::process::{reap, send_signal};
use mp_core::sys::signal::SIGKILL;
use mp_core::transfer::Handle;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;

/// Kills a process, and waits for its end.
pub fn kill(pid: u32) {
    if let Ok(pidfd) = pidfd_open(pid) {
        send_signal(pidfd.as_fd(), SIGKILL).expect("a pidfd takes signals");
    }
    wait_for_end(pid);
}

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
    file(to).write_all(b"!").expect("somebody listens");
}

/// Waits for the next word.
pub fn read_word(from: &Handle) {
    file(from).read_exact(&mut [0]).expect("whoever was to say a word lives");
}

fn file(end: &Handle) -> File {
    File::from(end.as_fd().try_clone_to_owned().expect("descriptors are left"))
}
