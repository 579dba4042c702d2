//! The CPU that a thread runs on, and how it leaves it.

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;

const THIS: Pid = Pid::from_raw(0);

/// The CPU that the calling thread runs on: a hint, since it may run on another one by the next instruction.
#[inline]
pub fn current_cpu() -> Option<u32> {
    sched_getcpu().ok().and_then(|cpu| u32::try_from(cpu).ok())
}

/// Moves the calling thread to another one of the CPUs that it may run on. Afterwards it may run on the same ones as
/// before; a thread that may run on all CPUs of its cpuset, on those that the cpuset gets later, too. `false`: there is
/// no other.
pub fn leave_cpu(cpu: u32) -> bool {
    leave(&OfThread, cpu)
}

/// A thread's mask: which CPUs it may run on.
trait Mask {
    /// Those of the mask that its cpuset has.
    fn get(&self) -> Option<CpuSet>;
    /// Whether it was taken: the cpuset has one of these at least.
    fn set(&self, mask: &CpuSet) -> bool;
    /// All that its cpuset has. The mask has all CPUs afterwards.
    fn widen(&self) -> Option<CpuSet> {
        self.set(&every()).then(|| self.get())?
    }
}

/// The calling thread's.
struct OfThread;

impl Mask for OfThread {
    fn get(&self) -> Option<CpuSet> {
        sched_getaffinity(THIS).ok()
    }

    fn set(&self, mask: &CpuSet) -> bool {
        sched_setaffinity(THIS, mask).is_ok()
    }
}

fn leave(thread: &impl Mask, cpu: u32) -> bool {
    let Some(usable) = thread.get() else { return false };
    let mut others = usable;
    if others.unset(cpu as usize).is_err() || count(&others) == 0 {
        return false;
    }
    let Some(allowed) = thread.widen() else { return false };
    // The kernel does not tell a mask from its cpuset. A mask of the whole cpuset is most often no choice of a user's:
    // it becomes one of all CPUs, or the thread would not run on those that the cpuset gets later.
    let before = if allowed == usable { every() } else { usable };
    let moved = thread.set(&others);
    let now = thread.get();
    if !moved || now == Some(others) {
        thread.set(&before);
    } else if thread.widen() == Some(allowed) {
        // The cpuset is the same, so another process has set a mask meanwhile, which stays.
        if let Some(now) = now {
            thread.set(&now);
        }
    } else {
        // The cpuset has changed. If it has none of those that the user chose, all that it has are right.
        thread.set(&before);
    }
    moved
}

fn count(set: &CpuSet) -> usize {
    (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true)).count()
}

/// All CPUs that there can be.
fn every() -> CpuSet {
    let mut all = CpuSet::new();
    for cpu in 0..CpuSet::count() {
        let _ = all.set(cpu);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

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

    /// A thread of Linux 6.2 or later, which keeps the mask that was asked for when its cpuset changes.
    struct Thread {
        mask: Cell<CpuSet>,
        cpuset: Cell<CpuSet>,
        /// What happens after so many masks were set.
        later: (usize, fn(&Thread)),
        masks: Cell<usize>,
    }

    impl Thread {
        fn new(mask: CpuSet, cpuset: &[usize], later: (usize, fn(&Thread))) -> Thread {
            Thread { mask: Cell::new(mask), cpuset: Cell::new(of(cpuset)), later, masks: Cell::new(0) }
        }
    }

    fn of(cpus: &[usize]) -> CpuSet {
        let mut set = CpuSet::new();
        cpus.iter().for_each(|cpu| set.set(*cpu).unwrap());
        set
    }

    fn both(one: CpuSet, other: CpuSet) -> CpuSet {
        let has = |set: CpuSet, cpu: usize| set.is_set(cpu) == Ok(true);
        of(&(0..CpuSet::count()).filter(|&cpu| has(one, cpu) && has(other, cpu)).collect::<Vec<_>>())
    }

    impl Mask for Thread {
        fn get(&self) -> Option<CpuSet> {
            let both = both(self.mask.get(), self.cpuset.get());
            Some(if count(&both) > 0 { both } else { self.cpuset.get() })
        }

        fn set(&self, mask: &CpuSet) -> bool {
            let is_taken = count(&both(*mask, self.cpuset.get())) > 0;
            if is_taken {
                self.mask.set(*mask);
            }
            self.masks.set(self.masks.get() + 1);
            if self.masks.get() == self.later.0 {
                self.later.1(self);
            }
            is_taken
        }
    }

    const NEVER: (usize, fn(&Thread)) = (0, |_| ());

    #[test]
    fn a_thread_that_had_its_whole_cpuset_has_what_the_cpuset_gets() {
        let thread = Thread::new(every(), &[0, 1], NEVER);
        assert!(leave(&thread, 0));
        thread.cpuset.set(of(&[0, 1, 2, 3]));
        assert_eq!(thread.get(), Some(of(&[0, 1, 2, 3])));
    }

    #[test]
    fn a_mask_that_was_chosen_stays() {
        let thread = Thread::new(of(&[1, 2]), &[0, 1, 2, 3], NEVER);
        assert!(leave(&thread, 1));
        assert_eq!(thread.mask.get(), of(&[1, 2]));
    }

    #[test]
    fn a_cpuset_that_changes_meanwhile_narrows_no_mask() {
        // It loses the CPUs that the thread was to move to, or all that it had.
        let changes: [fn(&Thread); 2] =
            [|thread| thread.cpuset.set(of(&[0])), |thread| thread.cpuset.set(of(&[4, 5]))];
        // A change before its first mask was set is taken for a choice of a user's.
        for moment in 2..5 {
            for change in changes {
                let thread = Thread::new(every(), &[0, 1, 2], (moment, change));
                leave(&thread, 0);
                thread.cpuset.set(of(&[0, 1, 2, 3]));
                assert_eq!(thread.get(), Some(of(&[0, 1, 2, 3])), "{moment}");
            }
        }
    }

    #[test]
    fn a_mask_that_another_process_sets_meanwhile_stays() {
        let thread = Thread::new(every(), &[0, 1, 2], (2, |thread| thread.mask.set(of(&[0, 2]))));
        assert!(leave(&thread, 0));
        assert_eq!(thread.get(), Some(of(&[0, 2])));
    }
}
