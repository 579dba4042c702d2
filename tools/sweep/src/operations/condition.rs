//! Condition.
//!
//! A notified waiter returns, and the death of one costs the others nothing. They wait for a flag, so that the
//! process which wakes the rest after a death can set it.

use super::tally::Tally;
use crate::sweep::scene::{Fate, Mode, Operation, PATIENCE, Scene, Verdict, lost_unless};
use mp_sync::{Condition, ConditionGuard, Lock, OwnerDiedError, WaitError};
use std::cell::Cell;
use std::time::Duration;

pub(super) fn operations() -> Vec<Operation> {
    [
        Operation::new("condition.notify", |mode| Play::scene(mode, Step::Notify)),
        Operation::new("condition.notify.asleep", |mode| Play::scene(mode, Step::NotifySleepers)),
        Operation::new("condition.wait", |mode| Play::scene(mode, Step::Wait)),
    ]
    .map(Operation::in_every_mode)
    .into()
}

/// What the victim does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// No process waits.
    Notify,
    /// Two wait.
    NotifySleepers,
    /// Until a notifier comes. Another process waits too.
    Wait,
}

const FLAG: usize = 0;

struct Play {
    condition: Condition<Lock>,
    shared: Tally,
    step: Step,
    mode: Mode,
    /// Whether the notification was made, and its lock given back, at the point.
    told: Cell<bool>,
}

impl Play {
    fn scene(mode: Mode, step: Step) -> Box<dyn Scene> {
        let lock = Lock::new().expect("a sweep needs shared memory");
        let condition = Condition::with_lock(&lock).expect("a sweep needs shared memory");
        Box::new(Play { condition, shared: Tally::new(), step, mode, told: Cell::new(false) })
    }

    /// Acquires the lock, also after a death: a flag is whole.
    fn enter(&self) -> ConditionGuard<'_, Lock> {
        self.condition.acquire().unwrap_or_else(OwnerDiedError::into_guard)
    }

    fn tell(&self) {
        let guard = self.enter();
        self.shared.add(FLAG);
        guard.notify_all();
    }

    fn wait(&self) {
        let mut guard = self.enter();
        while self.shared.get(FLAG) == 0 {
            // A death with the lock does not end the wait.
            let _ = guard.wait();
        }
    }
}

impl Scene for Play {
    fn operate(&self) {
        match self.step {
            Step::Notify | Step::NotifySleepers => self.tell(),
            Step::Wait => self.wait(),
        }
    }

    fn sleepers(&self) -> u32 {
        match self.step {
            Step::Notify => 0,
            Step::NotifySleepers => 2,
            Step::Wait => 1,
        }
    }

    fn sleep(&self) -> Verdict {
        self.wait();
        Ok(())
    }

    fn comers(&self) -> u32 {
        u32::from(self.step == Step::Wait)
    }

    fn come(&self) -> Verdict {
        self.tell();
        Ok(())
    }

    fn look(&self) {
        self.told.set(self.shared.get(FLAG) > 0 && !self.condition.lock().locked());
    }

    fn look_again(&self) {
        self.look();
    }

    fn operate_again(&self, ready: &dyn Fn()) {
        ready();
        self.operate();
    }

    fn barge(&self, hold: &dyn Fn()) -> Verdict {
        let guard = self.enter();
        hold();
        drop(guard);
        Ok(())
    }

    fn meanwhile(&self) -> Verdict {
        // Held by the stopped one, or free: either way this comes to an end.
        drop(self.condition.acquire_timeout(PATIENCE));
        Ok(())
    }

    fn owed(&self) -> bool {
        self.step == Step::Wait || self.told.get() || matches!(self.mode, Mode::Stop | Mode::Pass)
    }

    fn rouse(&self) -> Verdict {
        self.tell();
        Ok(())
    }

    fn check(&self, fate: Fate) -> Verdict {
        let told = fate.finished || fate.lived() || fate.roused || self.step == Step::Wait;
        let flag = self.shared.get(FLAG) > 0;
        lost_unless(flag || !told || fate.mode == Mode::Barge, || "the flag is gone".to_owned())?;
        let mut guard = self.enter();
        guard.clear_owner_died();
        let notified = guard.wait_timeout(Duration::ZERO);
        lost_unless(notified == Err(WaitError::Timeout), || {
            format!("a wait without a notification gave {notified:?}")
        })
    }
}
