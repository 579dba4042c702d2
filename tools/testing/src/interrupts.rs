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

/// Not `setitimer`, whose timer an exec would keep while it takes the handler away: another program would die of it.
unsafe extern "C" fn begin() {
    // SAFETY: all zero is a valid `sigevent`.
    let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
    event.sigev_notify = libc::SIGEV_SIGNAL;
    event.sigev_signo = libc::SIGALRM;
    let mut timer: libc::timer_t = ptr::null_mut();
    // SAFETY: reads the event from this stack, and writes the timer's id there.
    if unsafe { libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer) } < 0 {
        return;
    }
    // ORDERING: as above.
    let every = libc::timespec { tv_sec: 0, tv_nsec: MICROS.load(Ordering::Relaxed) * 1000 };
    let when = libc::itimerspec { it_interval: every, it_value: every };
    // SAFETY: the timer that was just made; reads the times from this stack.
    unsafe { libc::timer_settime(timer, 0, &when, ptr::null_mut()) };
}
