//! What confines a process besides its rights: its root directory, namespaces, capability bounding set, filters
//! on system calls and control group; and its scheduling. A process inherits all of it: no process can set it
//! for another.
//!
//! It is read at each start, so it must be cheap: the files of `/proc` that have it are kept open for the main
//! thread. Most of it belongs to a thread, and other threads open their own files each time.
//!
//! # Safety
//! The one invariant: the lengths passed to the kernel are the real ones.
#![allow(unsafe_code)]

use super::fd::above_standard;
use super::process::gettid;
use crate::error::{OsError, OsResult};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};

/// A process's or thread's files in `/proc`, open.
#[derive(Debug)]
pub struct Watch {
    namespaces: OwnedFd,
    status: File,
    control_group: File,
    oom_score: File,
}

/// What is different in a process that has confined itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Confinement {
    root: Option<(u64, u64)>,
    namespaces: Vec<Option<Name>>,
    control_group: Vec<u8>,
    oom_score: Vec<u8>,
    bounding: Option<u64>,
    ambient: Option<u64>,
    filters: Option<u64>,
    scheduling: [u32; 4],
    /// Of [`SETTINGS`], and of I/O priority and personality.
    settings: [i64; 5],
}

/// A namespace's name: its kind and its number.
type Name = [u8; 40];

/// Those that only a process with `CAP_SYS_ADMIN` can change, and the one that gives that right.
const NAMESPACES: [&std::ffi::CStr; 8] =
    [c"user", c"mnt", c"net", c"ipc", c"uts", c"cgroup", c"pid_for_children", c"time_for_children"];

const SETTINGS: [libc::c_int; 3] =
    [libc::PR_GET_SECUREBITS, libc::PR_GET_TIMERSLACK, libc::PR_GET_THP_DISABLE];

impl Watch {
    /// For the main thread.
    pub fn begin() -> OsResult<Watch> {
        Watch::open("/proc/self")
    }

    fn open(of: &str) -> OsResult<Watch> {
        let file = |name: &str| -> OsResult<File> {
            let file = File::open(format!("{of}/{name}"));
            let file = file.map_err(|source| OsError { call: "open(/proc)", source })?;
            above_standard(file.into()).map(File::from)
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let namespaces = nix::fcntl::open(format!("{of}/ns").as_str(), flags, Mode::empty());
        Ok(Watch {
            namespaces: above_standard(super::named("open(/proc)", namespaces)?)?,
            status: file("status")?,
            control_group: file("cgroup")?,
            oom_score: file("oom_score_adj")?,
        })
    }

    /// The calling thread's confinement now, and the signals that the process ignores. `is_admin`: whether it may
    /// have changed its namespaces itself.
    pub fn read(&self, is_admin: bool) -> OsResult<(Confinement, u64)> {
        if gettid() == std::process::id() {
            return self.read_open(is_admin);
        }
        Watch::open("/proc/thread-self")?.read_open(is_admin)
    }

    fn read_open(&self, is_admin: bool) -> OsResult<(Confinement, u64)> {
        let status = contents(&self.status)?;
        let number =
            |name: &str, radix| field(&status, name).and_then(|text| u64::from_str_radix(text, radix).ok());
        let ignored =
            number("SigIgn:", 16).ok_or_else(|| OsError::new("read(/proc/self/status)", libc::EINVAL))?;
        let looked_at = if is_admin { &NAMESPACES[..] } else { &NAMESPACES[..1] };
        let confinement = Confinement {
            root: fs::metadata("/").ok().map(|root| (root.dev(), root.ino())),
            namespaces: looked_at.iter().map(|name| self.namespace(name)).collect(),
            control_group: contents(&self.control_group)?,
            oom_score: contents(&self.oom_score)?,
            bounding: number("CapBnd:", 16),
            ambient: number("CapAmb:", 16),
            filters: number("Seccomp_filters:", 10),
            scheduling: scheduling(),
            settings: settings(),
        };
        Ok((confinement, ignored))
    }

    fn namespace(&self, name: &std::ffi::CStr) -> Option<Name> {
        let mut target: Name = [0; 40];
        // SAFETY: a string that ends in a zero, and a buffer with its length.
        let length = unsafe {
            libc::readlinkat(
                self.namespaces.as_raw_fd(),
                name.as_ptr(),
                target.as_mut_ptr().cast(),
                target.len(),
            )
        };
        (length > 0).then_some(target)
    }
}

fn contents(file: &File) -> OsResult<Vec<u8>> {
    let mut text = vec![0; 4096];
    let mut length = 0;
    loop {
        let read = file.read_at(&mut text[length..], length as u64);
        match read.map_err(|source| OsError { call: "pread(/proc)", source })? {
            0 => break,
            more => length += more,
        }
        // Such a file comes whole if there is room.
        if length < text.len() {
            break;
        }
        text.resize(2 * length, 0);
    }
    text.truncate(length);
    Ok(text)
}

/// What follows a name at the beginning of a line.
fn field<'a>(text: &'a [u8], name: &str) -> Option<&'a str> {
    let line = text.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(name.as_bytes()))?;
    std::str::from_utf8(line).ok().map(str::trim)
}

/// Policy, flags and real-time priority. (Nice values can be put on.)
fn scheduling() -> [u32; 4] {
    /// The kernel's `struct sched_attr`, its first version.
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        deadline: [u64; 3],
    }
    let mut now = Attributes::default();
    // SAFETY: writes as much as it is told there is room for; an error leaves the zeros.
    unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut now, size_of::<Attributes>(), 0) };
    [now.policy, now.priority, now.flags as u32, (now.flags >> 32) as u32]
}

fn settings() -> [i64; 5] {
    const OF_A_PROCESS: libc::c_int = 1;
    const ASK: libc::c_ulong = 0xFFFF_FFFF;
    let mut all = [0; 5];
    for (place, option) in all.iter_mut().zip(SETTINGS) {
        // SAFETY: no memory is passed.
        *place = i64::from(unsafe { libc::prctl(option, 0, 0, 0, 0) });
    }
    // SAFETY: no memory is passed.
    all[3] = unsafe { libc::syscall(libc::SYS_ioprio_get, OF_A_PROCESS, 0) } as i64;
    // SAFETY: no memory is passed, and nothing is changed.
    all[4] = i64::from(unsafe { libc::personality(ASK) });
    all
}

/// Whether this process may look at another one of its family, as the kernel has it; `None` if that one has ended.
///
/// A process that has gone below another one in a way that nothing else tells (Landlock, a user namespace) may not.
pub fn may_inspect(pid: u32) -> Option<bool> {
    let (mut head, mut length) = (std::ptr::null_mut::<libc::c_void>(), 0_usize);
    // SAFETY: writes two words to this stack.
    let done = unsafe { libc::syscall(libc::SYS_get_robust_list, pid, &raw mut head, &raw mut length) };
    match done {
        0 => Some(true),
        _ => (OsError::last("get_robust_list").errno() != Some(libc::ESRCH)).then_some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_not_changed_is_the_same() {
        let watch = Watch::begin().unwrap();
        let (first, _) = watch.read(true).unwrap();
        assert_eq!(watch.read(true).unwrap().0, first);
        assert!(first.bounding.is_some() && first.namespaces.iter().all(Option::is_some), "{first:?}");
        assert_eq!(may_inspect(std::process::id()), Some(true));
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        assert_eq!(field(b"Seccomp:\t2\nSeccomp_filters:\t7\n", "Seccomp_filters:"), Some("7"));
        assert_eq!(field(b"Seccomp:\t2\n", "Seccomp_filters:"), None);
    }
}
