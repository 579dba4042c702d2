//! The pool's shared memory: the board, a small piece of bytes for each slot, and the arena for longer ones.
//!
//! ```text
//!   [ board's words | a piece of 512 bytes for each slot | arena: pages as they are needed ]
//! ```

use crate::board::{Board, Shape};
use mp_core::MemError;
use mp_core::mem::{Bytes, Extent, Kind, Mapping, SharedSlice};
use mp_core::sys::futex::FutexWord;
use mp_core::sys::memory::file_limit;
use mp_core::transfer::attach;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// Bytes of a slot's own: arguments and results that are short.
pub(crate) const PIECE: usize = 512;
/// Bytes of the arena, all of which each process maps.
const ARENA: usize = 64 << 20;

/// The board in shared memory.
pub(crate) type SharedBoard = Board<SharedSlice<FutexWord>>;

/// What the pool's memory is known by.
struct Contents;

#[derive(Clone)]
pub(crate) struct Memory {
    mapping: Arc<Mapping>,
    pub(crate) board: SharedBoard,
    /// Pieces, then the arena.
    pub(crate) bytes: Bytes,
}

fn begin_of_bytes(shape: Shape) -> usize {
    (shape.words() * size_of::<FutexWord>()).next_multiple_of(128)
}

fn pieces(shape: Shape) -> usize {
    shape.slots as usize * PIECE
}

/// Bytes beside the arena.
fn reserved(shape: Shape) -> usize {
    begin_of_bytes(shape) + pieces(shape)
}

/// How long a file may be: RLIMIT_FSIZE, less what is in front of the pool's part.
fn most() -> usize {
    usize::try_from(file_limit()).unwrap_or(usize::MAX).saturating_sub(1 << 14)
}

impl Memory {
    /// For this shape, or one with fewer slots, where files may not be long.
    pub(crate) fn create(wanted: Shape) -> Result<Memory, MemError> {
        let most = most();
        let mut shapes = std::iter::successors(Some(wanted), |shape| shape.halved());
        let shape = shapes.find(|shape| reserved(*shape) <= most).unwrap_or(wanted);
        let reserved = reserved(shape);
        // Under a low limit long values go by message.
        let arena = ARENA.min(most.saturating_sub(reserved + (1 << 16)) / 4096 * 4096);
        let payload = reserved + arena;
        let extent = Extent { payload, mapped: payload, reserved };
        Memory::over(Mapping::create_sparse("mp-pool", Kind::of::<Contents>(), extent)?, shape, arena)
    }

    fn over(mapping: Arc<Mapping>, shape: Shape, arena: usize) -> Result<Memory, MemError> {
        let words = SharedSlice::at(Arc::clone(&mapping), 0, shape.words())?;
        let bytes = Bytes::at(Arc::clone(&mapping), begin_of_bytes(shape), pieces(shape) + arena)?;
        let board = Board::new(words, shape).ok_or(MemError::NotOurs("it is too short for its board"))?;
        Ok(Memory { mapping, board, bytes })
    }

    /// Begins to fetch a slot's own bytes.
    #[inline]
    pub(crate) fn prefetch(&self, slot: u32) {
        self.bytes.prefetch(slot as usize * PIECE);
    }

    /// The bytes, and where the first of them lies in the mapping's payload.
    pub(crate) fn bytes_and_base(&self) -> (Bytes, usize) {
        (self.bytes.clone(), begin_of_bytes(*self.board.shape()))
    }

    /// Where the arena begins in the bytes.
    pub(crate) fn arena(&self) -> usize {
        pieces(*self.board.shape())
    }

    pub(crate) fn arena_len(&self) -> usize {
        self.bytes.len() - self.arena()
    }

    /// Takes the pages of a part of the arena.
    pub(crate) fn reserve(&self, at: usize, len: usize) -> bool {
        let begin = begin_of_bytes(*self.board.shape()) + self.arena();
        self.mapping.reserve(begin + at, len).is_ok()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("shape", self.board.shape()).finish_non_exhaustive()
    }
}

impl Serialize for Memory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&*self.mapping, self.board.shape(), self.arena_len() as u64).serialize(serializer)
    }
}

struct Attached(Arc<Mapping>);

impl<'de> Deserialize<'de> for Attached {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        attach(deserializer, Kind::of::<Contents>(), "the memory of a pool").map(Attached)
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (Attached(mapping), shape, arena) = <(Attached, Shape, u64)>::deserialize(deserializer)?;
        Memory::over(mapping, shape, arena as usize).map_err(D::Error::custom)
    }
}
