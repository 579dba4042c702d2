//! Mirrors OtherTest: test_deliver_challenge_auth_failure, test_answer_challenge_auth_failure, and what they leave out.
//! TestChallenges' refusals of other digests are in the handshake's own tests.

use mp_core::AuthKey;
use mp_pipe::{
    AuthenticationError, Connection, HandshakeError, answer_challenge, answer_challenge_timeout,
    deliver_challenge, deliver_challenge_timeout, pipe,
};
use std::thread;
use std::time::{Duration, Instant};

fn key() -> AuthKey {
    AuthKey::new(*b"secret")
}

fn ends() -> (Connection, Connection) {
    pipe().unwrap()
}

fn authentication(error: HandshakeError) -> AuthenticationError {
    match error {
        HandshakeError::Authentication(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn both_prove_themselves_in_turn_and_then_the_connection_is_theirs() {
    let (here, there) = ends();
    let other = thread::spawn(move || {
        answer_challenge(&there, &key()).unwrap();
        deliver_challenge(&there, &key()).unwrap();
        there.send_bytes(&[1; 1000]).unwrap();
    });
    deliver_challenge(&here, &key()).unwrap();
    answer_challenge(&here, &key()).unwrap();
    // The limit of 256 bytes was the handshake's.
    assert_eq!(here.recv_bytes().unwrap(), [1; 1000]);
    other.join().unwrap();
}

#[test]
fn another_key_is_noticed_by_both() {
    let (here, there) = ends();
    let other = thread::spawn(move || answer_challenge(&there, &AuthKey::new(*b"another")).unwrap_err());
    let noticed = deliver_challenge(&here, &key()).unwrap_err();
    assert_eq!(authentication(noticed), AuthenticationError::WrongKey);
    assert_eq!(authentication(other.join().unwrap()), AuthenticationError::Rejected);
}

#[test]
fn a_bogus_answer_is_refused_and_its_sender_told() {
    let (here, there) = ends();
    there.send_bytes(b"something bogus").unwrap();
    let error = deliver_challenge(&here, &key()).unwrap_err();
    assert!(matches!(authentication(error), AuthenticationError::Protocol(_)));
    assert!(there.recv_bytes().unwrap().starts_with(b"#CHALLENGE#{sha256}"));
    assert_eq!(there.recv_bytes().unwrap(), b"#FAILURE#");
}

#[test]
fn a_bogus_challenge_or_welcome_is_refused() {
    let (here, there) = ends();
    there.send_bytes(b"something bogus").unwrap();
    let error = answer_challenge(&here, &key()).unwrap_err();
    assert!(matches!(authentication(error), AuthenticationError::Protocol(_)));
    there.send_bytes(b"#CHALLENGE#{sha256}0123456789012345678901234567890123456789").unwrap();
    there.send_bytes(b"something bogus").unwrap();
    let error = answer_challenge(&here, &key()).unwrap_err();
    assert_eq!(authentication(error), AuthenticationError::Rejected);
}

#[test]
fn silence_length_and_an_end_are_told_apart() {
    let (here, there) = ends();
    let (began, time) = (Instant::now(), Duration::from_millis(30));
    let late = answer_challenge_timeout(&here, &key(), time).unwrap_err();
    assert!(matches!(late, HandshakeError::Timeout) && began.elapsed() >= time);
    there.send_bytes(&[0; 257]).unwrap();
    let long = deliver_challenge_timeout(&here, &key(), time).unwrap_err();
    assert!(matches!(authentication(long), AuthenticationError::Protocol(what) if what.contains("length")));
    let (here, there) = ends();
    there.close();
    let gone = answer_challenge(&here, &key()).unwrap_err();
    assert!(matches!(gone, HandshakeError::Closed), "{gone}");
    assert!(matches!(deliver_challenge(&here, &key()), Err(HandshakeError::Closed)));
}
