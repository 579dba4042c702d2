//! Fault rows 15-18 and 45, and 10-13 before authentication: peers that send nothing, the wrong thing, too much, or
//! another client's bytes. Whatever they do, an honest client that comes after them is served.

mod raw_peer;

use mp_core::sys::socket::{MOST_FDS, Mode, send};
use mp_core::{AuthKey, Process};
use mp_pipe::handshake::Form;
use mp_pipe::{
    AcceptError, Address, AuthenticationError, Client, Connection, HandshakeError, Listener, PollError,
    try_wait, wait,
};
use mp_testing::open_descriptors;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use raw_peer::{Peer, is_closed, none_yet, read_frame, refused, silent, write_frame};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::thread;
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        a_silent_peer_delays_no_other_peer,
        many_idle_connections_crowd_out_each_other_and_no_honest_client,
        a_thousand_wrong_keys_change_nothing,
        a_silent_client_is_refused_when_its_time_is_over,
        a_byte_now_and_then_does_not_win_time,
        an_answer_that_waited_for_us_is_not_late,
        each_of_cpythons_messages_may_have_waited_for_us,
        a_waiter_for_the_listener_hears_when_a_time_is_over,
        what_is_no_handshake_is_refused,
        a_message_cut_off_anywhere_is_refused,
        recorded_words_do_not_open_the_door_again,
        a_mirror_does_not_open_the_door,
        a_false_listener_learns_nothing_that_serves,
        descriptors_sent_before_the_proof_do_not_stay,
        a_peer_that_vanishes_at_any_step_is_refused,
    ]
}

fn key() -> AuthKey {
    AuthKey::new(*b"known to the honest")
}

fn listener(form: Form) -> Listener {
    let builder = Listener::builder().authkey(key());
    match form {
        Form::Own => builder,
        Form::CPython => builder.cpython(),
        Form::CPythonAndMd5 => builder.cpython_and_md5(),
    }
    .bind()
    .unwrap()
}

/// An honest client comes, is served, and has a conversation.
fn serves(listener: &Listener, form: Form) {
    let client = Client::builder(listener.address()).authkey(key());
    let client = if form == Form::Own { client } else { client.cpython() };
    thread::scope(|scope| {
        let client = scope.spawn(move || {
            let connection: Connection<u32, u32> = client.connect().unwrap();
            connection.send(&20).unwrap();
            connection.recv().unwrap()
        });
        let connection: Connection<u32, u32> = listener.accept().unwrap();
        connection.send(&(connection.recv().unwrap() + 1)).unwrap();
        assert_eq!(client.join().unwrap(), 21);
    });
}

/// Row 17
fn a_silent_peer_delays_no_other_peer() {
    for form in [Form::Own, Form::CPython] {
        let listener = listener(form);
        // It was here first, and never goes.
        let _silent = silent(&listener);
        serves(&listener, form);
        // Nor does one that stops in the middle.
        let mut peer = Peer::new(&listener, &key(), form);
        none_yet(&listener);
        if form == Form::CPython {
            peer.step();
        }
        serves(&listener, form);
    }
}

/// Row 18
fn many_idle_connections_crowd_out_each_other_and_no_honest_client() {
    const IDLE: usize = 2000;
    const PENDING: usize = 128;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let needed = (IDLE + 4 * PENDING) as u64;
    if most < needed {
        mp_testing::not_here("2,512 files may not be open at a time");
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, most).unwrap();
    let listener = Listener::builder().authkey(key()).handshake_timeout(Duration::MAX).bind().unwrap();
    let mut idle = thread::scope(|scope| {
        let clients = scope.spawn(|| {
            let idle: Vec<_> = (0..IDLE).map(|_| silent(&listener)).collect();
            let client = Client::builder(listener.address()).authkey(key());
            let connection: Connection = client.connect().unwrap();
            connection.send_bytes(b"served").unwrap();
            idle
        });
        let connection: Connection = listener.accept().unwrap();
        assert_eq!(connection.recv_bytes().unwrap(), b"served");
        clients.join().unwrap()
    });
    // The queue is first come, first served: with the honest one came the 2,001st, and 128 had a place.
    let kept = idle.split_off(IDLE - (PENDING - 1));
    assert!(idle.iter_mut().all(is_closed));
    assert!(!kept.into_iter().any(|mut stream| is_closed(&mut stream)));
}

fn connect_with_wrong_keys(address: Address, times: u32) -> u32 {
    let wrong = |number: u32| {
        let client = Client::builder(&address).authkey(AuthKey::new(format!("wrong {number}")));
        let client = if number.is_multiple_of(2) { client.cpython() } else { client };
        client.connect::<(), ()>().is_err()
    };
    (0..times).filter(|number| wrong(*number)).count() as u32
}

/// Row 15
fn a_thousand_wrong_keys_change_nothing() {
    for form in [Form::Own, Form::CPython] {
        let listener = listener(form);
        let mut after_each = Vec::new();
        let child =
            Process::new(connect_with_wrong_keys, (listener.address().clone(), 1000)).start().unwrap();
        for _ in 0..1000 {
            let refused = refused(&listener);
            // Half of them do not even speak the handshake.
            let wrong = matches!(
                refused,
                HandshakeError::Authentication(AuthenticationError::WrongKey) | HandshakeError::Closed
            );
            assert!(wrong, "{refused}");
            after_each.push(open_descriptors(std::process::id()).len());
        }
        assert_eq!(child.join().unwrap(), 1000);
        // The next one may be at the door.
        assert!(after_each[999] <= after_each[0] + 1, "{after_each:?}");
        serves(&listener, form);
    }
}

fn impatient(time: Duration) -> Listener {
    Listener::builder().authkey(key()).handshake_timeout(time).bind().unwrap()
}

fn a_silent_client_is_refused_when_its_time_is_over() {
    let time = Duration::from_millis(40);
    let listener = impatient(time);
    let began = Instant::now();
    let mut peers: Vec<_> = (0..3).map(|_| silent(&listener)).collect();
    for _ in 0..3 {
        assert!(matches!(refused(&listener), HandshakeError::Timeout));
        assert!(began.elapsed() >= time);
    }
    assert!(peers.iter_mut().all(is_closed));
    none_yet(&listener);
}

fn a_byte_now_and_then_does_not_win_time() {
    let listener = impatient(Duration::from_millis(100));
    let mut peer = silent(&listener);
    thread::scope(|scope| {
        let slow = scope.spawn(move || {
            // A plausible message, a byte at a time, until it is refused. It is never whole.
            let bytes = [&[0, 0, 0, 73][..], b"mp-proof\x01", &[7; 60]].concat();
            for byte in bytes {
                if peer.write_all(&[byte]).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(15));
            }
            let _ = peer.read_to_end(&mut Vec::new());
        });
        assert!(matches!(refused(&listener), HandshakeError::Timeout));
        slow.join().unwrap();
    });
}

fn an_answer_that_waited_for_us_is_not_late() {
    let time = Duration::from_millis(200);
    let listener = impatient(time);
    let mut peer = Peer::new(&listener, &key(), Form::Own);
    none_yet(&listener);
    assert!(peer.step());
    // This side is busy with something else.
    thread::sleep(2 * time);
    listener.try_accept::<(), ()>().unwrap();
    assert!(!peer.step());
}

fn each_of_cpythons_messages_may_have_waited_for_us() {
    let time = Duration::from_millis(200);
    let listener = Listener::builder().authkey(key()).cpython().handshake_timeout(time).bind().unwrap();
    let mut peer = Peer::new(&listener, &key(), Form::CPython);
    let mut rounds = 0;
    loop {
        match listener.try_accept::<(), ()>() {
            Ok(_) => break,
            Err(error) => assert!(matches!(error, AcceptError::WouldBlock), "{error}"),
        }
        peer.step();
        thread::sleep(2 * time);
        rounds += 1;
    }
    assert_eq!(rounds, 3);
    // But a client that sends nothing within its new time is refused.
    let mut peer = Peer::new(&listener, &key(), Form::CPython);
    none_yet(&listener);
    peer.step();
    thread::sleep(2 * time);
    assert!(matches!(refused(&listener), HandshakeError::Timeout));
}

fn a_waiter_for_the_listener_hears_when_a_time_is_over() {
    let time = Duration::from_millis(40);
    let listener = impatient(time);
    let began = Instant::now();
    let mut peer = silent(&listener);
    none_yet(&listener);
    while !is_closed(&mut peer) {
        assert_eq!(wait(&[&listener]).unwrap(), [0]);
        none_yet(&listener);
    }
    assert!(began.elapsed() >= time);
    assert!(matches!(try_wait(&[&listener]), Err(PollError::WouldBlock)));
}

/// Rows 10, 11, 13
fn what_is_no_handshake_is_refused() {
    for form in [Form::Own, Form::CPython, Form::CPythonAndMd5] {
        let listener = listener(form);
        // Whether it is the length that is wrong.
        let cases: [(Vec<u8>, bool); 7] = [
            ((-2_i32).to_be_bytes().to_vec(), true),
            (i32::MAX.to_be_bytes().to_vec(), true),
            ([&[0xff; 4][..], &(1_u64 << 62).to_be_bytes()].concat(), true),
            ([0, 0, 1, 1].to_vec(), true),
            (b"GET / HTTP/1.1\r\n\r\n".to_vec(), true),
            ([0; 4].to_vec(), false),
            ([&[0, 0, 0, 10][..], b"#CHALLENGE"].concat(), false),
        ];
        for (bytes, length) in cases {
            let mut peer = silent(&listener);
            peer.write_all(&bytes).unwrap();
            match refused(&listener) {
                HandshakeError::Authentication(AuthenticationError::Protocol(what)) => {
                    assert_eq!(what == "no message of it has such a length", length, "{bytes:?}: {what}");
                }
                error => panic!("{bytes:?}: {error}"),
            }
            assert!(is_closed(&mut peer));
        }
        serves(&listener, form);
    }
}

/// Row 12
fn a_message_cut_off_anywhere_is_refused() {
    let listener = listener(Form::CPython);
    let answer = [&[0, 0, 0, 40][..], b"{sha256}", &[7; 32]].concat();
    for cut in 0..answer.len() {
        let mut peer = silent(&listener);
        peer.write_all(&answer[..cut]).unwrap();
        drop(peer);
        assert!(matches!(refused(&listener), HandshakeError::Closed), "cut at {cut}");
    }
    let mut peer = silent(&listener);
    peer.write_all(&answer).unwrap();
    let whole = refused(&listener);
    assert!(matches!(whole, HandshakeError::Authentication(AuthenticationError::WrongKey)), "{whole}");
    serves(&listener, Form::CPython);
}

/// A process in the middle, which passes on the messages of an honest client and the listener, and keeps a copy.
fn overhear(listener: &Listener, form: Form) -> Vec<Vec<u8>> {
    let place = std::env::temp_dir().join(format!("mp-pipe-middle-{}", std::process::id()));
    let middle = UnixListener::bind(&place).unwrap();
    let client = Client::builder(&*place).authkey(key());
    let client = if form == Form::Own { client } else { client.cpython() };
    let words = thread::scope(|scope| {
        let client = scope.spawn(|| client.connect::<(), ()>().unwrap());
        let accepted = scope.spawn(|| listener.accept::<(), ()>().unwrap());
        let (mut honest, _) = middle.accept().unwrap();
        let mut inside = silent(listener);
        let mut words = Vec::new();
        // The side that sends next, in either form.
        let turns = if form == Form::Own { "LCL" } else { "LCLCLC" };
        for turn in turns.chars() {
            let (from, to) =
                if turn == 'L' { (&mut inside, &mut honest) } else { (&mut honest, &mut inside) };
            let word = read_frame(from).unwrap();
            write_frame(to, &word).unwrap();
            if turn == 'C' {
                words.push(word);
            }
        }
        client.join().unwrap();
        accepted.join().unwrap();
        words
    });
    std::fs::remove_file(place).unwrap();
    words
}

/// Row 16
fn recorded_words_do_not_open_the_door_again() {
    for form in [Form::Own, Form::CPython] {
        let listener = listener(form);
        let words = overhear(&listener, form);
        assert_eq!(words.len(), if form == Form::Own { 1 } else { 3 });
        for _ in 0..2 {
            let mut thief = silent(&listener);
            words.iter().for_each(|word| write_frame(&mut thief, word).unwrap());
            let refused = refused(&listener);
            let wrong = HandshakeError::Authentication(AuthenticationError::WrongKey);
            assert_eq!(refused.to_string(), wrong.to_string());
        }
        serves(&listener, form);
    }
}

/// Row 16: what the listener says is handed back to it, on the same connection and on another.
fn a_mirror_does_not_open_the_door() {
    for form in [Form::Own, Form::CPython] {
        let listener = listener(form);
        let mut peers = [silent(&listener), silent(&listener)];
        none_yet(&listener);
        let [one, other] = &mut peers;
        let (first, second) = (read_frame(one).unwrap(), read_frame(other).unwrap());
        write_frame(one, &second).unwrap();
        write_frame(other, &first).unwrap();
        for _ in 0..2 {
            assert!(matches!(refused(&listener), HandshakeError::Authentication(_)));
        }
        let mut mirror = silent(&listener);
        none_yet(&listener);
        let hello = read_frame(&mut mirror).unwrap();
        write_frame(&mut mirror, &hello).unwrap();
        assert!(matches!(refused(&listener), HandshakeError::Authentication(_)));
        serves(&listener, form);
    }
}

/// Row 16: a client's proof to a false listener, in a listener's place or a client's, proves nothing to the true one,
/// nor to another client.
fn a_false_listener_learns_nothing_that_serves() {
    let true_one = listener(Form::Own);
    let place = std::env::temp_dir().join(format!("mp-pipe-false-{}", std::process::id()));
    let false_one = UnixListener::bind(&place).unwrap();
    let connect = || Client::builder(&*place).authkey(key()).connect::<(), ()>();
    thread::scope(|scope| {
        let victims = [scope.spawn(connect), scope.spawn(connect)];
        let mut proofs = Vec::new();
        let mut sockets = Vec::new();
        for _ in 0..2 {
            let (mut victim, _) = false_one.accept().unwrap();
            write_frame(&mut victim, &[&b"mp-hello\x01"[..], &[9; 32]].concat()).unwrap();
            proofs.push(read_frame(&mut victim).unwrap());
            sockets.push(victim);
        }
        // Each client's MAC to the other, in a listener's place.
        for (proof, socket) in proofs.iter().rev().zip(&mut sockets) {
            let mac = &proof[proof.len() - 32..];
            write_frame(socket, &[b"mp-agreed", mac].concat()).unwrap();
        }
        for victim in victims {
            let error = victim.join().unwrap().unwrap_err();
            assert_eq!(error.to_string(), AuthenticationError::WrongKey.to_string());
        }
        let mut thief = silent(&true_one);
        write_frame(&mut thief, &proofs[0]).unwrap();
        assert!(matches!(refused(&true_one), HandshakeError::Authentication(AuthenticationError::WrongKey)));
    });
    std::fs::remove_file(place).unwrap();
}

/// Row 45
fn descriptors_sent_before_the_proof_do_not_stay() {
    let listener = listener(Form::Own);
    // The pending ones of the last look, and the listener's own, are as many every time.
    let count = || open_descriptors(std::process::id()).len();
    let before = count();
    for fds in [1, 2, MOST_FDS] {
        let peer = silent(&listener);
        let borrowed = vec![peer.as_fd(); fds];
        send(peer.as_fd(), &[&[0, 0, 0, 5][..], b"abcde"], &borrowed, Mode::Block).unwrap();
        assert!(matches!(refused(&listener), HandshakeError::Authentication(_)));
        drop(peer);
        assert_eq!(count(), before, "{fds} descriptors");
    }
    serves(&listener, Form::Own);
    assert_eq!(count(), before);
}

fn a_peer_that_vanishes_at_any_step_is_refused() {
    for form in [Form::Own, Form::CPython] {
        let listener = listener(form);
        for steps in 0..if form == Form::Own { 1 } else { 3 } {
            let mut peer = Peer::new(&listener, &key(), form);
            for _ in 0..steps {
                none_yet(&listener);
                assert!(peer.step());
            }
            drop(peer);
            assert!(matches!(refused(&listener), HandshakeError::Closed), "{form:?} after {steps}");
        }
        serves(&listener, form);
    }
}
