//! Family: the process group of a scene whose operation starts processes. None of it may be left in the end.
//!
//! The maker is a subreaper: a process that loses its parent becomes a child of the maker, and is reaped here, as
//! process 1 would do. So a group that still has a member has one that lives on, or a zombie whose living parent
//! forgot it.

use super::companion::{until, until_some};
use super::process::state;
use super::scene::Scene;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgid};
use std::cell::Cell;
use std::fs;
use std::time::{Duration, Instant};

/// Those of a scene. Dropped, the sweep itself leaves none of them behind.
pub(super) struct Family<'a> {
    scene: &'a dyn Scene,
    /// No process was left. (From then on the number may be reused.)
    gone: Cell<bool>,
}

impl Family<'_> {
    pub(super) fn of(scene: &dyn Scene) -> Family<'_> {
        Family { scene, gone: Cell::new(false) }
    }

    fn group(&self) -> Option<Pid> {
        if self.gone.get() {
            return None;
        }
        self.scene.family().map(|number| Pid::from_raw(number as i32))
    }

    /// Reaps those that the maker has inherited, if they have ended.
    pub(super) fn reap(&self) {
        let Some(group) = self.group() else { return };
        let all_of_it = Pid::from_raw(-group.as_raw());
        while waitpid(all_of_it, Some(WaitPidFlag::WNOHANG)).is_ok_and(|it| it != WaitStatus::StillAlive) {}
    }

    /// Whether no process is left.
    pub(super) fn is_gone(&self) -> bool {
        self.reap();
        let Some(group) = self.group() else { return true };
        self.gone.set(killpg(group, None) == Err(Errno::ESRCH));
        self.gone.get()
    }

    /// The process that is stopped, once it is awaited.
    pub(super) fn standing(&self) -> Option<Pid> {
        if !self.scene.awaits_victim() {
            return None;
        }
        members(self.group()?).into_iter().find(|member| member.state == b'T').map(|member| member.pid)
    }

    /// The processes that are left: number, name, and state.
    pub(super) fn left(&self) -> String {
        let left = self.group().map(members).unwrap_or_default();
        let said = |Member { pid, name, state }: Member| format!("{pid} ({name}) {}", char::from(state));
        left.into_iter().map(said).collect::<Vec<_>>().join(", ")
    }
}

struct Member {
    pid: Pid,
    name: String,
    state: u8,
}

fn members(group: Pid) -> Vec<Member> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw);
    let member = |pid: Pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim_end().to_owned();
        Some(Member { pid, name, state: state(pid)? })
    };
    numbers.filter(|pid| getpgid(Some(*pid)) == Ok(group)).filter_map(member).collect()
}

/// Stops the member of this group that has this name, as soon as it sleeps.
pub(crate) fn stop_member(group: u32, name: &str) {
    let group = Pid::from_raw(group as i32);
    let named = || members(group).into_iter().find(|member| member.name == name && member.state == b'S');
    let long = Instant::now() + Duration::from_secs(5);
    let pid = until_some(long, named).expect("it comes, and sleeps").pid;
    kill(pid, Signal::SIGSTOP).expect("it is one of ours");
    assert!(until(long, || state(pid) == Some(b'T')), "a stopped process stands still");
}

impl Drop for Family<'_> {
    fn drop(&mut self) {
        while !self.is_gone() {
            if let Some(group) = self.group() {
                let _ = killpg(group, Signal::SIGKILL);
            }
            std::thread::yield_now();
        }
    }
}
