//! Lock and RLock.
//!
//! A death with the lock is reported once, by the first acquire, and no other death is reported.

use super::tally::Tally;
use crate::sweep::scene::{Fate, Mode, Operation, PATIENCE, Scene, Verdict, lost_unless, torn_unless};
use mp_sync::{AcquireError, Lock, OwnerDiedError, RLock};
use std::cell::Cell;
use std::time::Duration;

pub(super) fn operations() -> Vec<Operation> {
    [
        Operation::new("lock.acquire", |_| Play::<Lock>::scene(Step::Acquire)),
        Operation::new("lock.acquire.contended", |_| Play::<Lock>::scene(Step::AcquireHeld)),
        Operation::new("lock.release", |_| Play::<Lock>::scene(Step::Release)),
        Operation::new("lock.release.asleep", |_| Play::<Lock>::scene(Step::ReleaseToSleepers)),
        Operation::new("rlock.acquire", |_| Play::<RLock>::scene(Step::Acquire)),
        Operation::new("rlock.acquire.contended", |_| Play::<RLock>::scene(Step::AcquireHeld)),
        Operation::new("rlock.release", |_| Play::<RLock>::scene(Step::Release)),
        Operation::new("rlock.release.asleep", |_| Play::<RLock>::scene(Step::ReleaseToSleepers)),
    ]
    .map(Operation::in_every_mode)
    .into()
}

/// What a lock found when it was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Clean,
    OwnerDied,
    Busy,
}

/// A lock, whichever.
pub(super) trait Lockable {
    fn new() -> Self;
    /// Takes it, calls `hold` with it in hand, and gives it back whole.
    fn take(&self, hold: &dyn Fn()) -> Found;
    /// As `take`, but waits at most this long.
    fn take_within(&self, timeout: Duration) -> Found;
    /// Takes it and keeps it.
    fn acquire(&self);
    fn release(&self);
    fn locked(&self) -> bool;
}

macro_rules! lockable {
    ($($lock:ident: taken $times:literal times;)*) => {$(
        impl Lockable for $lock {
            fn new() -> Self {
                $lock::new().expect("a sweep needs shared memory")
            }
            fn take(&self, hold: &dyn Fn()) -> Found {
                let got = $lock::acquire(self);
                let found = if got.is_ok() { Found::Clean } else { Found::OwnerDied };
                let guard = got.unwrap_or_else(OwnerDiedError::into_guard);
                hold();
                guard.clear_owner_died();
                found
            }
            fn take_within(&self, timeout: Duration) -> Found {
                match self.acquire_timeout(timeout) {
                    Ok(_) => Found::Clean,
                    Err(AcquireError::OwnerDied(_)) => Found::OwnerDied,
                    Err(_) => Found::Busy,
                }
            }
            fn acquire(&self) {
                for _ in 0..$times {
                    $lock::acquire(self).unwrap_or_else(OwnerDiedError::into_guard).keep();
                }
            }
            fn release(&self) {
                for _ in 0..$times {
                    let _ = $lock::release(self);
                }
            }
            fn locked(&self) -> bool {
                $lock::locked(self)
            }
        }
    )*};
}
lockable! {
    Lock: taken 1 times;
    RLock: taken 2 times;
}

/// What the victim does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Acquire,
    /// The maker holds it, and lets it go when the victim sleeps.
    AcquireHeld,
    Release,
    ReleaseToSleepers,
    AcquireAndRelease,
}

pub(super) struct Play<L> {
    lock: L,
    step: Step,
    tally: Tally,
    makers: Cell<bool>,
    /// The victim held it at the point.
    held: Cell<bool>,
    /// The second victim held it at its point.
    held_again: Cell<bool>,
}

const TOLD: usize = 0;

impl<L: Lockable + 'static> Play<L> {
    pub(super) fn scene(step: Step) -> Box<dyn Scene> {
        let lock = L::new();
        if step == Step::AcquireHeld {
            lock.acquire();
        }
        let makers = Cell::new(step == Step::AcquireHeld);
        Box::new(Play {
            lock,
            step,
            tally: Tally::new(),
            makers,
            held: Cell::new(false),
            held_again: Cell::new(false),
        })
    }

    fn take(&self, hold: &dyn Fn()) {
        if self.lock.take(hold) == Found::OwnerDied {
            self.tally.add(TOLD);
        }
    }
}

impl<L: Lockable + 'static> Scene for Play<L> {
    fn prepare(&self) {
        if matches!(self.step, Step::Release | Step::ReleaseToSleepers) {
            self.lock.acquire();
        }
    }

    fn operate(&self) {
        match self.step {
            Step::Acquire | Step::AcquireHeld => self.lock.acquire(),
            Step::Release | Step::ReleaseToSleepers => self.lock.release(),
            Step::AcquireAndRelease => {
                self.lock.acquire();
                self.lock.release();
            }
        }
    }

    fn finish(&self) {
        if matches!(self.step, Step::Acquire | Step::AcquireHeld) {
            self.lock.release();
        }
    }

    fn sleepers(&self) -> u32 {
        match self.step {
            Step::ReleaseToSleepers => 2,
            Step::AcquireHeld => 1,
            _ => 0,
        }
    }

    fn sleep(&self) -> Verdict {
        self.take(&|| {});
        Ok(())
    }

    fn let_go(&self) {
        if self.makers.replace(false) {
            self.lock.release();
        }
    }

    fn look(&self) {
        self.held.set(self.lock.locked() && !self.makers.get());
    }

    fn look_again(&self) {
        self.held_again.set(self.lock.locked() && !self.makers.get());
    }

    fn barge(&self, hold: &dyn Fn()) -> Verdict {
        self.take(hold);
        Ok(())
    }

    fn meanwhile(&self) -> Verdict {
        match self.lock.take_within(PATIENCE) {
            Found::Clean => torn_unless(!self.held.get(), || "two hold it at once".to_owned()),
            Found::Busy => {
                lost_unless(self.held.get() || self.makers.get(), || "held, but by no process".to_owned())
            }
            Found::OwnerDied => torn_unless(false, || "a stopped holder passed for dead".to_owned()),
        }
    }

    fn check(&self, fate: Fate) -> Verdict {
        self.take(&|| {});
        self.take(&|| {});
        lost_unless(!self.lock.locked(), || "held by no process".to_owned())?;
        let (deaths, told) = (u32::from(self.held.get() && !fate.lived()), self.tally.get(TOLD));
        if fate.mode == Mode::Twice {
            // The second may have been told of the first, and died before it could say so.
            let again = u32::from(self.held_again.get());
            torn_unless(told >= again, || "no acquire reported the second holder's death".to_owned())?;
            return lost_unless(told <= deaths + again, || {
                format!("{told} were told of {deaths} + {again} deaths")
            });
        }
        torn_unless(told >= deaths, || "no acquire reported the holder's death".to_owned())?;
        lost_unless(told <= deaths, || format!("{told} were told of {deaths} deaths"))
    }
}
