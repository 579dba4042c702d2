//! ModelWord: an atomic of the checker's, with a bed beside it.
//!
//! ```text
//!   wait(expected):  lock the bed ─ word is expected? ─ no: unlock, Look
//!                                        └─ yes: lie down (unlocks) … woken: Look
//!   wake(n):         lock the bed ─ wake up to n ─ unlock
//! ```
//!
//! The kernel compares under the lock of its hash bucket, and so does this.

use crate::checker::{Atomic, Room};
use crate::life::{self, Checker, look_now, step};
use mp_core::word::{Deadline, Learned, Long, Looks, Machine, Ordering, Site, Wake, Word};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// [`Word`] as a checker sees it. Made inside a model, by its main thread; all zeros at first. A clone is the same word
/// once more, so that a test can put a faulty face before it.
pub struct ModelWord<C: Checker>(Arc<Futex<C>>);

impl<C: Checker> Clone for ModelWord<C> {
    fn clone(&self) -> Self {
        ModelWord(Arc::clone(&self.0))
    }
}

impl<C: Checker> fmt::Debug for ModelWord<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}

/// What the kernel sees of a word: no fuse burns here.
pub(crate) struct Futex<C: Checker> {
    pub(crate) value: C::Word,
    bed: C::Room<Bed>,
}

/// Of the links of all models.
static LAST_TICKET: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, Default)]
struct Bed {
    /// The sleepers, in the order of their arrival.
    asleep: VecDeque<Sleep>,
    /// The sleepers that were woken and have not left yet.
    woken: Vec<Sleep>,
    /// Sleepers with a deadline: they leave by themselves, and may take a wake with them.
    timed: u32,
    /// Those that sleep on another word, and on this one too.
    links: VecDeque<Link>,
    /// The links of sleepers here whose other word was woken.
    rung: Vec<u64>,
}

/// One that sleeps elsewhere, and how it is woken there.
struct Link {
    ticket: u64,
    ring: Box<dyn Fn() + Send>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.ticket)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sleep {
    Usual,
    /// No look comes to it.
    Long,
}

impl Bed {
    /// Wakes up to `count` such sleepers, the first ones; returns how many must be notified so that each of
    /// them hears it.
    fn wake(&mut self, count: u32, select: impl Fn(Sleep) -> bool) -> u32 {
        let (all, before) = (self.asleep.len() + self.woken.len(), self.woken.len());
        let kinds = self.asleep.contains(&Sleep::Long) || self.woken.contains(&Sleep::Long);
        let last = before + count as usize;
        self.asleep.retain(|sleep| {
            let wakes = select(*sleep) && self.woken.len() < last;
            self.woken.extend(wakes.then_some(*sleep));
            !wakes
        });
        // The condition variable does not distinguish the kinds.
        (if kinds { all } else { self.woken.len() - before }) as u32
    }

    /// Leaves, if it was woken.
    fn rise(&mut self, sleep: Sleep) -> Option<Wake> {
        let at = self.woken.iter().position(|woken| *woken == sleep)?;
        self.woken.swap_remove(at);
        Some(Wake::Look)
    }

    /// Leaves, if its other word was woken. It may be the only sleeper here.
    fn rise_by(&mut self, ticket: u64) -> Option<Wake> {
        let at = self.rung.iter().position(|rung| *rung == ticket)?;
        self.rung.swap_remove(at);
        self.asleep.clear();
        self.woken.clear();
        Some(Wake::Look)
    }
}

impl<C: Checker> Futex<C> {
    fn sleep(self: &Arc<Self>, expected: u32, sleep: Sleep) -> Wake {
        let mut lies = false;
        self.bed.wait_for(|bed| {
            if lies {
                return bed.rise(sleep);
            }
            // ORDERING: Relaxed: the compare is the kernel's, and tells the caller nothing.
            if self.value.load(Ordering::Relaxed) != expected
                || (sleep == Sleep::Usual && look_now(self, expected))
            {
                return Some(Wake::Look);
            }
            bed.asleep.push_back(sleep);
            lies = true;
            None
        })
    }

    /// Sleeps on both words: here, and by a link at the other one.
    fn sleep_either(self: &Arc<Self>, expected: u32, other: &Arc<Self>, other_expected: u32) -> Wake {
        // ORDERING: Relaxed: a number of its own.
        let ticket = LAST_TICKET.fetch_add(1, Ordering::Relaxed);
        let here = Arc::clone(self);
        let ring = move || {
            here.bed.ring(|bed| {
                bed.rung.push(ticket);
                (bed.asleep.len() + bed.woken.len()) as u32
            });
        };
        let links = other.bed.with(|bed| {
            // ORDERING: Relaxed, as in `sleep`.
            let links = other.value.load(Ordering::Relaxed) == other_expected;
            if links {
                bed.links.push_back(Link { ticket, ring: Box::new(ring) });
            }
            links
        });
        if !links {
            return Wake::Look;
        }
        let mut lies = false;
        let wake = self.bed.wait_for(|bed| {
            if let Some(wake) = bed.rise_by(ticket) {
                return Some(wake);
            }
            if lies {
                return bed.rise(Sleep::Usual);
            }
            // ORDERING: Relaxed, as in `sleep`.
            if self.value.load(Ordering::Relaxed) != expected {
                return Some(Wake::Look);
            }
            bed.asleep.push_back(Sleep::Usual);
            lies = true;
            None
        });
        other.bed.with(|bed| bed.links.retain(|link| link.ticket != ticket));
        wake
    }

    /// A sleep whose deadline passes at some moment; a wake before that moment is used up by it.
    fn doze(&self, expected: u32) -> Wake {
        let lies = self.bed.with(|bed| {
            // ORDERING: Relaxed, as in `sleep`.
            let lies = self.value.load(Ordering::Relaxed) == expected;
            bed.timed += u32::from(lies);
            lies
        });
        if !lies {
            return Wake::Look;
        }
        // Anything may happen between the two. No yield: that would let all others go first.
        self.bed.with(|bed| bed.timed = bed.timed.saturating_sub(1));
        Wake::TimedOut
    }

    pub(crate) fn wake(&self, count: u32) -> u32 {
        let (mut woken, mut links) = (0, Vec::new());
        self.bed.ring(|bed| {
            let timed = bed.timed.min(count);
            bed.timed -= timed;
            let before = bed.asleep.len();
            let rings = bed.wake(count - timed, |_| true);
            woken = timed as usize + before - bed.asleep.len();
            let left = bed.links.len().min((count as usize).saturating_sub(woken));
            links.extend(bed.links.drain(..left));
            rings
        });
        links.iter().for_each(|link| (link.ring)());
        (woken + links.len()) as u32
    }

    fn wake_long(&self, count: u32) -> u32 {
        let mut woken = 0;
        self.bed.ring(|bed| {
            let before = bed.asleep.len();
            let rings = bed.wake(count, |sleep| sleep == Sleep::Long);
            woken = before - bed.asleep.len();
            rings
        });
        woken as u32
    }

    /// All timed sleepers wake by themselves.
    pub(crate) fn have_looked_at(&self) {
        self.bed.ring(|bed| bed.wake(u32::MAX, |sleep| sleep == Sleep::Usual));
    }
}

impl<C: Checker> Default for ModelWord<C> {
    fn default() -> Self {
        let futex = Arc::new(Futex { value: C::Word::default(), bed: Default::default() });
        life::world::<C>().register(&futex);
        ModelWord(futex)
    }
}

impl<C: Checker> ModelWord<C> {
    pub(crate) fn futex(&self) -> &Arc<Futex<C>> {
        &self.0
    }

    fn value(&self) -> &C::Word {
        step::<C>();
        &self.0.value
    }

    fn rest(&self, expected: u32, until: Option<Deadline>, sleep: Sleep) -> Wake {
        step::<C>();
        let wake = match until {
            None if sleep == Sleep::Usual && life::looks_always::<C>() => {
                C::yield_now();
                Wake::Look
            }
            None => self.0.sleep(expected, sleep),
            Some(_) => {
                life::doze::<C>();
                self.0.doze(expected)
            }
        };
        life::woken::<C>();
        wake
    }
}

impl<C: Checker> Word for ModelWord<C> {
    fn load(&self, order: Ordering) -> u32 {
        self.value().load(order)
    }
    fn store(&self, value: u32, order: Ordering) {
        self.value().store(value, order);
    }
    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.value().swap(value, order)
    }
    fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        self.value().fetch_add(value, order)
    }
    fn fetch_sub(&self, value: u32, order: Ordering) -> u32 {
        self.value().fetch_sub(value, order)
    }
    fn fetch_or(&self, value: u32, order: Ordering) -> u32 {
        self.value().fetch_or(value, order)
    }
    fn compare_exchange(&self, current: u32, new: u32, ok: Ordering, err: Ordering) -> Result<u32, u32> {
        self.value().compare_exchange(current, new, ok, err)
    }

    fn wait(&self, expected: u32, until: Option<Deadline>) -> Wake {
        self.rest(expected, until, Sleep::Usual)
    }
    /// One thread may sleep on the first of the words.
    fn wait_either(&self, expected: u32, other: &Self, other_expected: u32, _: Option<Deadline>) -> Wake {
        step::<C>();
        let wake = self.0.sleep_either(expected, &other.0, other_expected);
        life::woken::<C>();
        wake
    }
    fn wait_long(&self, expected: u32, until: Option<Deadline>, _: Looks) -> Wake {
        self.rest(expected, until, Sleep::Long)
    }
    fn wake(&self, count: u32) -> u32 {
        step::<C>();
        self.0.wake(count)
    }
    fn wake_long(&self, count: u32) -> u32 {
        step::<C>();
        self.0.wake_long(count)
    }

    fn fence() {
        C::fence();
    }
}

/// Without a clock: it counts how often its thread has read it. A model says how long a wait may spin, in looks; if it
/// does not, none spins.
impl<C: Checker> Machine for ModelWord<C> {
    const QUICK: u32 = 0;

    fn now() -> u64 {
        life::now::<C>()
    }
    fn pause() {
        C::yield_now();
    }
    fn yield_now() {
        C::yield_now();
    }
    fn sleep_cost() -> u32 {
        life::spins::<C>()
    }
    fn one_cpu() -> bool {
        false
    }
    fn turn() -> Option<u32> {
        life::turn::<C>()
    }
}

impl<C: Checker> Learned for ModelWord<C> {
    fn site(&self) -> Site {
        life::site::<C>()
    }
    fn learn(&self, site: Site) {
        life::learn::<C>(site);
    }
}

/// [`Long`] as a checker sees it.
pub struct ModelLong<C: Checker>(C::Long);

impl<C: Checker> Default for ModelLong<C> {
    fn default() -> Self {
        ModelLong(C::Long::default())
    }
}

impl<C: Checker> fmt::Debug for ModelLong<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<C: Checker> Long for ModelLong<C> {
    fn load(&self, order: Ordering) -> u64 {
        step::<C>();
        self.0.load(order)
    }
    fn store(&self, value: u64, order: Ordering) {
        step::<C>();
        self.0.store(value, order);
    }
}
