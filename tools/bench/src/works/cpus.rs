//! The CPUs that a thread runs on.

use super::measure::{need_cpus, text};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The calling thread.
const THIS: Pid = Pid::from_raw(0);

/// From now on the calling thread runs on one CPU only: the first, second, ... of those it may use.
pub(super) fn pin(number: usize) -> Result<(), String> {
    let usable = sched_getaffinity(THIS).map_err(text)?;
    let mut usable = (0..CpuSet::count()).filter(|cpu| usable.is_set(*cpu) == Ok(true));
    let cpu = usable.nth(number).ok_or("too few CPUs may be used")?;
    let mut one = CpuSet::new();
    one.set(cpu).map_err(text)?;
    sched_setaffinity(THIS, &one).map_err(text)
}

/// Does it on one CPU; afterwards this thread may use all that it could before.
pub(super) fn on<R>(number: usize, work: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
    need_cpus(number + 1)?;
    let before = sched_getaffinity(THIS).map_err(text)?;
    pin(number)?;
    let result = work();
    sched_setaffinity(THIS, &before).map_err(text)?;
    result
}
