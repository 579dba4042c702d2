//! OwnedSemaphore.
//!
//! No permit is lost by a death: when all processes have ended, all permits are free.

use crate::sweep::scene::{Fate, Operation, PATIENCE, Scene, Verdict, lost_unless};
use mp_sync::OwnedSemaphore;

pub(super) fn operations() -> Vec<Operation> {
    [
        Operation::new("owned.acquire", |_| Play::scene(Step::Acquire)),
        Operation::new("owned.release", |_| Play::scene(Step::AcquireAndRelease)),
        Operation::new("owned.release.asleep", |_| Play::scene(Step::ReleaseToSleepers)),
    ]
    .map(Operation::in_every_mode)
    .into()
}

/// What the victim does. One that has a permit at its end has died with it: its end is as good as a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Of two permits.
    Acquire,
    /// Of two permits, and gives it back.
    AcquireAndRelease,
    /// The only one, which it has; two wait.
    ReleaseToSleepers,
}

struct Play {
    semaphore: OwnedSemaphore,
    step: Step,
}

impl Play {
    fn scene(step: Step) -> Box<dyn Scene> {
        let permits = if step == Step::ReleaseToSleepers { 1 } else { 2 };
        let semaphore = OwnedSemaphore::new(permits).expect("a sweep needs shared memory");
        Box::new(Play { semaphore, step })
    }
}

impl Scene for Play {
    fn prepare(&self) {
        if self.step == Step::ReleaseToSleepers {
            self.semaphore.acquire().keep();
        }
    }

    fn operate(&self) {
        match self.step {
            Step::Acquire => self.semaphore.acquire().keep(),
            Step::AcquireAndRelease => drop(self.semaphore.acquire()),
            Step::ReleaseToSleepers => self.semaphore.release().expect("it has one"),
        }
    }

    fn sleepers(&self) -> u32 {
        if self.step == Step::ReleaseToSleepers { 2 } else { 0 }
    }

    fn sleep(&self) -> Verdict {
        drop(self.semaphore.acquire());
        Ok(())
    }

    fn barge(&self, hold: &dyn Fn()) -> Verdict {
        let permit = self.semaphore.try_acquire();
        hold();
        drop(permit);
        Ok(())
    }

    fn meanwhile(&self) -> Verdict {
        drop(self.semaphore.acquire_timeout(PATIENCE));
        Ok(())
    }

    fn check(&self, _: Fate) -> Verdict {
        let (there, all) = (self.semaphore.get_value(), self.semaphore.permits());
        lost_unless(there == all, || format!("{there} permits of {all} are there"))?;
        let taken: Vec<_> = std::iter::from_fn(|| self.semaphore.try_acquire().ok()).collect();
        lost_unless(taken.len() == all as usize, || format!("{} of {all} can be had", taken.len()))
    }
}
