//! The slots' shared memory: made by the server, given to its clients over their connections.
//!
//! ```text
//!   [ asleep, hint, life | bits of 1024 slots | slots of 4 KiB: a word, a hint, padding to 64 bytes, the request or the reply ]
//! ```

use super::{Shape, Slots};
use mp_core::MemError;
use mp_core::mem::{Bytes, Extent, Kind, Mapping, SharedRef, SharedSlice};
use mp_core::sys::futex::FutexWord;
use mp_core::sys::robust::RobustWord;
use mp_core::transfer::attach;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

pub(crate) const SLOTS: u32 = 1024;
/// Bytes of a slot.
const SLOT: usize = 4096;
/// Bytes in front of a request: the word, on a cache line of its own, since its waiter looks at it while the bytes are
/// written.
const FRONT: usize = 64;
/// The longest request or reply.
pub(crate) const BODY: usize = SLOT - FRONT;

const WORD: usize = size_of::<FutexWord>();
/// Where the life word's lock lies: beside what the server writes seldom.
const LIFE: usize = 64;
const SHAPE: Shape =
    Shape { slots: SLOTS, apart: 128 / WORD, slot: SLOT / WORD, life: (LIFE + RobustWord::WORD_AT) / WORD };

/// What the memory is known by.
struct Contents;

#[derive(Clone)]
pub(crate) struct SlotMemory {
    mapping: Arc<Mapping>,
    pub(crate) slots: Slots<SharedSlice<FutexWord>>,
    bytes: Bytes,
}

fn begin(slot: u32) -> usize {
    SHAPE.first_slot() * WORD + slot as usize * SLOT
}

impl SlotMemory {
    /// The pages of slots are taken as slots are given out.
    pub(crate) fn create() -> Result<SlotMemory, MemError> {
        let payload = SHAPE.words() * WORD;
        let extent = Extent { payload, mapped: payload, reserved: begin(0) };
        SlotMemory::over(Mapping::create_sparse("mp-manager", Kind::of::<Contents>(), extent)?)
    }

    fn over(mapping: Arc<Mapping>) -> Result<SlotMemory, MemError> {
        let words = SharedSlice::at(Arc::clone(&mapping), 0, SHAPE.words())?;
        let bytes = Bytes::at(Arc::clone(&mapping), 0, SHAPE.words() * WORD)?;
        let slots = Slots::new(words, SHAPE).ok_or(MemError::NotOurs("it is too short for its slots"))?;
        Ok(SlotMemory { mapping, slots, bytes })
    }

    /// The lock whose word is the life word.
    pub(crate) fn life(&self) -> Result<SharedRef<RobustWord>, MemError> {
        SharedRef::at(Arc::clone(&self.mapping), LIFE)
    }

    /// Takes the pages of a slot.
    pub(crate) fn reserve(&self, slot: u32) -> bool {
        self.mapping.reserve(begin(slot), SLOT).is_ok()
    }

    /// Writes a request or a reply, at most [`BODY`] bytes.
    #[inline]
    pub(crate) fn write(&self, slot: u32, from: &[u8]) {
        debug_assert!(slot < SLOTS && from.len() <= BODY);
        self.bytes.write(begin(slot) + FRONT, from);
    }

    /// Reads one; a length that another process has written is cut to the slot's.
    #[inline]
    pub(crate) fn read(&self, slot: u32, length: u32, to: &mut Vec<u8>) {
        self.bytes.read_onto(begin(slot) + FRONT, (length as usize).min(BODY), to);
    }
}

impl fmt::Debug for SlotMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotMemory").finish_non_exhaustive()
    }
}

/// As it goes to a client. One that cannot map it (it is in another pid namespace, say) calls over its connection.
#[derive(Debug, Clone)]
pub(crate) struct Attachable(pub(crate) Option<SlotMemory>);

impl Serialize for Attachable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().map(|memory| &*memory.mapping).serialize(serializer)
    }
}

struct Attached(Option<SlotMemory>);

impl<'de> Deserialize<'de> for Attached {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mapping = attach(deserializer, Kind::of::<Contents>(), "the memory of a manager");
        Ok(Attached(mapping.ok().and_then(|mapping| SlotMemory::over(mapping).ok())))
    }
}

impl<'de> Deserialize<'de> for Attachable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let attached = Option::<Attached>::deserialize(deserializer)?;
        Ok(Attachable(attached.and_then(|Attached(memory)| memory)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, Asked, Client, Partner};
    use super::*;

    #[test]
    fn requests_and_replies_of_all_lengths_cross_and_no_slot_touches_another() {
        let memory = SlotMemory::create().unwrap();
        for slot in [0, 1, SLOTS - 1] {
            assert!(memory.reserve(slot));
        }
        for length in [0, 1, 7, 100, BODY] {
            for slot in [0, 1, SLOTS - 1] {
                memory.write(slot, &vec![slot as u8; length]);
                memory.slots.ask(slot, length as u32, || panic!("the server is awake"));
            }
            for slot in [0, 1, SLOTS - 1] {
                let Some(Asked::Waits(length)) = memory.slots.request(slot) else { panic!("it was asked") };
                let mut read = Vec::new();
                memory.read(slot, length, &mut read);
                assert_eq!(read, vec![slot as u8; length as usize]);
                assert_eq!(memory.slots.answer(slot, Answer::Here(length)), Client::Looks);
                let answer = memory.slots.wait(slot, Partner::Apart, None, || false);
                assert_eq!(answer, Some(Answer::Here(length)));
                assert_eq!(memory.slots.unread(slot), Some(length));
                memory.slots.leave(slot);
                assert_eq!(memory.slots.unread(slot), None);
            }
        }
        assert_eq!((memory.slots.take(0), memory.slots.take(SLOTS / 32 - 1)), (3, 1 << 31));
    }

    #[test]
    fn an_answer_by_stream_is_read_once_its_slot_is_left_also_if_it_is_asked_again() {
        let memory = SlotMemory::create().unwrap();
        assert!(memory.reserve(5));
        let ask = || memory.slots.ask(5, 0, || panic!("the server is awake"));
        ask();
        assert_eq!(memory.slots.answer(5, Answer::ByStream), Client::Looks);
        assert!(!memory.slots.has_read(5));
        memory.slots.leave(5);
        assert!(memory.slots.has_read(5));
        ask();
        assert!(memory.slots.has_read(5));
    }

    #[test]
    fn a_slot_that_was_given_up_is_free_once_it_is_answered() {
        let memory = SlotMemory::create().unwrap();
        assert!(memory.reserve(5));
        memory.slots.ask(5, 7, || panic!("the server is awake"));
        let soon = mp_core::word::Deadline::after(std::time::Duration::ZERO);
        assert_eq!(memory.slots.wait(5, Partner::Apart, soon, || false), None);
        assert!(memory.slots.give_up(5) && !memory.slots.is_answered(5));
        assert_eq!(memory.slots.request(5), Some(Asked::Left(7)));
        assert_eq!(memory.slots.answer(5, Answer::Here(1)), Client::Left);
        assert!(memory.slots.is_answered(5));
        memory.slots.ask(5, 7, || panic!("the server is awake"));
        assert_eq!(memory.slots.answer(5, Answer::Here(1)), Client::Looks);
        assert!(!memory.slots.give_up(5));
        assert_eq!(memory.slots.wait(5, Partner::Apart, soon, || false), Some(Answer::Here(1)));
    }

    #[test]
    fn a_length_from_elsewhere_is_cut() {
        let memory = SlotMemory::create().unwrap();
        assert!(memory.reserve(5));
        let mut read = Vec::new();
        memory.read(5, u32::MAX >> 4, &mut read);
        assert_eq!(read.len(), BODY);
    }
}
