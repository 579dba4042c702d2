//! Whose descendant a process is: its parent, its session, and the process that adopts it when its parent ends.

use super::named;
use crate::error::OsResult;
use nix::sys::prctl::{get_child_subreaper, set_child_subreaper};

/// Whether this process adopts descendants whose parents end: it is process 1, or a subreaper.
pub fn adopts_orphans() -> bool {
    std::process::id() == 1 || get_child_subreaper().unwrap_or(false)
}

/// Makes this process the heir of its descendants whose parents end: it, and not process 1, may reap them.
pub fn become_subreaper() -> OsResult<()> {
    named("prctl(PR_SET_CHILD_SUBREAPER)", set_child_subreaper(true))
}

/// The id of this process's parent; 0 if that is in none of the process-id namespaces that are seen from here.
pub fn parent_id() -> u32 {
    std::os::unix::process::parent_id()
}

/// Leaves the terminal and the process group: a session of this process's own, which a key press does not reach.
pub fn begin_session() -> OsResult<()> {
    named("setsid", nix::unistd::setsid()).map(drop)
}
