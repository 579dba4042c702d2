//! Filters on system calls: another kernel, or a call that must not be made.
//!
//! # Safety
//! The one invariant: the kernel is given a program that lives through the call.
#![allow(unsafe_code)]

/// What is asked of an argument of a system call.
#[derive(Debug, Clone, Copy)]
pub struct Bits {
    argument: u32,
    mask: u32,
    bits: u32,
    /// Whether they are to be these, or any others.
    equal: bool,
}

impl Bits {
    /// The bits in `mask` of this argument, from 0 to 5, of which the low half is looked at, are these.
    pub fn are(argument: u32, mask: u32, bits: u32) -> Bits {
        Bits { argument, mask, bits, equal: true }
    }

    /// They are others.
    pub fn are_not(argument: u32, mask: u32, bits: u32) -> Bits {
        Bits { argument, mask, bits, equal: false }
    }
}

/// What becomes of such a call.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    /// It fails with this error number.
    Fails(i32),
    /// The process ends by SIGSYS.
    Kills,
}

/// From now on all calls of this number (`SYS_...`) with all these bits, by this thread and by what it
/// starts, come to this. It cannot be undone.
///
/// # Panics
/// If the kernel takes no filter.
pub fn filter(number: i64, with: &[Bits], fate: Fate) {
    let step = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let (equal, answer) = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::BPF_RET | libc::BPF_K);
    let fate = match fate {
        Fate::Fails(errno) => libc::SECCOMP_RET_ERRNO | errno as u32,
        Fate::Kills => libc::SECCOMP_RET_KILL_PROCESS,
    };
    // Of `struct seccomp_data`: the call's number is at 0, the first argument at 16, each has 8 bytes.
    let half = |argument: u32| 16 + 8 * argument + if cfg!(target_endian = "big") { 4 } else { 0 };
    // Two for the number, three for each condition, two answers; a mismatch jumps to the last.
    let allow = 2 + 3 * with.len() + 1;
    let unless = |at: usize| (allow - at - 1) as u8;
    let mut steps = vec![step(load, 0, 0, 0), step(equal, 0, unless(1), number as u32)];
    for bits in with {
        steps.push(step(load, 0, 0, half(bits.argument)));
        steps.push(step(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, bits.mask));
        let leave = unless(steps.len());
        let (jt, jf) = if bits.equal { (0, leave) } else { (leave, 0) };
        steps.push(step(equal, jt, jf, bits.bits));
    }
    steps.extend([step(answer, 0, 0, fate), step(answer, 0, 0, libc::SECCOMP_RET_ALLOW)]);
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: integers only.
    let narrowed = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program lives through the call, which copies it.
    let filtered = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) };
    assert_eq!((narrowed, filtered), (0, 0));
}
