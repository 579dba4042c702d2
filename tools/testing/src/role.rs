//! A case that runs itself again: as a parent that ends, is killed, or has other rights or limits than the harness.

use std::process::{Command, Stdio};

const ROLE: &str = "MP_TEST_ROLE";

/// The role that this case was started again in, if it was.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// This very case again, as a process of its own in which [`role`] gives `role`. Its input and output are pipes.
pub fn parent_in_role(role: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    add_role(&mut command, role).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Has another command run this very case in that role: a copy of this program, or a program that executes what its
/// last argument names.
pub fn add_role<'a>(command: &'a mut Command, role: &str) -> &'a mut Command {
    command.args(std::env::args_os().skip(1)).env(ROLE, role)
}
