//! What memory a process takes.

use nix::unistd::{SysconfVar, sysconf};

/// Bytes of memory that are a process's own, heap and stacks above all: neither files nor shared memory. What it shares
/// with the process that it was forked from, and has not changed, counts as its own. `None`: it is gone, or `/proc`
/// cannot be read.
pub fn private_memory(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut pages = text.split_ascii_whitespace().skip(1).map(str::parse::<u64>);
    let (resident, shared) = (pages.next()?.ok()?, pages.next()?.ok()?);
    let page = sysconf(SysconfVar::PAGE_SIZE).ok()??;
    Some(resident.saturating_sub(shared) * page as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_counts() {
        let own = || private_memory(std::process::id()).unwrap();
        let before = own();
        let bytes = vec![7_u8; 32 << 20];
        assert!(own() >= before + (24 << 20), "{before} {}", own());
        drop(bytes);
    }

    #[test]
    fn a_process_that_is_not_has_none() {
        assert_eq!(private_memory(u32::MAX), None);
    }
}
