//! Faults that a sweep must catch, each beside the same thing without the fault. They are not among the default
//! ones.
//!
//! | operation                            | its fault                                                    | seen by   |
//! |--------------------------------------|--------------------------------------------------------------|-----------|
//! | `mutant.lock`                        | none                                                         |           |
//! | `mutant.lock.free_before_delist`     | the word is free while it is still on its holder's list      | `--pass`, `--stop` |
//! | `mutant.journal`                     | none                                                         |           |
//! | `mutant.journal.clear_before`        | a recovery clears the journal before it has rolled back      | `--twice` |
//! | `mutant.pool`                        | none                                                         |           |
//! | `mutant.pool.begin_late`             | a worker calls the function before it says that it begins    | any       |
//!
//! The lock's needs a third party that acts while the victim lives, the journal's two deaths: no death of one process
//! alone shows either.

use super::lock::{Found, Lockable, Play, Step};
use super::pool;
use super::tally::Tally;
use crate::sweep::scene::{Fate, Mode, Operation, Scene, Verdict, lost_unless, torn_unless};
use mp_core::mem::SharedRef;
use mp_core::sys::robust::RobustWord;
use mp_core::word::{Deadline, Ordering, Owned, Wake, Word};
use mp_sync::{Lock, LockGuard, OwnerDiedError};
use std::time::Duration;

pub(super) fn operations() -> Vec<Operation> {
    [
        Operation::new("mutant.lock", |_| Play::<OwnedLock<false>>::scene(Step::Release)),
        Operation::new("mutant.lock.free_before_delist", |_| Play::<OwnedLock<true>>::scene(Step::Release)),
        Operation::new("mutant.journal", |_| Box::new(Pair::<false>::new())),
        Operation::new("mutant.journal.clear_before", |_| Box::new(Pair::<true>::new())),
    ]
    .into_iter()
    .chain(pool::mutants())
    .map(|operation| Operation { hidden: true, ..operation.in_every_mode() })
    .collect()
}

const FREE: u32 = 0;
/// As in the kernel.
const OWNER: u32 = (1 << 30) - 1;
const DIED: u32 = 1 << 30;
const WAITERS: u32 = 1 << 31;

/// A lock in one word that the kernel knows, always as if a thread waited. Freed before it is off its holder's
/// list, if `EARLY`.
struct OwnedLock<const EARLY: bool>(SharedRef<RobustWord>);

impl<const EARLY: bool> OwnedLock<EARLY> {
    fn until(&self, until: Option<Deadline>) -> Found {
        loop {
            // ORDERING: Relaxed: confirmed by the exchange.
            let seen = self.0.word().load(Ordering::Relaxed);
            if seen & OWNER == FREE {
                self.0.announce();
                let held = RobustWord::me() | WAITERS;
                // ORDERING: Acquire, pairs with the Release in `release`.
                let taken =
                    self.0.word().compare_exchange(seen, held, Ordering::Acquire, Ordering::Relaxed).is_ok();
                if taken {
                    self.0.enlist();
                }
                self.0.retract();
                match taken {
                    true if seen & DIED != 0 => return Found::OwnerDied,
                    true => return Found::Clean,
                    false => {}
                }
            } else if self.0.word().wait(seen, until) == Wake::TimedOut {
                return Found::Busy;
            }
        }
    }
}

impl<const EARLY: bool> Lockable for OwnedLock<EARLY> {
    fn new() -> Self {
        OwnedLock(SharedRef::create("mp-sweep-mutant").expect("a sweep needs shared memory"))
    }

    fn take(&self, hold: &dyn Fn()) -> Found {
        let found = self.until(None);
        hold();
        self.release();
        found
    }

    fn take_within(&self, timeout: Duration) -> Found {
        let found = self.until(Deadline::after(timeout));
        if found != Found::Busy {
            self.release();
        }
        found
    }

    fn acquire(&self) {
        self.until(None);
    }

    fn release(&self) {
        self.0.announce();
        if !EARLY {
            self.0.delist();
        }
        // ORDERING: Release, pairs with the Acquire in `until`.
        self.0.word().swap(FREE, Ordering::Release);
        self.0.word().wake(1);
        if EARLY {
            self.0.delist();
        }
        self.0.retract();
    }

    fn locked(&self) -> bool {
        // ORDERING: Acquire: a process that sees it free sees what its last holder did.
        self.0.word().load(Ordering::Acquire) & OWNER != FREE
    }
}

/// Where the two halves are, the journal's copies of them, and whether the journal counts.
const HALVES: [usize; 2] = [0, 1];
const COPIES: [usize; 2] = [2, 3];
const BEGUN: usize = 4;

/// A pair whose halves agree, changed under a lock and a journal. The journal is cleared before the roll back, if
/// `EARLY`.
struct Pair<const EARLY: bool> {
    lock: Lock,
    words: Tally,
}

impl<const EARLY: bool> Pair<EARLY> {
    fn new() -> Self {
        Pair { lock: Lock::new().expect("a sweep needs shared memory"), words: Tally::new() }
    }

    fn copy(&self, from: [usize; 2], to: [usize; 2]) {
        for (from, to) in from.into_iter().zip(to) {
            self.words.set(to, self.words.get(from));
        }
    }

    /// Undoes what a dead holder had begun.
    fn recover(&self) {
        if self.words.get(BEGUN) == 0 {
            return;
        }
        if EARLY {
            self.words.set(BEGUN, 0);
        }
        self.copy(COPIES, HALVES);
        self.words.set(BEGUN, 0);
    }

    fn take(&self) -> LockGuard<'_> {
        self.lock.acquire().unwrap_or_else(OwnerDiedError::into_guard)
    }

    /// With the lock.
    fn begin(&self) {
        self.recover();
        self.copy(HALVES, COPIES);
        self.words.set(BEGUN, 1);
    }

    fn change(&self, hold: &dyn Fn()) {
        self.words.add(HALVES[0]);
        hold();
        self.words.add(HALVES[1]);
        self.words.set(BEGUN, 0);
    }
}

/// The points are those between taking the lock and its release, which are thousands of instructions and no part of
/// the fault.
impl<const EARLY: bool> Scene for Pair<EARLY> {
    fn prepare(&self) {
        self.take().keep();
        self.begin();
    }

    fn operate(&self) {
        self.change(&|| {});
    }

    fn finish(&self) {
        let _ = self.lock.release();
    }

    fn barge(&self, hold: &dyn Fn()) -> Verdict {
        let guard = self.take();
        self.begin();
        self.change(hold);
        guard.clear_owner_died();
        Ok(())
    }

    fn operate_again(&self, ready: &dyn Fn()) {
        self.take().keep();
        ready();
        self.begin();
        self.change(&|| {});
    }

    fn check(&self, fate: Fate) -> Verdict {
        let _guard = self.take();
        self.recover();
        let halves = HALVES.map(|half| self.words.get(half));
        torn_unless(halves[0] == halves[1], || format!("{halves:?} after the roll back"))?;
        let others = u32::from(matches!(fate.mode, Mode::Barge | Mode::Pass));
        let second = u32::from(fate.mode == Mode::Twice);
        let least = others + u32::from(fate.lived() || fate.finished);
        let there = (least..=others + second + 1).contains(&halves[0]);
        lost_unless(there, || format!("{halves:?} after {least} updates"))
    }
}
