//! RwLock.
//!
//! A write is whole, absent, or reported; a dead reader keeps no process out.

use crate::sweep::scene::{Fate, Operation, PATIENCE, Scene, Verdict, lost_unless, torn_unless};
use mp_sync::{OwnerDiedError, ReadGuard, RwLock};
use std::cell::Cell;
use std::hint::black_box;

pub(super) fn operations() -> Vec<Operation> {
    [
        Operation::new("rwlock.read", |_| Play::scene(Step::Read)),
        Operation::new("rwlock.write", |_| Play::scene(Step::Write)),
        Operation::new("rwlock.leave.asleep", |_| Play::scene(Step::LeaveToSleepers)),
    ]
    .map(Operation::in_every_mode)
    .into()
}

/// What the victim does: comes in and leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Read,
    Write,
    /// It has read from the beginning, so two writers wait; it leaves.
    LeaveToSleepers,
}

struct Play {
    /// Never freed: a scene is made once a process.
    lock: &'static RwLock<[u64; 2]>,
    step: Step,
    /// The victim's.
    held: Cell<Option<ReadGuard<'static, [u64; 2]>>>,
}

impl Play {
    fn scene(step: Step) -> Box<dyn Scene> {
        let lock = Box::leak(Box::new(RwLock::new([1, 1]).expect("a sweep needs shared memory")));
        Box::new(Play { lock, step, held: Cell::new(None) })
    }

    fn write(&self) -> Verdict {
        let mut told = false;
        let mut pair = self.lock.write().unwrap_or_else(|died| {
            told = true;
            OwnerDiedError::into_guard(died)
        });
        let whole = pair[0] == pair[1];
        torn_unless(whole || told, || format!("half a write, and not reported: {:?}", *pair))?;
        let next = pair[0] + 1;
        pair[0] = next;
        // Two stores, and not one for both.
        black_box(&mut *pair);
        pair[1] = next;
        pair.clear_owner_died();
        Ok(())
    }

    fn read(&self) -> Verdict {
        match self.lock.read() {
            Ok(pair) => torn_unless(pair[0] == pair[1], || format!("half a write was read: {:?}", *pair)),
            Err(_) => Ok(()),
        }
    }
}

impl Scene for Play {
    fn prepare(&self) {
        if self.step == Step::LeaveToSleepers {
            self.held.set(Some(self.lock.read().expect("no process has died yet")));
        }
    }

    fn operate(&self) {
        match self.step {
            Step::Read => drop(self.read()),
            Step::Write => drop(self.write()),
            Step::LeaveToSleepers => drop(self.held.take()),
        }
    }

    fn sleepers(&self) -> u32 {
        if self.step == Step::LeaveToSleepers { 2 } else { 0 }
    }

    fn sleep(&self) -> Verdict {
        self.write()
    }

    fn barge(&self, hold: &dyn Fn()) -> Verdict {
        let pair = self.lock.try_read();
        hold();
        drop(pair);
        Ok(())
    }

    fn operate_again(&self, ready: &dyn Fn()) {
        ready();
        self.operate();
    }

    fn meanwhile(&self) -> Verdict {
        match self.lock.read_timeout(PATIENCE) {
            Ok(pair) => torn_unless(pair[0] == pair[1], || format!("half a write was read: {:?}", *pair)),
            Err(_) => Ok(()),
        }
    }

    fn check(&self, fate: Fate) -> Verdict {
        self.read()?;
        self.write()?;
        let pair = *self.lock.read().unwrap_or_else(OwnerDiedError::into_guard);
        let done = self.step == Step::Write && (fate.finished || fate.lived());
        let least = 2 + u64::from(done) + u64::from(self.sleepers());
        lost_unless(pair[0] >= least, || format!("{pair:?} after {} writes", least - 1))
    }
}
