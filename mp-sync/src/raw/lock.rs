//! A lock with an owner, in one word that the kernel knows and one that only holders touch.
//!
//! ```text
//!          ┌───────────── release ─────────────┐
//!          ▼                                   │
//!        FREE ───────── acquire ─────────► HELD by tid ── somebody will sleep ──► HELD, WAITERS
//!          ▲                                   │                                       │
//!          ├──────── release: left = 1, wake one ──────────────────────────────────────┤
//!          │                                   └───────── the holder dies ─────────────┤
//!          │                                                                           ▼
//!   clear_died, release ◄── HELD, DIED ◄── acquire: OwnerDied ── DIED (WAITERS as it was), wake one
//! ```
//!
//! | word           | means                                                                          |
//! |----------------|--------------------------------------------------------------------------------|
//! | low 30 bits    | the holder's thread id; 0: free                                                |
//! | DIED           | a holder died in it, or says so; stays, over releases too, until `clear_died`   |
//! | WAITERS        | somebody sleeps, or is about to: the release wakes one, and so does the kernel |
//! | `left` = 1     | the last release took WAITERS away and woke one: the next one wakes one too    |
//!
//! A sleeper that wakes takes the word with WAITERS, since it cannot know whether others sleep still.
//!
//! Who finds it held looks again after ever longer moments before he sleeps: the holder, who often comes back at
//! once, keeps the word on his CPU meanwhile. So a lock that is wanted all the time is held in bursts.
//!
//! # Why `left`
//! A release takes WAITERS out of the word and wakes a sleeper. If it is killed between the two, or the sleeper
//! between its wake and its next step, that wake is gone. The kernel repairs this while the word is free (both
//! have it announced), but not when a third party has barged in and owns the word: he holds it without WAITERS,
//! and his release would wake nobody. WAITERS could stay in the word for him to find, but then nobody would ever
//! know when to take it out, and each release from the first contention on would cost a system call. So the
//! release leaves a note instead, under the lock's own protection. Whoever releases next without having been
//! marked tears it up and wakes one more. One death leaves at least one of the two woken alive, and he takes the
//! word with WAITERS. It costs two spare wakes at the end of each contention.
//!
//! # Orderings
//! acquire (Acquire) pairs with release (Release) and with what the kernel writes for a dead holder. `left` is
//! read and written by holders only. Marking is Relaxed: the mark is for the value it is set on.
//! # When a process dies
//! Holding: the kernel writes DIED and wakes one; whoever takes the lock next is told so. Taking or giving back:
//! the word is announced before it is touched and until after the wake, so the kernel sees it. Asleep: nothing to
//! repair but a spare wake. Two deaths in the same few instructions can leave a sleeper to its timed look, half a
//! second at most. Where the kernel keeps no list, the timed look asks whether the owner lives and takes over.
//! # Tried by
//! tests/loom.rs, tests/shuttle.rs and tests/threads.rs: lock_*

use mp_core::word::{Deadline, Ordering, Owned, Pace, Waiting, Wake, Word};

const FREE: u32 = 0;
/// The kernel's `FUTEX_TID_MASK`, `FUTEX_OWNER_DIED` and `FUTEX_WAITERS`.
const OWNER: u32 = (1 << 30) - 1;
const DIED: u32 = 1 << 30;
const WAITERS: u32 = 1 << 31;

/// How the lock was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "after OwnerDied the guarded data may be half changed"]
pub enum Acquired {
    /// Each holder before gave it back.
    Clean,
    /// A holder died in it, or panicked, and nobody has called [`RawLock::clear_died`] since.
    OwnerDied,
}

/// The calling thread holds the lock.
#[derive(Debug)]
pub(super) struct Mine;

/// How it works is said at the top of its file. All zeros is a free lock.
#[repr(C)]
#[derive(Debug, Default)]
pub struct RawLock<O: Owned> {
    state: O,
    left: O::Word,
}

impl<O: Owned> RawLock<O> {
    /// Takes the lock, and waits for it until the deadline; `None`: the deadline passed first. A free lock is
    /// taken even after the deadline. A thread that holds it already waits for itself.
    #[inline]
    pub fn acquire(&self, until: Option<Deadline>) -> Option<Acquired> {
        let me = O::me();
        self.state.announce();
        if self.swap_in(FREE, me).is_err() {
            return self.acquire_slow(me, until);
        }
        self.state.enlist();
        // Not retracted, which costs as much as the rest of this: what is announced and held is the kernel's business in
        // either way, and giving it back announces it once more and retracts it.
        Some(Acquired::Clean)
    }

    /// As [`acquire`](RawLock::acquire), for a thread that may hold it already: `Err`, and nothing is changed, if it does.
    /// That is looked at only where the lock is not free: a look before would fetch a word that is wanted by others twice.
    #[inline]
    pub(super) fn acquire_unless_mine(&self, until: Option<Deadline>) -> Result<Option<Acquired>, Mine> {
        let me = O::me();
        self.state.announce();
        match self.swap_in(FREE, me) {
            Ok(_) => {
                self.state.enlist();
                // Not retracted, as in `acquire`.
                Ok(Some(Acquired::Clean))
            }
            // Announced and held, as after the acquire that took it.
            Err(seen) if seen & OWNER == me => Err(Mine),
            Err(_) => Ok(self.acquire_slow(me, until)),
        }
    }

    /// Takes the lock if it is free now.
    #[inline]
    pub fn try_acquire(&self) -> Option<Acquired> {
        let me = O::me();
        self.state.announce();
        let mut seen = FREE;
        let taken = loop {
            match self.take(seen, me) {
                Ok(taken) => break Some(taken),
                Err(now) if now & OWNER == 0 => seen = now,
                Err(_) => break None,
            }
        };
        if taken.is_some() {
            self.state.enlist();
        }
        self.state.retract();
        taken
    }

    /// Gives the lock back and wakes one who waits. `false`, and nothing is changed: the calling thread does not
    /// hold it.
    #[inline]
    pub fn release(&self) -> bool {
        self.release_after(|| ())
    }

    /// As [`release`](RawLock::release); the last thing that is done under the lock is `last`, if the calling thread holds
    /// it.
    #[inline]
    pub fn release_after(&self, last: impl FnOnce()) -> bool {
        let me = O::me();
        if self.id() != me {
            return false;
        }
        last();
        self.state.announce();
        // First off the list: once the word is free, another holder may put it on his.
        self.state.delist();
        if self.note() || self.swap_out(me, FREE).is_err() {
            self.release_slow();
        }
        self.state.retract();
        true
    }

    /// Ends what a holder's death began: the next acquire says [`Acquired::Clean`]. For the holder, once the
    /// guarded data is whole again; nothing happens if the caller does not hold the lock.
    pub fn clear_died(&self) {
        // ORDERING: Relaxed: DIED changes in a holder's hands only, and is read by those who come after it.
        let seen = self.state.word().load(Ordering::Relaxed);
        if seen & OWNER == O::me() && seen & DIED != 0 {
            // A subtraction, since others may set WAITERS meanwhile.
            self.state.word().fetch_sub(DIED, Ordering::Relaxed);
        }
    }

    /// Says what a holder's death would have said, for a holder who leaves half of a change behind: the next acquire says
    /// [`Acquired::OwnerDied`]. Nothing happens if the caller does not hold the lock.
    #[cold]
    pub fn set_died(&self) {
        if self.held_by_me() {
            // ORDERING: Relaxed, as in `clear_died`.
            self.state.word().fetch_or(DIED, Ordering::Relaxed);
        }
    }

    /// The holder's thread id.
    pub fn owner(&self) -> Option<u32> {
        Some(self.id()).filter(|id| *id != 0)
    }

    /// Whether somebody holds it.
    pub fn is_locked(&self) -> bool {
        self.id() != 0
    }

    /// Whether the calling thread holds it.
    #[inline]
    pub fn held_by_me(&self) -> bool {
        self.id() == O::me()
    }

    #[inline]
    fn id(&self) -> u32 {
        // ORDERING: Relaxed: a thread's own id is written and taken away by that thread only; to learn of
        // another's promises nothing.
        self.state.word().load(Ordering::Relaxed) & OWNER
    }

    #[inline]
    fn note(&self) -> bool {
        // ORDERING: Relaxed: holders only, so the lock orders it.
        self.left.load(Ordering::Relaxed) != 0
    }

    fn leave_note(&self, note: bool) {
        // ORDERING: Relaxed: holders only, so the lock orders it.
        self.left.store(u32::from(note), Ordering::Relaxed);
    }

    #[inline]
    fn swap_in(&self, seen: u32, new: u32) -> Result<u32, u32> {
        // ORDERING: Acquire, pairs with the Release in `swap_out` and `release_slow`, and with the kernel's own
        // exchange for a dead holder. Relaxed on failure: nothing was taken.
        self.state.word().compare_exchange(seen, new, Ordering::Acquire, Ordering::Relaxed)
    }

    #[inline]
    fn swap_out(&self, seen: u32, new: u32) -> Result<u32, u32> {
        // ORDERING: Release, pairs with the Acquire in `swap_in`. Relaxed on failure: still held.
        self.state.word().compare_exchange(seen, new, Ordering::Release, Ordering::Relaxed)
    }

    /// Takes a word that was seen free, with the flags it has; `mine` is the id and the flags to add.
    fn take(&self, seen: u32, mine: u32) -> Result<Acquired, u32> {
        self.swap_in(seen, seen | mine)?;
        Ok(if seen & DIED == 0 { Acquired::Clean } else { Acquired::OwnerDied })
    }

    #[cold]
    fn acquire_slow(&self, me: u32, until: Option<Deadline>) -> Option<Acquired> {
        let taken = self.contend(me, until);
        if taken.is_some() {
            self.state.enlist();
        }
        self.state.retract();
        taken
    }

    fn contend(&self, me: u32, until: Option<Deadline>) -> Option<Acquired> {
        let mut mine = me;
        let mut waiting = Waiting::new(self.state.word(), Pace::Sparse);
        let mut late = false;
        loop {
            // ORDERING: Relaxed: whatever it says is confirmed by a compare_exchange.
            let mut seen = self.state.word().load(Ordering::Relaxed);
            while seen & OWNER == 0 {
                match self.take(seen, mine) {
                    Ok(taken) => {
                        waiting.found();
                        return Some(taken);
                    }
                    Err(now) => seen = now,
                }
            }
            if !late && waiting.pause() {
                continue;
            }
            if !self.mark(seen) {
                continue;
            }
            if late {
                // The wake that we may have used up was another's: the mark passes it on.
                return None;
            }
            late = self.state.word().wait(seen | WAITERS, until) == Wake::TimedOut;
            if self.take_over(seen | WAITERS, me) {
                return Some(Acquired::OwnerDied);
            }
            mine = me | WAITERS;
            waiting.again();
        }
    }

    /// Tells the holder that somebody will sleep. `false`: the word has changed.
    fn mark(&self, seen: u32) -> bool {
        // ORDERING: Relaxed: it publishes nothing; the holder's release reads it in the same word.
        seen & WAITERS != 0
            || self
                .state
                .word()
                .compare_exchange(seen, seen | WAITERS, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// After a look that found the word as it was: is its owner dead, and nobody told us?
    fn take_over(&self, asleep_on: u32, me: u32) -> bool {
        // ORDERING: Relaxed: confirmed by the exchange below.
        self.state.word().load(Ordering::Relaxed) == asleep_on
            && O::is_dead(asleep_on & OWNER)
            && self.swap_in(asleep_on, me | WAITERS | DIED).is_ok()
    }

    #[cold]
    fn release_slow(&self) {
        // ORDERING: Relaxed: held, so all but WAITERS stands still.
        let seen = self.state.word().load(Ordering::Relaxed);
        let died = seen & DIED;
        if seen & WAITERS == 0 {
            let note = self.note();
            self.leave_note(false);
            if self.swap_out(seen, died).is_ok() {
                if note {
                    self.state.word().wake(1);
                }
                return;
            }
        }
        // The note comes before the word: whoever finds WAITERS gone finds the note.
        self.leave_note(true);
        // ORDERING: Release, pairs with the Acquire in `swap_in`.
        self.state.word().swap(died, Ordering::Release);
        self.state.word().wake(1);
    }
}
