//! The CPU that a thread runs on, and how it leaves it.

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::{Pid, SysconfVar, sysconf};

const THIS: Pid = Pid::from_raw(0);

/// The CPU that the calling thread runs on: a hint, since it may run on another one by the next instruction.
#[inline]
pub fn current_cpu() -> Option<u32> {
    sched_getcpu().ok().and_then(|cpu| u32::try_from(cpu).ok())
}

/// Moves the calling thread to another one of the CPUs that it may run on. Afterwards it may run on the same ones as
/// before. `false`: there is no other.
pub fn leave_cpu(cpu: u32) -> bool {
    let Ok(usable) = sched_getaffinity(THIS) else { return false };
    let mut others = usable;
    if others.unset(cpu as usize).is_err() || count(&others) == 0 || sched_setaffinity(THIS, &others).is_err()
    {
        return false;
    }
    // If another process has set a mask meanwhile, that one stays.
    if sched_getaffinity(THIS) == Ok(others) {
        let _ = sched_setaffinity(THIS, &unrestricted(usable));
    }
    true
}

fn count(set: &CpuSet) -> usize {
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).count()
}

/// A mask of all online CPUs is most often no choice of a user's: it becomes one of all CPUs that there can be, so that
/// the thread may run on those that come later.
fn unrestricted(usable: CpuSet) -> CpuSet {
    let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
    if online.and_then(|online| usize::try_from(online).ok()) != Some(count(&usable)) {
        return usable;
    }
    let mut all = CpuSet::new();
    for cpu in 0..CpuSet::count() {
        let _ = all.set(cpu);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own, whose mask is its own.
    fn apart(test: fn()) {
        std::thread::spawn(test).join().unwrap();
    }

    fn only(cpu: usize) -> CpuSet {
        let mut one = CpuSet::new();
        one.set(cpu).unwrap();
        one
    }

    #[test]
    fn a_thread_that_may_use_one_cpu_stays_there() {
        apart(|| {
            let here = current_cpu().unwrap();
            sched_setaffinity(THIS, &only(here as usize)).unwrap();
            assert!(!leave_cpu(here));
            assert_eq!(sched_getaffinity(THIS), Ok(only(here as usize)));
        });
    }

    #[test]
    fn a_thread_leaves_its_cpu_and_may_use_the_same_ones_afterwards() {
        apart(|| {
            let usable = sched_getaffinity(THIS).unwrap();
            let here = current_cpu().unwrap();
            assert_eq!(leave_cpu(here), count(&usable) > 1);
            assert_eq!(sched_getaffinity(THIS), Ok(usable));
        });
    }

    #[test]
    fn it_is_moved_to_a_cpu_that_it_may_use() {
        apart(|| {
            let usable = sched_getaffinity(THIS).unwrap();
            let mut cpus = (0..CpuSet::count()).filter(|&cpu| usable.is_set(cpu) == Ok(true));
            let (Some(first), Some(second)) = (cpus.next(), cpus.next()) else { return };
            let mut two = only(first);
            two.set(second).unwrap();
            sched_setaffinity(THIS, &two).unwrap();
            // Where it goes next is the scheduler's to say: what counts is the mask.
            assert!(leave_cpu(first as u32));
            assert!([first, second].contains(&(current_cpu().unwrap() as usize)));
            let wanted = if count(&usable) == 2 { usable } else { two };
            assert_eq!(sched_getaffinity(THIS), Ok(wanted));
        });
    }
}
