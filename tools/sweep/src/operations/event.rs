//! Event.
//!
//! The flag is the same before and after a death, and each waiter of a set flag goes on.

use crate::sweep::scene::{Fate, Mode, Operation, PATIENCE, Scene, Verdict, lost_unless};
use mp_core::sys::forced::force_naps;
use mp_sync::Event;
use std::cell::Cell;
use std::time::Duration;

pub(super) fn operations() -> Vec<Operation> {
    [
        Operation::new("event.set", |_| Play::scene(Step::Set)),
        Operation::new("event.set.asleep", |_| Play::scene(Step::SetForSleepers)),
        Operation::new("event.clear", |_| Play::scene(Step::Clear)),
        Operation::new("event.wait", |_| Play::scene(Step::Wait)),
        Operation::new("event.wait.nap", |_| Play::scene(Step::Nap)),
    ]
    .map(Operation::in_every_mode)
    .into()
}

/// What the victim does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Set,
    /// Two wait.
    SetForSleepers,
    Clear,
    /// Until the maker sets it, which is when the victim sleeps. Another one waits too.
    Wait,
    /// The same, and it naps first.
    Nap,
}

struct Play {
    event: Event,
    step: Step,
    /// What the flag said at the point.
    was: Cell<bool>,
}

impl Play {
    fn scene(step: Step) -> Box<dyn Scene> {
        let event = Event::new().expect("a sweep needs shared memory");
        if step == Step::Clear {
            event.set();
        }
        Box::new(Play { event, step, was: Cell::new(false) })
    }

    fn act(&self) {
        match self.step {
            Step::Set | Step::SetForSleepers => self.event.set(),
            Step::Clear => self.event.clear(),
            Step::Wait | Step::Nap => self.event.wait(),
        }
    }
}

impl Scene for Play {
    fn prepare(&self) {
        if self.step == Step::Nap {
            force_naps();
        }
    }

    fn operate(&self) {
        self.act();
    }

    fn sleepers(&self) -> u32 {
        match self.step {
            Step::SetForSleepers => 2,
            Step::Wait | Step::Nap => 1,
            _ => 0,
        }
    }

    fn sleep(&self) -> Verdict {
        self.event.wait();
        Ok(())
    }

    fn let_go(&self) {
        if matches!(self.step, Step::Wait | Step::Nap) {
            self.event.set();
        }
    }

    fn look(&self) {
        self.was.set(self.event.is_set());
    }

    fn look_again(&self) {
        self.look();
    }

    fn barge(&self, _: &dyn Fn()) -> Verdict {
        self.act();
        Ok(())
    }

    fn meanwhile(&self) -> Verdict {
        let seen = self.event.wait_timeout(PATIENCE);
        lost_unless(seen == self.was.get(), || format!("a wait gave {seen} for {}", self.was.get()))
    }

    fn owed(&self) -> bool {
        self.event.is_set()
    }

    fn rouse(&self) -> Verdict {
        self.event.set();
        Ok(())
    }

    fn check(&self, fate: Fate) -> Verdict {
        let done = fate.lived() || fate.finished || fate.mode == Mode::Barge;
        let expected = match self.step {
            Step::Set | Step::SetForSleepers => done || fate.roused || self.was.get(),
            Step::Clear => !done && self.was.get(),
            Step::Wait | Step::Nap => true,
        };
        let now = self.event.is_set();
        lost_unless(now == expected, || format!("the flag says {now} for {expected}"))?;
        self.event.set();
        self.event.wait();
        self.event.clear();
        lost_unless(!self.event.wait_timeout(Duration::ZERO), || "it cannot be cleared".to_owned())
    }
}
