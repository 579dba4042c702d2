//! Interruptions: with `MP_INTERRUPTS` set (to microseconds between two), every process of a case is interrupted by
//! a timer all the time, so that each system call that sleeps comes back with `EINTR` again and again.
//!
//! # Safety
//! The one invariant: the handler does nothing.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::{AtomicI64, Ordering};

#[used]
// SAFETY: the dynamic linker, or the hook of mp-core in its stead, calls every entry of this section once.
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

/// Naming it keeps the entry above in the program.
pub(crate) fn link() {
    std::hint::black_box(&START);
}

static MICROS: AtomicI64 = AtomicI64::new(0);

extern "C" fn start() {
    let Some(micros) = std::env::var("MP_INTERRUPTS").ok().and_then(|text| text.parse().ok()) else { return };
    // ORDERING: Relaxed, here and below: one thread.
    MICROS.store(micros, Ordering::Relaxed);
    // SAFETY: all zero is a valid `sigaction`; without SA_RESTART.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = nothing as *const () as usize;
    // SAFETY: the handler does nothing.
    unsafe { libc::sigaction(libc::SIGALRM, &action, ptr::null_mut()) };
    // SAFETY: allowed at any time.
    unsafe { begin() };
    // SAFETY: a fork has no timer and begins its own, with one system call.
    unsafe { libc::pthread_atfork(None, None, Some(begin)) };
}

extern "C" fn nothing(_: libc::c_int) {}

unsafe extern "C" fn begin() {
    // ORDERING: as above.
    let every = libc::timeval { tv_sec: 0, tv_usec: MICROS.load(Ordering::Relaxed) };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: reads the value from this stack.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) };
}
