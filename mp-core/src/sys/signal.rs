//! Signals: dispositions and masks.
//!
//! # Safety
//! The one invariant: only the default and "ignore" are installed as dispositions, or what was there before; never
//! a handler of this library.
#![allow(unsafe_code)]

use super::named;
use crate::error::OsResult;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, BorrowedFd};
use std::{fmt, ptr};

pub use libc::{SIGCHLD, SIGINT, SIGKILL, SIGPIPE, SIGSTOP, SIGTERM};

/// The numbers that signals have. Those above 31, the real-time ones, have no names.
pub(super) const NUMBERS: RangeInclusive<i32> = 1..=64;

/// What the kernel, or `abort`, ends a process with for what the process itself did.
pub const CRASHES: [i32; 7] =
    [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];

/// Lets a signal do what it does by default.
pub(super) fn set_default(signal: i32) {
    set(signal, libc::SIG_DFL);
}

/// Ignores a signal, as Rust programs ignore SIGPIPE.
pub(super) fn ignore(signal: i32) {
    set(signal, libc::SIG_IGN);
}

fn set(signal: i32, how: libc::sighandler_t) {
    // SAFETY: no handler of this library runs. Refused for what cannot be ignored and for the C library's own.
    unsafe { libc::signal(signal, how) };
}

/// What the process does about a signal; `None` for one that is the C library's own.
fn action(signal: i32) -> Option<libc::sigaction> {
    // SAFETY: all zero is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: writes the result to this stack.
    let done = unsafe { libc::sigaction(signal, ptr::null(), &mut action) };
    (done == 0).then_some(action)
}

/// The signals that this process ignores; bit 0 is signal 1. Asked of the kernel itself, since each start asks for
/// all of them, and the C library takes longer to copy an answer than the kernel to give it.
pub(super) fn ignored() -> u64 {
    /// The kernel's own structure begins with the disposition; the rest is flags and the mask.
    #[repr(C)]
    struct Answer {
        disposition: libc::sighandler_t,
        rest: [usize; 8],
    }
    let is_ignored = |number: &i32| {
        let mut answer = Answer { disposition: libc::SIG_DFL, rest: [0; 8] };
        let (none, room) = (ptr::null::<Answer>(), &raw mut answer);
        // SAFETY: fills in the kernel's structure, which is smaller than this one; a mask has 64 bits.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, *number, none, room, 8) };
        answer.disposition == libc::SIG_IGN
    };
    NUMBERS.filter(is_ignored).fold(0, |bits, number| bits | 1 << (number - 1))
}

/// The signals the calling thread holds back, as their numbers.
pub fn blocked() -> Vec<i32> {
    let mut mask = SigSet::empty();
    let _ = pthread_sigmask(SigmaskHow::SIG_BLOCK, None, Some(&mut mask));
    // SAFETY: reads a set that the C library has made.
    NUMBERS.filter(|&number| unsafe { libc::sigismember(mask.as_ref(), number) } == 1).collect()
}

/// Holds back exactly these signals.
pub fn set_blocked(numbers: &[i32]) {
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&set_of(numbers)), None);
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

/// Holds back every signal that can be, for good.
pub fn hold_back_all() {
    block_all();
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

/// From now on ends of children are events; SIGCHLD is held back. Not ignored, as a program may inherit it: then
/// none would come, and the kernel would reap.
pub fn child_events() -> OsResult<ChildEvents> {
    set_default(SIGCHLD);
    let mask: SigSet = [Signal::SIGCHLD].into_iter().collect();
    named("pthread_sigmask", pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&mask), None))?;
    let events = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
    named("signalfd", events).map(ChildEvents)
}

/// From now on the kernel reaps children that end.
pub fn leave_ends_to_kernel() {
    ignore(SIGCHLD);
}

/// What a template changed for itself and its children are not to inherit.
pub struct Kept {
    mask: SigSet,
    actions: Vec<(i32, libc::sigaction)>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("mask", &self.mask).finish_non_exhaustive()
    }
}

impl Kept {
    /// Puts it back, in what is a child now: an interrupt or a request to end is for it.
    pub fn restore(&self) {
        for (signal, action) in &self.actions {
            // SAFETY: what was there before.
            unsafe { libc::sigaction(*signal, action, ptr::null_mut()) };
        }
        restore_blocked(&self.mask);
    }
}

/// The signals that processes send, to a whole group perhaps: all but those that tell a process of its own mistake.
fn sent_by_others() -> SigSet {
    let mistakes = [
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGABRT,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGSEGV,
        Signal::SIGSYS,
    ];
    let mut set = SigSet::all();
    mistakes.into_iter().for_each(|mistake| set.remove(mistake));
    set
}

/// What a helper process begins with: it holds back what others send, from its first instruction on.
pub(super) fn mask_of_helpers() -> SigSet {
    sent_by_others()
}

/// A template outlives the signals that a terminal or an impatient user sends to the whole family, and writes to
/// closed pipes without dying of it. Held back and not ignored: what a parent sends to a fork that does not know
/// yet that it is its child must wait. A signal that a constructor of the program's handles still reaches its
/// handler.
///
/// `blocked`: what the parent held back when it started the template. Gives what its children are to have: that,
/// and what there was of what a template is to do about SIGCHLD.
pub fn block_template_signals(blocked: &[i32]) -> Kept {
    let numbers = [SIGPIPE, SIGCHLD];
    let actions = numbers.into_iter().filter_map(|number| Some((number, action(number)?))).collect();
    let mut mask = sent_by_others();
    for number in NUMBERS {
        let is_handled =
            action(number).is_some_and(|now| ![libc::SIG_DFL, libc::SIG_IGN].contains(&now.sa_sigaction));
        if is_handled && !blocked.contains(&number) {
            remove(&mut mask, number);
        }
    }
    let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None);
    ignore(SIGPIPE);
    Kept { mask: set_of(blocked), actions }
}

/// By its number: those above 31 have no names.
fn remove(set: &mut SigSet, number: i32) {
    let mut raw = *set.as_ref();
    // SAFETY: takes from a set that the C library has made; it refuses what is no signal's number.
    unsafe { libc::sigdelset(&mut raw, number) };
    // SAFETY: made and filled by the C library.
    *set = unsafe { SigSet::from_sigset_t_unchecked(raw) };
}

fn set_of(numbers: &[i32]) -> SigSet {
    let mut set = *SigSet::empty().as_ref();
    for &number in numbers {
        // SAFETY: adds to a set that the C library has made; it refuses what is no signal's number.
        unsafe { libc::sigaddset(&mut set, number) };
    }
    // SAFETY: made and filled by the C library.
    unsafe { SigSet::from_sigset_t_unchecked(set) }
}

/// What a signal from a parent to its child has with it, which others have not.
const FOR_THE_CHILD: usize = 0x006D_702D_7273;

/// The kernel's `siginfo_t` of a signal with a value.
#[repr(C)]
#[derive(Default)]
struct Info {
    signal: i32,
    errno: i32,
    code: i32,
    _unused: i32,
    pid: u32,
    user: u32,
    value: usize,
    rest: [u64; 12],
}

const _: () = assert!(size_of::<Info>() == size_of::<libc::siginfo_t>());

/// Sends a signal like [`send_signal`](super::process::send_signal), to a child that may still be pre-forked: it keeps
/// this one.
pub fn send_to_child(pidfd: BorrowedFd<'_>, signal: i32) -> OsResult<()> {
    let (pid, user) = (std::process::id(), nix::unistd::getuid().as_raw());
    let info = Info { signal, code: libc::SI_QUEUE, pid, user, value: FOR_THE_CHILD, ..Info::default() };
    super::process::send_signal_with(pidfd, signal, ptr::from_ref(&info).cast())
}

/// Discards signals that were sent to this process, perhaps to its whole group, before it became a child, and are
/// blocked still. What the parent sent to its child stays: it has a mark, and ends this process once signals are
/// let through.
///
/// The kernel keeps one signal of a number, the first. One with a mark is lost behind one without, so the parent
/// says beside it that it has sent some: `parent_has_sent` is asked after the last was taken, and then all are
/// kept.
pub fn forget_what_was_not_for_the_child(parent_has_sent: impl FnOnce() -> bool) {
    let (held, now) = (sent_by_others(), libc::timespec { tv_sec: 0, tv_nsec: 0 });
    let (mut kept, mut others) = (Vec::new(), Vec::new());
    let mut info = Info::default();
    loop {
        let answer = ptr::from_mut(&mut info).cast();
        // SAFETY: reads the set and the time, and writes the answer, on this stack; `Info` is as large as the
        // kernel's.
        let signal = unsafe { libc::sigtimedwait(held.as_ref(), answer, &now) };
        if signal <= 0 {
            break;
        }
        let is_marked = info.code == libc::SI_QUEUE && info.value == FOR_THE_CHILD;
        if is_marked { &mut kept } else { &mut others }.push(signal);
    }
    if !others.is_empty() && parent_has_sent() {
        others.retain(|signal| [SIGINT, SIGTERM].contains(signal));
        kept.append(&mut others);
    }
    for signal in kept {
        // SAFETY: no memory is passed. Held back still, so that it waits.
        unsafe { libc::raise(signal) };
    }
}

/// For a process that only its parent may end, by SIGKILL or by what it says.
pub fn ignore_requests_to_end() {
    ignore(SIGINT);
    ignore(SIGTERM);
}

/// For a worker: Ctrl-C reaches the whole foreground group, and its parent decides what becomes of it.
pub fn ignore_interrupts() {
    ignore(SIGINT);
}

/// For a worker that finishes its tasks though its whole group is told to end.
pub fn ignore_terminations() {
    ignore(SIGTERM);
}
