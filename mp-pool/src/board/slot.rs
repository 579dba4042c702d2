//! A slot: one chunk of items, from the caller to a worker and back. Its first word is the only truth.
//!
//! ```text
//!               post                take(w)               done
//!   FREE ──────────────► READY ──────────────► TAKEN(w) ──────────────► DONE(w) ── free ──► FREE
//!                          │                      │  └── w is dead: free ─────────────────► FREE
//!                          └── cancel ──► FREE    └── condemn ─► CONDEMNED(w) ─ w is dead ► FREE
//! ```
//!
//! | change                  | by              | how                                           |
//! |-------------------------|-----------------|-----------------------------------------------|
//! | FREE → READY            | caller          | store, after all that describes the chunk     |
//! | READY → TAKEN(w)        | worker w        | compare-exchange that names w                 |
//! | TAKEN(w) → DONE(w)      | w               | compare-exchange; if it fails, w was given up |
//! | READY → FREE            | caller: cancel  | compare-exchange: exact                       |
//! | TAKEN(w) → CONDEMNED(w) | caller: condemn | compare-exchange; then the caller kills w     |
//! | any(w) → FREE           | caller          | store, once w is dead, or DONE has been read  |
//!
//! A worker has one slot at a time, or one item of a run (`run.rs`). READY names no task: a worker that comes late with
//! an old hint takes the task that is there now. All other changes start from a word that names its worker, so none can
//! be made twice.
//!
//! A chunk with a deadline has one item. Its worker says when it begins, in front of the progress; the caller condemns
//! it when the time is over. So the exchange that decides between done and condemned decides about that one item.
//!
//! Progress is `4 * done + 2 * message + begun`, stored before and after each item; `message`: the result of the last
//! item that is done comes by a message over the worker's line. So a death at any moment tells which results stand,
//! which item had begun, and which have not.
//!
//! # Orderings
//! Release on each change that hands over, Acquire on each that takes over: what was written before is seen.
//! # When a process dies
//! The word names the worker. After its death, and before its successor starts, the caller looks at all slots, and
//! takes back what it had ([`found`](Board::found)): results that stand, the begun item, the rest.
//! # Tested by
//! model/slots.rs, model/keeps.rs

use super::Board;
use super::turns::WORKER;
use mp_core::word::{Ordering, Word};
use std::ops::Deref;

const STATE: usize = 0;
pub(super) const PROGRESS: usize = 1;
pub(super) const ITEMS: usize = 2;
pub(super) const PLACE: usize = 3;
pub(super) const LENGTH: usize = 4;
pub(super) const ROOM: usize = 5;
/// Of a chunk: [`BY_MESSAGE`], [`TIMED`], [`LENDS`] and, above them, how far ahead a task that yields may be; then: the
/// number of the message that the last result is.
const MESSAGE: usize = 6;
pub(super) const WRITTEN: usize = 7;
/// When the item of a timed chunk began, in milliseconds of the monotonic clock.
pub(super) const STARTED: usize = 8;

const BY_MESSAGE: u32 = 1;
const TIMED: u32 = 2;
const LENDS: u32 = 4;
const AHEAD: u32 = 3;

const LIFE: usize = 1;
const KEEPS: usize = WORKER - 1;

/// What is done with a slot: the low bits of its word; the worker stands above them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Phase {
    Free = 0,
    Ready = 1,
    Taken = 2,
    Done = 3,
    Condemned = 4,
    /// Of an item of a run: done, and its result comes by a message.
    Sent = 5,
}

pub(super) const PHASE: u32 = 0b111;

pub(super) fn word(phase: Phase, worker: u32) -> u32 {
    (worker + 1) << 3 | phase as u32
}

/// What a worker is told of its chunk. Places and lengths are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Chunk {
    pub(crate) items: u32,
    /// Where the arguments begin; the room for results follows them, at a multiple of 16.
    pub(crate) place: u32,
    pub(crate) length: u32,
    pub(crate) room: u32,
    /// The arguments are to be asked for.
    pub(crate) by_message: bool,
    /// The worker is to say when it begins: such a chunk has one item.
    pub(crate) timed: bool,
    /// Its arguments have buffers of the caller's.
    pub(crate) lends: bool,
    /// The task yields, and may be so many values ahead: such a chunk has one item, whose end comes by a message. 0: it
    /// does not.
    pub(crate) ahead: u32,
}

/// How far a worker is with a slot that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Running {
    /// When it began the item, in milliseconds of the monotonic clock; `None`: it has not.
    pub(crate) since: Option<u32>,
}

/// What a worker left in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) worker: u32,
    /// Items whose results stand.
    pub(crate) done: u32,
    /// Whether it had begun one more.
    pub(crate) begun: bool,
    /// The caller has given the chunk up.
    pub(crate) condemned: bool,
    /// Bytes of the results that stand, and perhaps of one more.
    pub(crate) written: u32,
    /// The number of the message that the last of them is; 0: it is there.
    pub(crate) message: u32,
}

/// How far a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Life {
    Starting = 0,
    /// It has begun nothing.
    Ready = 1,
    /// It has begun an item.
    Working = 2,
    /// It was idle for as long as it may be, and ends.
    Left = 3,
}

/// How far a worker is with its chunk: looked up once, and written before and after each item.
#[derive(Debug)]
pub(crate) struct Marks<'a, W> {
    progress: &'a W,
    written: &'a W,
    message: &'a W,
    started: &'a W,
}

impl<W: Word> Marks<'_, W> {
    /// In front of [`begin`](Marks::begin) of a timed chunk: what time it is.
    #[inline]
    pub(crate) fn start(&self, now: u32) {
        // ORDERING: Relaxed: the store of the progress publishes it.
        self.started.store(now, Ordering::Relaxed);
    }

    /// Begins the item after `done` others. Whatever happens to the worker from here on is attributed to this item.
    #[inline]
    pub(crate) fn begin(&self, done: u32) {
        // ORDERING: Release, pairs with the Acquire in `found`: the results so far are there.
        self.progress.store(4 * done + 1, Ordering::Release);
    }

    /// So many items are done; their results are written.
    #[inline]
    pub(crate) fn end(&self, done: u32, written: u32, message: u32) {
        // ORDERING: Relaxed, both: the store of the progress publishes them.
        self.written.store(written, Ordering::Relaxed);
        let by_message = message != 0;
        if by_message {
            self.message.store(message, Ordering::Relaxed);
        }
        // ORDERING: Release, pairs with the Acquire in `found`: the result is there.
        self.progress.store(4 * done + 2 * u32::from(by_message), Ordering::Release);
    }
}

impl<W: Word, V: Deref<Target = [W]>> Board<V> {
    #[inline]
    pub(super) fn of_slot(&self, slot: u32, what: usize) -> &W {
        self.word(self.places.slot(slot) + what)
    }

    /// Caller: describes a chunk in a free slot, and lets it be taken.
    pub(crate) fn post(&self, slot: u32, chunk: Chunk) {
        let by_message = if chunk.by_message { BY_MESSAGE } else { 0 };
        let timed = if chunk.timed { TIMED } else { 0 };
        let lends = if chunk.lends { LENDS } else { 0 };
        let words = [
            (PROGRESS, 0),
            (ITEMS, chunk.items),
            (PLACE, chunk.place),
            (LENGTH, chunk.length),
            (ROOM, chunk.room),
            (MESSAGE, (chunk.ahead << AHEAD) | by_message | timed | lends),
            (WRITTEN, 0),
        ];
        for (what, value) in words {
            // ORDERING: Relaxed, all: the store of the state publishes them.
            self.of_slot(slot, what).store(value, Ordering::Relaxed);
        }
        if chunk.ahead > 0 {
            self.begin_yields(slot);
        }
        // ORDERING: Release, pairs with the Acquire in `take_slot`: the chunk is there.
        self.of_slot(slot, STATE).store(Phase::Ready as u32, Ordering::Release);
    }

    #[inline]
    pub(super) fn prefetch_slot(&self, slot: u32) {
        self.of_slot(slot, STATE).prefetch();
    }

    /// Worker: takes a slot, if it is ready.
    #[inline]
    pub(super) fn take_slot(&self, slot: u32, me: u32) -> bool {
        let (ready, taken) = (Phase::Ready as u32, word(Phase::Taken, me));
        // ORDERING: Acquire, pairs with the Release in `post`. Relaxed on failure: it tells nothing.
        let taken =
            self.of_slot(slot, STATE).compare_exchange(ready, taken, Ordering::Acquire, Ordering::Relaxed);
        taken.is_ok()
    }

    /// Worker: what it has taken.
    pub(crate) fn chunk(&self, slot: u32) -> Chunk {
        // ORDERING: Relaxed, all: after the exchange that took the slot.
        let word = |what| self.of_slot(slot, what).load(Ordering::Relaxed);
        let (items, place, length, room) = (word(ITEMS), word(PLACE), word(LENGTH), word(ROOM));
        let flags = word(MESSAGE);
        let (by_message, timed, lends) = (flags & BY_MESSAGE != 0, flags & TIMED != 0, flags & LENDS != 0);
        Chunk { items, place, length, room, by_message, timed, lends, ahead: flags >> AHEAD }
    }

    /// Worker: where it says how far it is with a chunk.
    #[inline]
    pub(crate) fn marks(&self, slot: u32) -> Marks<'_, W> {
        let word = |what| self.of_slot(slot, what);
        let (progress, written, message) = (word(PROGRESS), word(WRITTEN), word(MESSAGE));
        Marks { progress, written, message, started: word(STARTED) }
    }

    /// Worker: gives the slot back. `false`: the caller has given the chunk up, and is about to kill this process.
    #[inline]
    pub(crate) fn done(&self, slot: u32, me: u32) -> bool {
        let (taken, done) = (word(Phase::Taken, me), word(Phase::Done, me));
        // ORDERING: Release, pairs with the Acquire in `found`: all results are there.
        let done =
            self.of_slot(slot, STATE).compare_exchange(taken, done, Ordering::Release, Ordering::Relaxed);
        done.is_ok()
    }

    /// Caller: whether a worker has done the slot.
    #[inline]
    pub(crate) fn is_done(&self, slot: u32) -> bool {
        // ORDERING: Relaxed: `found` looks again.
        self.of_slot(slot, STATE).load(Ordering::Relaxed) & PHASE == Phase::Done as u32
    }

    /// Caller: whether a worker has taken the slot, and not given it back.
    pub(crate) fn is_taken(&self, slot: u32) -> bool {
        // ORDERING: Relaxed: it may change at once.
        let phase = self.of_slot(slot, STATE).load(Ordering::Relaxed) & PHASE;
        phase == Phase::Taken as u32 || phase == Phase::Condemned as u32
    }

    /// Caller: how far the worker is that has the timed slot; `None`: no worker has it. What is read is of the task
    /// that is there now: the caller has posted it, and alone posts the next one.
    pub(crate) fn running(&self, slot: u32) -> Option<Running> {
        // ORDERING: Relaxed: the exchange of `condemn` decides whether it still has it.
        let phase = self.of_slot(slot, STATE).load(Ordering::Relaxed) & PHASE;
        if phase != Phase::Taken as u32 {
            return None;
        }
        // ORDERING: Acquire, pairs with the Release in `begin`: the time is there.
        let has_begun = self.of_slot(slot, PROGRESS).load(Ordering::Acquire) & 1 == 1;
        // ORDERING: Relaxed: after the progress.
        Some(Running { since: has_begun.then(|| self.of_slot(slot, STARTED).load(Ordering::Relaxed)) })
    }

    /// Caller: whether this worker has taken the slot, and not given it back.
    pub(crate) fn is_taken_by(&self, slot: u32, worker: u32) -> bool {
        // ORDERING: Relaxed: the exchange of `condemn` decides whether it still has it.
        self.of_slot(slot, STATE).load(Ordering::Relaxed) == word(Phase::Taken, worker)
    }

    /// Caller: whether no worker has taken the chunk, and it was not taken back.
    pub(crate) fn is_ready(&self, slot: u32) -> bool {
        // ORDERING: Relaxed: it may change at once.
        self.of_slot(slot, STATE).load(Ordering::Relaxed) == Phase::Ready as u32
    }

    /// Caller: takes a chunk back that no worker has taken. `false`: one has.
    pub(crate) fn cancel(&self, slot: u32) -> bool {
        let (ready, free) = (Phase::Ready as u32, Phase::Free as u32);
        // ORDERING: Relaxed: no worker has written anything.
        let freed =
            self.of_slot(slot, STATE).compare_exchange(ready, free, Ordering::Relaxed, Ordering::Relaxed);
        freed.is_ok()
    }

    /// Caller: gives up a chunk that a worker has, and gives that worker, which is to be killed then. `None`: it was
    /// too late, or no worker has it.
    pub(crate) fn condemn(&self, slot: u32) -> Option<u32> {
        Self::condemn_by(self.of_slot(slot, STATE))
    }

    /// The same by the word of the slot, or of an item.
    pub(super) fn condemn_by(state: &W) -> Option<u32> {
        // ORDERING: Relaxed, here and below: nothing of the worker's is read before it is dead.
        let now = state.load(Ordering::Relaxed);
        let worker = (now >> 3).checked_sub(1).filter(|_| now & PHASE == Phase::Taken as u32)?;
        let condemned = word(Phase::Condemned, worker);
        state.compare_exchange(now, condemned, Ordering::Relaxed, Ordering::Relaxed).ok().map(|_| worker)
    }

    /// Caller: what the slot's worker has left there, if the slot is done, or `of_dead` is its worker, which is dead.
    /// It stays until the slot is [posted](Board::post) again.
    pub(crate) fn found(&self, slot: u32, of_dead: Option<u32>) -> Option<Found> {
        // ORDERING: Acquire, pairs with the Release in `done`.
        let state = self.of_slot(slot, STATE).load(Ordering::Acquire);
        let worker = (state >> 3).checked_sub(1)?;
        let is_done = state & PHASE == Phase::Done as u32;
        if of_dead.map_or(!is_done, |dead| dead != worker) {
            return None;
        }
        // ORDERING: Acquire, pairs with the Release in `begin` and `end`: what stands is there.
        let progress = self.of_slot(slot, PROGRESS).load(Ordering::Acquire);
        // ORDERING: Relaxed, both: before the progress.
        let word = |what| self.of_slot(slot, what).load(Ordering::Relaxed);
        let (written, message) = (word(WRITTEN), word(MESSAGE));
        // The words beside it may be those of an item that is not done: then the progress does not count it.
        let message = if progress & 2 == 2 { message } else { 0 };
        let (done, begun) = (progress / 4, progress & 1 == 1);
        let condemned = state & PHASE == Phase::Condemned as u32;
        Some(Found { worker, done, begun, condemned, written, message })
    }

    /// Caller: no worker has the slot any more.
    pub(crate) fn free(&self, slot: u32) {
        // ORDERING: Relaxed: the next take depends on what `post` stores.
        self.of_slot(slot, STATE).store(Phase::Free as u32, Ordering::Relaxed);
    }

    /// How far a worker is. Read when it is dead.
    pub(crate) fn life(&self, worker: u32) -> Life {
        // ORDERING: Acquire, pairs with the Release in `live`.
        match self.word(self.places.worker(worker) + LIFE).load(Ordering::Acquire) {
            0 => Life::Starting,
            1 => Life::Ready,
            3 => Life::Left,
            _ => Life::Working,
        }
    }

    /// Worker: how far it is. Caller: [`Life::Starting`], before it starts one.
    pub(crate) fn live(&self, worker: u32, life: Life) {
        // ORDERING: Release, pairs with the Acquire in `life`.
        self.word(self.places.worker(worker) + LIFE).store(life as u32, Ordering::Release);
        self.enlist(worker, matches!(life, Life::Ready | Life::Working));
    }

    /// Worker: whether something in its process is left of the memory of a slot that it has done, or is about to.
    /// Caller: nothing is, of a worker that is dead.
    pub(crate) fn say_keeps(&self, worker: u32, keeps: bool) {
        // ORDERING: Release, pairs with the Acquire in `keeps`: what was left is not read after this.
        self.word(self.places.worker(worker) + KEEPS).store(u32::from(keeps), Ordering::Release);
    }

    /// Caller, of a slot that is done: whether its worker may have something left of it. If not, it has nothing of any
    /// slot that was done before this was asked: what is dropped once is not kept later.
    pub(crate) fn keeps(&self, worker: u32) -> bool {
        // ORDERING: Acquire, pairs with the Release in `say_keeps`.
        self.word(self.places.worker(worker) + KEEPS).load(Ordering::Acquire) != 0
    }
}
