//! Handshakes between two state machines, and between one and arbitrary bytes.

use super::*;
use mp_testing::{Chance, unhex};

const FORMS: [Form; 3] = [Form::Own, Form::CPython, Form::CPythonAndMd5];

fn key() -> AuthKey {
    AuthKey::new(*b"secret")
}

/// Bytes 0, 1, 2 …, as in the vectors.
fn counting() -> [u8; NONCE] {
    std::array::from_fn(|at| at as u8)
}

fn pair(form: Form) -> (Handshake, Handshake) {
    (Handshake::listening(&key(), form, counting()), Handshake::connecting(&key(), form, [7; NONCE]))
}

/// What a side says before it listens, or ends.
fn said(side: &mut Handshake) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Want::Write(some)) = side.want() {
        let count = some.len();
        bytes.extend_from_slice(some);
        side.wrote(count);
    }
    bytes
}

/// Gives a side bytes, in pieces of at most `piece`; gives how many it took.
fn hears(side: &mut Handshake, bytes: &[u8], piece: usize) -> usize {
    let mut at = 0;
    while let Ok(Want::Read(room)) = side.want() {
        let count = room.len().min(piece).min(bytes.len() - at);
        if count == 0 {
            break;
        }
        room[..count].copy_from_slice(&bytes[at..at + count]);
        side.filled(count);
        at += count;
    }
    at
}

/// Carries messages to and fro until neither has anything to send.
fn converse(listener: &mut Handshake, client: &mut Handshake, piece: usize) {
    loop {
        let (one, other) = (said(listener), said(client));
        if one.is_empty() && other.is_empty() {
            return;
        }
        hears(client, &one, piece);
        hears(listener, &other, piece);
    }
}

fn outcome(side: &mut Handshake) -> Result<bool, AuthenticationError> {
    side.want().map(|want| want == Want::Nothing)
}

fn frame(hex: &str, body: &[u8]) -> Vec<u8> {
    let length = u32::from_str_radix(hex, 16).unwrap();
    [&length.to_be_bytes()[..], body].concat()
}

#[test]
fn one_key_on_both_sides_is_trusted_in_pieces_of_any_size() {
    for form in FORMS {
        for piece in [1, 3, 1000] {
            let (mut listener, mut client) = pair(form);
            converse(&mut listener, &mut client, piece);
            assert_eq!((outcome(&mut listener), outcome(&mut client)), (Ok(true), Ok(true)), "{form:?}");
        }
    }
}

#[test]
fn two_keys_are_refused_on_both_sides() {
    for form in FORMS {
        for other in [&b"secreu"[..], b"secre", b"secret\0\0", b""] {
            let mut listener = Handshake::listening(&key(), form, counting());
            let mut client = Handshake::connecting(&AuthKey::new(other), form, counting());
            converse(&mut listener, &mut client, 1000);
            // HMAC takes a short key with zeros behind it for the same, CPython's as any.
            let same = other == b"secret\0\0";
            let expected = if same {
                (Ok(true), Ok(true))
            } else {
                (Err(AuthenticationError::WrongKey), Err(AuthenticationError::Rejected))
            };
            assert_eq!((outcome(&mut listener), outcome(&mut client)), expected, "{form:?}");
        }
    }
}

#[test]
fn two_forms_do_not_meet() {
    for (one, other) in [(Form::Own, Form::CPython), (Form::CPython, Form::Own)] {
        let (mut listener, _) = pair(one);
        let (_, mut client) = pair(other);
        converse(&mut listener, &mut client, 1000);
        assert!(matches!(outcome(&mut client), Err(AuthenticationError::Protocol(_))), "{other:?}");
        assert_ne!(outcome(&mut listener), Ok(true));
    }
}

/// Key `secret`, nonce 00 … 27: the bytes that CPython says and takes.
#[test]
fn cpythons_form_is_its_own_bit_for_bit() {
    let challenge = frame("3b", &[&b"#CHALLENGE#{sha256}"[..], &counting()].concat());
    let mac = unhex("fc57fbe650d6124b98215e7b5d197d5807ad69982d275a9735ea2d56f1fa6989");
    let answer = frame("28", &[b"{sha256}", &mac[..]].concat());
    let welcome = frame("9", b"#WELCOME#");

    let mut listener = Handshake::listening(&key(), Form::CPython, counting());
    assert_eq!(said(&mut listener), challenge);
    hears(&mut listener, &answer, 1000);
    assert_eq!(said(&mut listener), welcome);
    hears(&mut listener, &challenge, 1000);
    assert_eq!(said(&mut listener), answer);
    assert_eq!(outcome(&mut listener), Ok(false));
    hears(&mut listener, &welcome, 1000);
    assert_eq!(outcome(&mut listener), Ok(true));

    let mut client = Handshake::connecting(&key(), Form::CPython, counting());
    assert_eq!(said(&mut client), b"");
    hears(&mut client, &challenge, 1000);
    assert_eq!(said(&mut client), answer);
    hears(&mut client, &welcome, 1000);
    assert_eq!(said(&mut client), challenge);
    hears(&mut client, &answer, 1000);
    assert_eq!((said(&mut client), outcome(&mut client)), (welcome, Ok(true)));
}

/// hmac.new(b"secret", bytes(range(20)), "md5"), and of "{sha256}" + bytes(range(40)): up to 3.11.
#[test]
fn the_old_form_needs_to_be_allowed() {
    let old_challenge = frame("1f", &[b"#CHALLENGE#", &counting()[..20]].concat());
    let old_answer = frame("10", &unhex("7defa9cc46abc3583325d17ccda75190"));
    let to_ours = frame("10", &unhex("8e48d2bb349b4b72b9382999ed5b62eb"));

    let mut client = Handshake::connecting(&key(), Form::CPythonAndMd5, counting());
    hears(&mut client, &old_challenge, 1000);
    assert_eq!(said(&mut client), old_answer);
    hears(&mut client, &frame("9", b"#WELCOME#"), 1000);
    said(&mut client);
    hears(&mut client, &to_ours, 1000);
    assert_eq!((said(&mut client), outcome(&mut client)), (frame("9", b"#WELCOME#"), Ok(true)));

    let mut client = Handshake::connecting(&key(), Form::CPython, counting());
    hears(&mut client, &old_challenge, 1000);
    assert_eq!((said(&mut client), outcome(&mut client)), (vec![], Err(AuthenticationError::Md5)));

    let named = frame("28", b"{md5}0123456789abcdef0123456789abcdef012");
    for (form, answer) in [(Form::CPython, &to_ours), (Form::CPython, &named)] {
        let mut listener = Handshake::listening(&key(), form, counting());
        said(&mut listener);
        hears(&mut listener, answer, 1000);
        assert_eq!(said(&mut listener), frame("9", b"#FAILURE#"));
        assert_eq!(outcome(&mut listener), Err(AuthenticationError::Md5));
    }
}

#[test]
fn an_answer_may_name_another_digest_than_the_challenge() {
    let challenge = [&b"{sha256}"[..], &counting()].concat();
    for digest in [digest::Digest::Sha384, digest::Digest::Sha3_256, digest::Digest::Sha3_384] {
        let mac = digest.mac(&key(), &[&challenge]);
        let answer = framed(&[digest.prefix(), mac].concat());
        let mut listener = Handshake::listening(&key(), Form::CPython, counting());
        said(&mut listener);
        hears(&mut listener, &answer, 1000);
        assert_eq!(said(&mut listener), frame("9", b"#WELCOME#"), "{digest:?}");
    }
}

#[test]
fn what_is_no_challenge_is_refused() {
    let bad: [&[u8]; 6] = [
        b"",
        b"#WELCOME#",
        b"#CHALLENGE#",
        b"#CHALLENGE#0123456789012345678",
        b"#CHALLENGE#{sha512}0123456789012345678901234567890123456789",
        b"#CHALLENGE#012345678901234567890",
    ];
    for message in bad {
        let mut client = Handshake::connecting(&key(), Form::CPythonAndMd5, counting());
        hears(&mut client, &framed(message), 1000);
        assert!(matches!(outcome(&mut client), Err(AuthenticationError::Protocol(_))), "{message:?}");
        assert_eq!(said(&mut client), b"");
    }
}

/// A client that hands the listener its own words back, whole or with the first ones changed.
#[test]
fn a_mirror_is_not_trusted() {
    for form in FORMS {
        let (mut listener, _) = pair(form);
        let hello = said(&mut listener);
        hears(&mut listener, &hello, 1000);
        said(&mut listener);
        assert!(outcome(&mut listener).is_err(), "{form:?}");
    }
    // With a listener's MAC in a client's place: the same key, version and nonces, and still another MAC.
    let (mut listener, mut client) = pair(Form::Own);
    hears(&mut client, &said(&mut listener), 1000);
    hears(&mut listener, &said(&mut client), 1000);
    let agreed = said(&mut listener);
    let listeners_mac = &agreed[agreed.len() - 32..];
    let mut forged = [&b"mp-proof\x01"[..], &[7; 32]].concat();
    forged.extend_from_slice(listeners_mac);
    let mut listener = Handshake::listening(&key(), Form::Own, counting());
    said(&mut listener);
    hears(&mut listener, &framed(&forged), 1000);
    said(&mut listener);
    assert_eq!(outcome(&mut listener), Err(AuthenticationError::WrongKey));
}

#[test]
fn a_replayed_answer_does_not_serve_another_time() {
    for form in FORMS {
        let (mut listener, mut client) = pair(form);
        hears(&mut client, &said(&mut listener), 1000);
        let answer = said(&mut client);
        let mut later = Handshake::listening(&key(), form, [9; NONCE]);
        said(&mut later);
        hears(&mut later, &answer, 1000);
        said(&mut later);
        assert_eq!(outcome(&mut later), Err(AuthenticationError::WrongKey), "{form:?}");
        // And a listener's to a client that has another nonce.
        if form == Form::Own {
            hears(&mut listener, &answer, 1000);
            let agreed = said(&mut listener);
            let mut other = Handshake::connecting(&key(), form, [8; NONCE]);
            hears(&mut other, &said(&mut Handshake::listening(&key(), form, counting())), 1000);
            said(&mut other);
            hears(&mut other, &agreed, 1000);
            assert_eq!(outcome(&mut other), Err(AuthenticationError::WrongKey));
        }
    }
}

#[test]
fn another_version_is_named() {
    let (mut listener, mut client) = pair(Form::Own);
    let mut hello = said(&mut listener);
    hello[4 + 8] = 2;
    hears(&mut client, &hello, 1000);
    assert_eq!(outcome(&mut client), Err(AuthenticationError::Version { theirs: 2, ours: 1 }));
    let (_, mut client) = pair(Form::Own);
    hears(&mut client, &said(&mut pair(Form::Own).0), 1000);
    let mut proof = said(&mut client);
    proof[4 + 8] = 0;
    hears(&mut listener, &proof, 1000);
    assert_eq!(said(&mut listener), framed(b"mp-refused"));
    assert_eq!(outcome(&mut listener), Err(AuthenticationError::Version { theirs: 0, ours: 1 }));
}

#[test]
fn every_changed_bit_of_a_conversation_is_noticed() {
    for form in FORMS {
        let (mut listener, mut client) = pair(form);
        let hello = said(&mut listener);
        hears(&mut client, &hello, 1000);
        let answer = said(&mut client);
        for bit in 4 * 8..answer.len() * 8 {
            let mut changed = answer.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let mut listener = Handshake::listening(&key(), form, counting());
            said(&mut listener);
            hears(&mut listener, &changed, 1000);
            said(&mut listener);
            assert!(outcome(&mut listener).is_err(), "{form:?}, bit {bit}");
        }
    }
}

#[test]
fn a_message_cut_off_anywhere_is_waited_for_and_one_too_long_refused() {
    for form in FORMS {
        let (mut listener, mut client) = pair(form);
        let hello = said(&mut listener);
        for cut in 0..hello.len() {
            let (_, mut client) = pair(form);
            assert_eq!(hears(&mut client, &hello[..cut], 1000), cut);
            assert_eq!(outcome(&mut client), Ok(false));
        }
        for length in [[0, 0, 1, 1], [0xff, 0xff, 0xff, 0xfe]] {
            let (_, mut other) = pair(form);
            assert_eq!(hears(&mut other, &[&length[..], &[0; 300]].concat(), 1000), 4);
            assert_eq!(outcome(&mut other), Err(AuthenticationError::Protocol(NO_LENGTH)));
        }
        // And nothing behind the last message is taken.
        hears(&mut client, &hello, 1000);
        converse(&mut listener, &mut client, 1000);
        assert_eq!(hears(&mut client, b"the first message", 1000), 0);
        assert_eq!(hears(&mut listener, b"the first message", 1000), 0);
    }
}

/// Bytes of no plan, and plausible ones that were damaged: never trusted, never a panic, never many taken.
#[test]
fn whatever_bytes_arrive_no_peer_is_trusted_for_them() {
    let rounds = std::env::var("MP_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000);
    // Of a fixed seed, so that a failure can be had again.
    let mut chance = Chance::new(0x9e37_79b9_7f4a_7c15);
    let words: [&[u8]; 10] = [
        b"#CHALLENGE#",
        b"#WELCOME#",
        b"#FAILURE#",
        b"{sha256}",
        b"{md5}",
        b"mp-hello\x01",
        b"mp-proof\x01",
        b"mp-agreed",
        b"mp-refused",
        b"{",
    ];
    for _ in 0..rounds {
        let form = FORMS[chance.below(3)];
        let (listener, client) = pair(form);
        let mut side = if chance.below(2) == 0 { listener } else { client };
        for _ in 0..chance.below(6) {
            let mut message = Vec::new();
            for _ in 0..chance.below(4) {
                message.extend_from_slice(words[chance.below(10)]);
                let count = chance.below(50);
                message.extend((0..count).map(|_| chance.below(256) as u8));
            }
            let bytes = if chance.below(8) == 0 { message } else { framed(&message) };
            said(&mut side);
            hears(&mut side, &bytes, 1 + chance.below(20));
        }
        said(&mut side);
        assert_ne!(outcome(&mut side), Ok(true), "{form:?}");
        assert!(side.heard() <= 3);
    }
}
