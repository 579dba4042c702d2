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
    command.args(std::env::args_os().skip(1)).env(ROLE, role).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}
