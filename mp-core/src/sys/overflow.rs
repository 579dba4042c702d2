//! A stack overflow in a child is reported with the process's name before it ends, as in a normal program.
//!
//! The C library's reaction to an overflow is SIGSEGV without a message. A Rust program installs a handler before `main`
//! that reports it; a child that never enters `main` needs this one. The process still ends by the signal.
//!
//! # Safety
//! The one invariant: the handler does only what a signal handler may (reads atomics, `write`, `sigaction`), and
//! whatever is not an overflow goes on to the handler that was there before.
#![allow(unsafe_code)]

use crate::sys::process::write_stderr;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicUsize, Ordering};

/// What the handler runs on: the stack itself is full.
const STACK: usize = 32 << 10;
/// So near to the stack pointer, an address that is not mapped is the stack's end.
const NEAR: usize = 256 << 10;

const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// What was there before, for each of them: the handler and its flags.
static BEFORE: [(AtomicUsize, AtomicI32); 2] = [const { (AtomicUsize::new(0), AtomicI32::new(0)) }; 2];
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// The process's name, as far as it fits; zeros follow.
static NAME: [AtomicU8; 64] = [const { AtomicU8::new(0) }; 64];

/// Sets the name of this process for the message.
pub fn set_name(name: &str) {
    for (place, byte) in NAME.iter().zip(name.bytes().chain(std::iter::repeat(0))) {
        // ORDERING: Relaxed, here and in the handler: the process has one thread now.
        place.store(byte, Ordering::Relaxed);
    }
}

/// Has overflows told from now on, in this process and its forks; with one thread. A handler that was installed
/// since stays alone.
pub fn install() {
    // ORDERING: Relaxed, here and in the handler: the process has one thread now.
    if INSTALLED.swap(true, Ordering::Relaxed) {
        return;
    }
    let mut ours = default();
    ours.sa_sigaction = handle as *const () as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    for (signal, (handler, flags)) in SIGNALS.into_iter().zip(&BEFORE) {
        let mut before = default();
        // SAFETY: asks, and changes nothing.
        unsafe { libc::sigaction(signal, ptr::null(), &mut before) };
        // ORDERING: as above.
        handler.store(before.sa_sigaction, Ordering::Relaxed);
        flags.store(before.sa_flags, Ordering::Relaxed);
        // SAFETY: the handler keeps to the invariant above.
        unsafe { libc::sigaction(signal, &ours, ptr::null_mut()) };
    }
    give_stack();
}

/// The signal's default action.
fn default() -> libc::sigaction {
    // SAFETY: all zero is a valid `sigaction`, and this one.
    unsafe { std::mem::zeroed() }
}

/// The thread needs a second stack, unless it has one.
fn give_stack() {
    // SAFETY: all zero is a valid `stack_t`.
    let mut stack: libc::stack_t = unsafe { std::mem::zeroed() };
    // SAFETY: asks, and changes nothing.
    unsafe { libc::sigaltstack(ptr::null(), &mut stack) };
    if stack.ss_flags & libc::SS_DISABLE == 0 {
        return;
    }
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new memory, which nothing else is told of.
    let memory = unsafe { libc::mmap(ptr::null_mut(), STACK, protection, flags, -1, 0) };
    if memory != libc::MAP_FAILED {
        stack = libc::stack_t { ss_sp: memory, ss_flags: 0, ss_size: STACK };
        // SAFETY: memory of that size, never freed.
        unsafe { libc::sigaltstack(&stack, ptr::null_mut()) };
    }
}

extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel's own description of the fault.
    let fault = unsafe { &*info };
    // SAFETY: what these signals carry.
    let address = unsafe { fault.si_addr() } as usize;
    // SAFETY: the kernel's own copy of the registers.
    let stack = unsafe { stack_pointer(context.cast()) };
    let overflow = stack.is_some_and(|stack| address.abs_diff(stack) < NEAR);
    let mut action = default();
    if overflow {
        tell();
    } else {
        let (handler, flags) = &BEFORE[usize::from(signal != SIGNALS[0])];
        // ORDERING: as in `install`.
        action.sa_sigaction = handler.load(Ordering::Relaxed);
        action.sa_flags = flags.load(Ordering::Relaxed);
        if action.sa_flags & libc::SA_SIGINFO != 0 {
            type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: it was installed with this type.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(action.sa_sigaction) };
            return handler(signal, info, context);
        }
    }
    // The instruction faults again, and meets what was there before; or the process ends.
    // SAFETY: allowed in a handler.
    unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
}

fn tell() {
    // ORDERING: as in `set_name`.
    let name = NAME.each_ref().map(|byte| byte.load(Ordering::Relaxed));
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    write_stderr(b"\nProcess ");
    write_stderr(&name[..end]);
    write_stderr(b": stack overflow\n");
}

/// Where the stack was when the signal came; `None` where it is not known how to ask.
///
/// # Safety
/// The context of a signal handler.
#[cfg(target_arch = "x86_64")]
unsafe fn stack_pointer(context: *const libc::ucontext_t) -> Option<usize> {
    // SAFETY: the caller's.
    let context = unsafe { &*context };
    Some(context.uc_mcontext.gregs[libc::REG_RSP as usize] as usize)
}

#[cfg(target_arch = "aarch64")]
unsafe fn stack_pointer(context: *const libc::ucontext_t) -> Option<usize> {
    // SAFETY: the caller's.
    let context = unsafe { &*context };
    Some(context.uc_mcontext.sp as usize)
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn stack_pointer(_: *const libc::ucontext_t) -> Option<usize> {
    None
}
