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
use std::os::fd::{AsFd, BorrowedFd};

pub use libc::{SIGCHLD, SIGINT, SIGKILL, SIGPIPE, SIGSTOP, SIGTERM};

/// Ignores a signal, as Rust programs ignore SIGPIPE.
fn ignore(signal: Signal) {
    let action = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
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

/// Holds back every signal that can be, and gives what was held back before.
pub(super) fn block_all() -> SigSet {
    let mut before = SigSet::empty();
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before));
    before
}

/// Holds back what [`block_all`] gave.
pub(super) fn restore_blocked(before: &SigSet) {
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(before), None);
}

/// A descriptor that is readable when a child has ended.
#[derive(Debug)]
pub struct ChildEvents(SignalFd);

impl ChildEvents {
    /// Takes the event, however many children it stands for.
    pub fn take(&self) {
        let _ = self.0.read_signal();
    }
}

impl AsFd for ChildEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// From now on ends of children are events; SIGCHLD is held back.
pub fn child_events() -> OsResult<ChildEvents> {
    let mask: SigSet = [Signal::SIGCHLD].into_iter().collect();
    named("pthread_sigmask", pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&mask), None))?;
    let events = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
    named("signalfd", events).map(ChildEvents)
}

/// What a template changed for itself and its children are not to inherit.
#[derive(Debug)]
pub struct Kept {
    mask: SigSet,
    actions: Vec<(Signal, SigAction)>,
}

impl Kept {
    /// Puts it back: an interrupt or a request to end is for the child.
    pub fn restore(&self) {
        for (signal, action) in &self.actions {
            // SAFETY: what was there before: the default, or "ignore".
            let _ = unsafe { sigaction(*signal, action) };
        }
        restore_blocked(&self.mask);
    }
}

/// A template outlives the signals that a terminal or an impatient user sends to the whole family. Gives what was
/// there before, of the mask too.
pub fn ignore_requests_to_end() -> Kept {
    let mut mask = SigSet::empty();
    let _ = pthread_sigmask(SigmaskHow::SIG_BLOCK, None, Some(&mut mask));
    let ignoring = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    let replace = |signal| {
        // SAFETY: no handler of ours runs.
        let before = unsafe { sigaction(signal, &ignoring) };
        before.ok().map(|before| (signal, before))
    };
    Kept { mask, actions: [Signal::SIGINT, Signal::SIGTERM].into_iter().filter_map(replace).collect() }
}

/// What the runtime of a Rust program does before `main`: writing to a closed pipe is an error, not a signal.
pub fn ignore_broken_pipes() {
    ignore(Signal::SIGPIPE);
}

/// For a worker: Ctrl-C reaches the whole foreground group, and its parent decides what becomes of it.
pub fn ignore_interrupts() {
    ignore(Signal::SIGINT);
}
