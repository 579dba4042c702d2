//! Limits of a process (`setrlimit`), and a case under each limit on its descriptors.

use crate::role::{parent_in_role, role};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::process::Stdio;

/// Does `work` under a soft limit; afterwards it is as it was.
pub fn limited<R>(which: Resource, soft: u64, work: impl FnOnce() -> R) -> R {
    let (usual, hard) = getrlimit(which).expect("there is such a limit");
    setrlimit(which, soft, hard).expect("a soft limit may be lowered");
    let result = work();
    setrlimit(which, usual, hard).expect("the hard limit is as before");
    result
}

/// Does `work` for every limit on descriptors that is tight, from the least on: this case again, in a process of its
/// own which begins with few descriptors. It prints "worked" or "refused"; over all limits there are to be both.
pub fn at_every_limit(work: fn(u64)) {
    if let Some(soft) = role() {
        return work(soft.parse().expect("the role is a number"));
    }
    let mut all = String::new();
    for soft in 3..=40 {
        let output = parent_in_role(&soft.to_string()).stderr(Stdio::inherit()).output();
        let output = output.expect("this program can be started");
        let said = String::from_utf8(output.stdout).expect("it prints text");
        assert!(output.status.success(), "{soft}: {said}");
        all += &said;
    }
    // Else nothing was tried.
    assert!(all.contains("worked") && all.contains("refused"), "{all}");
}
