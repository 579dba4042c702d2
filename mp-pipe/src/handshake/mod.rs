//! The handshake: two sides prove to each other that they have the same key. Bytes in, bytes out, no socket.
//!
//! ```text
//!  listener                                   client
//!     │ ── hello: version, nonce S ────────────► │
//!     │ ◄─ proof: version, nonce C, MAC(client) ─│    the client has the key
//!     │ ── agreed: MAC(listener) ──────────────► │    so has the listener
//!
//!  MAC(role) = HMAC-SHA-256(key, "mp-pipe handshake" + version + role + nonce S + nonce C)
//! ```
//!
//! That is [`Form::Own`]. A MAC covers the role, the version and both nonces. So a MAC cannot be reflected to its
//! sender, cannot be replayed, and neither side can be downgraded to an older version. The key authenticates and does
//! not encrypt: a relay in the middle can read everything and is not noticed.
//!
//! [`Form::CPython`] is the handshake of CPython 3.12 and later, bit for bit:
//!
//! ```text
//!  listener                                   client
//!     │ ── #CHALLENGE#{sha256}, 40 bytes ──────► │
//!     │ ◄─ {sha256}, HMAC(key, {sha256} + 40) ── │
//!     │ ── #WELCOME# ──────────────────────────► │
//!     │ ◄─ #CHALLENGE#{sha256}, 40 bytes ─────── │    and the same the other way round
//!     │ ── {sha256}, HMAC ─────────────────────► │
//!     │ ◄─ #WELCOME# ─────────────────────────── │
//! ```
//!
//! Its answers do not cover the role: an attacker that can make a client of the family connect to it twice can have the
//! client answer its own challenge. So it is only for peers that know no other. `Form::CPythonAndMd5`, of the feature
//! `md5`, also accepts the handshake of CPython up to 3.11, with HMAC-MD5.
//!
//! Each message is a frame (see [`frame`](crate::frame)) of at most 256 bytes. No byte behind the last
//! message is read: it belongs to the connection.
//!
//! | file         | what                                                          |
//! |--------------|---------------------------------------------------------------|
//! | `mod.rs`     | [`Handshake`]: frames, and the next step                      |
//! | `own.rs`     | the messages of our own form                                  |
//! | `cpython.rs` | CPython's messages; its two halves, which are also used alone |
//! | `digest.rs`  | HMACs by name; the comparison takes the same time for any answer |
//! | `socket.rs`  | a handshake on a socket                                       |
//! | `error.rs`   | [`AuthenticationError`], [`HandshakeError`]                   |
//!
//! # Tested by
//! The tests here and in the files, `tests/listener.rs`, `tests/hostile.rs`, `tests/cpython.rs`, `tests/seeds.rs`

mod cpython;
mod digest;
mod error;
mod own;
pub(crate) mod socket;
#[cfg(test)]
mod tests;

pub(crate) use cpython::{Answer, Challenge};
pub use error::{AuthenticationError, HandshakeError};

use crate::frame::{Assembly, Header, Step as FrameStep};
use mp_core::AuthKey;
use mp_core::error::OsResult;
use mp_core::sys::process::random_bytes;
use std::fmt;

/// The longest message of a handshake, as in CPython.
pub(crate) const LONGEST: usize = 256;
/// What is said of a frame whose length is not valid, or more than that.
pub(crate) const NO_LENGTH: &str = "no message of it has such a length";
/// Random bytes of a handshake; our own form takes 32 of them.
const NONCE: usize = 40;

/// Which handshake is spoken. Both sides must be of one mind; neither tries the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// This library's own, between Rust programs.
    #[default]
    Own,
    /// CPython's, as of 3.12: SHA-2 and SHA-3 only.
    CPython,
    /// CPython's, and HMAC-MD5 with those up to 3.11. Feature `md5`.
    #[cfg(feature = "md5")]
    CPythonAndMd5,
}

/// What a [`Handshake`] needs next.
#[derive(Debug, PartialEq, Eq)]
pub enum Want<'a> {
    /// These bytes are to be sent: at least one of them, and [`Handshake::wrote`] says how many were.
    Write(&'a [u8]),
    /// Bytes are to be received: at most as many as there is room, and [`Handshake::filled`] says how many came.
    Read(&'a mut [u8]),
    /// Nothing: each side has proved that it has the key.
    Nothing,
}

/// The reaction to a message: what to send, and what to do then.
pub(crate) struct Step {
    pub(crate) say: Option<Vec<u8>>,
    pub(crate) then: Then,
}

/// What a side does after it has sent its message.
pub(crate) enum Then {
    Listen,
    Done,
    Fail(AuthenticationError),
}

impl Step {
    fn say(message: Vec<u8>, then: Then) -> Step {
        Step { say: Some(message), then }
    }

    fn silently(then: Then) -> Step {
        Step { say: None, then }
    }
}

/// One side of a handshake.
pub(crate) trait Part: fmt::Debug + Send {
    /// Its first message, if it sends first.
    fn begin(&mut self) -> Option<Vec<u8>>;
    /// Its reaction to the next message of the other side.
    fn hear(&mut self, message: &[u8]) -> Step;
}

/// One side's handshake, as a state machine without a socket.
///
/// ```
/// use mp_core::AuthKey;
/// use mp_pipe::handshake::{Form, Handshake, Want};
///
/// let key = AuthKey::new(*b"known to both of them");
/// let mut listener = Handshake::of_listener(&key, Form::Own)?;
/// let mut client = Handshake::of_client(&key, Form::Own)?;
/// // Carries bytes from one to the other, as a socket would.
/// fn carry(from: &mut Handshake, to: &mut Handshake) -> Result<(), Box<dyn std::error::Error>> {
///     while let Want::Write(bytes) = from.want()? {
///         let Want::Read(room) = to.want()? else { return Err("it does not listen".into()) };
///         let count = room.len().min(bytes.len());
///         room[..count].copy_from_slice(&bytes[..count]);
///         to.filled(count);
///         from.wrote(count);
///     }
///     Ok(())
/// }
/// carry(&mut listener, &mut client)?;
/// carry(&mut client, &mut listener)?;
/// carry(&mut listener, &mut client)?;
/// assert_eq!((listener.want()?, client.want()?), (Want::Nothing, Want::Nothing));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Handshake {
    part: Box<dyn Part>,
    frame: Assembly,
    /// Where the bytes of a message come first.
    room: Vec<u8>,
    /// The frame to send.
    outgoing: Vec<u8>,
    sent: usize,
    /// The number of messages received.
    heard: usize,
    end: Option<Result<(), AuthenticationError>>,
}

impl Handshake {
    /// The handshake of the listening side.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn of_listener(key: &AuthKey, form: Form) -> OsResult<Handshake> {
        Ok(Handshake::listening(key, form, nonce()?))
    }

    /// The handshake of the connecting side.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn of_client(key: &AuthKey, form: Form) -> OsResult<Handshake> {
        Ok(Handshake::connecting(key, form, nonce()?))
    }

    fn listening(key: &AuthKey, form: Form, nonce: [u8; NONCE]) -> Handshake {
        Handshake::new(match form {
            Form::Own => Box::new(own::Listener::new(key, nonce)),
            Form::CPython => Box::new(cpython::Listener::new(key, nonce, None)),
            #[cfg(feature = "md5")]
            Form::CPythonAndMd5 => Box::new(cpython::Listener::new(key, nonce, Some(digest::Digest::Md5))),
        })
    }

    fn connecting(key: &AuthKey, form: Form, nonce: [u8; NONCE]) -> Handshake {
        Handshake::new(match form {
            Form::Own => Box::new(own::Client::new(key, nonce)),
            Form::CPython => Box::new(cpython::Client::new(key, nonce, None)),
            #[cfg(feature = "md5")]
            Form::CPythonAndMd5 => Box::new(cpython::Client::new(key, nonce, Some(digest::Digest::Md5))),
        })
    }

    fn new(mut part: Box<dyn Part>) -> Handshake {
        let first = part.begin();
        let (frame, outgoing) = (Assembly::default(), first.as_deref().map(framed).unwrap_or_default());
        Handshake { part, frame, room: Vec::new(), outgoing, sent: 0, heard: 0, end: None }
    }

    /// The next step. Everything is sent before anything is received.
    ///
    /// # Errors
    /// The other side is not authenticated. A message that tells it so was sent.
    pub fn want(&mut self) -> Result<Want<'_>, AuthenticationError> {
        if self.sent < self.outgoing.len() {
            // Also before an error: otherwise the other side would not learn why it was refused.
            return Ok(Want::Write(&self.outgoing[self.sent..]));
        }
        // The end is kept: each later call says the same.
        match &self.end {
            Some(Ok(())) => return Ok(Want::Nothing),
            Some(Err(error)) => return Err(error.clone()),
            None => {}
        }
        match self.frame.step(LONGEST, Vec::new).map_err(|_| AuthenticationError::Protocol(NO_LENGTH))? {
            FrameStep::Head(room) => Ok(Want::Read(room)),
            FrameStep::Body { most, .. } => {
                self.room.resize(most, 0);
                Ok(Want::Read(&mut self.room))
            }
            FrameStep::Whole => unreachable!("a whole message is heard as soon as it is filled"),
        }
    }

    /// Reports that the first `count` of the bytes to send were sent.
    pub fn wrote(&mut self, count: usize) {
        self.sent += count;
    }

    /// Reports that the first `count` bytes of the room were received.
    pub fn filled(&mut self, count: usize) {
        // A bad length is reported by the next `want`.
        match self.frame.step(LONGEST, Vec::new) {
            Ok(FrameStep::Body { body, .. }) => body.extend_from_slice(&self.room[..count]),
            _ => self.frame.filled(count),
        }
        // Heard as soon as it is whole.
        if let Ok(FrameStep::Whole) = self.frame.step(LONGEST, Vec::new) {
            let message = self.frame.take();
            self.hear(&message);
        }
    }

    fn hear(&mut self, message: &[u8]) {
        self.heard += 1;
        let Step { say, then } = self.part.hear(message);
        self.outgoing = say.as_deref().map(framed).unwrap_or_default();
        self.sent = 0;
        self.end = match then {
            Then::Listen => None,
            Then::Done => Some(Ok(())),
            Then::Fail(error) => Some(Err(error)),
        };
    }

    /// The number of messages received so far.
    pub(crate) fn heard(&self) -> usize {
        self.heard
    }
}

/// New random bytes.
pub(crate) fn nonce() -> OsResult<[u8; NONCE]> {
    let mut bytes = [0; NONCE];
    random_bytes(&mut bytes)?;
    Ok(bytes)
}

fn framed(message: &[u8]) -> Vec<u8> {
    [Header::of(message.len() as u64).as_bytes(), message].concat()
}
