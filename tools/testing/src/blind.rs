//! Environments that show a process little or nothing of the others.
//!
//! Each is entered by a child that only looks: it cannot be left, and most need root. What the child still has to do in
//! there must open no file.

use crate::filter::{Fate, filter};
use crate::run::not_here;
use mp_core::{Child, Process};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_dumpable;
use nix::unistd::{Gid, Uid, chdir, chroot, geteuid, setgid, setgroups, setuid};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// When such a process can know that another one is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sees {
    /// As soon as it has ended.
    Zombies,
    /// Once its parent has reaped it.
    Reaped,
    /// Never.
    Nothing,
}

/// An environment that shows a process little of the others.
#[derive(Debug, Clone, Copy)]
pub struct Blind {
    /// What it is.
    pub name: &'static str,
    /// Brings the calling process, which has one thread, into it for good.
    pub enter: fn(),
    /// What can be known in there.
    pub sees: Sees,
}

impl Blind {
    /// A child that looks from within.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn look<R: Serialize + DeserializeOwned>(&'static self, look: impl FnOnce() -> R) -> Child<R> {
        let entered = || {
            (self.enter)();
            look()
        };
        Process::fork(entered).start().expect("nothing keeps this test from starting a child")
    }
}

/// All that can be made here. A case that uses them is ignored where it does not run as root.
pub fn blind() -> &'static [Blind] {
    if !geteuid().is_root() {
        not_here("chroot and mounts need root");
    }
    &ALL
}

const ALL: [Blind; 8] = [
    Blind { name: "chroot", enter: leave_for_a_jail, sees: Sees::Zombies },
    Blind { name: "no /proc", enter: cover_proc, sees: Sees::Zombies },
    Blind { name: "hidepid", enter: hide_others, sees: Sees::Zombies },
    Blind { name: "not dumpable", enter: become_not_dumpable, sees: Sees::Zombies },
    Blind { name: "no open", enter: refuse_to_open, sees: Sees::Zombies },
    Blind { name: "no pidfd_open", enter: refuse_pidfds, sees: Sees::Zombies },
    Blind { name: "no pidfd_open, chroot", enter: refuse_pidfds_in_a_jail, sees: Sees::Reaped },
    Blind { name: "no pidfd_open, open, kill", enter: refuse_everything, sees: Sees::Nothing },
];

/// Any directory without a `proc`.
fn leave_for_a_jail() {
    chroot("/dev").unwrap();
    chdir("/").unwrap();
    assert!(std::fs::metadata("/proc/self").is_err());
}

/// Gives this process mounts of its own, which nothing else sees.
pub fn own_mounts() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
}

/// An empty folder in the place of `/proc`, for this process and its children.
pub fn cover_proc() {
    own_mounts();
    mount(Some("none"), "/proc", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    assert!(std::fs::metadata("/proc/self").is_err());
}

/// Like a user that sees only its own processes in `/proc`.
fn hide_others() {
    own_mounts();
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), Some("hidepid=invisible")).unwrap();
    become_nobody();
    assert!(std::fs::metadata("/proc/1").is_err());
}

fn become_not_dumpable() {
    set_dumpable(false).unwrap();
    become_nobody();
}

fn become_nobody() {
    // The group as well: that of root may see all.
    setgroups(&[]).unwrap();
    setgid(Gid::from_raw(65534)).unwrap();
    setuid(Uid::from_raw(65534)).unwrap();
}

/// With the error of a file that is not there, which a careless filter gives.
fn refuse_to_open() {
    filter(libc::SYS_openat, &[], Fate::Fails(libc::ENOENT));
}

/// As older container runtimes do.
pub fn refuse_pidfds() {
    filter(libc::SYS_pidfd_open, &[], Fate::Fails(libc::EPERM));
}

fn refuse_pidfds_in_a_jail() {
    leave_for_a_jail();
    refuse_pidfds();
}

fn refuse_everything() {
    refuse_pidfds();
    filter(libc::SYS_kill, &[], Fate::Fails(libc::EPERM));
    refuse_to_open();
}
