//! deliver_challenge(), answer_challenge(): CPython's handshake by halves, on a connection that is there already.

use crate::connection::Connection;
use crate::error::{RecvError, SendError};
use crate::handshake::{Answer, AuthenticationError, Challenge, LONGEST, Part, Then, nonce};
use mp_core::word::Deadline;
use mp_core::{AuthKey, OsError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Why the other side is not trusted, or cannot be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeError {
    /// The two sides have different keys.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// It could not be spoken to.
    #[error(transparent)]
    Send(SendError),
    /// It has sent no message that can be received.
    #[error(transparent)]
    Recv(RecvError),
    /// It has not answered in time; `_timeout` calls only.
    #[error("the other side did not answer in time")]
    Timeout,
    /// The system has no random bytes.
    #[error(transparent)]
    Os(#[from] OsError),
}

impl From<SendError> for ChallengeError {
    fn from(error: SendError) -> ChallengeError {
        match error {
            SendError::Timeout => ChallengeError::Timeout,
            other => ChallengeError::Send(other),
        }
    }
}

impl From<RecvError> for ChallengeError {
    fn from(error: RecvError) -> ChallengeError {
        match error {
            RecvError::Timeout => ChallengeError::Timeout,
            other => ChallengeError::Recv(other),
        }
    }
}

/// Has the other side prove that it has the key, by CPython's form with SHA-256. It proves nothing of this side: let
/// the two change places afterwards. Waits without limit.
///
/// ```
/// use mp_core::AuthKey;
/// use mp_pipe::{Connection, answer_challenge, deliver_challenge, pipe};
///
/// let (here, there): (Connection, Connection) = pipe()?;
/// let key = AuthKey::random()?;
/// let same = key.clone();
/// let other = std::thread::spawn(move || answer_challenge(&there, &same));
/// deliver_challenge(&here, &key)?;
/// other.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `multiprocessing.connection.deliver_challenge`.
pub fn deliver_challenge<S: Serialize, R: DeserializeOwned>(
    connection: &Connection<S, R>,
    key: &AuthKey,
) -> Result<(), ChallengeError> {
    deliver_challenge_timeout(connection, key, Duration::MAX)
}

/// Has the other side prove that it has the key, as [`deliver_challenge`]; waits for it at most this long, then
/// [`ChallengeError::Timeout`].
pub fn deliver_challenge_timeout<S: Serialize, R: DeserializeOwned>(
    connection: &Connection<S, R>,
    key: &AuthKey,
    timeout: Duration,
) -> Result<(), ChallengeError> {
    converse(connection, &mut Challenge::new(key, nonce()?, None), timeout)
}

/// Proves to the other side that this one has the key: the counterpart of [`deliver_challenge`]. Waits without limit.
///
/// Python: `multiprocessing.connection.answer_challenge`.
pub fn answer_challenge<S: Serialize, R: DeserializeOwned>(
    connection: &Connection<S, R>,
    key: &AuthKey,
) -> Result<(), ChallengeError> {
    answer_challenge_timeout(connection, key, Duration::MAX)
}

/// Proves to the other side that this one has the key, as [`answer_challenge`]; waits for it at most this long, then
/// [`ChallengeError::Timeout`].
pub fn answer_challenge_timeout<S: Serialize, R: DeserializeOwned>(
    connection: &Connection<S, R>,
    key: &AuthKey,
    timeout: Duration,
) -> Result<(), ChallengeError> {
    converse(connection, &mut Answer::new(key, None), timeout)
}

fn converse<S: Serialize, R: DeserializeOwned>(
    connection: &Connection<S, R>,
    part: &mut dyn Part,
    timeout: Duration,
) -> Result<(), ChallengeError> {
    let until = Deadline::after(timeout);
    let connection = connection.clone().with_limit(LONGEST);
    let left = || until.map_or(Duration::MAX, Deadline::remaining);
    if let Some(first) = part.begin() {
        connection.send_bytes_timeout(&first, left())?;
    }
    loop {
        let step = part.hear(&connection.recv_bytes_timeout(left())?);
        if let Some(message) = step.say {
            connection.send_bytes_timeout(&message, left())?;
        }
        match step.then {
            Then::Listen => {}
            Then::Done => return Ok(()),
            Then::Fail(error) => return Err(error.into()),
        }
    }
}
