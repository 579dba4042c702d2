//! Rights that a program has and its caller does not: set-uid, set-gid, file capabilities.
//!
//! The kernel marks such a program by `AT_SECURE`. Its environment comes from its caller, which is not trusted.
//!
//! # Safety
//! The one invariant: the lengths passed to the kernel are the real ones.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::{env, fs};

/// Whether this program was executed with more rights than its caller has.
pub fn is_privileged() -> bool {
    // SAFETY: reads a number that the kernel left for this process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// A variable of this library's in the environment: none in a privileged program.
pub fn variable(name: &str) -> Option<OsString> {
    if is_privileged() { None } else { env::var_os(name) }
}

/// Whether this program, executed again by this process, could be privileged: it would not trust its environment
/// then, which names its boot socket.
pub fn execution_may_be_privileged() -> bool {
    let (users, groups) = (nix::unistd::getresuid(), nix::unistd::getresgid());
    let (Ok(users), Ok(groups)) = (users, groups) else { return true };
    if is_privileged() || users.real != users.effective || groups.real != groups.effective {
        return true;
    }
    // A process that cannot read its file's metadata cannot execute it either: the kernel reports that then.
    let Ok(file) = fs::metadata(PROGRAM) else { return false };
    let gives_user = file.mode() & libc::S_ISUID != 0 && file.uid() != users.real.as_raw();
    let gives_group = file.mode() & libc::S_ISGID != 0 && file.gid() != groups.real.as_raw();
    let gives_capabilities = !users.real.is_root() && has_capabilities();
    (gives_user || gives_group || gives_capabilities) && file_rights_count()
}

const PROGRAM: &str = "/proc/self/exe";

/// Whether capabilities are attached to this program's file.
fn has_capabilities() -> bool {
    let (file, name) = (c"/proc/self/exe", c"security.capability");
    // SAFETY: two strings that end in a zero, and no room: the kernel only says how long the value is.
    unsafe { libc::getxattr(file.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) >= 0 }
}

/// Whether execution takes rights from a file at all: not after `no_new_privs`, nor on a file system that is
/// mounted so.
fn file_rights_count() -> bool {
    let given_up = nix::sys::prctl::get_no_new_privs() == Ok(true);
    let without =
        |mount: nix::sys::statvfs::Statvfs| mount.flags().contains(nix::sys::statvfs::FsFlags::ST_NOSUID);
    !given_up && !nix::sys::statvfs::statvfs(PROGRAM).is_ok_and(without)
}
