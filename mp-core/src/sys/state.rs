//! State that a process inherits besides memory and descriptors: umask, limits, CPUs, priority, process group, signals
//! that are blocked or ignored.
//!
//! # Safety
//! The one invariant: the structures passed to the kernel are as large as it is told.
#![allow(unsafe_code)]

use super::process::is_surely_single_threaded;
use super::{named, signal};
use crate::error::OsResult;
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::stat::{Mode, umask as set_umask};
use nix::unistd::{Pid, ResGid, ResUid, getpgrp, getresgid, getresuid, getsid, setpgid};
use serde::{Deserialize, Serialize};
use std::{fs, ptr};

/// The resource limits that are carried over, by the kernel's numbers 0 to 15.
const LIMITS: u32 = 16;

#[allow(clippy::unnecessary_cast, reason = "of another type in musl's headers")]
const DESCRIPTORS: u32 = libc::RLIMIT_NOFILE as u32;
#[allow(clippy::unnecessary_cast, reason = "as above")]
const PROCESSES: u32 = libc::RLIMIT_NPROC as u32;

/// A resource limit: (soft, hard).
pub type Limit = (u64, u64);

/// A process's own settings, taken at one moment and put on in another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    umask: Option<u32>,
    nice: i32,
    cpus: Vec<u32>,
    limits: Vec<Limit>,
    blocked: Vec<i32>,
    /// Bit 0 is signal 1.
    ignored: u64,
    /// The process group.
    group: i32,
}

impl State {
    /// The calling thread's, now.
    pub fn current() -> State {
        State::with_ignored(signal::ignored())
    }

    /// The state like [`State::current`], where it is known which signals are ignored: asking for each takes longer
    /// than the rest.
    pub fn with_ignored(ignored: u64) -> State {
        State {
            umask: umask(),
            // SAFETY: no memory is passed. An error looks like -1, which is a fair guess then.
            nice: unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) },
            cpus: cpus(),
            limits: (0..LIMITS).map(limit).collect(),
            blocked: signal::blocked(),
            ignored,
            group: getpgrp().as_raw(),
        }
    }

    /// How many processes the user may have: (soft, hard).
    pub fn process_limit(&self) -> Limit {
        self.limits[PROCESSES as usize]
    }

    /// Puts this state on; what is the same already is left alone. What the system refuses (a lower nice value
    /// without the right to it) stays as it is.
    pub fn apply(&self) {
        let now = State::current();
        if let Some(umask) = self.umask.filter(|_| self.umask != now.umask) {
            set_umask(Mode::from_bits_retain(umask as libc::mode_t));
        }
        if self.nice != now.nice {
            // SAFETY: no memory is passed.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, self.nice) };
        }
        if self.cpus != now.cpus {
            let mut set = CpuSet::new();
            for &cpu in &self.cpus {
                let _ = set.set(cpu as usize);
            }
            let _ = sched_setaffinity(Pid::from_raw(0), &set);
        }
        for (which, (wanted, is)) in (0..).zip(self.limits.iter().zip(&now.limits)) {
            if wanted != is {
                set_limit(which, *wanted);
            }
        }
        if self.group != now.group {
            // Refused if the parent has gone to another session, which cannot be followed.
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(self.group));
        }
        // Before any signal that was held back can arrive.
        for number in signal::NUMBERS {
            match (self.ignored >> (number - 1) & 1, now.ignored >> (number - 1) & 1) {
                (1, 0) => signal::ignore(number),
                (0, 1) => signal::set_default(number),
                _ => {}
            }
        }
        if self.blocked != now.blocked {
            signal::set_blocked(&self.blocked);
        }
    }
}

/// What a process has from its start, or gives up for good: it cannot be put on afterwards.
#[derive(Debug, PartialEq, Eq)]
pub struct Credentials {
    session: nix::Result<Pid>,
    users: nix::Result<ResUid>,
    groups: (nix::Result<ResGid>, Vec<libc::gid_t>),
    capabilities: [u32; 6],
    /// Whether execution can give new rights, and whether calls are filtered.
    narrowed: [i32; 2],
}

impl Credentials {
    /// Whether namespaces can be left with these rights.
    pub fn is_admin(&self) -> bool {
        const SYS_ADMIN: u32 = 1 << 21;
        let [_, permitted, ..] = self.capabilities;
        permitted & SYS_ADMIN != 0
    }

    /// The calling thread's, now.
    pub fn current() -> Credentials {
        // SAFETY: no memory is passed.
        let asked = |option| unsafe { libc::prctl(option, 0, 0, 0, 0) };
        Credentials {
            session: getsid(None),
            users: getresuid(),
            groups: (getresgid(), supplementary_groups()),
            capabilities: capabilities(),
            narrowed: [asked(libc::PR_GET_NO_NEW_PRIVS), asked(libc::PR_GET_SECCOMP)],
        }
    }
}

/// Not nix's, which opens a file of `/proc` each time to learn how many there may be.
fn supplementary_groups() -> Vec<libc::gid_t> {
    // SAFETY: with no room the kernel only counts.
    let count = unsafe { libc::getgroups(0, ptr::null_mut()) };
    let mut groups = vec![0; count.max(0) as usize];
    // SAFETY: there is room for as many as it is told.
    let count = unsafe { libc::getgroups(groups.len() as libc::c_int, groups.as_mut_ptr()) };
    groups.truncate(count.max(0) as usize);
    groups
}

/// The kernel's `struct __user_cap_data_struct`, twice: effective, permitted, inheritable.
fn capabilities() -> [u32; 6] {
    // The third version of the call, for the calling thread.
    let mut head: [u32; 2] = [0x2008_0522, 0];
    let mut data = [0; 6];
    // SAFETY: as large as this version has it; an error leaves the zeros.
    unsafe { libc::syscall(libc::SYS_capget, head.as_mut_ptr(), data.as_mut_ptr()) };
    data
}

/// The only call that tells it changes it for a moment, for all threads; so it is read from the process's status
/// if there may be others, at a hundred times the cost.
fn umask() -> Option<u32> {
    if is_surely_single_threaded() {
        // A handler that made a file in between would make it with another mask.
        let blocked = signal::block_all();
        let mask = set_umask(Mode::S_IRWXG | Mode::S_IRWXO);
        set_umask(mask);
        signal::restore_blocked(&blocked);
        return Some(mask.bits());
    }
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(line.trim(), 8).ok()
}

fn cpus() -> Vec<u32> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu).unwrap_or(false)).map(|cpu| cpu as u32).collect()
}

/// How many CPUs the calling thread may run on; 1 where that cannot be told.
pub fn usable_cpus() -> usize {
    // A wait asks when it comes to a new place: words are counted and not bits, and nothing is allocated. For 8,192
    // CPUs.
    let mut mask = [0_u64; 128];
    // SAFETY: writes at most the array.
    let bytes =
        unsafe { libc::syscall(libc::SYS_sched_getaffinity, 0, size_of_val(&mask), mask.as_mut_ptr()) };
    let words = usize::try_from(bytes).unwrap_or(0) / size_of::<u64>();
    mask[..words].iter().map(|word| word.count_ones() as usize).sum::<usize>().max(1)
}

/// Whether the calling thread may run on this CPU.
pub fn may_run_on(cpu: usize) -> bool {
    u32::try_from(cpu).is_ok_and(|cpu| cpus().contains(&cpu))
}

/// The calling thread, and those that it starts, run on this CPU alone.
pub fn pin_to(cpu: usize) -> OsResult<()> {
    let mut set = CpuSet::new();
    named("sched_setaffinity", set.set(cpu))?;
    named("sched_setaffinity", sched_setaffinity(Pid::from_raw(0), &set))
}

/// Adds to this process's niceness; more than 19 there is not.
pub fn be_nicer(by: u32) -> OsResult<()> {
    // SAFETY: no memory is passed. An error looks like -1, which is a fair guess then.
    let now = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let nice = now.saturating_add_unsigned(by).min(19);
    // SAFETY: no memory is passed.
    let set = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    named("setpriority", Errno::result(set).map(drop))
}

/// The limits that a template has for itself, and that its children are not to inherit.
#[derive(Debug)]
pub struct TemplateLimits {
    began_with: [(u32, Limit); 2],
}

impl TemplateLimits {
    /// As many descriptors as it can have: it holds one for each child that lives, and its parent may allow itself
    /// more after the template began.
    pub fn begin() -> TemplateLimits {
        let (_, most) = limit(DESCRIPTORS);
        let began_with = [DESCRIPTORS, PROCESSES].map(|which| (which, limit(which)));
        set_limit(DESCRIPTORS, (most, most));
        TemplateLimits { began_with }
    }

    /// From now on as many processes as its parent may have.
    pub fn allow_processes(&self, wanted: Limit) {
        if limit(PROCESSES) != wanted {
            set_limit(PROCESSES, wanted);
        }
    }

    /// In a child: what the template began with.
    pub fn restore(&self) {
        for (which, wanted) in self.began_with {
            if limit(which) != wanted {
                set_limit(which, wanted);
            }
        }
    }
}

fn limit(which: u32) -> Limit {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: writes the result to this stack.
    unsafe { libc::getrlimit(which as _, &mut limit) };
    (limit.rlim_cur, limit.rlim_max)
}

fn set_limit(which: u32, (soft, hard): Limit) {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: reads the value from this stack.
    unsafe { libc::setrlimit(which as _, &limit) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sched::sched_setaffinity;

    #[test]
    fn usable_cpus_are_those_of_the_mask() {
        // On a thread of its own, whose mask is its own.
        std::thread::spawn(|| {
            let all = cpus();
            assert_eq!(usable_cpus(), all.len());
            let mut one = CpuSet::new();
            one.set(all[0] as usize).unwrap();
            sched_setaffinity(Pid::from_raw(0), &one).unwrap();
            assert_eq!(usable_cpus(), 1);
        })
        .join()
        .unwrap();
    }
}
