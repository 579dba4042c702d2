//! Victim: the process that is stepped through the operation, instruction by instruction, and dies in it.
//!
//! A process that the victim starts is not traced: none of ptrace's options has it so, and a fork has its parent's
//! trap flag cleared by the kernel.

use super::companion::{have_other_links, until, until_some};
use super::family::Family;
use super::point::Point;
use super::process::{fork, stand_still, state};
use super::scene::Scene;
use mp_core::sys::poll::{Interest, pidfd_open, wait_for};
use mp_core::word::Deadline;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr;
use std::time::{Duration, Instant};

/// `rip` in the kernel's `struct user`: the seventeenth register of eight bytes.
const INSTRUCTION_POINTER: usize = 16 * 8;
/// `orig_rax`, two registers before it: the number of the system call that it is in.
const CALL: usize = 15 * 8;
/// Those that make a process: `clone`, `fork`, `vfork`, `clone3`.
const CALLS_THAT_FORK: [i64; 4] = [56, 57, 58, 435];
/// The instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0F, 0x05];

/// Sleeps after which it is stuck. Most of them end by a timed look, after half a second at most.
const SLEEPS: u32 = 20;

thread_local! {
    /// Which instructions of this program are system calls: to read one from a victim costs a system call.
    static KNOWN: RefCell<HashMap<u64, bool>> = RefCell::default();
}

/// A process that we trace. Dropped, it is killed.
pub(super) struct Victim {
    pid: Pid,
    /// Another process's child, by its pidfd: it has no stop after the operation, which is its end.
    others: Option<OwnedFd>,
    /// It has ended, and was reaped.
    ended: bool,
    /// It sleeps in a system call; otherwise it stands still between two instructions.
    asleep: bool,
    /// What it is to be sent when it goes on.
    signal: Option<Signal>,
    /// How often it has slept.
    sleeps: u32,
}

/// Where a walk came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// Within the operation, as far as it was to go.
    There,
    /// The last step was a system call, and it sleeps in it.
    Asleep,
    /// The next system call, which is where the next points are counted from.
    Beyond,
    /// The end of the operation.
    Finished,
    /// It ended, although no process killed it.
    Ended,
    /// It sleeps again and again, though it was woken.
    Stuck,
}

/// One stride of a walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stride {
    Instruction,
    /// To the next system call's beginning, or from there to its end.
    Call,
}

/// What a stride can be.
#[derive(Debug, Clone, Copy)]
struct Ground {
    stride: Stride,
    /// It is, or may be, in a system call.
    may_sleep: bool,
    /// If it sleeps, this is as far as it was to go.
    stays_asleep: bool,
    /// Sleep means deep sleep too, from which no signal wakes it: that of `vfork`, until the child has executed its
    /// program.
    deep: bool,
}

impl Victim {
    /// A child that stands before the operation of this scene.
    pub(super) fn start(scene: &dyn Scene) -> Victim {
        Victim::begin(|ready| {
            scene.prepare();
            ready();
            scene.operate();
            stand_still();
            scene.finish();
        })
    }

    /// A child that stands before what comes after the first one's death, and is to die in it as well.
    pub(super) fn second(scene: &dyn Scene) -> Victim {
        Victim::begin(|ready| {
            have_other_links();
            scene.operate_again(ready);
            stand_still();
        })
    }

    /// `work` calls what it is given where its points begin, and stands still where they end.
    fn begin(work: impl FnOnce(&dyn Fn())) -> Victim {
        let pid = fork(|| {
            work(&|| {
                ptrace::traceme().expect("a sweep needs ptrace");
                stand_still();
            });
            0
        });
        let mut victim = Victim::new(pid, None);
        let stopped = waitpid(pid, None) == Ok(WaitStatus::Stopped(pid, Signal::SIGSTOP));
        victim.ended = !stopped;
        assert!(stopped, "the victim failed before the operation");
        ptrace::setoptions(pid, options()).expect("a traced child has options");
        victim
    }

    /// Another process's child, which stops itself before the operation; `None`: not before the deadline.
    pub(super) fn adopt(family: &Family<'_>, deadline: Instant) -> Option<Victim> {
        let pid = until_some(deadline, || family.standing())?;
        let pidfd = pidfd_open(pid.as_raw() as u32).expect("it stands still");
        ptrace::seize(pid, options()).expect("a sweep may trace its descendants");
        let stopped = waitpid(pid, None);
        assert!(matches!(stopped, Ok(WaitStatus::PtraceEvent(..))), "the victim does not stand: {stopped:?}");
        Some(Victim::new(pid, Some(pidfd)))
    }

    fn new(pid: Pid, others: Option<OwnedFd>) -> Victim {
        Victim { pid, others, ended: false, asleep: false, signal: None, sleeps: 0 }
    }

    /// Goes to this point. `asleep` is called when it sleeps and is to be woken.
    pub(super) fn walk(&mut self, point: Point, mut asleep: impl FnMut()) -> Reached {
        let Point { calls, steps, to_sleep, to_first_sleep } = point;
        for call in 1..=calls.unwrap_or(0) {
            let stays_asleep = to_sleep && steps == 0 && Some(call) == calls;
            let begin = Ground { stride: Stride::Call, may_sleep: false, stays_asleep: false, deep: false };
            if let Some(reached) = self.go(begin, &mut asleep) {
                return reached;
            }
            let deep = stays_asleep && self.is_in_fork();
            let end = Ground { stride: Stride::Call, may_sleep: true, stays_asleep, deep };
            if let Some(reached) = self.go(end, &mut asleep) {
                return reached;
            }
        }
        let mut at = self.instruction();
        for step in 1..=steps {
            let may_sleep = self.is_system_call(at);
            if may_sleep && calls.is_some() {
                return Reached::Beyond;
            }
            let stays_asleep = to_sleep && (step == steps || to_first_sleep);
            let ground = Ground { stride: Stride::Instruction, may_sleep, stays_asleep, deep: false };
            loop {
                if let Some(reached) = self.go(ground, &mut asleep) {
                    return reached;
                }
                let before = std::mem::replace(&mut at, self.instruction());
                // A store that repeats itself (`rep stosb`) traps each time: thousands, for a buffer of zeros.
                if calls.is_none() || before != at {
                    break;
                }
            }
        }
        Reached::There
    }

    /// Goes one stride, signals apart. `None`: it is done, and there may be another one.
    fn go(&mut self, ground: Ground, asleep: &mut impl FnMut()) -> Option<Reached> {
        loop {
            let signal = self.signal.take();
            let gone = match ground.stride {
                Stride::Instruction => ptrace::step(self.pid, signal),
                Stride::Call => ptrace::syscall(self.pid, signal),
            };
            gone.expect("a stopped child can be stepped");
            if ground.may_sleep && self.falls_asleep(ground) {
                if ground.stays_asleep {
                    self.asleep = true;
                    return Some(Reached::Asleep);
                }
                asleep();
                self.sleeps += 1;
                if self.sleeps > SLEEPS {
                    return Some(Reached::Stuck);
                }
            }
            match waitpid(self.pid, None) {
                Ok(WaitStatus::Stopped(_, Signal::SIGTRAP) | WaitStatus::PtraceSyscall(_)) => return None,
                Ok(WaitStatus::Stopped(_, Signal::SIGSTOP)) => return Some(Reached::Finished),
                Ok(WaitStatus::Stopped(_, other)) => self.signal = Some(other),
                // The stop in which it was found.
                Ok(WaitStatus::PtraceEvent(..)) => {}
                status => {
                    self.ended = true;
                    let well = self.others.is_some() && matches!(status, Ok(WaitStatus::Exited(..)));
                    return Some(if well { Reached::Finished } else { Reached::Ended });
                }
            }
        }
    }

    /// The instruction before which it stands.
    pub(super) fn instruction(&self) -> Option<u64> {
        let at = ptrace::read_user(self.pid, ptr::without_provenance_mut(INSTRUCTION_POINTER)).ok()?;
        Some(at as u64)
    }

    fn is_in_fork(&self) -> bool {
        let call = ptrace::read_user(self.pid, ptr::without_provenance_mut(CALL));
        call.is_ok_and(|call| CALLS_THAT_FORK.contains(&call))
    }

    fn is_system_call(&self, at: Option<u64>) -> bool {
        let Some(at) = at else { return false };
        let look = || {
            let word = ptrace::read(self.pid, ptr::without_provenance_mut(at as usize));
            word.is_ok_and(|word| word.to_le_bytes().starts_with(&SYSCALL))
        };
        // Another program may have other code there.
        if self.others.is_some() {
            return look();
        }
        KNOWN.with_borrow_mut(|known| *known.entry(at).or_insert_with(look))
    }

    /// Stepped into a system call: waits until it is through, or sleeps in it.
    fn falls_asleep(&self, ground: Ground) -> bool {
        let through = || waitpid_peek(self.pid);
        loop {
            // First the state, then whether it is through: if it is not, it was not when the state was read.
            let state = state(self.pid);
            if through() {
                return false;
            }
            if state == Some(b'S') || ground.deep && state == Some(b'D') {
                return true;
            }
            std::thread::yield_now();
        }
    }

    /// Kills it, at once.
    pub(super) fn kill(&mut self) {
        if !self.ended {
            let _ = kill(self.pid, Signal::SIGKILL);
            // Stops of the trace may come first.
            while !matches!(waitpid(self.pid, None), Ok(WaitStatus::Signaled(..)) | Err(Errno::ECHILD)) {}
            self.ended = true;
        }
    }

    /// Has one that sleeps stand between two instructions, as it must to be let go.
    fn stop_if_asleep(&self) {
        if self.asleep {
            let _ = kill(self.pid, Signal::SIGSTOP);
            let _ = waitpid(self.pid, None);
        }
    }

    /// Stops it as SIGSTOP does, and traces it no longer. `false`: it does not stop. One that has ended needs no
    /// stop.
    pub(super) fn stop(&mut self, deadline: Instant) -> bool {
        if self.ended {
            return true;
        }
        self.stop_if_asleep();
        let _ = kill(self.pid, Signal::SIGSTOP);
        ptrace::detach(self.pid, None).expect("a stopped child can be let go");
        until(deadline, || state(self.pid) == Some(b'T'))
    }

    /// Lets it go where it stands, traced no longer, and waits until it has ended or sleeps. `false`: neither.
    pub(super) fn run_on(&mut self, deadline: Instant) -> bool {
        if self.ended {
            return true;
        }
        self.stop_if_asleep();
        ptrace::detach(self.pid, None).expect("a stopped child can be let go");
        until(deadline, || match state(self.pid) {
            Some(b'T') => {
                let _ = kill(self.pid, Signal::SIGCONT);
                false
            }
            seen => matches!(seen, Some(b'S' | b'Z') | None),
        })
    }

    /// Has a stopped one go on to its end, over its own stop after the operation. `None`: it did not come there;
    /// otherwise whether it ended well (another process's child: its parent decides that).
    pub(super) fn go_on(&mut self, deadline: Instant) -> Option<bool> {
        let mut well = None;
        until(deadline, || {
            if !self.ended {
                well = self.has_ended();
                self.ended = well.is_some();
            }
            if !self.ended && state(self.pid) == Some(b'T') {
                let _ = kill(self.pid, Signal::SIGCONT);
            }
            self.ended
        });
        if self.others.is_some() && self.ended { Some(true) } else { well }
    }

    /// Whether one that is traced no longer has ended, and so, whether it ended well.
    fn has_ended(&self) -> Option<bool> {
        if let Some(pidfd) = &self.others {
            let ended = wait_for(pidfd.as_fd(), Interest::Read, Deadline::after(Duration::ZERO));
            return ended.is_ok_and(|ended| ended).then_some(true);
        }
        match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => None,
            status => Some(status == Ok(WaitStatus::Exited(self.pid, 0))),
        }
    }
}

fn options() -> ptrace::Options {
    ptrace::Options::PTRACE_O_EXITKILL | ptrace::Options::PTRACE_O_TRACESYSGOOD
}

/// Whether there is something to wait for, which is left there.
fn waitpid_peek(pid: Pid) -> bool {
    use nix::sys::wait::{Id, waitid};
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::Pid(pid), flags) != Ok(WaitStatus::StillAlive)
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.kill();
    }
}
