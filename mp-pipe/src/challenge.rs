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
    /// It has another key, or says so of us.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// It could not be spoken to.
    #[error(transparent)]
    Send(#[from] SendError),
    /// It has not spoken, or not in time.
    #[error(transparent)]
    Recv(#[from] RecvError),
    /// The system has no random bytes.
    #[error(transparent)]
    Os(#[from] OsError),
}

/// Has the other side prove that it has the key, by CPython's form with SHA-256. It proves nothing of this side: let
/// the two change places afterwards. `None` waits for ever.
///
/// ```
/// use mp_core::AuthKey;
/// use mp_pipe::{Connection, answer_challenge, deliver_challenge, pipe};
///
/// let (here, there): (Connection, Connection) = pipe()?;
/// let key = AuthKey::random()?;
/// let same = key.clone();
/// let other = std::thread::spawn(move || answer_challenge(&there, &same, None));
/// deliver_challenge(&here, &key, None)?;
/// other.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `multiprocessing.connection.deliver_challenge`.
pub fn deliver_challenge<S: Serialize, R: DeserializeOwned>(
    connection: &Connection<S, R>,
    key: &AuthKey,
    timeout: Option<Duration>,
) -> Result<(), ChallengeError> {
    converse(connection, &mut Challenge::new(key, nonce()?, None), timeout)
}

/// Proves to the other side that this one has the key: the counterpart of [`deliver_challenge`].
///
/// Python: `multiprocessing.connection.answer_challenge`.
pub fn answer_challenge<S: Serialize, R: DeserializeOwned>(
    connection: &Connection<S, R>,
    key: &AuthKey,
    timeout: Option<Duration>,
) -> Result<(), ChallengeError> {
    converse(connection, &mut Answer::new(key, None), timeout)
}

fn converse<S: Serialize, R: DeserializeOwned>(
    connection: &Connection<S, R>,
    part: &mut dyn Part,
    timeout: Option<Duration>,
) -> Result<(), ChallengeError> {
    let until = timeout.and_then(Deadline::after);
    let connection = connection.clone().with_limit(LONGEST);
    if let Some(first) = part.begin() {
        connection.send_bytes(&first)?;
    }
    loop {
        let left = until.map_or(Duration::MAX, Deadline::remaining);
        let step = part.hear(&connection.recv_bytes_timeout(left)?);
        if let Some(message) = step.say {
            connection.send_bytes(&message)?;
        }
        match step.then {
            Then::Listen => {}
            Then::Done => return Ok(()),
            Then::Fail(error) => return Err(error.into()),
        }
    }
}
