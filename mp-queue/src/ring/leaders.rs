//! Leader election: of all consumers that wait long for a record, two wake by themselves each half second,
//! the others rarely.
//!
//! ```text
//!            the first sleep found nothing                         none free
//!   waiter ─────────────────────────────────────► tries a lease ─────────────► FOLLOWER: wakes more rarely
//!                                                   │        ▲                       │
//!                                                   ▼        └────── promoted ───────┘
//!                                                 LEADER: wakes each half second, and promotes one if a lease is free
//!                                                   │
//!                                                   └── leaves: releases its lease ─ fence ─ promotes a follower
//! ```
//!
//! | word        | meaning                                                                                |
//! |-------------|----------------------------------------------------------------------------------------|
//! | `leases`    | two locks, each held by a leader while it waits: the kernel releases a dead leader's    |
//! | `followers` | raised by a waiter that is about to follow; 0: a promotion found no follower            |
//! | `wake_ups`  | raised by a follower that has woken by itself (follower.rs)                             |
//! | `changes` of the event count | a promotion changes its upper half: a follower that sees this takes a lease first |
//!
//! A wake-up costs more than ten microseconds of a CPU, nearly all of it for the switch to that process and
//! back. A consumer that finds a record wakes the next one if more are there, so one that wakes by itself is
//! enough for all. There are two, so that one may die of what it finds. `W3.idle_cpu` shows the effect: a
//! hundred waiters use a fifth of the CPU time that they would use if each woke each half second.
//!
//! Only a consumer that has slept once in its call and found nothing comes here: a queue in use has no
//! leaders.
//!
//! # Why there is always a leader
//! A follower raises the count, then tries the leases. A leader releases its lease, then reads the count. A
//! fence stands between the two accesses of each, so the follower gets the lease or the leader promotes it. A
//! promoted follower takes the lease before it tries the queue, and so hands it on even if it leaves at once.
//!
//! # When a process dies
//! - *A leader*: the other leader finds the lease free when it next wakes, and promotes a follower.
//! - *A leader between its release and the promotion, or a promoted follower before it has the lease*: the
//!   other leader goes on.
//! - *Both at once*: of the followers one wakes by itself within a second (follower.rs), and takes a lease.
//!
//! Where the kernel does not release the locks of dead processes, all waiters wake each half second.
//!
//! # Tested by
//! ring/model/leaders.rs, ring/crowd/leaders.rs (with deaths), tests/leaders.rs

use super::follower::Follower;
use mp_core::word::{Deadline, Ordering, Owned, Wake, Word};
use mp_sync::raw::RawLock;

/// The leases of the consumers that wake by themselves for all.
#[repr(C)]
#[derive(Debug, Default)]
pub(super) struct Leaders<O: Owned> {
    leases: [RawLock<O>; 2],
    followers: O::Word,
    wake_ups: O::Word,
}

/// The amount that a promotion adds to `changes`. (Other changes reach its upper half only now and then; a
/// lease is tried then, too.)
const PROMOTION: u32 = 1 << 16;

/// A waiter on the word of an event count. Its drop ends its part as a leader.
pub(super) struct Sleeper<'a, O: Owned> {
    changes: &'a O::Word,
    /// `None`: each waiter wakes by itself each half second.
    leaders: Option<&'a Leaders<O>>,
    /// The lease that it holds.
    lease: Option<usize>,
    /// Once it has followed.
    follower: Option<Follower>,
    /// Whether its next sleep is the first one.
    fresh: bool,
    /// The thread unwinds already, and a destructor waits.
    was_unwinding: bool,
}

impl<'a, O: Owned> Sleeper<'a, O> {
    /// A waiter that wakes by itself each half second.
    pub(super) fn alone(changes: &'a O::Word) -> Self {
        Sleeper::with(changes, None, false)
    }

    /// A waiter for which a leader may wake. `fresh`: its first sleep does without.
    pub(super) fn led(changes: &'a O::Word, leaders: &'a Leaders<O>, fresh: bool) -> Self {
        Sleeper::with(changes, Some(leaders).filter(|_| O::kernel_tells()), fresh)
    }

    fn with(changes: &'a O::Word, leaders: Option<&'a Leaders<O>>, fresh: bool) -> Self {
        let was_unwinding = std::thread::panicking();
        Sleeper { changes, leaders, lease: None, follower: None, fresh, was_unwinding }
    }

    /// Sleeps while the word is `seen`, which was read before the last attempt.
    pub(super) fn wait(&mut self, seen: u32, until: Option<Deadline>) -> Wake {
        let changes = self.changes;
        let Some(leaders) = self.leaders else { return changes.wait(seen, until) };
        let alone = std::mem::take(&mut self.fresh) || self.leads(leaders);
        let number = (!alone).then(|| leaders.follow());
        let follower = number.filter(|_| !self.leads(leaders)).map(|number| {
            // ORDERING: Relaxed: a count by itself.
            let new = || Follower::new(number, leaders.wake_ups.load(Ordering::Relaxed));
            *self.follower.get_or_insert_with(new)
        });
        let wake = match follower {
            Some(follower) => changes.wait_long(seen, until, follower.looks()),
            None => changes.wait(seen, until),
        };
        // ORDERING: Acquire, pairs with the Release in `promote`: the lease is seen free.
        let now = changes.load(Ordering::Acquire);
        if let Some(mut follower) = follower.filter(|_| now == seen && wake == Wake::Look) {
            // ORDERING: Relaxed: a count by itself.
            follower.woke(leaders.wake_ups.fetch_add(1, Ordering::Relaxed));
            self.follower = Some(follower);
        }
        let promoted = (now ^ seen) >= PROMOTION;
        // The lease first: a follower that left without it would leave the leases free, and no process to
        // promote the next.
        if promoted {
            self.leads(leaders);
        }
        if self.lease.is_some() && leaders.has_room() {
            self.promote(leaders);
        }
        wake
    }

    /// Whether it holds a lease; takes a free one.
    fn leads(&mut self, leaders: &Leaders<O>) -> bool {
        if self.lease.is_none() {
            self.lease = leaders.take_lease();
        }
        self.lease.is_some()
    }

    /// Wakes one follower, so that it takes the free lease. A death here is safe: the promotion is done, or
    /// another leader that leaves promotes a follower.
    fn promote(&self, leaders: &Leaders<O>) {
        let followers = &leaders.followers;
        // ORDERING: Relaxed: the fence orders it after the lease became free; or else it is a hint.
        let raised = followers.load(Ordering::Relaxed);
        if raised == 0 {
            return;
        }
        // ORDERING: Release, pairs with the Acquire in `wait`, and with that before each sleep.
        self.changes.fetch_add(PROMOTION, Ordering::Release);
        // Only followers: the other leader has a lease, and if it died of this wake no leader would be left.
        if self.changes.wake_long(1) == 0 {
            // ORDERING: Relaxed: a follower that raised the count since then keeps it from being cleared; one
            // that raised it before and does not sleep yet sees the change.
            let _ = followers.compare_exchange(raised, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

impl<O: Owned> Leaders<O> {
    /// Notes that a waiter is about to follow. Gives its number, another one than that of the waiter before it.
    fn follow(&self) -> u32 {
        // ORDERING: Relaxed: the fence orders it before the leases are tried.
        let number = self.followers.fetch_add(1, Ordering::Relaxed);
        if number == u32::MAX {
            self.followers.fetch_add(1, Ordering::Relaxed);
        }
        O::Word::fence();
        number
    }

    /// Takes a lease that is free.
    pub(super) fn take_lease(&self) -> Option<usize> {
        let lease = self.leases.iter().position(|lease| lease.try_acquire().is_some())?;
        self.leases[lease].clear_died();
        Some(lease)
    }

    fn has_room(&self) -> bool {
        self.leases.iter().any(|lease| !lease.is_locked())
    }

    /// For models: takes one of the two leases for good.
    #[cfg(test)]
    pub(super) fn leave_one(&self) {
        assert!(self.leases[1].try_acquire().is_some());
    }

    /// A fault for a model: the count is not kept.
    #[cfg(test)]
    pub(super) fn forget_followers(&self) {
        // ORDERING: Relaxed, like the store that raises it.
        self.followers.store(0, Ordering::Relaxed);
    }
}

/// A thread that panics in a wait keeps its lease, as with every lock here: the kernel releases it.
impl<O: Owned> Drop for Sleeper<'_, O> {
    fn drop(&mut self) {
        if let (Some(leaders), Some(lease)) = (self.leaders, self.lease)
            && (self.was_unwinding || !std::thread::panicking())
        {
            leaders.leases[lease].release();
            O::Word::fence();
            self.promote(leaders);
        }
    }
}
