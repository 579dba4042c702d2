//! Membership: the processes that take part in a barrier, so that the others see the death of one.
//!
//! ```text
//!  FREE ──made, received, or first wait──► id and stamp ──last handle dropped, orderly end──► FREE
//!                                        │                                                 ▲
//!                                        └── killed: stays, breaks every round ── reset ───┘
//! ```
//!
//! A slot is one 64-bit word, written by one exchange, so no reader sees half of it. A process with several
//! handles (clones, or the same barrier received twice) has one slot.
//!
//! A forked child has copies of all its parent's handles, and may never use them. So it takes a slot only
//! when it first waits.
//!
//! A process that finds a dead one leaves the dead one's slot alone. The finder may be killed before it
//! breaks the barrier, and the round may have passed nevertheless: so the others, and the next round, must
//! find it too. `reset` frees the slot, once the barrier is broken. A process whose state is unknown stays,
//! and breaks nothing.
//!
//! A process that exits while one of its threads waits keeps its slot, and is found dead: that thread has
//! arrived and will never pass.
//!
//! # When a process dies
//! This file is for that case. Two processes that find the same dead one both break the barrier, which is one
//! break. A process that is killed in `reset` leaves the barrier broken, or whole with a dead process in a
//! slot, which breaks it again. No round waits for a forgotten process.

use crate::cell::BarrierCell;
use mp_core::finalize;
use mp_core::mem::SharedRef;
use mp_core::sys::identity::{Identity, Liveness};
use mp_core::sys::inherited;
use mp_core::sys::owning_process::OncePerProcess;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};

const FREE: u64 = 0;

/// This process's handle on one barrier: one for all clones.
pub(crate) struct Membership {
    shared: SharedRef<BarrierCell>,
    presence: Mutex<Presence>,
}

/// The use of the barrier by this process's threads.
#[derive(Default)]
struct Presence {
    /// Threads in a wait right now.
    waiting: u32,
    /// Whether the process has taken a slot, or has found none free, and has not left.
    registered: bool,
}

/// A thread's wait, from before it arrives until after it has passed.
pub(crate) struct Waiting<'a>(&'a Membership);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.presence().waiting -= 1;
    }
}

/// The memberships of this process, by the address of their mapping.
static MEMBERSHIPS: Mutex<Vec<(usize, Weak<Membership>)>> = Mutex::new(Vec::new());

fn key(shared: &SharedRef<BarrierCell>) -> usize {
    Arc::as_ptr(shared.mapping()) as usize
}

impl Membership {
    /// The membership of this process in the barrier at `shared`, begun if there is none.
    pub(crate) fn of(shared: SharedRef<BarrierCell>) -> Arc<Membership> {
        watch_this_process();
        let mut all = MEMBERSHIPS.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, membership)| membership.strong_count() > 0);
        let key = key(&shared);
        let same = all.iter().find(|(other, _)| *other == key);
        let known = same.and_then(|(_, membership)| membership.upgrade());
        let membership = known.unwrap_or_else(|| {
            let new = Arc::new(Membership { shared, presence: Mutex::default() });
            all.push((key, Arc::downgrade(&new)));
            new
        });
        // A forked child may have had a copy before.
        membership.presence().register(&membership);
        membership
    }

    pub(crate) fn shared(&self) -> &SharedRef<BarrierCell> {
        &self.shared
    }

    pub(crate) fn cell(&self) -> &BarrierCell {
        &self.shared
    }

    fn presence(&self) -> MutexGuard<'_, Presence> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a wait of the calling thread.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        let mut presence = self.presence();
        presence.waiting += 1;
        presence.register(self);
        Waiting(self)
    }

    /// Whether none of the processes that take part is dead.
    pub(crate) fn none_died(&self) -> bool {
        // ORDERING: Relaxed: no other data depends on the word.
        !self.cell().members.iter().any(|slot| is_dead(slot.load(Ordering::Relaxed)))
    }

    /// Frees the slots of dead processes. Only for a broken barrier: a round that waits for one of them would
    /// wait for ever.
    pub(crate) fn forget_the_dead(&self) {
        for slot in &self.cell().members {
            // ORDERING: Relaxed: no other data depends on the word.
            let member = slot.load(Ordering::Relaxed);
            if is_dead(member) {
                let _ = slot.compare_exchange(member, FREE, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    fn take_slot(&self) {
        inherited::refuse(self.cell());
        let me = Identity::me().packed();
        let slots = &self.cell().members;
        // ORDERING: Relaxed throughout: no other data depends on the word.
        if slots.iter().any(|slot| is_ours(slot.load(Ordering::Relaxed))) {
            return;
        }
        let free =
            |slot: &AtomicU64| slot.compare_exchange(FREE, me, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        // Without a free slot this process is not watched: see `Barrier`.
        let _ = slots.iter().any(free);
    }

    /// At the process's orderly end.
    fn end(&self) {
        let mut presence = self.presence();
        if presence.waiting == 0 {
            presence.registered = false;
            self.leave();
        }
    }

    /// In a forked child, whose one thread waits for nothing, and which has a copy of its parent's state.
    fn begin_in_child(&self) {
        *self.presence() = Presence::default();
    }

    fn leave(&self) {
        for slot in &self.cell().members {
            // ORDERING: Relaxed, twice: no other data depends on the word.
            let member = slot.load(Ordering::Relaxed);
            if is_ours(member) {
                let _ = slot.compare_exchange(member, FREE, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }
}

impl Presence {
    fn register(&mut self, membership: &Membership) {
        if !std::mem::replace(&mut self.registered, true) {
            membership.take_slot();
        }
    }
}

fn is_dead(member: u64) -> bool {
    member != FREE && Identity::unpack(member).liveness() == Liveness::Dead
}

/// Whether the slot belongs to this process.
fn is_ours(member: u64) -> bool {
    member != FREE && Identity::unpack(member).is_me()
}

impl Drop for Membership {
    fn drop(&mut self) {
        let all = MEMBERSHIPS.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have made a new membership meanwhile, which uses the slot now.
        let key = key(&self.shared);
        if !all.iter().any(|(other, membership)| *other == key && membership.strong_count() > 0) {
            self.leave();
        }
    }
}

/// Leaves when this process exits, and lets each forked child begin without slots.
fn watch_this_process() {
    static AFTER_FORK: Once = Once::new();
    static WATCHED: OncePerProcess = OncePerProcess::new();
    AFTER_FORK.call_once(|| {
        finalize::register_after_fork(|| {
            watch_this_process();
            each(Membership::begin_in_child);
        })
    });
    if WATCHED.is_first() {
        finalize::at_exit(|| each(Membership::end));
    }
}

fn each(what: fn(&Membership)) {
    // Upgraded first and dropped last: the drop of a membership takes the lock of the table.
    let all: Vec<Arc<Membership>> = {
        let all = MEMBERSHIPS.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter_map(|(_, membership)| membership.upgrade()).collect()
    };
    all.iter().for_each(|membership| what(membership));
}

#[cfg(test)]
mod tests {
    //! ORDERING: Relaxed throughout: one thread each.
    use super::*;

    /// An earlier process with this one's id, so that it cannot live any more.
    fn dead() -> u64 {
        Identity::me().an_earlier_one().packed()
    }

    #[test]
    fn a_dead_process_is_found_until_it_is_forgotten() {
        let membership = Membership::of(SharedRef::create("test").unwrap());
        assert!(membership.none_died());
        membership.cell().members[7].store(dead(), Ordering::Relaxed);
        // The first finder may have died before it broke the barrier.
        assert!(!membership.none_died());
        assert!(!membership.none_died());
        membership.forget_the_dead();
        assert!(membership.none_died());
        assert_eq!(membership.cell().members[0].load(Ordering::Relaxed), Identity::me().packed());
    }

    #[test]
    fn the_last_handle_frees_the_slot() {
        let shared: SharedRef<BarrierCell> = SharedRef::create("test").unwrap();
        let (one, two) = (Membership::of(shared.clone()), Membership::of(shared.clone()));
        assert!(Arc::ptr_eq(&one, &two));
        let taken = || shared.members.iter().filter(|slot| slot.load(Ordering::Relaxed) != FREE).count();
        assert_eq!(taken(), 1);
        drop(one);
        assert_eq!(taken(), 1);
        drop(two);
        assert_eq!(taken(), 0);
    }

    #[test]
    fn a_forked_copy_takes_part_from_its_first_wait() {
        let membership = Membership::of(SharedRef::create("test").unwrap());
        let taken = || membership.cell().members[0].load(Ordering::Relaxed) != FREE;
        membership.leave();
        membership.begin_in_child();
        assert!(!taken());
        drop(membership.wait());
        assert!(taken());
    }

    #[test]
    fn a_process_that_ends_leaves_unless_a_thread_waits() {
        let membership = Membership::of(SharedRef::create("test").unwrap());
        let taken = || membership.cell().members[0].load(Ordering::Relaxed) != FREE;
        let waiting = membership.wait();
        membership.end();
        assert!(taken());
        drop(waiting);
        membership.end();
        assert!(!taken());
        // A thread that comes after all, in a process that is ending, is seen too.
        drop(membership.wait());
        assert!(taken());
    }
}
