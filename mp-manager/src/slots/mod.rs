//! Call slots: requests and replies in shared memory, a slot for each call that is under way.
//!
//! ```text
//!   FREE ──client: request─► ASKED ──server: reply──────────► ANSWERED ──client has read it──► FREE
//!                              │ │                               ▲
//!                              │ └──the client sleeps──► ASKED | SLEEPS (it is owed a wake with its answer)
//!                              ├──server: too long for a slot──► BY_STREAM ────────────────────┘
//!                              ├──server ends──────────────────► OVER
//!                              └──the client gives up──► ASKED | LEFT ──server: not done──► OVER
//!                                                              └──server: done, and undone──► ANSWERED, BY_STREAM
//!   asked     a bit for each slot: the client sets it after its request, the server takes them 32 at a time
//!   asleep    1 while the server sleeps on its doorbell, which a client rings then
//!   life      ends with the server (life.rs)
//! ```
//!
//! One process owns a slot at a time, and one of its threads uses it. The server gives slots out and takes them back
//! over the client's connection, which ends with its process.
//!
//! # Why no wake is lost
//! *Server*: a client sets its bit, then looks at `asleep`; the server sets `asleep`, then looks at the bits. A fence
//! stands between the two on both sides, so one sees the other. A client does not take the flag down: one that stops
//! before it rings would keep others from ringing. *Client*: whether it sleeps is in the word that it sleeps on.
//!
//! # Which side has an answer
//! A client that gives up exchanges ASKED for ASKED | LEFT, and the server swaps its answer in: either the client finds
//! the answer, or the server finds LEFT and undoes what it has done. Until the server has answered the slot is not used
//! again.
//!
//! # When a process dies
//! A *client*, at any instruction: its slot is cleared when its connection ends, which also wakes the server. A request
//! that it had written is done or not. A reply that it has not read is still in the slot, so an item in it goes back.
//! The *server*: a client sleeps on the life word as well, and looks at its connection twice a second.
//!
//! # Tested by
//! model.rs, the sweep's `manager` operations, `server/tests.rs`, `mp-manager/tests/lives.rs`

mod hints;
pub(crate) mod life;
mod memory;
#[cfg(test)]
mod model;

pub(crate) use hints::EVERYWHERE;
pub(crate) use memory::{Attachable, BODY, SLOTS, SlotMemory};

use life::DIED;
use mp_core::word::{Deadline, Ordering, Pace, Waiting, Wake, Word};
use std::ops::Deref;

/// The state is in the two lowest bits; the length of what is in the slot from `LENGTH` up.
const FREE: u32 = 0;
const ASKED: u32 = 1;
const ANSWERED: u32 = 2;
/// An answer that is not in the slot, by what stands in place of the length.
const ELSEWHERE: u32 = 3;
const STATE: u32 = 3;
/// The client sleeps on the word.
const SLEEPS: u32 = 4;
/// The client has given up.
const LEFT: u32 = 8;
const LEFT_ASKED: u32 = ASKED | LEFT;
const LENGTH: u32 = 4;
const BY_STREAM: u32 = ELSEWHERE;
const OVER: u32 = ELSEWHERE | 1 << LENGTH;

/// Slots of one word of bits.
const GROUP: u32 = 32;

/// How the words lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) slots: u32,
    /// From one hot word to the next.
    pub(crate) apart: usize,
    /// From one slot to the next.
    pub(crate) slot: usize,
    /// Where the life word is.
    pub(crate) life: usize,
}

impl Shape {
    fn groups(self) -> usize {
        self.slots.div_ceil(GROUP) as usize
    }

    fn first_slot(self) -> usize {
        self.apart + self.groups().next_multiple_of(self.apart)
    }

    #[inline]
    fn slot_at(self, slot: u32) -> usize {
        self.first_slot() + slot as usize * self.slot
    }

    pub(crate) fn words(self) -> usize {
        self.slot_at(self.slots)
    }
}

/// What the client of a slot that was answered does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// It sees the answer by itself.
    Looks,
    /// It is owed a [`wake`](Slots::wake), before the server sleeps at the latest (`server/turns.rs` says when).
    Sleeps,
    /// It has given up, and sees no answer.
    Left,
}

/// A request in a slot, of so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Waits(u32),
    /// Its client has given up.
    Left(u32),
}

/// What a client gets for its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// So many bytes of the slot.
    Here(u32),
    /// It comes over the connection.
    ByStream,
    /// The server has ended.
    Over,
}

/// Where the server runs, as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Partner {
    /// On another CPU, or that is not known: it may answer while the client spins.
    Apart,
    /// On the client's CPU: it answers once the client sleeps. Of such a wait nothing is learned.
    Here,
}

/// The words, wherever they lie.
#[derive(Debug, Clone)]
pub(crate) struct Slots<V> {
    words: V,
    shape: Shape,
}

impl<W: Word, V: Deref<Target = [W]>> Slots<V> {
    /// All zeros is a set of free slots. `None`: there are not as many words as the shape takes.
    pub(crate) fn new(words: V, shape: Shape) -> Option<Slots<V>> {
        (words.len() >= shape.words()).then_some(Slots { words, shape })
    }

    fn asleep(&self) -> &W {
        &self.words[0]
    }

    fn life(&self) -> &W {
        &self.words[self.shape.life]
    }

    fn asked(&self, group: u32) -> &W {
        &self.words[self.shape.apart + group as usize]
    }

    #[inline]
    fn slot(&self, slot: u32) -> &W {
        &self.words[self.shape.slot_at(slot)]
    }
}

/// The client's part.
impl<W: Word, V: Deref<Target = [W]>> Slots<V> {
    /// Hands over a request of so many bytes, which are in the slot. Rings if the server sleeps.
    #[inline]
    pub(crate) fn ask(&self, slot: u32, length: u32, ring: impl FnOnce()) {
        // ORDERING: Release, pairs with the Acquire in `request`: the bytes.
        self.slot(slot).store(ASKED | length << LENGTH, Ordering::Release);
        // ORDERING: Release, pairs with the Acquire in `take`: the state.
        self.asked(slot / GROUP).fetch_or(1 << (slot % GROUP), Ordering::Release);
        W::fence();
        // ORDERING: Relaxed: the fence orders it after the bit.
        if self.asleep().load(Ordering::Relaxed) != 0 {
            ring();
        }
    }

    /// Waits for the answer; `None`: it is too late. `is_over` says whether the server has ended; it is asked before
    /// each sleep but the first, and before that one where the life word does not say it.
    pub(crate) fn wait(
        &self,
        slot: u32,
        server: Partner,
        until: Option<Deadline>,
        mut is_over: impl FnMut() -> bool,
    ) -> Option<Answer> {
        let word = self.slot(slot);
        let mut waiting = match server {
            Partner::Apart => Waiting::new(word, Pace::Dense),
            Partner::Here => Waiting::spinning(word, Pace::Dense, 0),
        };
        let (mut has_slept, mut is_late) = (false, false);
        loop {
            // ORDERING: Acquire, pairs with the Release in `answer`: the bytes.
            let now = word.load(Ordering::Acquire);
            match now & STATE {
                ANSWERED => {
                    waiting.found();
                    return Some(Answer::Here(now >> LENGTH));
                }
                ELSEWHERE => {
                    waiting.found();
                    return Some(if now & !SLEEPS == OVER { Answer::Over } else { Answer::ByStream });
                }
                _ if waiting.pause() => {}
                _ => {
                    // ORDERING: Acquire, pairs with the Release of the life word's end: the answers before it.
                    let life = self.life().load(Ordering::Acquire);
                    if life & DIED != 0 || (has_slept || life == 0) && is_over() {
                        // What it has answered before that counts.
                        // ORDERING: Relaxed: an answer is read again above.
                        if word.load(Ordering::Relaxed) == now {
                            return Some(Answer::Over);
                        }
                        continue;
                    }
                    if is_late {
                        return None;
                    }
                    is_late = self.sleep(word, now, life, until) == Wake::TimedOut;
                    has_slept = true;
                    waiting.again();
                }
            }
        }
    }

    #[cold]
    fn sleep(&self, word: &W, now: u32, life: u32, until: Option<Deadline>) -> Wake {
        let asleep = now | SLEEPS;
        // ORDERING: Relaxed, both: nothing else is published; `wait` reads the word again.
        if now != asleep && word.compare_exchange(now, asleep, Ordering::Relaxed, Ordering::Relaxed).is_err()
        {
            return Wake::Look;
        }
        if life == 0 {
            return word.wait(asleep, until);
        }
        let wake = word.wait_either(asleep, self.life(), life, until);
        // ORDERING: Relaxed: as in `wait`.
        if self.life().load(Ordering::Relaxed) & DIED != 0 {
            // The kernel has woken one.
            self.life().wake(u32::MAX);
        }
        wake
    }

    /// Gives the request up; `false`: it was answered. Until it is answered the slot is no other call's.
    pub(crate) fn give_up(&self, slot: u32) -> bool {
        let word = self.slot(slot);
        // ORDERING: Relaxed: confirmed by the exchange.
        let mut now = word.load(Ordering::Relaxed);
        while now & STATE == ASKED {
            let left = now & !SLEEPS | LEFT;
            // ORDERING: Relaxed: nothing is published; of an answer `wait` takes the bytes.
            match word.compare_exchange(now, left, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
        false
    }

    /// Whether a request that was given up has been answered: another call may use the slot.
    pub(crate) fn is_answered(&self, slot: u32) -> bool {
        // ORDERING: Acquire, pairs with the Release in `answer`: the server no longer writes there.
        self.slot(slot).load(Ordering::Acquire) & STATE != ASKED
    }

    /// The answer has been read.
    #[inline]
    pub(crate) fn leave(&self, slot: u32) {
        // ORDERING: Relaxed: the server looks at it once the process has ended, which the kernel tells it of.
        self.slot(slot).store(FREE, Ordering::Relaxed);
    }
}

/// The server's part.
impl<W: Word, V: Deref<Target = [W]>> Slots<V> {
    /// Which of these 32 slots were asked since this was last called, a bit each.
    #[inline]
    pub(crate) fn take(&self, group: u32) -> u32 {
        let bits = self.asked(group);
        // ORDERING: Relaxed: a look, before the exchange takes the line from the clients.
        if bits.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        // ORDERING: Acquire, pairs with the Release in `ask`.
        bits.swap(0, Ordering::Acquire)
    }

    /// Whether one of the first so many slots was asked.
    #[inline]
    pub(crate) fn is_any_asked(&self, slots: u32) -> bool {
        // ORDERING: Relaxed: a look; `take` has what it needs.
        (0..slots.div_ceil(GROUP)).any(|group| self.asked(group).load(Ordering::Relaxed) != 0)
    }

    /// The request in a slot, if there is one.
    #[inline]
    pub(crate) fn request(&self, slot: u32) -> Option<Asked> {
        // ORDERING: Acquire, pairs with the Release in `ask`.
        let now = self.slot(slot).load(Ordering::Acquire);
        match now & (STATE | LEFT) {
            ASKED => Some(Asked::Waits(now >> LENGTH)),
            LEFT_ASKED => Some(Asked::Left(now >> LENGTH)),
            _ => None,
        }
    }

    /// Whether the client of a slot sleeps: a hint, since it may wake by itself.
    pub(crate) fn sleeps(&self, slot: u32) -> bool {
        // ORDERING: Relaxed: a hint.
        self.slot(slot).load(Ordering::Relaxed) & SLEEPS != 0
    }

    /// Answers the request in a slot.
    #[inline]
    #[must_use]
    pub(crate) fn answer(&self, slot: u32, answer: Answer) -> Client {
        let new = match answer {
            Answer::Here(length) => ANSWERED | length << LENGTH,
            Answer::ByStream => BY_STREAM,
            Answer::Over => OVER,
        };
        // ORDERING: Release, pairs with the Acquire in `wait`: the bytes.
        match self.slot(slot).swap(new, Ordering::Release) {
            before if before & LEFT != 0 => Client::Left,
            before if before & SLEEPS != 0 => Client::Sleeps,
            _ => Client::Looks,
        }
    }

    /// Wakes the client of a slot that was answered. One that has looked by itself meanwhile looks once more.
    pub(crate) fn wake(&self, slot: u32) {
        self.slot(slot).wake(1);
    }

    /// The length of an answer that the owner of the slot, which has ended, has not read.
    pub(crate) fn unread(&self, slot: u32) -> Option<u32> {
        // ORDERING: Relaxed: no process writes there any more.
        let now = self.slot(slot).load(Ordering::Relaxed);
        (now & STATE == ANSWERED).then_some(now >> LENGTH)
    }

    /// Whether the owner of the slot has read its last answer, if that was not in the slot. It may have asked again
    /// since.
    pub(crate) fn has_read(&self, slot: u32) -> bool {
        // ORDERING: Relaxed: the word alone says it.
        self.slot(slot).load(Ordering::Relaxed) & STATE != ELSEWHERE
    }

    /// The owner of the slot has ended.
    pub(crate) fn clear(&self, slot: u32) {
        // ORDERING: Relaxed: the next owner is told over its connection.
        self.slot(slot).store(FREE, Ordering::Relaxed);
    }

    /// Says that the server is about to sleep until its doorbell rings; `false`: one of the first so many slots was
    /// asked.
    pub(crate) fn begin_sleep(&self, slots: u32) -> bool {
        // ORDERING: Relaxed: the fence orders it before the last look.
        self.asleep().store(1, Ordering::Relaxed);
        W::fence();
        if self.is_any_asked(slots) {
            self.end_sleep();
            return false;
        }
        true
    }

    /// It has woken.
    pub(crate) fn end_sleep(&self) {
        // ORDERING: Relaxed: a client that sees it late rings once too often.
        self.asleep().store(0, Ordering::Relaxed);
    }
}
