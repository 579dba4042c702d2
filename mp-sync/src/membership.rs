//! Which processes have a barrier, so that the death of one is seen by the others.
//!
//! ```text
//!  FREE ──first handle in a process──► pid and start ──last handle dropped, orderly end──► FREE
//!                                        │                                                   ▲
//!                                        └── killed: stays, and breaks every round ── reset ─┘
//! ```
//!
//! A slot is one 64-bit word, written by one exchange, so no reader sees half of it. A process with more handles
//! (clones, or the same barrier received twice) has one slot.
//!
//! Who finds a dead process leaves its slot alone: he may be killed before he breaks the barrier, and the round
//! he saw it in may have passed all the same, so the others, and the next round, have to find it too. `reset`
//! frees it, once the barrier is broken.
//!
//! A process that ends in order while one of its threads waits does not leave: that thread's arrival would count
//! for one who never passes. Its slot stays, and is found dead.
//!
//! # When a process dies
//! That is what this file is for. Two who find the same dead process both break the barrier, which is one break.
//! Who is killed in `reset` leaves the barrier broken, or whole with a dead process in a slot, which breaks it
//! again: never a round that waits for a forgotten one.

use crate::cell::BarrierCell;
use mp_core::finalize;
use mp_core::mem::Place;
use mp_core::sys::identity::Identity;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};

const FREE: u64 = 0;

/// This process's handle on one barrier: one for all clones.
pub(crate) struct Membership {
    place: Place<BarrierCell>,
    presence: Mutex<Presence>,
}

/// What this process's threads do with the barrier.
#[derive(Default)]
struct Presence {
    /// Threads in a wait right now.
    waiting: u32,
    /// The process is ending, and has freed its slot.
    left: bool,
}

/// A thread's wait, from before it arrives until after it has passed.
pub(crate) struct Waiting<'a>(&'a Membership);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.presence().waiting -= 1;
    }
}

/// The memberships of this process, by the address of their mapping. Slots are taken and freed under this lock.
static MEMBERSHIPS: Mutex<Vec<(usize, Weak<Membership>)>> = Mutex::new(Vec::new());

fn key(place: &Place<BarrierCell>) -> usize {
    Arc::as_ptr(place.mapping()) as usize
}

impl Membership {
    /// The membership of this process in the barrier at `place`, begun if there is none.
    pub(crate) fn of(place: Place<BarrierCell>) -> Arc<Membership> {
        watch_this_process();
        let mut all = MEMBERSHIPS.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, membership)| membership.strong_count() > 0);
        let key = key(&place);
        let same = all.iter().find(|(other, _)| *other == key);
        if let Some(membership) = same.and_then(|(_, membership)| membership.upgrade()) {
            return membership;
        }
        let membership = Arc::new(Membership { place, presence: Mutex::default() });
        all.push((key, Arc::downgrade(&membership)));
        membership.enrol();
        membership
    }

    pub(crate) fn place(&self) -> &Place<BarrierCell> {
        &self.place
    }

    pub(crate) fn cell(&self) -> &BarrierCell {
        &self.place
    }

    fn presence(&self) -> MutexGuard<'_, Presence> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a wait of the calling thread.
    pub(crate) fn wait(&self) -> Waiting<'_> {
        let mut presence = self.presence();
        presence.waiting += 1;
        if std::mem::take(&mut presence.left) {
            self.enrol();
        }
        Waiting(self)
    }

    /// Whether all processes that have the barrier live.
    pub(crate) fn all_live(&self) -> bool {
        // ORDERING: Relaxed: the word is all there is.
        let members = self.cell().members.iter().map(|slot| slot.load(Ordering::Relaxed));
        members.into_iter().all(|member| member == FREE || Identity::unpack(member).lives())
    }

    /// Frees the slots of the dead. For a barrier that is broken: a round that waits for one of them would wait for
    /// ever.
    pub(crate) fn forget_the_dead(&self) {
        for slot in &self.cell().members {
            // ORDERING: Relaxed: the word is all there is.
            let member = slot.load(Ordering::Relaxed);
            if member != FREE && !Identity::unpack(member).lives() {
                let _ = slot.compare_exchange(member, FREE, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }

    fn enrol(&self) {
        let me = Identity::me().packed();
        let slots = &self.cell().members;
        // ORDERING: Relaxed throughout: the word is all there is.
        if slots.iter().any(|slot| is_ours(slot.load(Ordering::Relaxed))) {
            return;
        }
        let free =
            |slot: &AtomicU64| slot.compare_exchange(FREE, me, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        // With no slot free this process is not watched, as the docs of `Barrier` say.
        let _ = slots.iter().any(free);
    }

    /// At the process's orderly end.
    fn end(&self) {
        let mut presence = self.presence();
        if presence.waiting == 0 {
            presence.left = true;
            self.leave();
        }
    }

    /// In a forked child, whose one thread waits nowhere.
    fn begin_in_child(&self) {
        *self.presence() = Presence::default();
        self.enrol();
    }

    fn leave(&self) {
        for slot in &self.cell().members {
            // ORDERING: Relaxed, twice: the word is all there is.
            let member = slot.load(Ordering::Relaxed);
            if is_ours(member) {
                let _ = slot.compare_exchange(member, FREE, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
    }
}

/// Whether it is this process's, enrolled perhaps when it could not learn when it began.
fn is_ours(member: u64) -> bool {
    member != FREE && Identity::unpack(member).is_me()
}

impl Drop for Membership {
    fn drop(&mut self) {
        let all = MEMBERSHIPS.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have begun a new one meanwhile: the slot is that one's now.
        let key = key(&self.place);
        if !all.iter().any(|(other, membership)| *other == key && membership.strong_count() > 0) {
            self.leave();
        }
    }
}

/// Leaves at this process's orderly end; enrols its forked children, who have all its handles.
fn watch_this_process() {
    static AFTER_FORK: Once = Once::new();
    static WATCHED: AtomicU32 = AtomicU32::new(0);
    AFTER_FORK.call_once(|| {
        finalize::register_after_fork(|| {
            watch_this_process();
            each(Membership::begin_in_child);
        })
    });
    let pid = std::process::id();
    // ORDERING: Relaxed: the id is all there is.
    if WATCHED.swap(pid, Ordering::Relaxed) != pid {
        finalize::at_exit(|| each(Membership::end));
    }
}

fn each(what: fn(&Membership)) {
    // Upgraded first and dropped last: a membership's own drop must not find the table locked.
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

    /// A process with this one's id that began before it, so that it cannot live any more.
    fn dead() -> u64 {
        let me = Identity::me();
        Identity { began: me.began.wrapping_sub(1), ..me }.packed()
    }

    #[test]
    fn a_dead_process_is_found_until_it_is_forgotten() {
        let membership = Membership::of(Place::create("test").unwrap());
        assert!(membership.all_live());
        membership.cell().members[7].store(dead(), Ordering::Relaxed);
        // Who found it first may not have lived to break the barrier.
        assert!(!membership.all_live());
        assert!(!membership.all_live());
        membership.forget_the_dead();
        assert!(membership.all_live());
        assert_eq!(membership.cell().members[0].load(Ordering::Relaxed), Identity::me().packed());
    }

    #[test]
    fn the_last_handle_frees_the_slot() {
        let place: Place<BarrierCell> = Place::create("test").unwrap();
        let (one, two) = (Membership::of(place.clone()), Membership::of(place.clone()));
        assert!(Arc::ptr_eq(&one, &two));
        let taken = || place.members.iter().filter(|slot| slot.load(Ordering::Relaxed) != FREE).count();
        assert_eq!(taken(), 1);
        drop(one);
        assert_eq!(taken(), 1);
        drop(two);
        assert_eq!(taken(), 0);
    }

    #[test]
    fn a_process_that_ends_leaves_unless_a_thread_waits() {
        let membership = Membership::of(Place::create("test").unwrap());
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
