//! A record in its segment: one word of head, the number of its packet if it has one, and its bytes up to the
//! next unit.
//!
//! ```text
//!  [ length: 32 bits | PACKET: 1 bit ][ packet: u64 ][ bytes ……… | 0 to 7 unused ]
//!                                      only if PACKET  in two pieces where the segment ends
//! ```

use super::circle::UNIT;
use super::cursor::Cursor;
use super::outcome::Corrupt;
use super::storage::Storage;

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
    len: u32,
    /// 0, or the number of the packet that carries the record's descriptors.
    pub(super) packet: u64,
    /// The length of the whole record in units.
    pub(super) units: u32,
}

impl Head {
    /// Reads the head of the record at `head`. Each value from shared memory is read once and checked, since
    /// any process may write over it.
    #[inline]
    pub(super) fn read<S: Storage>(
        storage: &S,
        at: usize,
        head: Cursor,
        tail: Cursor,
    ) -> Result<Head, Corrupt> {
        let circle = storage.circle(at);
        let published = circle.between(head.position, tail.position);
        if published > circle.units() || published == 0 {
            return Err(Corrupt);
        }
        let word = storage.load(at, circle.offset(head.position));
        let len = word as u32;
        let has_packet = word & PACKET != 0;
        match units(len as usize, has_packet) {
            Some(units) if units <= published && word >> 33 == 0 => {
                let second = circle.offset(circle.after(head.position, 1));
                let packet = if has_packet { storage.load(at, second) } else { 0 };
                Ok(Head { len, packet, units })
            }
            _ => Err(Corrupt),
        }
    }

    /// Appends the bytes of the record at `position` to `into`.
    #[inline]
    pub(super) fn read_bytes<S: Storage>(self, storage: &S, at: usize, position: u32, into: &mut Vec<u8>) {
        let len = self.len as usize;
        let circle = storage.circle(at);
        let offset = circle.offset(circle.after(position, 1 + u32::from(self.packet != 0)));
        let first = len.min(circle.bytes() - offset);
        storage.read(at, offset, first, into);
        if first < len {
            storage.read(at, 0, len - first, into);
        }
    }
}

/// Writes a record into reserved space.
#[inline]
pub(super) fn write<S: Storage>(storage: &S, at: usize, position: u32, packet: u64, bytes: &[u8]) {
    let has_packet = packet != 0;
    let head = bytes.len() as u64 | if has_packet { PACKET } else { 0 };
    let circle = storage.circle(at);
    storage.store(at, circle.offset(position), head);
    if has_packet {
        storage.store(at, circle.offset(circle.after(position, 1)), packet);
    }
    let offset = circle.offset(circle.after(position, 1 + u32::from(has_packet)));
    let (first, rest) = bytes.split_at(bytes.len().min(circle.bytes() - offset));
    storage.write(at, offset, first);
    if !rest.is_empty() {
        storage.write(at, 0, rest);
    }
}
