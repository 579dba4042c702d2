//! The messages of this library's own handshake.
//!
//! ```text
//!  listener                                   client
//!     │── hello: version, nonce ─────────────►│
//!     │◄── proof: version, nonce, MAC ────────┤ MAC over both nonces: the client has the key
//!     │── agreed: MAC, or refused ───────────►│ MAC over both nonces: the listener has the key
//! ```
//!
//! | message | from     | bytes                                                     |
//! |---------|----------|-----------------------------------------------------------|
//! | hello   | listener | `mp-hello`, version, 32 bytes                             |
//! | proof   | client   | `mp-proof`, version, 32 bytes, HMAC-SHA-256               |
//! | agreed  | listener | `mp-agreed`, HMAC-SHA-256                                 |
//! | refused | listener | `mp-refused`, instead of agreed                           |

use super::digest::Digest;
use super::{AuthenticationError, NONCE, Part, Step, Then};
use mp_core::AuthKey;

/// The version of the handshake only.
const VERSION: u8 = 1;
const HELLO: &[u8] = b"mp-hello";
const PROOF: &[u8] = b"mp-proof";
const AGREED: &[u8] = b"mp-agreed";
const REFUSED: &[u8] = b"mp-refused";
/// Part of each MAC, so that a MAC from another use of the same key is not valid here.
const PURPOSE: &[u8] = b"mp-pipe handshake";
const DIGEST: Digest = Digest::Sha256;

type Nonce = [u8; 32];

fn short(nonce: [u8; NONCE]) -> Nonce {
    *nonce.first_chunk().expect("40 bytes begin with 32")
}

/// The side that made a MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Listener,
    Client,
}

impl Role {
    // Part of each MAC: without it a peer could send back the MAC that it received, and pass without the key.
    fn byte(self) -> &'static [u8] {
        match self {
            Role::Listener => b"L",
            Role::Client => b"C",
        }
    }
}

/// The parts of a MAC. Each has a fixed length, so no two different tuples give the same bytes.
fn parts<'a>(role: Role, listeners: &'a Nonce, clients: &'a Nonce) -> [&'a [u8]; 5] {
    [PURPOSE, &[VERSION], role.byte(), listeners, clients]
}

fn fail(error: AuthenticationError) -> Step {
    Step::silently(Then::Fail(error))
}

fn strange(message: &[u8]) -> AuthenticationError {
    AuthenticationError::Protocol(if message.starts_with(b"#CHALLENGE#") {
        "it uses CPython's, which `cpython` turns on"
    } else {
        "its message is not of this library"
    })
}

/// The bytes that follow a word and this version in a message.
fn after<'a>(word: &[u8], message: &'a [u8]) -> Result<&'a [u8], AuthenticationError> {
    let rest = message.strip_prefix(word).ok_or_else(|| strange(message))?;
    let (version, rest) = rest.split_first().ok_or_else(|| strange(message))?;
    if *version != VERSION {
        return Err(AuthenticationError::Version { theirs: *version, ours: VERSION });
    }
    Ok(rest)
}

/// The listening side.
#[derive(Debug)]
pub(super) struct Listener {
    key: AuthKey,
    nonce: Nonce,
}

impl Listener {
    pub(super) fn new(key: &AuthKey, nonce: [u8; NONCE]) -> Listener {
        Listener { key: key.clone(), nonce: short(nonce) }
    }

    /// Checks the client's proof; returns its nonce.
    fn check(&self, message: &[u8]) -> Result<Nonce, AuthenticationError> {
        let rest = after(PROOF, message)?;
        let (nonce, mac) = rest.split_first_chunk().ok_or_else(|| strange(message))?;
        // The proof covers our nonce: one that was recorded on another connection does not match. It covers the role:
        // the listener's own answer, sent back, is no proof.
        if DIGEST.verifies(&self.key, &parts(Role::Client, &self.nonce, nonce), mac) {
            Ok(*nonce)
        } else {
            Err(AuthenticationError::WrongKey)
        }
    }
}

impl Part for Listener {
    fn begin(&mut self) -> Option<Vec<u8>> {
        // The listener begins: nothing that a client has prepared can match a nonce that it has not seen.
        Some([HELLO, &[VERSION], &self.nonce].concat())
    }

    fn hear(&mut self, message: &[u8]) -> Step {
        match self.check(message) {
            Ok(clients) => {
                // Only now: a peer without the key gets nothing that is made with it.
                let mac = DIGEST.mac(&self.key, &parts(Role::Listener, &self.nonce, &clients));
                Step::say([AGREED, &mac].concat(), Then::Done)
            }
            // The client is told, so that it reports a wrong key and not a closed connection.
            Err(error) => Step::say(REFUSED.to_vec(), Then::Fail(error)),
        }
    }
}

/// The connecting side.
#[derive(Debug)]
pub(super) struct Client {
    key: AuthKey,
    nonce: Nonce,
    /// The listener's nonce, after its hello.
    listeners: Option<Nonce>,
}

impl Client {
    pub(super) fn new(key: &AuthKey, nonce: [u8; NONCE]) -> Client {
        Client { key: key.clone(), nonce: short(nonce), listeners: None }
    }

    fn hello(&mut self, message: &[u8]) -> Result<Vec<u8>, AuthenticationError> {
        let listeners = after(HELLO, message)?.try_into().map_err(|_| strange(message))?;
        self.listeners = Some(listeners);
        // Over both nonces: the listener's makes a recorded proof useless, the client's makes a recorded answer
        // useless.
        let mac = DIGEST.mac(&self.key, &parts(Role::Client, &listeners, &self.nonce));
        Ok([PROOF, &[VERSION], &self.nonce, &mac].concat())
    }

    fn verdict(&self, listeners: &Nonce, message: &[u8]) -> Result<(), AuthenticationError> {
        // Told apart from a bad answer: this side's key is refused, which its user can mend.
        if message == REFUSED {
            return Err(AuthenticationError::Rejected);
        }
        // The client checks, too: otherwise any process that listens at the address could pass for the listener.
        let mac = message.strip_prefix(AGREED).ok_or_else(|| strange(message))?;
        if DIGEST.verifies(&self.key, &parts(Role::Listener, listeners, &self.nonce), mac) {
            Ok(())
        } else {
            Err(AuthenticationError::WrongKey)
        }
    }
}

impl Part for Client {
    fn begin(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn hear(&mut self, message: &[u8]) -> Step {
        match self.listeners {
            // What is no hello is not answered: the other side speaks another protocol.
            None => self.hello(message).map_or_else(fail, |proof| Step::say(proof, Then::Listen)),
            Some(listeners) => {
                self.verdict(&listeners, message).map_or_else(fail, |()| Step::silently(Then::Done))
            }
        }
    }
}
