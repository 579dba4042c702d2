//! Permits that have owners: those of the dead come back.
//!
//! ```text
//!   FREE ──── acquire ────► TAKEN by tid ──── release: notify one ────► FREE
//!                               │
//!                               └── the holder dies ──► DIED ── acquire ──► TAKEN by another
//! ```
//!
//! | word              | means                                                                             |
//! |-------------------|-----------------------------------------------------------------------------------|
//! | `lock`            | whoever takes or gives back a seat holds it                                       |
//! | `free`            | where those wait who found no seat                                                |
//! | `count`           | how many seats there are                                                          |
//! | a seat            | 0: free; its holder's thread id; DIED: the kernel's, its holder died              |
//!
//! A seat is a word that the kernel knows, as a lock's is, so there is nothing to count and nothing to reconcile: a
//! permit is had by whose id is in it. It is slower than the semaphore's one exchange, by two turns of a lock.
//!
//! # Orderings
//! The lock orders all of it. A question asked without it (`value`) promises nothing about anything else.
//! # When a process dies
//! With a seat: whoever comes next has it, and whoever waits, by his next look, half a second at most. Anywhere else: as
//! the lock and the condition say; seats are taken and given back by one store each, so they are whole. One that is
//! *stopped* with the lock, some hundred instructions, holds up those who come back from a wait.
//! # Tried by
//! tests/loom.rs seats_*

use super::condition::RawCondition;
use super::lock::RawLock;
use mp_core::word::{Deadline, Ordering, Owned, Wake, Word};
use std::time::Duration;

const FREE: u32 = 0;
/// As in `lock.rs`.
const DIED: u32 = 1 << 30;

/// How long one who will not wait for a seat waits to look for one.
const MOMENT: Duration = Duration::from_millis(10);

/// How it works is said at the top of its file. All zeros is a room without seats: call [`init`](RawSeats::init) first.
/// Up to `SEATS` have permits, and up to `WAITING` threads wait for one.
#[repr(C)]
#[derive(Debug)]
pub struct RawSeats<O: Owned, const SEATS: usize, const WAITING: usize> {
    lock: RawLock<O>,
    free: RawCondition<O, WAITING>,
    count: O::Word,
    seats: [O; SEATS],
}

impl<O: Owned + Default, const SEATS: usize, const WAITING: usize> Default for RawSeats<O, SEATS, WAITING>
where
    O::Word: Default,
{
    fn default() -> Self {
        RawSeats {
            lock: RawLock::default(),
            free: RawCondition::default(),
            count: O::Word::default(),
            seats: std::array::from_fn(|_| O::default()),
        }
    }
}

impl<O: Owned, const SEATS: usize, const WAITING: usize> RawSeats<O, SEATS, WAITING> {
    /// Says how many seats there are, at most `SEATS`. Once, before other processes see it.
    pub fn init(&self, count: u32) {
        // ORDERING: Relaxed: nobody else has it yet.
        self.count.store(count.min(SEATS as u32), Ordering::Relaxed);
    }

    /// Takes a seat, and waits for it until the deadline; gives its number. `None`: the deadline passed first.
    pub fn acquire(&self, until: Option<Deadline>) -> Option<usize> {
        if !self.enter_until(until) {
            return None;
        }
        let mut late = false;
        let taken = loop {
            let taken = self.take();
            if taken.is_some() || late {
                break taken;
            }
            match self.free.wait_unless(&self.lock, until, || self.a_seat_is_free()) {
                Ok(waited) => late = !waited.notified && !self.a_seat_is_free(),
                // More wait than can be told of a free seat: this one sleeps, and looks.
                Err(_) => {
                    self.lock.release();
                    late = self.count.wait(read(&self.count), until) == Wake::TimedOut;
                    self.enter();
                }
            }
        };
        self.lock.release();
        taken
    }

    /// Takes a seat if one is free now.
    pub fn try_acquire(&self) -> Option<usize> {
        // Others are inside for a moment only, but for one who was stopped there.
        let taken = self.enter_until(Deadline::after(MOMENT)).then(|| self.take());
        taken.and_then(|taken| {
            self.lock.release();
            taken
        })
    }

    /// Gives back a seat, and wakes one who waits. `false`, and nothing is changed: the calling thread does not hold it.
    pub fn release(&self, seat: usize) -> bool {
        let Some(who) = self.seats().get(seat) else { return false };
        if read(who.word()) != O::me() {
            return false;
        }
        self.enter();
        who.announce();
        who.delist();
        write(who.word(), FREE);
        who.retract();
        self.free.notify(1);
        self.lock.release();
        true
    }

    /// Seats that are free now, those of the dead among them.
    pub fn value(&self) -> u32 {
        self.seats().iter().filter(|who| is_free(*who)).count() as u32
    }

    /// How many seats there are.
    pub fn count(&self) -> u32 {
        self.seats().len() as u32
    }

    fn seats(&self) -> &[O] {
        &self.seats[..(read(&self.count) as usize).min(SEATS)]
    }

    /// Takes the lock, whoever died in it: seats are whole whatever happened.
    fn enter(&self) {
        while !self.enter_until(None) {}
    }

    fn enter_until(&self, until: Option<Deadline>) -> bool {
        self.lock.acquire(until).is_some()
    }

    /// Whether there is a seat that nobody told of: its holder died, or whoever gave it back died before he told.
    fn a_seat_is_free(&self) -> bool {
        self.seats().iter().any(|who| is_free(who) || is_found_dead(who))
    }

    /// Takes a seat that is free, or was a dead one's.
    fn take(&self) -> Option<usize> {
        let seat = self.seats().iter().position(is_free);
        let seat = seat.or_else(|| self.seats().iter().position(is_found_dead))?;
        let who = &self.seats[seat];
        who.announce();
        write(who.word(), O::me());
        who.enlist();
        who.retract();
        Some(seat)
    }
}

fn is_free<O: Owned>(who: &O) -> bool {
    let word = read(who.word());
    matches!(word, FREE | DIED)
}

/// Whether its holder is dead on a system whose kernel keeps no list.
fn is_found_dead<O: Owned>(who: &O) -> bool {
    let word = read(who.word());
    word != FREE && !O::kernel_tells() && O::is_dead(word)
}

fn read<W: Word>(word: &W) -> u32 {
    // ORDERING: Relaxed: the lock orders it, or it is only a question.
    word.load(Ordering::Relaxed)
}

fn write<W: Word>(word: &W, value: u32) {
    // ORDERING: Relaxed: the lock orders it.
    word.store(value, Ordering::Relaxed);
}
