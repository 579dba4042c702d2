//! Executing this program again.
//!
//! # Safety
//! The one invariant: what the C library is passed is initialised, ends in null where it is a list, and outlives
//! the call.
#![allow(unsafe_code)]

use super::{fd, signal};
use crate::error::{OsError, OsResult};
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;

/// The number under which an executed program finds `boot`.
pub const BOOT: RawFd = 3;

/// Starts this very program again, in a new process whose only inherited descriptors are the standard three and `boot`,
/// under the number [`BOOT`].
///
/// The others are closed here, before the program is executed: the new process could not tell them from those that the
/// constructors of its libraries open.
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
    let added =
        unsafe { libc::posix_spawn_file_actions_adddup2(actions.as_mut_ptr(), boot.as_raw_fd(), BOOT) };
    let added = check("posix_spawn_file_actions_adddup2", added).and_then(|()| {
        // SAFETY: initialised above, and used by nothing else now.
        close_from(unsafe { actions.assume_init_mut() }, BOOT + 1)
    });
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
    let started = added.and_then(|()| {
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

/// Has the new process begin without the descriptors from `first` up.
fn close_from(actions: &mut libc::posix_spawn_file_actions_t, first: RawFd) -> OsResult<()> {
    type CloseFrom = unsafe extern "C" fn(*mut libc::posix_spawn_file_actions_t, libc::c_int) -> libc::c_int;
    const CALL: &str = "posix_spawn_file_actions_addclosefrom_np";
    // SAFETY: looks a name up; null where the C library has none of that name (musl, and glibc before 2.34).
    let found =
        unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"posix_spawn_file_actions_addclosefrom_np".as_ptr()) };
    if found.is_null() {
        return fd::kept_by_exec(first)?.into_iter().try_for_each(|number| close_one(actions, number));
    }
    // SAFETY: the C library's function of that name is of this type.
    let add = unsafe { std::mem::transmute::<*mut libc::c_void, CloseFrom>(found) };
    // SAFETY: an initialised value, and a number.
    check(CALL, unsafe { add(actions, first) })
}

fn close_one(actions: &mut libc::posix_spawn_file_actions_t, number: RawFd) -> OsResult<()> {
    // SAFETY: an initialised value, and a number: one that is not open by then is no error.
    let added = unsafe { libc::posix_spawn_file_actions_addclose(actions, number) };
    check("posix_spawn_file_actions_addclose", added)
}

/// Whether an error says that this program's file, or what `/proc` says of this process, is out of its reach.
pub fn is_out_of_reach(error: &OsError) -> bool {
    matches!(error.errno(), Some(libc::ENOENT | libc::ENOTDIR | libc::EACCES | libc::EPERM))
}

fn check(call: &'static str, errno: i32) -> OsResult<()> {
    if errno == 0 { Ok(()) } else { Err(OsError::new(call, errno)) }
}
