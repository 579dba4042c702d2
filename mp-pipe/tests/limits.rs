//! Fault rows 8 and 18: as many as may be pending and open, and no descriptors left.

mod raw_peer;

use mp_core::AuthKey;
use mp_pipe::handshake::Form;
use mp_pipe::{
    AcceptError, Address, Client, ConnectError, Connection, HandshakeError, Listener, PollError, try_wait,
};
use mp_testing::open_descriptors;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use raw_peer::{Peer, is_closed, none_yet, refused, silent};
use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        the_oldest_of_too_many_goes,
        a_call_that_does_not_wait_ends_before_all_are_handled,
        so_many_are_open_and_no_more,
        without_descriptors_newcomers_wait_and_the_caller_is_told,
        each_attempt_without_descriptors_comes_after_a_longer_pause,
        without_descriptors_the_oldest_pending_one_makes_room,
        a_listener_and_a_client_are_made_whole_or_not_at_all,
        a_queue_of_no_length_still_serves,
    ]
}

fn key() -> AuthKey {
    AuthKey::new(*b"known to the honest")
}

fn the_oldest_of_too_many_goes() {
    let listener = Listener::builder().authkey(key()).most_pending(2).bind().unwrap();
    let mut peers: Vec<_> = (0..3).map(|_| Peer::new(&listener, &key(), Form::Own)).collect();
    assert!(matches!(refused(&listener), HandshakeError::CrowdedOut));
    none_yet(&listener);
    assert!(is_closed(&mut peers.remove(0).stream));
    for mut peer in peers {
        assert!(peer.step());
        listener.try_accept::<(), ()>().unwrap();
        assert!(!peer.step());
    }
}

/// However many are at the door, and go on coming.
fn a_call_that_does_not_wait_ends_before_all_are_handled() {
    // Each is two things to do, and a call does 256. More than 129 do not fit into a short queue.
    const MANY: usize = 129;
    allow(None);
    let listener = Listener::builder().authkey(key()).most_pending(MANY).bind().unwrap();
    let peers: Vec<_> = (0..MANY).map(|_| silent(&listener)).collect();
    none_yet(&listener);
    assert_eq!(try_wait(&[&listener]).unwrap(), [0]);
    // And the next calls come to the end of it.
    while try_wait(&[&listener]).is_ok() {
        none_yet(&listener);
    }
    drop(peers);
}

fn so_many_are_open_and_no_more() {
    let listener = Listener::builder().without_authkey().most_open(2).bind().unwrap();
    let connect = || Client::builder(listener.address()).without_authkey().connect::<(), ()>().unwrap();
    let mut clients: Vec<_> = (0..3).map(|_| connect()).collect();
    let (one, two) = (listener.accept::<(), ()>().unwrap(), listener.accept::<(), ()>().unwrap());
    assert!(matches!(refused(&listener), HandshakeError::TooManyOpen));
    assert!(clients.pop().unwrap().recv_bytes().is_err());
    // A clone is no further connection, and the last one counts.
    let clone = one.clone();
    one.close();
    clients.push(connect());
    assert!(matches!(refused(&listener), HandshakeError::TooManyOpen));
    clone.close();
    clients.push(connect());
    listener.accept::<(), ()>().unwrap();
    drop((two, clients));
}

/// Lets this process open `more` files than are open now, or as many as it likes.
fn allow(more: Option<u64>) {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let next = File::open("/dev/null").map(|file| std::os::fd::AsRawFd::as_raw_fd(&file));
    let limit = match (more, next) {
        (Some(more), Ok(next)) => next as u64 + more,
        (Some(_), Err(_)) => panic!("the limit is reached already"),
        (None, _) => most,
    };
    setrlimit(Resource::RLIMIT_NOFILE, limit, most).unwrap();
}

fn no_descriptor(result: Result<Connection, AcceptError>) {
    match result {
        Err(AcceptError::Os(error)) => {
            let text = error.to_string();
            assert!(
                text.starts_with("accept4: Too many open files") && text.contains("RLIMIT_NOFILE"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// Row 8
fn without_descriptors_newcomers_wait_and_the_caller_is_told() {
    let listener = Listener::builder().without_authkey().bind().unwrap();
    let client: Connection = Client::builder(listener.address()).without_authkey().connect().unwrap();
    let before = open_descriptors(std::process::id());
    allow(Some(0));
    no_descriptor(listener.accept());
    // It is not ready again at once, or its user would spin.
    assert!(matches!(try_wait(&[&listener]), Err(PollError::WouldBlock)));
    allow(None);
    assert_eq!(open_descriptors(std::process::id()), before);
    // No client was lost.
    let connection: Connection = listener.accept().unwrap();
    client.send_bytes(b"still here").unwrap();
    assert_eq!(connection.recv_bytes().unwrap(), b"still here");
}

fn each_attempt_without_descriptors_comes_after_a_longer_pause() {
    let listener = Listener::builder().without_authkey().bind().unwrap();
    let client: Connection = Client::builder(listener.address()).without_authkey().connect().unwrap();
    allow(Some(0));
    let began = Instant::now();
    for pauses in 0..5 {
        no_descriptor(listener.accept());
        // 10, 20, 40, 80 ms.
        assert!(began.elapsed() >= Duration::from_millis(10 * ((1 << pauses) - 1)));
    }
    // In a pause, a call that does not wait only reports that no client is there.
    none_yet(&listener);
    allow(None);
    listener.accept::<(), ()>().unwrap();
    drop(client);
}

fn without_descriptors_the_oldest_pending_one_makes_room() {
    let listener = Listener::builder().authkey(key()).bind().unwrap();
    let mut old: Vec<_> = (0..3).map(|_| silent(&listener)).collect();
    let mut honest = Peer::new(&listener, &key(), Form::Own);
    allow(Some(3));
    // Three come in; for the fourth there is no room.
    no_descriptor(listener.accept());
    assert!(matches!(refused(&listener), HandshakeError::CrowdedOut));
    assert!(is_closed(&mut old.remove(0)));
    none_yet(&listener);
    assert!(honest.step());
    listener.try_accept::<(), ()>().unwrap();
    assert!(!old.iter_mut().any(is_closed));
    allow(None);
}

/// Row 8: each number of descriptors from none to enough.
fn a_listener_and_a_client_are_made_whole_or_not_at_all() {
    let place = || std::env::temp_dir().join(format!("mp-pipe-limits-{}", std::process::id()));
    let whole = Listener::new().unwrap();
    let before = open_descriptors(std::process::id());
    let (mut bound, mut connected) = (0, 0);
    for more in 0..12 {
        for address in [Address::from(place()), Address::loopback()] {
            allow(Some(more));
            let listener = Listener::bind(&address);
            allow(None);
            match listener {
                Ok(listener) => {
                    bound += 1;
                    listener.close();
                }
                Err(error) => assert!(error.to_string().contains("open files"), "{more}: {error}"),
            }
            assert!(!place().exists());
            assert_eq!(open_descriptors(std::process::id()), before, "{more}");
        }
        allow(Some(more));
        let client = Client::builder(whole.address()).without_authkey().connect::<(), ()>();
        allow(None);
        match client {
            Ok(connection) => {
                connected += 1;
                connection.close();
            }
            Err(ConnectError::Os(error)) => assert!(error.to_string().contains("open files"), "{error}"),
            Err(other) => panic!("{other}"),
        }
        assert_eq!(open_descriptors(std::process::id()), before, "{more}");
    }
    assert!((1..24).contains(&bound) && (1..12).contains(&connected), "{bound} {connected}");
    // A made-up directory does not stay, either.
    allow(Some(1));
    let error = Listener::new();
    allow(None);
    assert!(error.unwrap_err().to_string().contains("open files"));
    assert_eq!(open_descriptors(std::process::id()), before);
}

fn a_queue_of_no_length_still_serves() {
    let listener = Listener::builder().backlog(0).bind().unwrap();
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| Client::connect::<(), ()>(listener.address()).unwrap());
        }
        for _ in 0..20 {
            listener.accept::<(), ()>().unwrap();
        }
    });
    let listener = Listener::builder().backlog(u32::MAX).bind().unwrap();
    listener.close();
}
