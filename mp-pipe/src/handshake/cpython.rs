//! The messages of CPython's form, and its two halves.
//!
//! ```text
//!  Challenge  says #CHALLENGE#M ── hears an answer ── says #WELCOME# or #FAILURE#
//!  Answer     hears #CHALLENGE#M ── says an answer ── hears #WELCOME# or #FAILURE#
//!
//!  Listener = Challenge, then Answer        Client = Answer, then Challenge
//! ```
//!
//! | CPython      | M                    | answer                                 |
//! |--------------|----------------------|----------------------------------------|
//! | 3.12 and up  | `{digest}`, 40 bytes | `{digest}`, HMAC-digest(key, M)        |
//! | up to 3.11   | 20 bytes             | HMAC-MD5(key, M), to any challenge     |
//!
//! The answer's digest need not be the challenge's, and the MAC is of all of M, its name included.

use super::digest::Digest;
use super::{AuthenticationError, NONCE, Part, Step, Then};
use mp_core::AuthKey;

const CHALLENGE: &[u8] = b"#CHALLENGE#";
const WELCOME: &[u8] = b"#WELCOME#";
const FAILURE: &[u8] = b"#FAILURE#";
/// How a challenge or answer begins that is made with MD5.
const MD5: &[u8] = b"{md5}";
/// The digest of our challenges, as of CPython's.
const OURS: Digest = Digest::Sha256;
/// M of CPython up to 3.11, which is also the shortest.
const OLD_CHALLENGE: usize = 20;
/// The answer of CPython up to 3.11.
const OLD_ANSWER: usize = 16;

/// The side that asks.
#[derive(Debug)]
pub(crate) struct Challenge {
    key: AuthKey,
    message: Vec<u8>,
    /// MD5, if the other side may use it.
    md5: Option<Digest>,
}

impl Challenge {
    pub(crate) fn new(key: &AuthKey, nonce: [u8; NONCE], md5: Option<Digest>) -> Challenge {
        Challenge { key: key.clone(), message: [&OURS.prefix(), &nonce[..]].concat(), md5 }
    }

    fn challenge(&self) -> Vec<u8> {
        [CHALLENGE, &self.message].concat()
    }

    fn check(&self, answer: &[u8]) -> Result<(), AuthenticationError> {
        let old = matches!(answer.len(), OLD_ANSWER | OLD_CHALLENGE).then_some(answer);
        let (digest, mac) = if let Some(mac) = old.or_else(|| answer.strip_prefix(MD5)) {
            (self.md5.ok_or(AuthenticationError::Md5)?, mac)
        } else {
            let strange = "its answer names no allowed digest";
            Digest::split(answer).ok_or(AuthenticationError::Protocol(strange))?
        };
        if digest.verifies(&self.key, &[&self.message], mac) {
            Ok(())
        } else {
            Err(AuthenticationError::WrongKey)
        }
    }

    fn judge(&self, answer: &[u8], then: Then) -> Step {
        match self.check(answer) {
            Ok(()) => Step::say(WELCOME.to_vec(), then),
            // The other side is told, as CPython does, so that it reports a rejected digest and not a closed
            // connection.
            Err(error) => Step::say(FAILURE.to_vec(), Then::Fail(error)),
        }
    }
}

/// The side that is asked.
#[derive(Debug)]
pub(crate) struct Answer {
    key: AuthKey,
    /// MD5, if the other side may ask for it.
    md5: Option<Digest>,
    answered: bool,
}

impl Answer {
    pub(crate) fn new(key: &AuthKey, md5: Option<Digest>) -> Answer {
        Answer { key: key.clone(), md5, answered: false }
    }

    fn answer(&self, challenge: &[u8]) -> Result<Vec<u8>, AuthenticationError> {
        let message = challenge.strip_prefix(CHALLENGE).ok_or_else(|| strange(challenge))?;
        // Shorter than any version of CPython sends: such a challenge could have been chosen to be guessed.
        if message.len() < OLD_CHALLENGE {
            return Err(AuthenticationError::Protocol("its challenge is too short"));
        }
        let md5 = || self.md5.ok_or(AuthenticationError::Md5);
        // Without a digest's name: CPython up to 3.11, which takes HMAC-MD5 alone.
        if message.len() == OLD_CHALLENGE {
            return Ok(md5()?.mac(&self.key, &[message]));
        }
        let digest = if message.starts_with(MD5) {
            md5()?
        } else {
            // Only digests of the list: a peer could ask for a broken one.
            let strange = "its challenge names no allowed digest";
            Digest::split(message).ok_or(AuthenticationError::Protocol(strange))?.0
        };
        // The MAC covers the digest's name, so that a process in the middle cannot replace it by a weaker one.
        Ok([digest.prefix(), digest.mac(&self.key, &[message])].concat())
    }

    /// What it makes of a message; `welcome` is what comes after the other side's.
    fn proceed(&mut self, message: &[u8], welcome: impl FnOnce() -> Step) -> Step {
        if !self.answered {
            self.answered = true;
            return match self.answer(message) {
                Ok(answer) => Step::say(answer, Then::Listen),
                Err(error) => Step::silently(Then::Fail(error)),
            };
        }
        // The second message: the verdict on the answer.
        if message == WELCOME { welcome() } else { Step::silently(Then::Fail(AuthenticationError::Rejected)) }
    }
}

fn strange(message: &[u8]) -> AuthenticationError {
    AuthenticationError::Protocol(if message.starts_with(b"mp-hello") {
        "it uses this library's own"
    } else {
        "a challenge was expected"
    })
}

/// Python: `deliver_challenge` alone.
impl Part for Challenge {
    fn begin(&mut self) -> Option<Vec<u8>> {
        Some(self.challenge())
    }

    fn hear(&mut self, message: &[u8]) -> Step {
        self.judge(message, Then::Done)
    }
}

/// Python: `answer_challenge` alone.
impl Part for Answer {
    fn begin(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn hear(&mut self, message: &[u8]) -> Step {
        self.proceed(message, || Step::silently(Then::Done))
    }
}

/// The listening side.
#[derive(Debug)]
pub(super) struct Listener {
    challenge: Challenge,
    challenged: bool,
    answer: Answer,
}

impl Listener {
    pub(super) fn new(key: &AuthKey, nonce: [u8; NONCE], md5: Option<Digest>) -> Listener {
        let (challenge, answer) = (Challenge::new(key, nonce, md5), Answer::new(key, md5));
        Listener { challenge, challenged: false, answer }
    }
}

impl Part for Listener {
    fn begin(&mut self) -> Option<Vec<u8>> {
        Some(self.challenge.challenge())
    }

    fn hear(&mut self, message: &[u8]) -> Step {
        if !self.challenged {
            self.challenged = true;
            return self.challenge.judge(message, Then::Listen);
        }
        self.answer.proceed(message, || Step::silently(Then::Done))
    }
}

/// The connecting side.
#[derive(Debug)]
pub(super) struct Client {
    answer: Answer,
    challenge: Challenge,
    challenged: bool,
}

impl Client {
    pub(super) fn new(key: &AuthKey, nonce: [u8; NONCE], md5: Option<Digest>) -> Client {
        let (answer, challenge) = (Answer::new(key, md5), Challenge::new(key, nonce, md5));
        Client { answer, challenge, challenged: false }
    }
}

impl Part for Client {
    fn begin(&mut self) -> Option<Vec<u8>> {
        None
    }

    fn hear(&mut self, message: &[u8]) -> Step {
        let Client { answer, challenge, challenged } = self;
        if *challenged {
            return challenge.judge(message, Then::Done);
        }
        answer.proceed(message, || {
            *challenged = true;
            Step::say(challenge.challenge(), Then::Listen)
        })
    }
}
