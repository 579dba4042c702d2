//! What a process costs without any library: the C library's calls, and a program that ends before its `main`.
//!
//! # Safety
//! The one invariant: this process has one thread when it forks, and the fork does nothing but end.
#![allow(unsafe_code)]

use std::process::{Command, Stdio};

/// Forks this process and waits for the child, which ends at once.
pub(super) fn fork_and_wait() -> Result<(), String> {
    // SAFETY: the child does nothing but end.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error().to_string()),
        // SAFETY: always allowed.
        0 => unsafe { libc::_exit(0) },
        child => {
            // SAFETY: no memory is passed.
            let reaped = unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            if reaped == child { Ok(()) } else { Err(std::io::Error::last_os_error().to_string()) }
        }
    }
}

/// Tells this program to end before its `main`, as a child of the library's that has nothing to do.
const END: &str = "MP_BENCH_END";

#[used]
// SAFETY: the dynamic linker calls every entry of this section once, before `main`; the type is what it calls.
#[unsafe(link_section = ".init_array")]
static HOOK: extern "C" fn() = end_if_told;

extern "C" fn end_if_told() {
    if std::env::var_os(END).is_some() {
        // SAFETY: always allowed.
        unsafe { libc::_exit(0) };
    }
}

/// The standard library starting this very program, which ends in its hook.
pub(super) fn same_program() -> Result<(), String> {
    let mut command = Command::new("/proc/self/exe");
    command.env(END, "1");
    end_of(&mut command)
}

/// The standard library starting a program that does nothing.
pub(super) fn other_program() -> Result<(), String> {
    end_of(&mut Command::new("/bin/true"))
}

fn end_of(command: &mut Command) -> Result<(), String> {
    let status = command.stdin(Stdio::null()).status().map_err(|error| error.to_string())?;
    if status.success() { Ok(()) } else { Err(status.to_string()) }
}
