//! The fixed part of the ring's memory, in front of the segments, and what a ring stands on.
//!
//! # Safety
//! The one invariant: [`Layout`] is made of words and locks alone, side by side.
#![allow(unsafe_code)]

use super::cache_padded::CachePadded;
use super::chain::{Chain, SEGMENTS, Segment};
use super::event_count::EventCount;
use super::leaders::Leaders;
use super::limits::Limits;
use super::packets::{PacketSocket, Packets};
use super::polls::Polls;
use super::read_side::ReadSide;
use super::storage::{Storage, WordOf};
use super::tasks::{TaskSlot, Tasks};
use super::write_side::{Shut, WriteSide};
use mp_core::mem::Structure;
use mp_core::sys::futex::FutexWord;
use mp_core::sys::robust::RobustWord;
use mp_core::word::{Long, Owned};
use std::sync::atomic::AtomicU64;

/// The state that both sides share. All zeros is an empty ring.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Layout<O: Owned, L> {
    pub(super) write_side: CachePadded<WriteSide<O, L>>,
    pub(super) read_side: CachePadded<ReadSide<O, L>>,
    pub(super) published: CachePadded<EventCount<O::Word>>,
    pub(super) freed: CachePadded<EventCount<O::Word>>,
    pub(super) shut: CachePadded<Shut<O::Word>>,
    pub(crate) limits: CachePadded<Limits<O::Word>>,
    pub(super) polls: CachePadded<Polls<O::Word>>,
    pub(super) tasks: CachePadded<Tasks<O::Word, L>>,
    pub(super) packets: CachePadded<Packets<L>>,
    pub(super) leaders: CachePadded<Leaders<O>>,
    segments: [Segment<O::Word, L>; SEGMENTS],
}

impl<O: Owned, L: Long> Layout<O, L> {
    #[inline]
    pub(super) fn chain(&self) -> Chain<'_, O::Word, L> {
        Chain::of(&self.segments)
    }
}

/// What a ring stands on.
pub(crate) trait Memory: Storage + PacketSocket {
    /// Whether the first sleep of a call does without a leader.
    const FIRST_ALONE: bool = true;
    fn layout(&self) -> &Layout<Self::Owned, Self::Long>;
    /// The task slots: one for each process that takes tasks, and one shared by all others.
    fn slots(&self) -> &[TaskSlot<WordOf<Self>, Self::Long>];
}

// SAFETY: words, locks of words, and atomic integers; all zeros is an empty ring.
unsafe impl Structure for Layout<RobustWord, AtomicU64> {}
// SAFETY: words and an atomic integer; all zeros is a free slot.
unsafe impl Structure for TaskSlot<FutexWord, AtomicU64> {}
