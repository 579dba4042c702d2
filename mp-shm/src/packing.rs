//! The format of a `ShareableList` in memory, pure: CPython's own.
//!
//! ```text
//!  ┌─────────┬────────────────────┬──────────────────────┬────────────────┬───────────┐
//!  │ n: i64  │ offsets: i64 × n+1 │ data: a slot an item │ formats: 8 × n │ codes: n  │
//!  └─────────┴────────────────────┴──────────────────────┴────────────────┴───────────┘
//!              from the data's begin, the first is 0, the last is the data's length
//! ```
//!
//! | item           | slot            | format: zeros after it | code | by CPython                               |
//! |----------------|-----------------|------------------------|------|------------------------------------------|
//! | Int            | 8               | `q`                    | 0    | the same                                 |
//! | Float          | 8               | `d`                    | 0    | the same                                 |
//! | Bool           | 8               | `xxxxxxx?`             | 0    | the same                                 |
//! | None           | 8               | `xxxxxx?x`             | 3    | the same                                 |
//! | Str of n bytes | `8 * (n/8 + 1)` | `{n}sx`                | 1    | `{slot}s`, n counts characters           |
//! | Bytes, n       | `8 * (n/8 + 1)` | `{n}sx`                | 2    | `{slot}s`                                |
//!
//! CPython does not store a length: it fills the slot with zeros and strips them when it reads, also zeros of the
//! value. `{n}sx`, n bytes and one to be ignored, stores the length, and CPython reads it too. (It would also read
//! `{n}s`, but would keep that format for a longer value, and cut the value. An `x` at the end makes it choose a
//! new format.) From a million bytes on eight characters are too few: there the format is `{slot}s`, and a zero at
//! the end is lost.
//!
//! Any process may write any bytes here. So each length and offset is checked before it is used; an invalid one is
//! [`ListError::Corrupt`].

use crate::error::ListError;
use crate::item::Item;
use std::ops::Range;

const WORD: usize = 8;
/// The longest length that fits into a format beside `sx`.
const LONGEST_EXACT: usize = 999_999;
/// The longest slot that fits into a format beside `s`.
const LONGEST_SLOT: usize = 9_999_999;

/// The offsets of all parts, checked once and kept in this process's own memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The start of each slot, and the end of the last, from the start of the block.
    slots: Vec<usize>,
}

impl Layout {
    /// For slots of these lengths.
    fn of(rooms: &[usize]) -> Layout {
        let mut end = WORD * (rooms.len() + 2);
        let mut slots = vec![end];
        slots.extend(rooms.iter().map(|room| {
            end += room;
            end
        }));
        Layout { slots }
    }

    /// The layout of the list in a block of `size` bytes that `read` copies from.
    pub(crate) fn read(size: usize, read: impl Fn(Range<usize>) -> Vec<u8>) -> Result<Layout, ListError> {
        if size < 2 * WORD {
            return Err(ListError::Corrupt("it is too short for a length"));
        }
        // An item takes an offset, a slot of a word at least, a format and a code.
        let most = (size - 2 * WORD) / (3 * WORD + 1);
        let items = number(&read(0..WORD)).filter(|items| *items <= most);
        let items = items.ok_or(ListError::Corrupt("its length is more than the block holds"))?;
        let begin = WORD * (items + 2);
        let offsets = read(WORD..begin);
        let mut slots = Vec::with_capacity(items + 1);
        for offset in offsets.chunks_exact(WORD) {
            let slot = number(offset).and_then(|offset| begin.checked_add(offset));
            let least = slots.last().map_or(begin, |before| before + WORD);
            let slot = slot.filter(|slot| (least..=size).contains(slot));
            slots.push(slot.ok_or(ListError::Corrupt(
                "an offset is out of range, or not greater than the one before",
            ))?);
        }
        if slots[0] != begin {
            return Err(ListError::Corrupt("its first offset is not 0"));
        }
        let layout = Layout { slots };
        if layout.size() > size {
            Err(ListError::Corrupt("its items are more than the block holds"))
        } else {
            Ok(layout)
        }
    }

    /// The number of items.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - 1
    }

    /// The length of the list in bytes.
    pub(crate) fn size(&self) -> usize {
        self.formats() + (WORD + 1) * self.len()
    }

    /// The bytes in front of the slots.
    fn head(&self) -> Vec<u8> {
        let offsets = self.slots.iter().map(|slot| slot - self.slots[0]);
        let words = [self.len()].into_iter().chain(offsets);
        words.flat_map(|word| (word as i64).to_ne_bytes()).collect()
    }

    fn formats(&self) -> usize {
        self.slots[self.len()]
    }

    pub(crate) fn slot(&self, index: usize) -> Range<usize> {
        self.slots[index]..self.slots[index + 1]
    }

    pub(crate) fn format(&self, index: usize) -> Range<usize> {
        let at = self.formats() + WORD * index;
        at..at + WORD
    }

    pub(crate) fn code(&self, index: usize) -> usize {
        self.formats() + WORD * self.len() + index
    }
}

/// The bytes of a whole list.
pub(crate) fn pack(items: &[Item]) -> Result<(Layout, Vec<u8>), ListError> {
    let layout = Layout::of(&items.iter().map(room).collect::<Vec<usize>>());
    let mut bytes = layout.head();
    bytes.resize(layout.size(), 0);
    for (index, item) in items.iter().enumerate() {
        let packed = Packed::of(index, item, layout.slot(index).len())?;
        bytes[layout.slot(index)].copy_from_slice(&packed.slot);
        bytes[layout.format(index)].copy_from_slice(&packed.format);
        bytes[layout.code(index)] = packed.code;
    }
    Ok((layout, bytes))
}

/// The length of an item's slot: as CPython computes it, but by the bytes of a text and not its characters.
fn room(item: &Item) -> usize {
    match item {
        Item::Str(text) => WORD * (text.len() / WORD + 1),
        Item::Bytes(bytes) => WORD * (bytes.len() / WORD + 1),
        _ => WORD,
    }
}

/// The bytes of an item.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    /// The whole slot.
    pub(crate) slot: Vec<u8>,
    pub(crate) format: [u8; WORD],
    pub(crate) code: u8,
}

impl Packed {
    /// Item `index`, for a slot of `room` bytes, a word at least.
    pub(crate) fn of(index: usize, item: &Item, room: usize) -> Result<Packed, ListError> {
        let (start, format, code): (&[u8], String, u8) = match item {
            Item::Int(number) => (&number.to_ne_bytes(), "q".to_owned(), 0),
            Item::Float(number) => (&number.to_ne_bytes(), "d".to_owned(), 0),
            Item::Bool(value) => (&[0, 0, 0, 0, 0, 0, 0, u8::from(*value)], "xxxxxxx?".to_owned(), 0),
            Item::None => (&[], "xxxxxx?x".to_owned(), 3),
            Item::Str(text) => (text.as_bytes(), text_format(index, text.as_bytes(), room)?, 1),
            Item::Bytes(bytes) => (bytes, text_format(index, bytes, room)?, 2),
        };
        let mut slot = vec![0; room];
        slot[..start.len()].copy_from_slice(start);
        let mut eight = [0; WORD];
        eight[..format.len()].copy_from_slice(format.as_bytes());
        Ok(Packed { slot, format: eight, code })
    }
}

fn text_format(index: usize, text: &[u8], room: usize) -> Result<String, ListError> {
    let bytes = text.len();
    match bytes {
        _ if bytes > room => Err(ListError::TooLong { index, bytes, room }),
        0..=LONGEST_EXACT => Ok(format!("{bytes}sx")),
        _ if room > LONGEST_SLOT => Err(ListError::TooLong { index, bytes, room: LONGEST_SLOT }),
        _ if text.ends_with(&[0]) => Err(ListError::EndsInZero { index, bytes }),
        _ => Ok(format!("{room}s")),
    }
}

/// The type of an item, by its format and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Int,
    Float,
    Bool,
    None,
    Text { bytes: usize, exact: bool, code: Text },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    Str,
    Bytes,
}

impl Shape {
    /// For a slot of `room` bytes.
    pub(crate) fn of(format: &[u8], code: u8, room: usize) -> Result<Shape, ListError> {
        let shape = match (without_zeros(format), code) {
            (b"q", 0) => Shape::Int,
            (b"d", 0) => Shape::Float,
            (b"xxxxxxx?", 0) => Shape::Bool,
            (b"xxxxxx?x", 3) => Shape::None,
            (format, 1) => text_shape(format, Text::Str)?,
            (format, 2) => text_shape(format, Text::Bytes)?,
            _ => return Err(ListError::Corrupt("an item's format and code do not belong together")),
        };
        if shape.bytes() > room {
            Err(ListError::Corrupt("an item is longer than its slot"))
        } else {
            Ok(shape)
        }
    }

    /// The number of bytes of the slot to read.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Shape::Text { bytes, .. } => bytes,
            _ => WORD,
        }
    }

    /// The item from bytes that were read once and cannot change any more: as many as [`bytes`](Shape::bytes)
    /// returns.
    pub(crate) fn item(self, bytes: Vec<u8>) -> Result<Item, ListError> {
        let word = || {
            <[u8; WORD]>::try_from(bytes.as_slice()).map_err(|_| ListError::Corrupt("an item ends too early"))
        };
        Ok(match self {
            Shape::Int => Item::Int(i64::from_ne_bytes(word()?)),
            Shape::Float => Item::Float(f64::from_ne_bytes(word()?)),
            Shape::Bool => Item::Bool(word()?[WORD - 1] != 0),
            Shape::None => Item::None,
            Shape::Text { exact, code, .. } => {
                let mut bytes = bytes;
                if !exact {
                    bytes.truncate(without_zeros(&bytes).len());
                }
                match code {
                    Text::Bytes => Item::Bytes(bytes),
                    Text::Str => Item::Str(
                        String::from_utf8(bytes).map_err(|_| ListError::Corrupt("a text is not UTF-8"))?,
                    ),
                }
            }
        })
    }
}

/// `{n}s` or `{n}sx`.
fn text_shape(format: &[u8], code: Text) -> Result<Shape, ListError> {
    let (digits, exact) = match format {
        [digits @ .., b's', b'x'] => (digits, true),
        [digits @ .., b's'] => (digits, false),
        _ => return Err(ListError::Corrupt("the format of a text is not valid")),
    };
    let number =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()));
    let bytes = number
        .and_then(|text| text.parse().ok())
        .ok_or(ListError::Corrupt("the format of a text has no length"))?;
    Ok(Shape::Text { bytes, exact, code })
}

pub(crate) fn without_zeros(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// A word that is not negative.
fn number(bytes: &[u8]) -> Option<usize> {
    usize::try_from(i64::from_ne_bytes(bytes.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random and are the same every time.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, end: usize) -> usize {
            (self.next() % end as u64) as usize
        }
    }

    fn some() -> Vec<Item> {
        vec![
            Item::Int(i64::MIN),
            Item::Float(-0.0),
            Item::Bool(true),
            Item::Bool(false),
            Item::None,
            "".into(),
            "seven b".into(),
            "eight by".into(),
            "\u{4e16}\u{754c}\0".into(),
            b"\0\0".into(),
            vec![9; 30].into(),
        ]
    }

    fn layout(bytes: &[u8]) -> Result<Layout, ListError> {
        Layout::read(bytes.len(), |range| bytes[range].to_vec())
    }

    fn item(bytes: &[u8], layout: &Layout, index: usize) -> Result<Item, ListError> {
        let slot = layout.slot(index);
        let shape = Shape::of(&bytes[layout.format(index)], bytes[layout.code(index)], slot.len())?;
        shape.item(bytes[slot][..shape.bytes()].to_vec())
    }

    #[test]
    fn what_was_packed_is_there_again() {
        let (packed, bytes) = pack(&some()).unwrap();
        assert_eq!(layout(&bytes), Ok(packed.clone()));
        let again: Result<Vec<Item>, ListError> =
            (0..packed.len()).map(|index| item(&bytes, &packed, index)).collect();
        assert_eq!(again, Ok(some()));
        // A block may be longer than its list.
        assert_eq!(layout(&[bytes, vec![0xFF; 100]].concat()), Ok(packed));
        assert_eq!(pack(&[]).unwrap().1, [0; 16]);
    }

    #[test]
    fn the_bytes_are_cpythons() {
        let (_, bytes) = pack(&["ab".into(), Item::Int(3)]).unwrap();
        let words = [2_i64, 0, 8, 16].map(i64::to_ne_bytes).concat();
        let expected =
            [&words, &b"ab\0\0\0\0\0\0"[..], &3_i64.to_ne_bytes(), b"2sx\0\0\0\0\0q\0\0\0\0\0\0\0\x01\0"];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn a_text_has_its_length_where_eight_characters_suffice() {
        let format = |text: &[u8], room| text_format(3, text, room);
        assert_eq!(format(b"", 8).unwrap(), "0sx");
        assert_eq!(format(&[0; 8], 8).unwrap(), "8sx");
        assert_eq!(format(&[0; 9], 8), Err(ListError::TooLong { index: 3, bytes: 9, room: 8 }));
        assert_eq!(format(&[0; 999_999], 1 << 20).unwrap(), "999999sx");
        assert_eq!(format(&[1; 1_000_000], 1_000_008).unwrap(), "1000008s");
        assert_eq!(
            format(&[0; 1_000_000], 1_000_008),
            Err(ListError::EndsInZero { index: 3, bytes: 1_000_000 })
        );
        let longest = ListError::TooLong { index: 3, bytes: 9_999_999, room: 9_999_999 };
        assert_eq!(format(&[1; 9_999_999], 10_000_000), Err(longest));
        let million = Packed::of(0, &vec![7; 1_000_000].into(), 1_000_008).unwrap();
        let shape = Shape::of(&million.format, million.code, 1_000_008).unwrap();
        assert_eq!(shape.item(million.slot), Ok(vec![7; 1_000_000].into()));
    }

    #[test]
    fn formats_that_are_never_written_are_refused() {
        let shape = |format: &[u8], code| Shape::of(format, code, 16);
        assert_eq!(shape(b"5s", 2), Ok(Shape::Text { bytes: 5, exact: false, code: Text::Bytes }));
        assert_eq!(shape(b"16sx\0\0\0\0", 1), Ok(Shape::Text { bytes: 16, exact: true, code: Text::Str }));
        for (format, code) in [
            (&b"17s"[..], 1),
            (b"17sx", 1),
            (b"s", 1),
            (b"sx", 2),
            (b"-1s", 1),
            (b"+1s", 1),
            (b" 1s", 1),
            (b"1sxx", 1),
            (b"99999999", 1),
            (b"9999999s", 1),
            (b"\xFFs", 1),
            (b"", 0),
            (b"q", 1),
            (b"5s", 0),
            (b"q", 3),
            (b"5s", 4),
            (b"5s", 255),
            (b"xxxxxxx?", 3),
            (b"xxxxxx?x", 0),
            (b"Q", 0),
        ] {
            assert!(shape(format, code).is_err(), "{format:?} {code}");
        }
    }

    /// Any bytes in a block are a list or `ListError::Corrupt`, and all offsets of a list are within the block.
    fn survives(bytes: &[u8]) -> bool {
        let Ok(layout) = layout(bytes) else { return false };
        assert!(layout.size() <= bytes.len());
        for index in 0..layout.len() {
            let _ = item(bytes, &layout, index);
        }
        true
    }

    /// The number of tries; Miri is a thousand times slower.
    const TRIES: usize = if cfg!(miri) { 60 } else { 20_000 };

    #[test]
    fn hostile_bytes_are_a_list_or_an_error() {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for size in (0..200).step_by(if cfg!(miri) { 19 } else { 1 }) {
            for _ in 0..TRIES.div_ceil(400) {
                let mut bytes: Vec<u8> = (0..size).map(|_| random.next() as u8).collect();
                survives(&bytes);
                // A length and a first offset that may pass.
                bytes.iter_mut().take(16).for_each(|byte| *byte = 0);
                if size > 0 {
                    bytes[0] = random.below(9) as u8;
                }
                survives(&bytes);
            }
        }
        let (_, good) = pack(&some()).unwrap();
        let (mut lists, mut refused) = (0, 0);
        for _ in 0..TRIES {
            let mut bytes = good.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len());
                match random.below(3) {
                    0 => bytes[at] = random.next() as u8,
                    1 => bytes[at] ^= 1 << random.below(8),
                    _ => bytes.iter_mut().skip(at).take(8).for_each(|byte| *byte = random.next() as u8),
                }
            }
            bytes.truncate(bytes.len() - random.below(2) * random.below(60));
            if survives(&bytes) { lists += 1 } else { refused += 1 }
        }
        assert!(lists > TRIES / 20 && refused > TRIES / 20, "{lists} {refused}: both ways are tried");
        for word in [i64::MAX, i64::MIN, -1, i64::MAX / 8, 1 << 40, 12, 13] {
            for at in (0..14).step_by(if cfg!(miri) { 5 } else { 1 }) {
                let mut bytes = good.clone();
                bytes[at * 8..][..8].copy_from_slice(&word.to_ne_bytes());
                survives(&bytes);
            }
        }
    }
}
