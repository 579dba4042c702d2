//! Victim: the process that is stepped through the operation, instruction by instruction, and dies in it.

use super::companion::until;
use super::process::{fork, state};
use super::scene::Scene;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::ptr;
use std::time::Instant;

/// `rip` in the kernel's `struct user`: the seventeenth register of eight bytes.
const INSTRUCTION_POINTER: usize = 16 * 8;
/// The instruction `syscall`.
const SYSCALL: [u8; 2] = [0x0F, 0x05];

/// Sleeps after which it is stuck. Most of them end by a timed look, after a quarter to half a second.
const SLEEPS: u32 = 20;

/// A child of ours that we trace. Dropped, it is killed.
pub(super) struct Victim {
    pid: Pid,
    /// It has ended, and was reaped.
    ended: bool,
    /// It sleeps in a system call; otherwise it stands still between two instructions.
    asleep: bool,
}

/// Where a walk came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// Within the operation, as far as it was to go.
    There,
    /// The last step was a system call, and it sleeps in it.
    Asleep,
    /// The end of the operation.
    Finished,
    /// It ended, though nobody killed it.
    Ended,
    /// It sleeps again and again, though it was woken.
    Stuck,
}

impl Victim {
    /// A victim that stands before the operation of this scene.
    pub(super) fn start(scene: &dyn Scene) -> Victim {
        let pid = fork(|| {
            scene.prepare();
            let me = Pid::this();
            let stop = || kill(me, Signal::SIGSTOP).expect("one may stop oneself");
            ptrace::traceme().expect("a sweep needs ptrace");
            stop();
            scene.operate();
            stop();
            scene.finish();
            0
        });
        let mut victim = Victim { pid, ended: false, asleep: false };
        let stopped = waitpid(pid, None) == Ok(WaitStatus::Stopped(pid, Signal::SIGSTOP));
        victim.ended = !stopped;
        assert!(stopped, "the victim failed before the operation");
        ptrace::setoptions(pid, ptrace::Options::PTRACE_O_EXITKILL).expect("a traced child has options");
        victim
    }

    /// Goes `steps` instructions on. `to_sleep`: and, if the last of them is a system call that sleeps, no further
    /// than into that sleep. `asleep` is called when it sleeps and is to be woken.
    pub(super) fn walk(&mut self, steps: u64, to_sleep: bool, mut asleep: impl FnMut()) -> Reached {
        let mut done = 0;
        let (mut signal, mut sleeps) = (None, 0);
        while done < steps {
            let may_sleep = self.is_at_system_call();
            ptrace::step(self.pid, signal.take()).expect("a stopped child can be stepped");
            if may_sleep && self.falls_asleep() {
                if to_sleep && done + 1 == steps {
                    self.asleep = true;
                    return Reached::Asleep;
                }
                asleep();
                sleeps += 1;
                if sleeps > SLEEPS {
                    return Reached::Stuck;
                }
            }
            match waitpid(self.pid, None) {
                Ok(WaitStatus::Stopped(_, Signal::SIGTRAP)) => done += 1,
                Ok(WaitStatus::Stopped(_, Signal::SIGSTOP)) => return Reached::Finished,
                Ok(WaitStatus::Stopped(_, other)) => signal = Some(other),
                _ => {
                    self.ended = true;
                    return Reached::Ended;
                }
            }
        }
        Reached::There
    }

    /// The instruction before which it stands.
    pub(super) fn instruction(&self) -> Option<u64> {
        let at = ptrace::read_user(self.pid, ptr::without_provenance_mut(INSTRUCTION_POINTER)).ok()?;
        Some(at as u64)
    }

    fn is_at_system_call(&self) -> bool {
        let Some(at) = self.instruction() else { return false };
        let word = ptrace::read(self.pid, ptr::without_provenance_mut(at as usize));
        word.is_ok_and(|word| word.to_le_bytes().starts_with(&SYSCALL))
    }

    /// Stepped into a system call: waits until it is through, or sleeps in it.
    fn falls_asleep(&self) -> bool {
        let through = || waitpid_peek(self.pid);
        loop {
            // First the state, then whether it is through: if it is not, it was not when the state was read.
            let sleeps = state(self.pid) == Some(b'S');
            if through() {
                return false;
            }
            if sleeps {
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

    /// Stops it as SIGSTOP does, and traces it no longer.
    pub(super) fn stop(&mut self, deadline: Instant) -> bool {
        if self.asleep {
            let _ = kill(self.pid, Signal::SIGSTOP);
            let _ = waitpid(self.pid, None);
        }
        let _ = kill(self.pid, Signal::SIGSTOP);
        ptrace::detach(self.pid, None).expect("a stopped child can be let go");
        until(deadline, || state(self.pid) == Some(b'T'))
    }

    /// Has a stopped one go on to its end, over its own stop after the operation. `None`: it did not come there;
    /// otherwise whether it ended well.
    pub(super) fn go_on(&mut self, deadline: Instant) -> Option<bool> {
        let mut well = None;
        until(deadline, || {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => {
                    if state(self.pid) == Some(b'T') {
                        let _ = kill(self.pid, Signal::SIGCONT);
                    }
                    return false;
                }
                status => well = Some(status == Ok(WaitStatus::Exited(self.pid, 0))),
            }
            self.ended = true;
            true
        });
        well
    }
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
