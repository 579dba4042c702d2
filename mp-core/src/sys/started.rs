//! When a process started and whether it has ended, from `/proc`: for kernels and filters that leave no better way.
//!
//! `/proc` is believed only where it is that of the caller's own pid namespace, and where its times are not shifted
//! for the caller by a time namespace. Both are looked at each time, since mounts change. A file that is not there
//! says nothing about the process: it may be hidden (`hidepid`), or outside of a `chroot`.

use std::fs;

/// What `/proc` says about a process or a thread.
#[derive(Debug)]
pub(super) struct Stat {
    /// It has ended, and was not reaped.
    pub(super) ended: bool,
    /// When it started, in clock ticks since the system did.
    pub(super) ticks: u64,
}

/// `None`: nothing can be learned.
pub(super) fn read(id: u32) -> Option<Stat> {
    if !is_of_our_namespaces() {
        return None;
    }
    parse(&fs::read(format!("/proc/{id}/stat")).ok()?)
}

fn is_of_our_namespaces() -> bool {
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return false };
    // Without time namespaces there is no such file.
    let offsets = fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
    shows_own_ids(&status) && has_own_clock(&offsets)
}

/// The line lists the ids in all pid namespaces from that of the mount down to the process's own.
fn shows_own_ids(status: &str) -> bool {
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    ids.is_some_and(|ids| ids.split_whitespace().count() == 1)
}

fn has_own_clock(offsets: &str) -> bool {
    let boot = offsets.lines().find_map(|line| line.strip_prefix("boottime"));
    boot.is_none_or(|offset| offset.split_whitespace().all(|part| part == "0"))
}

/// The second field may hold anything and ends at the last `)`.
fn parse(text: &[u8]) -> Option<Stat> {
    let rest = &text[text.iter().rposition(|&byte| byte == b')')? + 1..];
    let mut fields = std::str::from_utf8(rest).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    // Fields are counted from 3 here: 20 is num_threads, 22 starttime.
    let threads: u32 = fields.nth(16)?.parse().ok()?;
    let ticks: u64 = fields.nth(1)?.parse().ok()?;
    // A leader that has ended while other threads run shows as a zombie too.
    let ended = matches!(state, "X" | "x") || (state == "Z" && threads <= 1);
    Some(Stat { ended, ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_started_and_not_ended() {
        let stat = read(std::process::id()).unwrap();
        assert!(!stat.ended && stat.ticks > 0);
    }

    #[test]
    fn the_proc_of_an_outer_namespace_is_not_believed() {
        assert!(shows_own_ids("Pid:\t7\nNSpid:\t7\n"));
        assert!(!shows_own_ids("Pid:\t4711\nNSpid:\t4711\t7\n"));
        assert!(!shows_own_ids("Pid:\t7\n"));
    }

    #[test]
    fn shifted_times_are_not_believed() {
        assert!(
            has_own_clock("")
                && has_own_clock("monotonic          -5         0\nboottime            0         0\n")
        );
        assert!(!has_own_clock("monotonic           0         0\nboottime        86400         0\n"));
    }

    #[test]
    fn names_are_passed_over_and_leaders_with_threads_live() {
        let stat = |state: &str, threads: u32| {
            let text = format!("7 (a) Z b) {state} 1 1 1 0 -1 4 0 0 0 0 0 0 0 0 20 0 {threads} 0 12345 0");
            parse(text.as_bytes()).map(|stat| (stat.ended, stat.ticks))
        };
        assert_eq!(stat("S", 1), Some((false, 12345)));
        assert_eq!((stat("Z", 1), stat("Z", 2)), (Some((true, 12345)), Some((false, 12345))));
        assert!(parse(b"7 (a").is_none());
    }
}
