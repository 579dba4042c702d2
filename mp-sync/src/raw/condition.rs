//! Waiting, without a lock, until one who has the lock says that something has changed.
//!
//! ```text
//!                wait: lend the lock              notify                   take the lock back
//!  place:  FREE ──────────────────► WAITING, by tid ──────► NOTIFIED, by tid ─────────────────► FREE
//!            ▲                        │   │                    │
//!            ├── too late, lock back ─┘   │ killed             │ killed
//!            │                            ▼                    ▼
//!            └── whoever needs it ─── DIED                DIED, NOTIFIED ── another is notified instead ──► FREE
//! ```
//!
//! | word of a place | means                                                                              |
//! |-----------------|------------------------------------------------------------------------------------|
//! | low 30 bits     | the thread that waits there; 0: free, unless it died                               |
//! | DIED            | the kernel's: that thread has died                                                 |
//! | NOTIFIED        | it was chosen, and is on its way out                                               |
//!
//! | others          |                                                                                    |
//! |-----------------|------------------------------------------------------------------------------------|
//! | `ticket`        | of a place: when its thread came; the lowest is chosen first. Once it is chosen:   |
//! |                 | who came before this can be chosen instead if it dies                              |
//! | `asleep`        | of a place: not 0: its thread sleeps, or is about to: who chooses it wakes it      |
//! | `next`          | the next ticket                                                                    |
//! | `used`          | places from here on have never been used                                           |
//!
//! Each waiter sleeps on the word of its own place, with its id in it, enlisted with the kernel as a lock's holder is.
//! So whoever notifies chooses exactly as many as he says, in the order in which they came, and none who is dead.
//! Nobody waits for an answer from a sleeper.
//!
//! A waiter that still spins is not woken: the call would cost more than the rest of a notification, with the lock held,
//! which the waiter wants next.
//!
//! # Orderings
//! Relaxed throughout: places are taken, chosen and left with the lock held, which orders all of it. A look without
//! the lock is only a reason to take it. `asleep` and the place's word are written and read crosswise, by the waiter and by
//! whoever chooses it: a fence between the two on each side keeps one of them from missing the other.
//! # When a process dies
//! Waiting: its place is passed over, and taken by the next who needs one. Chosen, before it came back: another waiter
//! is chosen instead, by the next who notifies, or by a waiter at its timed look, half a second later at most. In
//! `notify`, between the choice and the wake: the chosen ones find out at their timed look. In `wait` or `notify` with
//! the lock held: the next holder gets OwnerDied, and the places are whole. Where the kernel keeps no list, the timed
//! look asks whether those who were chosen live.
//! # Tested by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: condition_*

use super::hold::Lend;
use super::lock::Acquired;
use mp_core::word::{Deadline, Ordering, Owned, Pace, Waiting, Wake, Word};

const FREE: u32 = 0;
/// As in `lock.rs`.
const WHO: u32 = (1 << 30) - 1;
const DIED: u32 = 1 << 30;
/// The kernel's `FUTEX_WAITERS`: of the flags, what it leaves in the word of one who died.
const NOTIFIED: u32 = 1 << 31;

/// How a wait ended. The lock is held again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waited {
    /// Whether it was notified; `false`: the deadline passed first.
    pub notified: bool,
    /// How the lock was found.
    pub lock: Acquired,
}

/// Why there was no wait. Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CannotWait {
    /// The calling thread does not hold the lock.
    NotOwner,
    /// All places are taken.
    Full,
}

/// How it works is said at the top of its file. All zeros is a condition that nobody waits for. `PLACES` threads can
/// wait at a time.
#[repr(C)]
#[derive(Debug)]
pub struct RawCondition<O: Owned, const PLACES: usize> {
    next: O::Word,
    used: O::Word,
    places: [Place<O>; PLACES],
}

#[repr(C)]
#[derive(Debug, Default)]
struct Place<O: Owned> {
    who: O,
    ticket: O::Word,
    asleep: O::Word,
}

impl<O: Owned + Default, const PLACES: usize> Default for RawCondition<O, PLACES>
where
    O::Word: Default,
{
    fn default() -> Self {
        let place = || Place { who: O::default(), ticket: O::Word::default(), asleep: O::Word::default() };
        let places = std::array::from_fn(|_| place());
        RawCondition { next: O::Word::default(), used: O::Word::default(), places }
    }
}

impl<O: Owned, const PLACES: usize> RawCondition<O, PLACES> {
    /// Lends the lock, which the calling thread holds, until it is notified or the deadline passes; then takes it
    /// back, however long that takes.
    pub fn wait(&self, lock: &impl Lend, until: Option<Deadline>) -> Result<Waited, CannotWait> {
        self.wait_unless(lock, until, || false)
    }

    /// As [`wait`](RawCondition::wait), and comes back, not notified, when `look` says yes. It is asked at each timed
    /// look, without the lock, and once more with it: for what nobody is there to notify of.
    pub fn wait_unless(
        &self,
        lock: &impl Lend,
        until: Option<Deadline>,
        look: impl Fn() -> bool,
    ) -> Result<Waited, CannotWait> {
        if !lock.is_mine() {
            return Err(CannotWait::NotOwner);
        }
        let place = self.take_place().ok_or(CannotWait::Full)?;
        loop {
            let depth = lock.lend();
            let mut late = false;
            while place.is_waiting() && !late {
                late = self.sleep(place, until);
                if place.is_waiting() && (self.is_heir(place) || look()) {
                    break;
                }
            }
            let taken = lock.take_back(depth);
            let notified = !place.is_waiting() || self.inherit(place);
            if notified || late || look() {
                self.leave(place);
                return Ok(Waited { notified, lock: taken });
            }
        }
    }

    /// Wakes the `count` who have waited longest, or all if there are fewer. For a holder of the lock.
    pub fn notify(&self, count: u32) {
        self.pass_on();
        let now = read(&self.next);
        let mut left = count;
        while left > 0
            && let Some(place) = self.longest_waiting()
        {
            if place.choose(now) {
                left -= 1;
            }
        }
    }

    /// Chooses others instead of those who died of it, as far as they waited then already.
    fn pass_on(&self) {
        for place in self.places() {
            let until = read(&place.ticket);
            if place.is_marked_died() && place.inherit() {
                while let Some(heir) = self.longest_waiting().filter(|heir| heir.came_before(until)) {
                    if heir.choose(until) {
                        break;
                    }
                }
            }
        }
    }

    fn places(&self) -> &[Place<O>] {
        &self.places[..(read(&self.used) as usize).min(PLACES)]
    }

    /// A place for the calling thread, with its id in it; nothing if all are taken by threads that live.
    fn take_place(&self) -> Option<&Place<O>> {
        self.pass_on();
        let free = |place: &&Place<O>| {
            let word = read(place.who.word());
            matches!(word, FREE | DIED)
        };
        let orphaned = |place: &&Place<O>| {
            let word = read(place.who.word());
            word & NOTIFIED == 0 && O::is_dead(word & WHO)
        };
        let used = self.places().len();
        let place = self.places().iter().find(free).or_else(|| {
            let new = self.places.get(used)?;
            write(&self.used, used as u32 + 1);
            Some(new)
        });
        let place = place.or_else(|| self.places().iter().find(orphaned))?;
        let ticket = read(&self.next);
        write(&self.next, ticket.wrapping_add(1));
        write(&place.ticket, ticket);
        write(&place.asleep, 0);
        place.who.announce();
        write(place.who.word(), O::me());
        place.who.enlist();
        place.who.retract();
        Some(place)
    }

    /// Frees the calling thread's place.
    fn leave(&self, place: &Place<O>) {
        place.who.announce();
        place.who.delist();
        write(place.who.word(), FREE);
        place.who.retract();
    }

    /// Until something may have happened. `true`: the deadline has passed.
    fn sleep(&self, place: &Place<O>, until: Option<Deadline>) -> bool {
        let mut waiting = Waiting::new(&self.next, Pace::Dense);
        while waiting.pause() {
            if !place.is_waiting() {
                waiting.found();
                return false;
            }
        }
        write(&place.asleep, 1);
        // Whoever chooses from here on sees it; a choice that came before is seen by the wait.
        O::Word::fence();
        let late = place.is_waiting() && place.who.word().wait(O::me(), until) == Wake::TimedOut;
        waiting.found();
        late
    }

    /// Whether somebody died of being chosen whose choice this waiter can have: asked at each look.
    fn is_heir(&self, place: &Place<O>) -> bool {
        self.places().iter().any(|other| place.came_before(read(&other.ticket)) && other.is_orphaned())
    }

    /// Takes over the choice of one who died of it. For a holder of the lock, who waits in this place.
    fn inherit(&self, place: &Place<O>) -> bool {
        self.places()
            .iter()
            .any(|other| place.came_before(read(&other.ticket)) && other.is_orphaned() && other.inherit())
    }

    fn longest_waiting(&self) -> Option<&Place<O>> {
        let next = read(&self.next);
        let waiting = self.places().iter().filter(|place| {
            let word = read(place.who.word());
            word & WHO != 0 && word & NOTIFIED == 0
        });
        // Tickets are compared by how long ago they were drawn: they wrap.
        waiting.max_by_key(|place| next.wrapping_sub(read(&place.ticket)))
    }
}

impl<O: Owned> Place<O> {
    /// Whether the calling thread, whose place it is, has not been chosen yet.
    fn is_waiting(&self) -> bool {
        read(self.who.word()) & NOTIFIED == 0
    }

    /// Whether the kernel says that who was chosen here has died before he came back.
    fn is_marked_died(&self) -> bool {
        read(self.who.word()) & (NOTIFIED | DIED) == NOTIFIED | DIED
    }

    /// As [`is_marked_died`](Place::is_marked_died), and asks where the kernel keeps no list, which takes its time.
    fn is_orphaned(&self) -> bool {
        let word = read(self.who.word());
        word & NOTIFIED != 0 && (word & DIED != 0 || O::is_dead(word & WHO))
    }

    /// Frees the place of one who was chosen and died; `false`: the kernel has just come to it, and it is to be looked
    /// at once more.
    fn inherit(&self) -> bool {
        let seen = read(self.who.word());
        // ORDERING: Relaxed, as everything here.
        self.who.word().compare_exchange(seen, FREE, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Whether who waits here came before this ticket was drawn.
    fn came_before(&self, ticket: u32) -> bool {
        (ticket.wrapping_sub(read(&self.ticket)) as i32) > 0
    }

    /// Chooses who waits here and wakes him; `false`: he has just died. Those who came before `until` can have his choice
    /// if he dies of it: later ones were not there when it was made.
    fn choose(&self, until: u32) -> bool {
        write(&self.ticket, until);
        let seen = read(self.who.word());
        // ORDERING: Relaxed, as everything here.
        let chosen = seen & WHO != 0
            && self
                .who
                .word()
                .compare_exchange(seen, seen | NOTIFIED, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if chosen {
            // The choice first, then the look: as the waiter does it the other way round.
            O::Word::fence();
            if read(&self.asleep) != 0 {
                self.who.word().wake(1);
            }
        }
        chosen
    }
}

fn read<W: Word>(word: &W) -> u32 {
    // ORDERING: Relaxed: the lock orders it, or it is a reason to take the lock.
    word.load(Ordering::Relaxed)
}

fn write<W: Word>(word: &W, value: u32) {
    // ORDERING: Relaxed: the lock orders it.
    word.store(value, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
