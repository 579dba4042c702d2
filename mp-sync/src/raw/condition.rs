//! Condition: waits, without a lock, until a holder of the lock notifies.
//!
//! ```text
//!                wait: release the lock          notify                  reacquire the lock
//!  slot:  FREE ──────────────────► WAITING, by tid ──────► NOTIFIED, by tid ─────────────────► FREE
//!           ▲                        │   │                    │
//!           ├── timeout, lock back ──┘   │ killed             │ killed
//!           │                            ▼                    ▼
//!           └── next waiter ────── DIED                DIED, NOTIFIED ── another is notified instead ──► FREE
//! ```
//!
//! | word of a slot | meaning                                                                             |
//! |----------------|-------------------------------------------------------------------------------------|
//! | low 30 bits    | the thread that waits there; 0: free, unless it died                                |
//! | DIED           | set by the kernel: that thread has died                                             |
//! | NOTIFIED       | the thread was chosen by a `notify`, and is about to leave                          |
//!
//! | others         | meaning                                                                             |
//! |----------------|-------------------------------------------------------------------------------------|
//! | `ticket`       | of a slot: when its thread arrived; the lowest is chosen first. Of a chosen thread: waiters that arrived before this ticket can be chosen instead if the thread dies |
//! | `next`         | the next ticket                                                                     |
//! | `asleep`       | of a slot: not 0: its thread sleeps, or is about to: the notifier that chooses it wakes it |
//! | `used`         | slots from here on have never been used                                             |
//!
//! Each waiter sleeps on the word of its own slot. The word holds its id and is enlisted with the kernel, as
//! that of a lock's holder is. So `notify` chooses exactly as many waiters as it is told, in the order of
//! arrival, and no dead one. It never waits for an answer from a sleeper.
//!
//! A waiter that still spins is not woken: the call would cost more than the rest of a notification, with the
//! lock held, which the waiter needs next.
//!
//! # Orderings
//! Relaxed throughout: slots are registered, chosen and left with the lock held, which orders all of it. A read
//! without the lock only decides whether to take the lock. The waiter and the notifier write and read `asleep`
//! and the slot's word crosswise: a fence between the two accesses on each side keeps one of them from missing
//! the other.
//!
//! # When a process dies
//! - *While it waits*: its slot is passed over, and reused by the next waiter that needs one.
//! - *Chosen, before it came back*: another waiter is chosen instead, by the next `notify`, or by a waiter that
//!   wakes by itself, at most half a second later.
//! - *In `notify`, between the choice and the wake*: the chosen waiters wake by themselves.
//! - *In `wait` or `notify` with the lock held*: the next holder gets OwnerDied, and the slots are whole.
//!
//! Where the kernel keeps no robust list, waiters that wake by themselves ask whether the chosen ones live.
//!
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: condition_*

use super::hold::Lend;
use super::lock::Acquired;
use mp_core::word::{Deadline, Ordering, Owned, Pace, Waiting, Wake, Word};

const FREE: u32 = 0;
/// As in `lock.rs`.
const THREAD: u32 = (1 << 30) - 1;
const DIED: u32 = 1 << 30;
/// The kernel's `FUTEX_WAITERS`: the only flag that the kernel leaves in the word of a dead thread.
const NOTIFIED: u32 = 1 << 31;

/// The end of a wait. The lock is held again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    /// Whether it was notified; `false`: the deadline passed first.
    pub notified: bool,
    /// How the lock was acquired.
    pub lock: Acquired,
}

/// Why there was no wait. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CannotWait {
    /// The calling thread does not hold the lock.
    NotOwner,
    /// All slots are in use.
    Full,
}

/// The condition of this module. All zeros is a condition without waiters. `SLOTS` threads can wait at a time.
#[repr(C)]
#[derive(Debug)]
pub struct RawCondition<O: Owned, const SLOTS: usize> {
    next: O::Word,
    used: O::Word,
    slots: [WaiterSlot<O>; SLOTS],
}

#[repr(C)]
#[derive(Debug, Default)]
struct WaiterSlot<O: Owned> {
    waiter: O,
    ticket: O::Word,
    asleep: O::Word,
}

impl<O: Owned + Default, const SLOTS: usize> Default for RawCondition<O, SLOTS>
where
    O::Word: Default,
{
    fn default() -> Self {
        let slots = std::array::from_fn(|_| WaiterSlot::default());
        RawCondition { next: O::Word::default(), used: O::Word::default(), slots }
    }
}

impl<O: Owned, const SLOTS: usize> RawCondition<O, SLOTS> {
    /// Releases the lock, which the calling thread holds, until it is notified or the deadline passes. Then
    /// reacquires it, however long that takes.
    pub fn wait(&self, lock: &impl Lend, until: Option<Deadline>) -> Result<Waited, CannotWait> {
        self.wait_unless(lock, until, || false)
    }

    /// Waits as [`wait`](RawCondition::wait) does, and also returns, not notified, when `look` returns true.
    /// `look` is called each time the thread wakes by itself, without the lock, and once more with it: for
    /// changes after which no thread is left to notify.
    pub fn wait_unless(
        &self,
        lock: &impl Lend,
        until: Option<Deadline>,
        look: impl Fn() -> bool,
    ) -> Result<Waited, CannotWait> {
        if !lock.is_mine() {
            return Err(CannotWait::NotOwner);
        }
        let slot = self.register().ok_or(CannotWait::Full)?;
        loop {
            // The slot is registered under the lock, so no `notify` between here and the sleep is lost.
            let depth = lock.lend();
            let mut late = false;
            while slot.is_waiting() && !late {
                late = self.sleep(slot, until);
                if slot.is_waiting() && (self.can_inherit(slot) || look()) {
                    break;
                }
            }
            // Whether this waiter was notified is read under the lock: without it a `notify` could choose the
            // waiter after it gave up.
            let taken = lock.take_back(depth);
            let notified = !slot.is_waiting() || self.inherit(slot);
            if notified || late || look() {
                self.unregister(slot);
                return Ok(Waited { notified, lock: taken });
            }
        }
    }

    /// Wakes the `count` waiters that have waited longest, or all if there are fewer. For a holder of the lock.
    pub fn notify(&self, count: u32) {
        // First replace chosen waiters that died: they were chosen by an earlier `notify`, whose wake would be lost.
        self.pass_on();
        let now = read(&self.next);
        let mut left = count;
        while left > 0
            && let Some(slot) = self.longest_waiting()
        {
            if slot.choose(now) {
                left -= 1;
            }
        }
    }

    /// Chooses other waiters instead of chosen ones that died, among those that waited already at the time of
    /// the choice.
    fn pass_on(&self) {
        for slot in self.slots() {
            let until = read(&slot.ticket);
            if slot.is_marked_died() && slot.inherit() {
                while let Some(heir) = self.longest_waiting().filter(|heir| heir.came_before(until)) {
                    if heir.choose(until) {
                        break;
                    }
                }
            }
        }
    }

    fn slots(&self) -> &[WaiterSlot<O>] {
        &self.slots[..(read(&self.used) as usize).min(SLOTS)]
    }

    /// A slot for the calling thread, with its id in it. `None`: all are used by living threads.
    fn register(&self) -> Option<&WaiterSlot<O>> {
        self.pass_on();
        let free = |slot: &&WaiterSlot<O>| {
            let word = read(slot.waiter.word());
            matches!(word, FREE | DIED)
        };
        let orphaned = |slot: &&WaiterSlot<O>| {
            let word = read(slot.waiter.word());
            word & NOTIFIED == 0 && O::is_dead(word & THREAD)
        };
        let used = self.slots().len();
        let slot = self.slots().iter().find(free).or_else(|| {
            let new = self.slots.get(used)?;
            write(&self.used, used as u32 + 1);
            Some(new)
        });
        let slot = slot.or_else(|| self.slots().iter().find(orphaned))?;
        let ticket = read(&self.next);
        write(&self.next, ticket.wrapping_add(1));
        write(&slot.ticket, ticket);
        write(&slot.asleep, 0);
        // Announced to the kernel before the id is written: a death in between is marked too.
        slot.waiter.announce();
        write(slot.waiter.word(), O::me());
        slot.waiter.enlist();
        slot.waiter.retract();
        Some(slot)
    }

    /// Frees the calling thread's slot.
    fn unregister(&self, slot: &WaiterSlot<O>) {
        slot.waiter.announce();
        slot.waiter.delist();
        write(slot.waiter.word(), FREE);
        slot.waiter.retract();
    }

    /// Sleeps until something may have happened. `true`: the deadline has passed.
    fn sleep(&self, slot: &WaiterSlot<O>, until: Option<Deadline>) -> bool {
        let mut waiting = Waiting::new(&self.next, Pace::Dense);
        loop {
            while waiting.pause() {
                if !slot.is_waiting() {
                    waiting.found();
                    return false;
                }
            }
            write(&slot.asleep, 1);
            // A notifier that chooses from here on sees `asleep`; the wait sees an earlier choice.
            O::Word::fence();
            let napped =
                slot.is_waiting() && waiting.nap(until, |nanos| slot.waiter.word().nap(O::me(), nanos));
            if !napped || !slot.is_waiting() {
                let late = slot.is_waiting() && slot.waiter.word().wait(O::me(), until) == Wake::TimedOut;
                waiting.found();
                return late;
            }
        }
    }

    /// Whether a chosen waiter has died whose notification this waiter can take. Asked each time it wakes by
    /// itself.
    fn can_inherit(&self, slot: &WaiterSlot<O>) -> bool {
        self.slots().iter().any(|other| slot.came_before(read(&other.ticket)) && other.is_orphaned())
    }

    /// Takes the notification of a chosen waiter that died. For a holder of the lock that waits in this slot.
    fn inherit(&self, slot: &WaiterSlot<O>) -> bool {
        self.slots()
            .iter()
            .any(|other| slot.came_before(read(&other.ticket)) && other.is_orphaned() && other.inherit())
    }

    fn longest_waiting(&self) -> Option<&WaiterSlot<O>> {
        let next = read(&self.next);
        let waiting = self.slots().iter().filter(|slot| {
            let word = read(slot.waiter.word());
            word & THREAD != 0 && word & NOTIFIED == 0
        });
        // Tickets are compared by how long ago they were drawn: they wrap.
        waiting.max_by_key(|slot| next.wrapping_sub(read(&slot.ticket)))
    }
}

impl<O: Owned> WaiterSlot<O> {
    /// Whether the calling thread, which has this slot, was not chosen yet.
    fn is_waiting(&self) -> bool {
        read(self.waiter.word()) & NOTIFIED == 0
    }

    /// Whether the kernel marked the chosen thread of this slot as dead.
    fn is_marked_died(&self) -> bool {
        read(self.waiter.word()) & (NOTIFIED | DIED) == NOTIFIED | DIED
    }

    /// Whether the chosen thread of this slot has died. Asks the system where the kernel keeps no robust list,
    /// which takes long.
    fn is_orphaned(&self) -> bool {
        let word = read(self.waiter.word());
        word & NOTIFIED != 0 && (word & DIED != 0 || O::is_dead(word & THREAD))
    }

    /// Frees the slot of a chosen thread that died. `false`: the kernel has just marked it, and it must be read
    /// again.
    fn inherit(&self) -> bool {
        let seen = read(self.waiter.word());
        // ORDERING: Relaxed, as everything here.
        self.waiter.word().compare_exchange(seen, FREE, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether the waiter of this slot arrived before this ticket was drawn.
    fn came_before(&self, ticket: u32) -> bool {
        (ticket.wrapping_sub(read(&self.ticket)) as i32) > 0
    }

    /// Chooses the waiter of this slot and wakes it. `false`: it has just died. Waiters that arrived before
    /// `until` can inherit the choice: later ones were not waiting when it was made.
    fn choose(&self, until: u32) -> bool {
        write(&self.ticket, until);
        let seen = read(self.waiter.word());
        // ORDERING: Relaxed, as everything here.
        let chosen = seen & THREAD != 0
            && self
                .waiter
                .word()
                .compare_exchange(seen, seen | NOTIFIED, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if chosen {
            // The choice first, then the read: the waiter does it the other way round.
            O::Word::fence();
            if read(&self.asleep) != 0 {
                self.waiter.word().wake(1);
            }
        }
        chosen
    }
}

fn read<W: Word>(word: &W) -> u32 {
    // ORDERING: Relaxed: the lock orders it, or the value only decides whether to take the lock.
    word.load(Ordering::Relaxed)
}

fn write<W: Word>(word: &W, value: u32) {
    // ORDERING: Relaxed: the lock orders it.
    word.store(value, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
