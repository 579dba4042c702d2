//! A record in its segment: 16 bytes of head, its bytes, and nothing up to the next unit.
//!
//! ```text
//!  [ length: u64 | ticket: u64 | bytes ……… | 0 to 7 unused ]      in two pieces where the segment ends
//! ```

use super::cursor::Cursor;
use super::{Memory, NotTaken, Ring, UNIT, segment, segment_bytes};

/// What is kept in front of a record's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) len: u32,
    /// 0, or the number of the packet that carries the record's descriptors.
    pub(super) ticket: u64,
}

const HEAD_UNITS: u32 = 2;
const HEAD_BYTES: usize = HEAD_UNITS as usize * UNIT;

/// Units that a record takes; `None`: more than can be counted.
pub(super) fn units(len: usize) -> Option<u32> {
    let units = u32::try_from(len).ok()?.div_ceil(UNIT as u32);
    units.checked_add(HEAD_UNITS)
}

impl<M: Memory> Ring<M> {
    /// Copies the record at `head` out. What is read from shared memory is read once and checked.
    pub(super) fn read_record(
        &self,
        at: usize,
        head: Cursor,
        tail: Cursor,
        into: &mut Vec<u8>,
    ) -> Result<(Head, u32), NotTaken> {
        let published = tail.position.wrapping_sub(head.position);
        if published > segment::units(at) || published < HEAD_UNITS {
            return Err(NotTaken::Corrupt);
        }
        let before = into.len();
        self.copy_out(at, head.position, HEAD_BYTES, into);
        let word = |from: usize| u64::from_le_bytes(into[from..from + 8].try_into().expect("eight bytes"));
        let (len, ticket) = (word(before), word(before + 8));
        into.truncate(before);
        let len = u32::try_from(len).map_err(|_| NotTaken::Corrupt)?;
        match units(len as usize) {
            Some(units) if units <= published => {
                self.copy_out(at, head.position.wrapping_add(HEAD_UNITS), len as usize, into);
                Ok((Head { len, ticket }, units))
            }
            _ => Err(NotTaken::Corrupt),
        }
    }

    /// Writes a record where there is room for it.
    pub(super) fn write_record(&self, at: usize, position: u32, head: Head, bytes: &[u8]) {
        let mut words = [0; HEAD_BYTES];
        words[..8].copy_from_slice(&u64::from(head.len).to_le_bytes());
        words[8..].copy_from_slice(&head.ticket.to_le_bytes());
        self.copy_in(at, position, &words);
        self.copy_in(at, position.wrapping_add(HEAD_UNITS), bytes);
    }

    fn copy_in(&self, at: usize, position: u32, bytes: &[u8]) {
        let offset = segment::offset(at, position);
        let (first, rest) = bytes.split_at(bytes.len().min(segment_bytes(at) - offset));
        self.0.write(at, offset, first);
        if !rest.is_empty() {
            self.0.write(at, 0, rest);
        }
    }

    fn copy_out(&self, at: usize, position: u32, len: usize, into: &mut Vec<u8>) {
        let offset = segment::offset(at, position);
        let first = len.min(segment_bytes(at) - offset);
        self.0.read(at, offset, first, into);
        if first < len {
            self.0.read(at, 0, len - first, into);
        }
    }
}
