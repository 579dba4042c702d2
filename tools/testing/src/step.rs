//! Killing a process where it is to be: next to a system call, to which it is stepped from call to call.

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs;

/// Next to a system call, which is given by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// It has not begun.
    Before(i64),
    /// It is through.
    After(i64),
}

/// Kills a child of this process, which has one thread and sleeps, the first time that it comes there after `go`, which
/// wakes it. It is left to be reaped.
pub fn kill_at(child: u32, at: At, go: impl FnOnce()) {
    let pid = Pid::from_raw(child as i32);
    ptrace::seize(pid, ptrace::Options::PTRACE_O_TRACESYSGOOD).expect("a child may be traced");
    ptrace::interrupt(pid).expect("it is traced");
    // Stopped before it goes on, so that the first stop in a call is at its beginning.
    let (mut stop, mut inside) = (next_stop(pid), false);
    go();
    loop {
        let mut signal = None;
        match stop {
            WaitStatus::PtraceSyscall(_) => {
                inside = !inside;
                if at == if inside { At::Before(call(pid)) } else { At::After(call(pid)) } {
                    break;
                }
            }
            WaitStatus::Stopped(_, Signal::SIGTRAP) | WaitStatus::PtraceEvent(..) => {}
            WaitStatus::Stopped(_, other) => signal = Some(other),
            other => panic!("{pid} never came to {at:?}: {other:?}"),
        }
        ptrace::syscall(pid, signal).expect("it stands");
        stop = next_stop(pid);
    }
    kill(pid, Signal::SIGKILL).expect("it stands");
}

fn next_stop(pid: Pid) -> WaitStatus {
    loop {
        match waitpid(pid, None) {
            // MP_INTERRUPTS
            Err(Errno::EINTR) => {}
            status => return status.expect("a child can be waited for"),
        }
    }
}

/// The system call that a stopped process is in.
fn call(pid: Pid) -> i64 {
    let line = fs::read_to_string(format!("/proc/{pid}/syscall")).expect("it stands");
    let number = line.split_whitespace().next().and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("{pid} is in no call: {line}"))
}
