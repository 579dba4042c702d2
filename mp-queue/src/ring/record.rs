//! A record in its segment: one word of head, the number of its packet if it has one, and its bytes up to the
//! next unit.
//!
//! ```text
//!  [ length: 32 bits | PACKET: 1 bit ][ packet: u64 ][ bytes ……… | 0 to 7 unused ]
//!                                      only if PACKET  in two pieces where the segment ends
//! ```

use super::cursor::Cursor;
use super::{Memory, NotTaken, Ring, UNIT};

/// The bit in the head that says: a packet carries the record's descriptors.
const PACKET: u64 = 1 << 32;

/// The length of a record in units, with its head. `None`: it is too long to be counted.
#[inline]
pub(super) fn units(len: usize, packet: bool) -> Option<u32> {
    let units = u32::try_from(len).ok()?.div_ceil(UNIT as u32);
    units.checked_add(1 + u32::from(packet))
}

/// The checked head of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) len: u32,
    /// 0, or the number of the packet that carries the record's descriptors.
    pub(super) packet: u64,
    /// The length of the whole record in units.
    pub(super) units: u32,
}

impl<M: Memory> Ring<M> {
    /// Reads the head of the record at `head`. Each value from shared memory is read once and checked, since
    /// any process may write over it.
    #[inline]
    pub(super) fn read_head(&self, at: usize, head: Cursor, tail: Cursor) -> Result<Head, NotTaken> {
        let published = tail.position.wrapping_sub(head.position);
        if published > self.0.units(at) || published == 0 {
            return Err(NotTaken::Corrupt);
        }
        let word = self.0.load(at, self.offset(at, head.position));
        let len = word as u32;
        let has_packet = word & PACKET != 0;
        match units(len as usize, has_packet) {
            Some(units) if units <= published && word >> 33 == 0 => {
                let second = self.offset(at, head.position.wrapping_add(1));
                let packet = if has_packet { self.0.load(at, second) } else { 0 };
                Ok(Head { len, packet, units })
            }
            _ => Err(NotTaken::Corrupt),
        }
    }

    /// Appends the bytes of the record at `position` to `into`.
    #[inline]
    pub(super) fn read_bytes(&self, at: usize, position: u32, record: Head, into: &mut Vec<u8>) {
        let len = record.len as usize;
        let start = position.wrapping_add(1 + u32::from(record.packet != 0));
        let offset = self.offset(at, start);
        let first = len.min(self.0.units(at) as usize * UNIT - offset);
        self.0.read(at, offset, first, into);
        if first < len {
            self.0.read(at, 0, len - first, into);
        }
    }

    /// Writes a record into reserved space.
    #[inline]
    pub(super) fn write_record(&self, at: usize, position: u32, packet: u64, bytes: &[u8]) {
        let has_packet = packet != 0;
        let head = bytes.len() as u64 | if has_packet { PACKET } else { 0 };
        self.0.store(at, self.offset(at, position), head);
        if has_packet {
            self.0.store(at, self.offset(at, position.wrapping_add(1)), packet);
        }
        let offset = self.offset(at, position.wrapping_add(1 + u32::from(has_packet)));
        let (first, rest) = bytes.split_at(bytes.len().min(self.0.units(at) as usize * UNIT - offset));
        self.0.write(at, offset, first);
        if !rest.is_empty() {
            self.0.write(at, 0, rest);
        }
    }
}
