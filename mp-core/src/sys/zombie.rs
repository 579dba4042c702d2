//! Zombie: a process that has ended and that its parent, or the process that adopted it, has not reaped. Its line
//! in `/proc` has its status for processes that may see it: those of the same user, and privileged ones.

use super::poll::pidfd_pid;
use super::process::Ended;
use std::os::fd::BorrowedFd;

/// How the process behind a pidfd ended; `None` if it has not, has been reaped, or cannot be seen.
pub fn end_of_zombie(pidfd: BorrowedFd<'_>) -> Option<Ended> {
    let pid = pidfd_pid(pidfd)?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Until it is reaped the number is its own. So what was read was of no other process.
    if pidfd_pid(pidfd) != Some(pid) {
        return None;
    }
    end_in(&stat)
}

/// Whether the process behind a pidfd is stopped, by SIGSTOP or a tracer; `false` too if it cannot be seen.
pub fn is_stopped(pidfd: BorrowedFd<'_>) -> bool {
    let stat = pidfd_pid(pidfd).and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
    let state = stat.as_deref().and_then(|stat| stat.rsplit_once(')')?.1.split_whitespace().next());
    matches!(state, Some("T" | "t"))
}

/// The end that a line of `/proc/PID/stat` tells of.
fn end_in(stat: &str) -> Option<Ended> {
    // The name before it may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // Numbered as in proc(5), where the state is the third.
    let field = |number: usize| fields.get(number - 3).copied();
    // A process that may not see the status reads 0 for it, and 0 for the kernel wait channel, as for each zombie.
    if !matches!(field(3)?, "Z" | "X") || field(35)? == "0" {
        return None;
    }
    field(52)?.parse().ok().map(Ended::from_wait_status)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZOMBIE: &str = "61 (a) Z (b) Z 648 576 13236 0 -1 4227148 223 0 0 0 0 0 0 0 20 0 1 0 325681 0 0 \
        18446744073709551615 0 0 0 0 0 0 0 16781312 2 1 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 768";

    #[test]
    fn a_zombie_has_its_status() {
        assert_eq!(end_in(ZOMBIE), Some(Ended::Exited(3)));
        let killed = ZOMBIE.replace(" 768", " 9");
        assert_eq!(end_in(&killed), Some(Ended::Signaled(9)));
    }

    #[test]
    fn what_lives_or_is_not_shown_has_none() {
        assert_eq!(end_in(&ZOMBIE.replace("(b) Z", "(b) S")), None);
        assert_eq!(end_in(&ZOMBIE.replace(" 2 1 0", " 2 0 0")), None);
        assert_eq!(end_in("61 (a) Z 1 2"), None);
        assert_eq!(end_in(""), None);
    }
}
