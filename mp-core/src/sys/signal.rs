//! Signals: dispositions and masks.
//!
//! # Safety
//! The one invariant: only the default and "ignore" are installed as dispositions, never a handler.
#![allow(unsafe_code)]

use super::named;
use crate::error::OsResult;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, sigaction,
};
use nix::sys::signalfd::{SfdFlags, SignalFd};

pub use libc::{SIGCHLD, SIGINT, SIGKILL, SIGPIPE, SIGSTOP, SIGTERM};

/// Lets a signal do what it does by default.
fn set_default(signal: Signal) {
    set(signal, SigHandler::SigDfl);
}

/// Ignores a signal, as Rust programs ignore SIGPIPE.
fn ignore(signal: Signal) {
    set(signal, SigHandler::SigIgn);
}

fn set(signal: Signal, handler: SigHandler) {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler of ours runs.
    let _ = unsafe { sigaction(signal, &action) };
}

/// The signals the calling thread holds back, as their numbers.
pub fn blocked() -> Vec<i32> {
    let mut mask = SigSet::empty();
    let _ = pthread_sigmask(SigmaskHow::SIG_BLOCK, None, Some(&mut mask));
    mask.iter().map(|signal| signal as i32).collect()
}

/// Holds back exactly these signals.
pub fn set_blocked(numbers: &[i32]) {
    let mask: SigSet = numbers.iter().filter_map(|&number| Signal::try_from(number).ok()).collect();
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None);
}

/// A descriptor that becomes readable when a child has ended; SIGCHLD is held back from now on.
pub fn child_events() -> OsResult<SignalFd> {
    let mask: SigSet = [Signal::SIGCHLD].into_iter().collect();
    named("pthread_sigmask", pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&mask), None))?;
    named("signalfd", SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK))
}

/// What a template ignores, a child does by default: an interrupt or a request to end is for the child.
pub fn restore_defaults() {
    set_default(Signal::SIGINT);
    set_default(Signal::SIGTERM);
}

/// A template outlives the signals that a terminal or an impatient user sends to the whole family.
pub fn ignore_requests_to_end() {
    ignore(Signal::SIGINT);
    ignore(Signal::SIGTERM);
}

/// What the runtime of a Rust program does before `main`: writing to a closed pipe is an error, not a signal.
pub fn ignore_broken_pipes() {
    ignore(Signal::SIGPIPE);
}

/// For a worker: Ctrl-C reaches the whole foreground group, and its parent decides what becomes of it.
pub fn ignore_interrupts() {
    ignore(Signal::SIGINT);
}
