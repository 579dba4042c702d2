//! What processes take, as the kernel counts it: time of CPUs, and memory that is shared in proportion.

use super::measure::text;
use nix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::Duration;

/// What a process has had of the CPUs so far, all its threads that live.
fn cpu_time(pid: u32) -> Result<Duration, String> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).map_err(text)? {
        let path = thread.map_err(text)?.path().join("schedstat");
        // A thread may have ended meanwhile.
        let line = fs::read_to_string(path).unwrap_or_default();
        sum += line.split(' ').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    }
    Ok(Duration::from_nanos(sum))
}

/// What several have had together.
pub(super) fn cpu_time_of(pids: impl IntoIterator<Item = u32>) -> Result<Duration, String> {
    pids.into_iter().map(cpu_time).sum()
}

/// What this process has had, its threads that have ended too.
pub(super) fn own_cpu_time() -> Result<Duration, String> {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from).map_err(text)
}

/// What the calling thread has had.
pub(super) fn thread_cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// MiB of a process: its proportional share of what is mapped and touched.
pub(super) fn proportional_share(pid: u32) -> Result<f64, String> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).map_err(text)?;
    field(&rollup, "Pss:")
}

/// A field of `smaps_rollup`, in MiB.
pub(super) fn field(rollup: &str, field: &str) -> Result<f64, String> {
    let line = rollup.lines().find_map(|line| line.strip_prefix(field));
    let kibibytes = line.ok_or_else(|| format!("no {field} in smaps_rollup"))?.trim_end_matches("kB");
    Ok(kibibytes.trim().parse::<f64>().map_err(text)? / 1024.0)
}

/// This process and all that descend from it.
pub(super) fn family() -> Vec<u32> {
    let mut all: Vec<(u32, u32)> = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name before it may hold anything.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        all.extend(parent.map(|parent| (pid, parent)));
    }
    let mut family = vec![std::process::id()];
    let mut at = 0;
    while at < family.len() {
        let above = family[at];
        family.extend(all.iter().filter(|(_, parent)| *parent == above).map(|(pid, _)| *pid));
        at += 1;
    }
    family
}
