//! What the system provides: one function per call, owned descriptors in and out, errors with the call's name.
//!
//! The only folder that names `libc` and `nix`; it knows the kernel and nothing of this library. A port to
//! another system has this folder to write.

pub mod address;
mod ancestry;
mod available;
pub mod boot_peer;
pub mod clock;
pub mod confinement;
mod estimate;
pub mod eventfd;
pub mod execute;
pub mod fd;
#[cfg(feature = "forced-waits")]
pub mod forced;
pub mod fork_handler;
pub mod futex;
pub mod huge_pages;
pub mod identity;
pub mod image;
pub mod inherited;
pub(crate) mod limits;
pub(crate) mod loader;
pub mod machine;
pub mod memory;
pub mod namespace;
pub mod owning_process;
pub mod placement;
pub mod poll;
pub mod privilege;
pub mod process;
pub mod robust;
pub mod shm;
pub mod signal;
pub mod silence;
pub mod socket;
mod started;
pub mod state;
pub mod stream;
mod thread_end;
pub mod usage;
pub mod waitset;
mod wiped;
pub mod zombie;

use crate::error::{OsError, OsResult};
use nix::errno::Errno;

/// Gives a nix error the name of its call.
fn named<T>(call: &'static str, result: nix::Result<T>) -> OsResult<T> {
    result.map_err(|errno| OsError::new(call, errno as i32))
}

/// Repeats a call that a signal interrupted.
fn retried<T>(call: &'static str, mut f: impl FnMut() -> nix::Result<T>) -> OsResult<T> {
    loop {
        match f() {
            Err(Errno::EINTR) => {}
            other => return named(call, other),
        }
    }
}
