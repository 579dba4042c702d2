//! deliver_challenge(), answer_challenge(): CPython's handshake by halves, on a connection that is there already.

use crate::connection::Connection;
use crate::error::{RecvError, SendError};
use crate::handshake::{
    Answer, AuthenticationError, Challenge, HandshakeError, LONGEST, NO_LENGTH, Part, Then, nonce,
};
use mp_core::AuthKey;
use mp_core::word::Deadline;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

fn not_sent(error: SendError) -> HandshakeError {
    match error {
        // The rest of a part stays in the connection, and no later message of a handshake makes sense behind it.
        SendError::Timeout | SendError::Partial => HandshakeError::Timeout,
        SendError::Closed(_) | SendError::Torn => HandshakeError::Closed,
        SendError::Os(error) => HandshakeError::Os(error),
        _ => AuthenticationError::Protocol("its challenge cannot be answered").into(),
    }
}

fn not_received(error: RecvError) -> HandshakeError {
    match error {
        RecvError::Timeout => HandshakeError::Timeout,
        RecvError::Closed | RecvError::Truncated => HandshakeError::Closed,
        RecvError::Os(error) => HandshakeError::Os(error),
        RecvError::BadLength(_) | RecvError::TooLong { .. } => {
            AuthenticationError::Protocol(NO_LENGTH).into()
        }
        _ => AuthenticationError::Protocol("its message cannot be received").into(),
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
) -> Result<(), HandshakeError> {
    deliver_challenge_timeout(connection, key, Duration::MAX)
}

/// Has the other side prove that it has the key, as [`deliver_challenge`]; waits for it at most this long, then
/// [`HandshakeError::Timeout`].
pub fn deliver_challenge_timeout<S: Serialize, R: DeserializeOwned>(
    connection: &Connection<S, R>,
    key: &AuthKey,
    timeout: Duration,
) -> Result<(), HandshakeError> {
    converse(connection, &mut Challenge::new(key, nonce()?, None), timeout)
}

/// Proves to the other side that this one has the key: the counterpart of [`deliver_challenge`]. Waits without limit.
///
/// Python: `multiprocessing.connection.answer_challenge`.
pub fn answer_challenge<S: Serialize, R: DeserializeOwned>(
    connection: &Connection<S, R>,
    key: &AuthKey,
) -> Result<(), HandshakeError> {
    answer_challenge_timeout(connection, key, Duration::MAX)
}

/// Proves to the other side that this one has the key, as [`answer_challenge`]; waits for it at most this long, then
/// [`HandshakeError::Timeout`].
pub fn answer_challenge_timeout<S: Serialize, R: DeserializeOwned>(
    connection: &Connection<S, R>,
    key: &AuthKey,
    timeout: Duration,
) -> Result<(), HandshakeError> {
    converse(connection, &mut Answer::new(key, None), timeout)
}

fn converse<S: Serialize, R: DeserializeOwned>(
    connection: &Connection<S, R>,
    part: &mut dyn Part,
    timeout: Duration,
) -> Result<(), HandshakeError> {
    let until = Deadline::after(timeout);
    let connection = connection.clone().with_limit(LONGEST);
    let left = || until.map_or(Duration::MAX, Deadline::remaining);
    if let Some(first) = part.begin() {
        connection.send_bytes_timeout(&first, left()).map_err(not_sent)?;
    }
    loop {
        let step = part.hear(&connection.recv_bytes_timeout(left()).map_err(not_received)?);
        if let Some(message) = step.say {
            connection.send_bytes_timeout(&message, left()).map_err(not_sent)?;
        }
        match step.then {
            Then::Listen => {}
            Then::Done => return Ok(()),
            Then::Fail(error) => return Err(error.into()),
        }
    }
}
