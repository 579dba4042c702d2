//! Filters on system calls: another kernel, or a call that must not be made.
//!
//! # Safety
//! The one invariant: the kernel is given a program that lives through the call.
#![allow(unsafe_code)]

/// Calls of one number, of which one argument has certain bits.
#[derive(Debug, Clone, Copy)]
pub struct Calls {
    /// `SYS_...`.
    pub number: i64,
    /// Which argument, from 0 to 5; its low half is looked at.
    pub argument: u32,
    /// Which of its bits.
    pub mask: u32,
    /// What they are.
    pub bits: u32,
}

/// What becomes of such a call.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    /// It fails with this error number.
    Fails(i32),
    /// The process ends by SIGSYS.
    Kills,
}

/// From now on all such calls of this thread, and of what it starts, come to this. It cannot be undone.
///
/// # Panics
/// If the kernel takes no filter.
pub fn filter(calls: Calls, fate: Fate) {
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let (equal, answer) = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::BPF_RET | libc::BPF_K);
    let fate = match fate {
        Fate::Fails(errno) => libc::SECCOMP_RET_ERRNO | errno as u32,
        Fate::Kills => libc::SECCOMP_RET_KILL_PROCESS,
    };
    // Of `struct seccomp_data`: the call's number is at 0, the first argument at 16, each has 8 bytes.
    let half = 16 + 8 * calls.argument + if cfg!(target_endian = "big") { 4 } else { 0 };
    let mut steps = [
        step(load, 0, 0, 0),
        step(equal, 0, 4, calls.number as u32),
        step(load, 0, 0, half),
        step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, calls.mask),
        step(equal, 0, 1, calls.bits),
        step(answer, 0, 0, fate),
        step(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: integers only.
    let narrowed = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program lives through the call, which copies it.
    let filtered = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    assert_eq!((narrowed, filtered), (0, 0));
}
