//! Which clients are admitted, and which are refused with an error: keys and users (P40). The handshake's messages are
//! tried in src/handshake/tests.rs, peers that mean no good in hostile.rs, CPython's in cpython.rs.

mod raw_peer;

use mp_core::{AuthKey, Process};
use mp_pipe::{
    Address, AuthenticationError, BindError, Client, ConnectError, Connection, HandshakeError, Listener, pipe,
};
use mp_testing::{parent_in_role, role};
use nix::unistd::{Uid, setresuid};
use raw_peer::refused;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;

mp_testing::cases! {
    plain: [
        a_wrong_key_fails_on_both_sides,
        a_wrong_key_is_passed_over,
        a_client_that_is_passed_over_is_in_the_log,
        sides_of_different_minds_do_not_meet,
        what_every_process_can_reach_needs_a_key,
        another_users_processes_stay_outside,
    ],
    every_method: [
        a_child_with_another_key_is_a_stranger,
    ],
}

fn path(of: &str) -> PathBuf {
    std::env::temp_dir().join(format!("mp-pipe-key-{}-{of}", std::process::id()))
}

fn try_with_another_key(address: Address) -> String {
    mp_core::set_authkey(AuthKey::random().unwrap());
    Client::connect::<(), ()>(address).unwrap_err().to_string()
}

fn a_child_with_another_key_is_a_stranger() {
    let listener = Listener::new().unwrap();
    let child = Process::new(try_with_another_key, (listener.address().clone(),)).start().unwrap();
    let refused = refused(&listener);
    assert!(matches!(refused, HandshakeError::Authentication(AuthenticationError::WrongKey)), "{refused}");
    assert_eq!(child.join().unwrap(), "the other side refused our authkey: give both sides the same key");
}

/// P40
fn a_wrong_key_fails_on_both_sides() {
    let own = Listener::builder();
    for (builder, cpython) in [(own.clone(), false), (own.cpython(), true)] {
        for address in [Address::loopback(), Address::from(path("wrong"))] {
            let right = AuthKey::new(*b"right");
            let listener = builder.clone().address(address).authkey(right).bind().unwrap();
            let client = Client::builder(listener.address()).authkey(AuthKey::new(*b"wrong"));
            let client = if cpython { client.cpython() } else { client };
            let client = thread::spawn(move || client.connect::<(), ()>().unwrap_err());
            let refused = refused(&listener);
            assert!(
                matches!(refused, HandshakeError::Authentication(AuthenticationError::WrongKey)),
                "{refused}"
            );
            let told = client.join().unwrap();
            assert!(matches!(told, ConnectError::Authentication(AuthenticationError::Rejected)), "{told}");
        }
    }
}

fn a_wrong_key_is_passed_over() {
    let listener = Listener::new().unwrap();
    let address = listener.address().clone();
    let clients = thread::spawn(move || {
        let wrong = Client::builder(&address).authkey(AuthKey::new(*b"wrong")).connect::<(), ()>();
        assert!(wrong.is_err());
        let right: Connection = Client::connect(address).unwrap();
        right.send_bytes(b"the right one").unwrap();
    });
    let connection: Connection = listener.accept().unwrap();
    assert_eq!(connection.recv_bytes().unwrap(), b"the right one");
    clients.join().unwrap();
}

/// `accept` does not return for a refused client, but the log has a record of it.
fn a_client_that_is_passed_over_is_in_the_log() {
    if role().is_some() {
        mp_core::log_to_stderr(log::LevelFilter::Info).unwrap();
        return a_wrong_key_is_passed_over();
    }
    let output = parent_in_role("logging").stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success());
    let records = String::from_utf8(output.stderr).unwrap();
    let record = "has refused a client: the other side has another authkey (the digest it sent is wrong): give both sides \
                  the same key";
    assert!(records.lines().filter(|line| line.ends_with(record)).count() == 1, "{records}");
}

/// Neither hangs, and neither trusts.
fn sides_of_different_minds_do_not_meet() {
    let own = Listener::builder();
    for (builder, cpython) in [(own.clone(), true), (own.cpython(), false)] {
        let listener = builder.bind().unwrap();
        let client = Client::builder(listener.address());
        let client = if cpython { client.cpython() } else { client };
        let client = thread::spawn(move || client.connect::<(), ()>().unwrap_err());
        let refused = refused(&listener);
        assert!(matches!(refused, HandshakeError::Closed), "{refused}");
        let told = client.join().unwrap();
        assert!(matches!(told, ConnectError::Authentication(AuthenticationError::Protocol(_))), "{told}");
    }
}

fn what_every_process_can_reach_needs_a_key() {
    let name = format!("\0mp-pipe-key-{}", std::process::id());
    for address in [Address::loopback(), Address::from(&*name)] {
        let open = Listener::builder().address(&address).without_authkey().bind();
        assert!(matches!(&open, Err(BindError::Unprotected(which)) if *which == address), "{open:?}");
    }
    let any = Listener::builder().address(&*name).any_user().bind();
    assert!(matches!(any, Err(BindError::Unprotected(_))), "{any:?}");
    for address in [Address::loopback(), Address::from(&*name), Address::from(path("empty"))] {
        let empty = Listener::builder().address(address).authkey(AuthKey::new(*b"")).bind();
        assert!(matches!(empty, Err(BindError::EmptyKey)), "{empty:?}");
    }
    assert!(!path("empty").exists());
    let empty = Client::builder("\0x").authkey(AuthKey::new(*b"")).connect::<(), ()>();
    assert!(matches!(empty, Err(ConnectError::EmptyKey)), "{empty:?}");
}

const NOBODY: u32 = 65534;

fn become_nobody() {
    let nobody = Uid::from_raw(NOBODY);
    setresuid(nobody, nobody, nobody).expect("root may become any user");
}

fn connect_as_nobody(address: Address) -> String {
    become_nobody();
    let denied = Client::connect::<(), ()>(address.clone()).unwrap_err();
    let denied = format!("{denied:?}");
    format!("{denied} {:?}", Client::builder(address).any_user().connect::<(), ()>().unwrap_err())
}

fn listen_as_nobody(say: Connection<Address, ()>) {
    become_nobody();
    let name = format!("\0mp-pipe-key-{}", std::process::id());
    let listener = Listener::bind(name).unwrap();
    say.send(listener.address()).unwrap();
    let refused = refused(&listener);
    // Root has seen which user listens, and has gone; or was seen before.
    assert!(matches!(refused, HandshakeError::OtherUser { uid: 0 }), "{refused}");
}

fn another_users_processes_stay_outside() {
    if !Uid::effective().is_root() {
        mp_testing::not_here("only root can become another user");
    }
    // Where file permissions refuse no user.
    let listener = Listener::bind(format!("\0mp-pipe-key-{}", std::process::id())).unwrap();
    let child = Process::new(connect_as_nobody, (listener.address().clone(),)).start().unwrap();
    assert!(matches!(refused(&listener), HandshakeError::OtherUser { uid: NOBODY }));
    assert!(matches!(refused(&listener), HandshakeError::OtherUser { uid: NOBODY }));
    // It asks the same of the listener, and is told nothing if it does not.
    assert_eq!(child.join().unwrap(), "OtherUser { uid: 0 } Closed");

    let (here, there) = pipe::<(), Address>().unwrap();
    let child = Process::new(listen_as_nobody, (there.clone(),)).start().unwrap();
    let denied = Client::connect::<(), ()>(here.recv().unwrap());
    assert!(matches!(denied, Err(ConnectError::OtherUser { uid: NOBODY })), "{denied:?}");
    child.join().unwrap();
}
