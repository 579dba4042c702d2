//! Cells: the memory of entries. Chains of equal pieces, so that whatever is free fits whatever is needed.
//!
//! ```text
//!  free ──► c4 ──► c9 ──► c2              free_count = 3
//!  top = 9: cells 10, 11, … were never used
//!
//!  taking two: the entry is c4 ──► c9; then free = c2, free_count = 1: no link changes
//!  giving back: last.link = free, free = first, free_count += 2
//! ```
//!
//! What is taken is the list's beginning, a chain already, and after it cells that were never used. Until the change
//! is committed it is free as before: its payload is written first, where no process looks.
//!
//! # When a process dies
//! Before the commit: the cells are free. One link may have changed, that of the list's last cell, which means nothing.

use super::shape::{
    CELL, Corrupt, FREE, FREE_COUNT, HASH, IN_FIRST, IN_OTHER, KEY_BYTES, LINK, MORE_PAYLOAD, NEXT, PAYLOAD,
    READY_CELLS, Shape, TOP, VALUE_BYTES, cells_of,
};
use super::storage::Storage;
use super::{Refused, journal::Change};

/// Cells are reserved in steps: an eighth of what there is, between these.
const LEAST_STEP: u32 = (64 << 10) / (4 * CELL);
const MOST_STEP: u32 = (4 << 20) / (4 * CELL);

/// The free cells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Free {
    first: u32,
    count: u32,
    pub(super) top: u32,
}

impl Free {
    /// The cells of entries.
    pub(super) fn in_use(self) -> u32 {
        self.top - self.count
    }
}

/// An entry's head.
#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) next: u32,
    pub(super) hash: u32,
    pub(super) key: u32,
    pub(super) value: u32,
}

impl Head {
    pub(super) fn payload(&self) -> usize {
        self.key as usize + self.value as usize
    }
}

/// The cells of a dict, for the holder of its lock.
pub(super) struct Cells<'a, S> {
    storage: &'a S,
    shape: Shape,
}

impl<'a, S: Storage> Cells<'a, S> {
    pub(super) fn of(storage: &'a S) -> Self {
        Cells { storage, shape: *storage.shape() }
    }

    /// The position of a word of a cell, if there is such a cell.
    pub(super) fn word(&self, cell: u32, part: u32) -> Result<u32, Corrupt> {
        if cell == 0 || cell > self.shape.cells {
            return Err(Corrupt);
        }
        Ok(self.shape.cell(cell) + part)
    }

    fn link(&self, cell: u32) -> Result<u32, Corrupt> {
        Ok(self.storage.load(self.word(cell, LINK)?))
    }

    pub(super) fn free(&self) -> Result<Free, Corrupt> {
        let [first, count, top] = [FREE, FREE_COUNT, TOP].map(|word| self.storage.load(word));
        if count <= top && top <= self.shape.cells { Ok(Free { first, count, top }) } else { Err(Corrupt) }
    }

    pub(super) fn head(&self, cell: u32) -> Result<Head, Corrupt> {
        let at = self.word(cell, 0)?;
        let [next, hash, key, value] =
            [NEXT, HASH, KEY_BYTES, VALUE_BYTES].map(|part| self.storage.load(at + part));
        let head = Head { next, hash, key, value };
        if cells_of(head.payload()) <= self.shape.cells { Ok(head) } else { Err(Corrupt) }
    }

    /// Takes cells for a payload: what is left, and the first of a chain of them. Nothing is changed that another
    /// process would see.
    pub(super) fn take(&self, payload: usize) -> Result<(u32, Free), Refused> {
        let count = cells_of(payload);
        if count > self.shape.cells {
            return Err(Refused::TooLarge);
        }
        let free = self.free()?;
        let listed = count.min(free.count);
        let fresh = count - listed;
        if fresh > self.shape.cells - free.top {
            return Err(Refused::Full);
        }
        self.make_ready(free.top + fresh)?;
        let (mut last, mut next) = (None, free.first);
        for _ in 0..listed {
            last = Some(next);
            next = self.link(next)?;
        }
        for cell in free.top + 1..=free.top + fresh {
            if let Some(last) = last.replace(cell) {
                self.storage.store(self.word(last, LINK)?, cell);
            }
        }
        let first = if listed > 0 { free.first } else { free.top + 1 };
        Ok((first, Free { first: next, count: free.count - listed, top: free.top + fresh }))
    }

    /// Reserves the pages of the cells up to this one.
    fn make_ready(&self, top: u32) -> Result<(), Refused> {
        let ready = self.storage.load(READY_CELLS);
        if top <= ready {
            return Ok(());
        }
        let step = (ready / 8).clamp(LEAST_STEP, MOST_STEP);
        let end = top.max(ready.saturating_add(step)).min(self.shape.cells);
        self.storage.reserve(self.shape.cell(ready + 1), self.shape.cell(end + 1))?;
        self.storage.store(READY_CELLS, end);
        Ok(())
    }

    /// Adds the free cells, as they will be, to a change.
    pub(super) fn set_free(&self, change: &mut Change<'a, S>, free: Free) {
        change.set(FREE, free.first);
        change.set(FREE_COUNT, free.count);
        change.set(TOP, free.top);
    }

    /// Adds to a change that an entry's cells are free, beside those that are.
    pub(super) fn give_back(
        &self,
        change: &mut Change<'a, S>,
        first: u32,
        payload: usize,
        free: Free,
    ) -> Result<Free, Corrupt> {
        let count = cells_of(payload);
        let mut last = first;
        for _ in 1..count {
            last = self.link(last)?;
        }
        change.set(self.word(last, LINK)?, free.first);
        Ok(Free { first, count: free.count.checked_add(count).ok_or(Corrupt)?, top: free.top })
    }

    /// Writes an entry into cells that were taken for it, before the change that makes them one.
    pub(super) fn write(&self, first: u32, head: Head, key: &[u8], value: &[u8]) -> Result<(), Corrupt> {
        let at = self.word(first, 0)?;
        let Head { next, hash, key: key_bytes, value: value_bytes } = head;
        let parts = [(NEXT, next), (HASH, hash), (KEY_BYTES, key_bytes), (VALUE_BYTES, value_bytes)];
        parts.into_iter().for_each(|(part, number)| self.storage.store(at + part, number));
        let mut to = Place { cell: first, part: PAYLOAD, used: 0, room: IN_FIRST };
        self.write_part(&mut to, key)?;
        self.write_part(&mut to, value)
    }

    fn write_part(&self, to: &mut Place, mut bytes: &[u8]) -> Result<(), Corrupt> {
        while !bytes.is_empty() {
            if to.used == to.room {
                *to = Place { cell: self.link(to.cell)?, part: MORE_PAYLOAD, used: 0, room: IN_OTHER };
            }
            let (now, later) = bytes.split_at(bytes.len().min(to.room - to.used));
            let word = self.word(to.cell, to.part)?;
            self.storage.write_at(word, to.used, now);
            to.used += now.len();
            bytes = later;
        }
        Ok(())
    }

    /// Appends an entry's payload to a vector.
    pub(super) fn read(&self, first: u32, head: Head, to: &mut Vec<u8>) -> Result<(), Refused> {
        let mut left = head.payload();
        to.try_reserve(left).map_err(|_| Refused::no_memory(left))?;
        let (mut cell, mut part, mut room) = (first, PAYLOAD, IN_FIRST);
        loop {
            let now = left.min(room);
            self.storage.read(self.word(cell, part)?, now, to);
            left -= now;
            if left == 0 {
                return Ok(());
            }
            (cell, part, room) = (self.link(cell)?, MORE_PAYLOAD, IN_OTHER);
        }
    }

    /// Gives the pages back of all cells but the first ones, when none is in use.
    pub(super) fn release(&self) {
        let ready = self.storage.load(READY_CELLS).min(self.shape.cells);
        if ready > LEAST_STEP {
            self.storage.store(READY_CELLS, LEAST_STEP);
            self.storage.release(self.shape.cell(LEAST_STEP + 1), self.shape.cell(ready + 1));
        }
    }
}

/// Where the next byte of a payload goes.
struct Place {
    cell: u32,
    part: u32,
    used: usize,
    room: usize,
}
