//! Whatever the other side of a handshake says, if it has no key it is not trusted: bytes of no plan,
//! plausible messages, and what this side has said itself, changed or not. Nor does it have this side hear
//! more than a handshake's length.

use mp_core::AuthKey;
use mp_pipe::handshake::{Form, Handshake, Want};

const FORMS: [Form; 3] = [Form::Own, Form::CPython, Form::CPythonAndMd5];
/// How messages begin, so that a fuzzer need not find it out.
const WORDS: [&[u8]; 10] = [
    b"#CHALLENGE#",
    b"#CHALLENGE#{sha256}",
    b"#WELCOME#",
    b"#FAILURE#",
    b"{sha256}",
    b"{md5}",
    b"mp-hello\x01",
    b"mp-proof\x01",
    b"mp-agreed",
    b"mp-refused",
];
/// Three messages of at most 256 bytes, with the longer header.
const MOST_HEARD: usize = 3 * (256 + 12);

/// The input is a script: its first byte says which side this is, of which form, and in pieces of which size
/// it hears; then one message after the other.
pub(crate) fn check(input: &[u8]) {
    let mut script = Script(input);
    let Some(first) = script.byte() else { return };
    // Not the same nonces each time: whatever they are, no peer may be trusted.
    let key = AuthKey::new(*b"known to nobody else");
    let form = FORMS[usize::from(first >> 1) % 3];
    let side =
        if first & 1 == 0 { Handshake::of_listener(&key, form) } else { Handshake::of_client(&key, form) };
    let mut side = Side { handshake: side.expect("random bytes"), said: Vec::new(), heard: 0 };
    let piece = 1 << (first >> 3 & 15);
    side.speak();
    while let Some(message) = script.message(&side.said) {
        side.hear(&message, piece);
        side.speak();
    }
}

struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// As many bytes as the next one says, or as there are.
    fn bytes(&mut self) -> Vec<u8> {
        let count = usize::from(self.byte().unwrap_or(0)).min(self.0.len());
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes.to_vec()
    }

    /// The next message, with its header; nothing at the end.
    fn message(&mut self, said: &[Vec<u8>]) -> Option<Vec<u8>> {
        let what = self.byte()?;
        let (kind, which) = (what % 4, usize::from(what / 4));
        Some(match kind {
            // As they are: the header is among them.
            0 => self.bytes(),
            1 => framed(&self.bytes()),
            2 => framed(&[WORDS[which % WORDS.len()], &self.bytes()].concat()),
            // A mirror, with some bits of one byte turned.
            _ => {
                let mut message = said.get(which % said.len().max(1)).cloned().unwrap_or_default();
                let (at, bits) = (usize::from(self.byte()?), self.byte().unwrap_or(0));
                if let Some(byte) = message.get_mut(at) {
                    *byte ^= bits;
                }
                message
            }
        })
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes(), message].concat()
}

struct Side {
    handshake: Handshake,
    /// Its messages so far, with their headers.
    said: Vec<Vec<u8>>,
    heard: usize,
}

impl Side {
    /// Says what it has to, and is not convinced.
    fn speak(&mut self) {
        while let Ok(Want::Write(bytes)) = self.handshake.want() {
            let count = bytes.len();
            assert!(count > 4);
            self.said.push(bytes.to_vec());
            self.handshake.wrote(count);
        }
        assert!(self.said.len() <= 3, "{} messages said", self.said.len());
        assert_ne!(self.handshake.want(), Ok(Want::Nothing), "trusted without a key");
    }

    /// Hears as much of the bytes as it wants to, in pieces.
    fn hear(&mut self, mut bytes: &[u8], piece: usize) {
        while let Ok(Want::Read(room)) = self.handshake.want() {
            assert!((1..=256).contains(&room.len()));
            let count = room.len().min(piece).min(bytes.len());
            if count == 0 {
                return;
            }
            room[..count].copy_from_slice(&bytes[..count]);
            self.handshake.filled(count);
            bytes = &bytes[count..];
            self.heard += count;
            assert!(self.heard <= MOST_HEARD, "{} bytes heard", self.heard);
        }
    }
}
