//! Executing this program again.
//!
//! # Safety
//! The one invariant: what the C library is passed is initialised, ends in null where it is a list, and outlives
//! the call.
#![allow(unsafe_code)]

use super::signal;
use crate::error::{OsError, OsResult};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Starts this very program again, in a new process whose only inherited descriptors are the standard three,
/// those without CLOEXEC, and `boot`, under the number it has here.
///
/// The parent's memory is not copied, whatever its size: the C library starts the child beside it.
///
/// A helper holds back, from its first instruction on, what is sent to the whole group; a child has the caller's
/// mask.
pub fn spawn_self(
    arguments: &[CString],
    environment: &[CString],
    boot: BorrowedFd<'_>,
    is_helper: bool,
) -> OsResult<u32> {
    // The file that this process runs, even if another one has taken its path since.
    const SELF: &CStr = c"/proc/self/exe";
    let pointers = |list: &[CString]| -> Vec<*mut libc::c_char> {
        list.iter().map(|text| text.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    let mut actions = std::mem::MaybeUninit::<libc::posix_spawn_file_actions_t>::uninit();
    // SAFETY: initialises the value it is given.
    let made = unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) };
    check("posix_spawn_file_actions_init", made)?;
    // SAFETY: initialised above. A copy onto itself keeps the descriptor open through exec.
    let added = unsafe {
        libc::posix_spawn_file_actions_adddup2(actions.as_mut_ptr(), boot.as_raw_fd(), boot.as_raw_fd())
    };
    let mut attributes = std::mem::MaybeUninit::<libc::posix_spawnattr_t>::uninit();
    // SAFETY: initialises the value it is given.
    let made = unsafe { libc::posix_spawnattr_init(attributes.as_mut_ptr()) };
    check("posix_spawnattr_init", made)?;
    if is_helper {
        let mask = signal::mask_of_helpers();
        // SAFETY: initialised above; reads a set that the C library has made.
        unsafe { libc::posix_spawnattr_setsigmask(attributes.as_mut_ptr(), mask.as_ref()) };
        // SAFETY: initialised above.
        unsafe { libc::posix_spawnattr_setflags(attributes.as_mut_ptr(), libc::POSIX_SPAWN_SETSIGMASK as _) };
    }
    let mut pid: libc::pid_t = 0;
    let started = check("posix_spawn_file_actions_adddup2", added).and_then(|()| {
        // SAFETY: the lists end in null and outlive the call, as the strings do.
        let done = unsafe {
            libc::posix_spawn(
                &mut pid,
                SELF.as_ptr(),
                actions.as_ptr(),
                attributes.as_ptr(),
                arguments.as_ptr(),
                environment.as_ptr(),
            )
        };
        check("posix_spawn", done)
    });
    // SAFETY: initialised above, and not used again.
    unsafe { libc::posix_spawn_file_actions_destroy(actions.as_mut_ptr()) };
    // SAFETY: as above.
    unsafe { libc::posix_spawnattr_destroy(attributes.as_mut_ptr()) };
    started.map(|()| pid as u32)
}

/// Whether an error says that this program's file, or what `/proc` says of this process, is out of its reach.
pub fn is_out_of_reach(error: &OsError) -> bool {
    matches!(error.errno(), Some(libc::ENOENT | libc::ENOTDIR | libc::EACCES | libc::EPERM))
}

fn check(call: &'static str, errno: i32) -> OsResult<()> {
    if errno == 0 { Ok(()) } else { Err(OsError::new(call, errno)) }
}
