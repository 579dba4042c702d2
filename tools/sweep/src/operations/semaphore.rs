//! Semaphore.
//!
//! A permit is lost with its holder, and only then: permits that were free or held by others stay.

use crate::sweep::scene::{Fate, Mode, Operation, PATIENCE, Scene, Verdict, lost_unless};
use mp_sync::Semaphore;
use std::cell::Cell;

pub(super) fn operations() -> Vec<Operation> {
    [
        Operation::new("semaphore.acquire", |_| Play::scene(Step::Acquire)),
        Operation::new("semaphore.acquire.contended", |_| Play::scene(Step::AcquireNone)),
        Operation::new("semaphore.release", |_| Play::scene(Step::Release)),
        Operation::new("semaphore.release.asleep", |_| Play::scene(Step::ReleaseToSleepers)),
    ]
    .map(Operation::in_every_mode)
    .into()
}

/// What the victim does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Of two permits.
    Acquire,
    /// There is none until it sleeps. Another one waits too.
    AcquireNone,
    /// The only one.
    Release,
    /// The only one; two wait.
    ReleaseToSleepers,
}

struct Play {
    semaphore: Semaphore,
    step: Step,
    /// The maker has the permit.
    makers: Cell<bool>,
    /// What was there at the point.
    there: Cell<u32>,
}

impl Play {
    fn scene(step: Step) -> Box<dyn Scene> {
        let permits = if step == Step::Acquire { 2 } else { 1 };
        let semaphore = Semaphore::new(permits).expect("a sweep needs shared memory");
        if step == Step::AcquireNone {
            semaphore.acquire().keep();
        }
        let makers = Cell::new(step == Step::AcquireNone);
        Box::new(Play { semaphore, step, makers, there: Cell::new(0) })
    }

    /// Their number if no process has died with one.
    fn all(&self) -> u32 {
        if self.step == Step::Acquire { 2 } else { 1 }
    }
}

impl Scene for Play {
    fn prepare(&self) {
        if matches!(self.step, Step::Release | Step::ReleaseToSleepers) {
            self.semaphore.acquire().keep();
        }
    }

    fn operate(&self) {
        match self.step {
            Step::Acquire | Step::AcquireNone => self.semaphore.acquire().keep(),
            Step::Release | Step::ReleaseToSleepers => self.semaphore.release().expect("there is room"),
        }
    }

    fn finish(&self) {
        if matches!(self.step, Step::Acquire | Step::AcquireNone) {
            self.semaphore.release().expect("there is room");
        }
    }

    fn sleepers(&self) -> u32 {
        match self.step {
            Step::ReleaseToSleepers => 2,
            Step::AcquireNone => 1,
            _ => 0,
        }
    }

    fn sleep(&self) -> Verdict {
        drop(self.semaphore.acquire());
        Ok(())
    }

    fn let_go(&self) {
        if self.makers.replace(false) {
            self.semaphore.release().expect("there is room");
        }
    }

    fn look(&self) {
        // No process moves: no sleeper is about to take one.
        self.there.set(self.semaphore.get_value() + u32::from(self.makers.get()));
    }

    fn look_again(&self) {
        self.look();
    }

    fn barge(&self, hold: &dyn Fn()) -> Verdict {
        let permit = self.semaphore.acquire();
        hold();
        drop(permit);
        Ok(())
    }

    fn meanwhile(&self) -> Verdict {
        let got = self.semaphore.acquire_timeout(PATIENCE).is_ok();
        let there = self.semaphore.get_value() + u32::from(got) > 0 && !self.makers.get();
        lost_unless(got || !there, || "a permit was there, and not to be had".to_owned())
    }

    fn owed(&self) -> bool {
        self.semaphore.get_value() > 0
    }

    fn rouse(&self) -> Verdict {
        self.semaphore.release().expect("there is room");
        Ok(())
    }

    fn check(&self, fate: Fate) -> Verdict {
        let roused = u32::from(fate.roused);
        let least = if fate.lived() { self.all() } else { self.there.get() } + roused;
        let now = self.semaphore.get_value();
        lost_unless(now >= least, || format!("{now} permits of {least}"))?;
        lost_unless(now <= self.all() + roused, || format!("{now} permits, made of nothing"))?;
        let gives = matches!(self.step, Step::Release | Step::ReleaseToSleepers);
        let taken = fate.mode == Mode::Twice;
        lost_unless(!fate.finished || !gives || taken || now == 1, || {
            "a permit that was given is gone".to_owned()
        })?;
        self.semaphore.release().expect("there is room");
        for _ in 0..=now {
            self.semaphore.acquire().keep();
        }
        lost_unless(self.semaphore.try_acquire().is_err(), || "more permits than it says".to_owned())
    }
}
