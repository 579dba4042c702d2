//! Where the caller runs and where its workers do: wherever the system has it, on a CPU each, or all on one.

use super::super::need_cpus;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// The CPUs of the caller and of its workers, of those that this process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Free,
    /// The caller on the first, all workers on the second.
    Two,
    One,
}

pub(super) const ALL: [Place; 3] = [Place::Free, Place::Two, Place::One];

impl Place {
    pub(super) fn metric(self) -> &'static str {
        match self {
            Place::Free => "W6.apply",
            Place::Two => "W6.apply.two",
            Place::One => "W6.apply.one",
        }
    }

    /// Makes workers, which begin with the CPUs of the thread that makes them.
    pub(super) fn for_workers<R>(self, make: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
        match self {
            Place::Free => make(),
            Place::Two => on(1, make),
            Place::One => on(0, make),
        }
    }

    pub(super) fn for_caller<R>(self, work: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
        if self == Place::Free { work() } else { on(0, work) }
    }
}

/// Does it on one CPU; afterwards this thread may use all that it could before.
fn on<R>(number: usize, work: impl FnOnce() -> Result<R, String>) -> Result<R, String> {
    need_cpus(number + 1)?;
    let this = Pid::from_raw(0);
    let before = sched_getaffinity(this).map_err(|error| error.to_string())?;
    let mut allowed = (0..CpuSet::count()).filter(|cpu| before.is_set(*cpu) == Ok(true));
    let cpu = allowed.nth(number).ok_or("too few CPUs may be used")?;
    let mut one = CpuSet::new();
    one.set(cpu).map_err(|error| error.to_string())?;
    sched_setaffinity(this, &one).map_err(|error| error.to_string())?;
    let result = work();
    sched_setaffinity(this, &before).map_err(|error| error.to_string())?;
    result
}
