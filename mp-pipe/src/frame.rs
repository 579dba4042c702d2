//! How a message lies on the wire: CPython's framing, bit for bit. Pure: no descriptor, no system call.
//!
//! ```text
//!  up to 0x7fffffff bytes:  [ length: i32, big-endian ][ payload … ]
//!  more:                    [ -1: i32 ][ length: u64, big-endian ][ payload … ]
//! ```
//!
//! [`Header`] writes that, [`Assembly`] reads it, in pieces of any size:
//!
//! ```text
//!  ┌──► Head(room) ──fill──► … ──► Body(room) ──fill──► … ──► Whole ──take──┐
//!  └─────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A length is a peer's claim. It is compared with a limit before a byte is allocated for it, and the buffer
//! grows with what has arrived, so a lie costs the liar the bytes. Every other negative length is an error:
//! CPython takes -2 for an empty message.

/// The longest payload whose length fits the short header.
const SHORT_MOST: u64 = 0x7fff_ffff;
/// What stands in the short header's place before a long length.
const LONG: i32 = -1;
const SHORT_HEADER: usize = 4;
const LONG_HEADER: usize = 12;

/// Room for a payload before its first byte has arrived; from then on twice what has.
const FIRST_ROOM: usize = 1 << 20;

/// The bytes before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; LONG_HEADER],
    count: usize,
}

impl Header {
    /// The header of a payload of so many bytes.
    pub fn of(payload: u64) -> Header {
        let mut bytes = [0; LONG_HEADER];
        if payload <= SHORT_MOST {
            bytes[..SHORT_HEADER].copy_from_slice(&(payload as i32).to_be_bytes());
            return Header { bytes, count: SHORT_HEADER };
        }
        bytes[..SHORT_HEADER].copy_from_slice(&LONG.to_be_bytes());
        bytes[SHORT_HEADER..].copy_from_slice(&payload.to_be_bytes());
        Header { bytes, count: LONG_HEADER }
    }

    /// Its 4 or 12 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.count]
    }
}

/// A frame that is not received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// No message has such a length: the peer speaks another protocol.
    #[error("bad message length {0}")]
    BadLength(i32),
    /// Longer than the caller takes.
    #[error("message of {length} bytes is longer than the limit of {limit}")]
    TooLong {
        /// Bytes that the header announces.
        length: u64,
        /// Bytes that would have been taken.
        limit: usize,
    },
}

/// What the beginning of a frame says of its length.
enum Length {
    /// Nothing yet: the header has so many bytes in all.
    Needs(usize),
    Is(u64),
}

#[inline]
fn length(head: &[u8]) -> Result<Length, FrameError> {
    let Some((short, rest)) = head.split_first_chunk::<SHORT_HEADER>() else {
        return Ok(Length::Needs(SHORT_HEADER));
    };
    match i32::from_be_bytes(*short) {
        LONG => Ok(rest
            .first_chunk()
            .map_or(Length::Needs(LONG_HEADER), |long| Length::Is(u64::from_be_bytes(*long)))),
        bad if bad < 0 => Err(FrameError::BadLength(bad)),
        short => Ok(Length::Is(short as u64)),
    }
}

/// What an [`Assembly`] needs next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Bytes of the header, at most as many as there is room: [`Assembly::filled`] says how many came.
    Head(&'a mut [u8]),
    /// Bytes of the payload, to be appended to `body`, at most `most` of them. There is room for those.
    Body {
        /// The payload so far.
        body: &'a mut Vec<u8>,
        /// Bytes that may be appended.
        most: usize,
    },
    /// Nothing: the message can be taken.
    Whole,
}

/// A message as it arrives. Between two steps it can wait for any time; nothing is lost.
#[derive(Debug, Default)]
pub struct Assembly {
    head: [u8; LONG_HEADER],
    head_count: usize,
    /// What has arrived of the payload. Room for more is not zeroed first: that costs as much as reading it does.
    body: Vec<u8>,
}

impl Assembly {
    /// What is needed next. `fresh` gives the buffer that a payload is put into, for its room.
    ///
    /// # Errors
    /// A bad length, or one above `limit`. What has arrived is kept: the same error comes again, and a message
    /// that was too long can still be received with a larger limit.
    #[inline]
    pub fn step(&mut self, limit: usize, fresh: impl FnOnce() -> Vec<u8>) -> Result<Step<'_>, FrameError> {
        let length = match length(&self.head[..self.head_count])? {
            Length::Needs(count) => return Ok(Step::Head(&mut self.head[self.head_count..count])),
            Length::Is(length) => length,
        };
        let too_long = FrameError::TooLong { length, limit };
        let length = usize::try_from(length).ok().filter(|length| *length <= limit).ok_or(too_long)?;
        let count = self.body.len();
        if count == length {
            return Ok(Step::Whole);
        }
        if count == 0 && self.body.capacity() == 0 {
            self.body = fresh();
            self.body.clear();
        }
        let most = length.min(count.saturating_mul(2).max(FIRST_ROOM)) - count;
        self.body.reserve_exact(most);
        Ok(Step::Body { body: &mut self.body, most })
    }

    /// Says that the first `count` bytes of the room for the header have been written.
    pub fn filled(&mut self, count: usize) {
        self.head_count += count;
    }

    /// The payload's length, once its header is there.
    pub fn announced(&self) -> Option<u64> {
        match length(&self.head[..self.head_count]) {
            Ok(Length::Is(length)) => Some(length),
            _ => None,
        }
    }

    /// Whether nothing of a message has arrived yet.
    pub fn at_boundary(&self) -> bool {
        self.head_count == 0
    }

    /// Whether nothing of a payload has arrived yet.
    pub fn before_body(&self) -> bool {
        self.body.is_empty()
    }

    /// Puts payload bytes here that were received elsewhere, as the first ones.
    pub fn begin_body(&mut self, bytes: &[u8]) {
        debug_assert!(self.before_body());
        self.body = bytes.to_vec();
    }

    /// Takes the message and makes ready for the next.
    pub fn take(&mut self) -> Vec<u8> {
        self.head_count = 0;
        std::mem::take(&mut self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_LIMIT: usize = usize::MAX;

    fn frame(payload: &[u8]) -> Vec<u8> {
        [Header::of(payload.len() as u64).as_bytes(), payload].concat()
    }

    /// Feeds bytes in pieces of at most `piece`; gives the messages, and what was used of the bytes.
    fn feed(assembly: &mut Assembly, mut bytes: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut messages = Vec::new();
        loop {
            let some = |most: usize| most.min(piece).min(bytes.len());
            let count = match assembly.step(NO_LIMIT, Vec::new)? {
                Step::Whole => {
                    messages.push(assembly.take());
                    continue;
                }
                _ if bytes.is_empty() => return Ok(messages),
                Step::Head(room) => {
                    let count = some(room.len());
                    room[..count].copy_from_slice(&bytes[..count]);
                    assembly.filled(count);
                    count
                }
                Step::Body { body, most } => {
                    assert!(most <= body.capacity() - body.len());
                    body.extend_from_slice(&bytes[..some(most)]);
                    some(most)
                }
            };
            bytes = &bytes[count..];
        }
    }

    #[test]
    fn headers_are_those_of_cpython() {
        // struct.pack("!i", n), and struct.pack("!i", -1) + struct.pack("!Q", n)
        let cases: [(u64, &[u8]); 6] = [
            (0, &[0, 0, 0, 0]),
            (1, &[0, 0, 0, 1]),
            (16385, &[0, 0, 0x40, 1]),
            (0x7fff_ffff, &[0x7f, 0xff, 0xff, 0xff]),
            (0x8000_0000, &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x80, 0, 0, 0]),
            (0x0102_0304_0506_0708, &[0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8]),
        ];
        for (payload, header) in cases {
            assert_eq!(Header::of(payload).as_bytes(), header, "{payload}");
        }
    }

    #[test]
    fn every_cut_and_every_size_of_piece_gives_the_same_messages() {
        let payloads = [&b"first"[..], b"", b"x", &[7; if cfg!(miri) { 9 } else { 300 }]];
        let wire: Vec<u8> = payloads.iter().flat_map(|payload| frame(payload)).collect();
        for cut in 0..=wire.len() {
            for piece in [1, 3, NO_LIMIT] {
                let mut assembly = Assembly::default();
                let mut messages = feed(&mut assembly, &wire[..cut], piece).unwrap();
                let at_boundary = messages.iter().map(|message| message.len() + 4).sum::<usize>() == cut;
                assert_eq!(assembly.at_boundary(), at_boundary, "cut at {cut}");
                messages.extend(feed(&mut assembly, &wire[cut..], piece).unwrap());
                assert_eq!(messages, payloads, "cut at {cut}, pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_long_header_is_understood_for_any_length() {
        let wire = [&[0xff; 4][..], &3_u64.to_be_bytes(), b"abc"].concat();
        for cut in 0..=wire.len() {
            let mut assembly = Assembly::default();
            let mut messages = feed(&mut assembly, &wire[..cut], NO_LIMIT).unwrap();
            messages.extend(feed(&mut assembly, &wire[cut..], NO_LIMIT).unwrap());
            assert_eq!(messages, [b"abc"]);
        }
    }

    #[test]
    fn lengths_below_minus_one_are_refused_again_and_again() {
        for bad in [-2, -3, -0x0102_0304, i32::MIN] {
            let mut assembly = Assembly::default();
            for _ in 0..2 {
                assert_eq!(
                    feed(&mut assembly, &bad.to_be_bytes(), NO_LIMIT),
                    Err(FrameError::BadLength(bad))
                );
            }
        }
    }

    #[test]
    fn the_limit_is_checked_before_anything_is_allocated() {
        for length in [11, 0x7fff_ffff, 1 << 62, u64::MAX] {
            let mut assembly = Assembly::default();
            let header = Header::of(length);
            while let Ok(Step::Head(room)) = assembly.step(10, || unreachable!("no payload is begun")) {
                let (from, count) = (LONG_HEADER.min(header.count) - room.len(), room.len());
                let from = if header.count == LONG_HEADER && count == SHORT_HEADER { 0 } else { from };
                room.copy_from_slice(&header.bytes[from..from + count]);
                assembly.filled(count);
            }
            let refused = assembly.step(10, Vec::new).unwrap_err();
            assert_eq!(refused, FrameError::TooLong { length, limit: 10 });
            assert_eq!(assembly.body.capacity(), 0);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "megabytes, byte by byte")]
    fn the_buffer_grows_with_what_arrives() {
        let mut assembly = Assembly::default();
        let header = Header::of(SHORT_MOST);
        assert!(feed(&mut assembly, header.as_bytes(), NO_LIMIT).unwrap().is_empty());
        assert!(assembly.body.capacity() <= FIRST_ROOM);
        let mut arrived = 0;
        while arrived < 4 * FIRST_ROOM {
            feed(&mut assembly, &[0; 4096], NO_LIMIT).unwrap();
            arrived += 4096;
            assert!(assembly.body.capacity() <= (2 * arrived).max(FIRST_ROOM), "{arrived}");
        }
    }

    #[test]
    fn a_message_too_long_can_still_be_taken_with_a_larger_limit() {
        let mut assembly = Assembly::default();
        feed(&mut assembly, &frame(b"12345")[..6], NO_LIMIT).unwrap();
        assert!(matches!(assembly.step(4, Vec::new), Err(FrameError::TooLong { length: 5, limit: 4 })));
        assert_eq!(feed(&mut assembly, b"345", NO_LIMIT).unwrap(), [b"12345"]);
    }

    #[test]
    fn a_used_buffer_serves_again() {
        let mut assembly = Assembly::default();
        assembly.filled(Header::of(2).as_bytes().len());
        assembly.head[3] = 2;
        let Step::Body { body, most: 2 } = assembly.step(NO_LIMIT, || vec![9; 100]).unwrap() else {
            panic!("no body of two bytes")
        };
        assert!(body.is_empty());
        body.extend_from_slice(b"ok");
        let buffer = assembly.take();
        assert_eq!((buffer.as_slice(), buffer.capacity()), (&b"ok"[..], 100));
    }
}
