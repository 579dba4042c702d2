//! Mirrors _TestListener and _TestListenerClient (P40): connecting and accepting, by every kind of address.
//! Left out: accept after close (does not compile: doc-test of Listener), abstract names as `bytes`,
//! test_issue16955 and test_context (a scope closes by itself). Keys and users are in authentication.rs,
//! files in socket_file.rs, peers that mean no good in hostile.rs, and limits in limits.rs.

mod raw_peer;

use mp_core::{AuthKey, Process};
use mp_pipe::handshake::Form;
use mp_pipe::{
    AcceptError, Address, BindError, Client, ConnectError, Connection, HandshakeError, Listener,
    ListenerBuilder, PollError, RecvError, SendError, Sender, pipe, pipe_simplex, try_wait, wait,
};
use raw_peer::{Peer, none_yet, refused, silent, write_frame};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        an_address_in_use_is_refused,
        a_client_may_connect_before_the_accept,
        a_client_may_have_gone_before_the_accept,
        no_client_in_time_is_an_error_and_not_early,
        a_listener_is_waited_for_beside_other_things,
        threads_take_turns_at_accepting,
        a_forked_child_accepts_from_the_same_listener,
        a_forked_child_does_not_disturb_its_parents_handshakes,
        no_listener_is_an_error,
        what_is_no_address_is_an_error,
        where_a_client_came_from_is_told,
        a_full_queue_ends_in_time,
        an_address_is_what_it_says,
        handles_do_not_go_over_tcp,
        a_forked_copy_of_a_pending_connection_is_not_waited_for,
    ],
    every_method: [
        a_child_connects_by_every_kind_of_address,
        a_child_listens,
        a_lock_and_a_pipe_end_cross_the_connection,
    ],
}

fn path(of: &str) -> PathBuf {
    std::env::temp_dir().join(format!("mp-pipe-test-{}-{of}", std::process::id()))
}

fn kinds() -> Vec<ListenerBuilder> {
    vec![
        Listener::builder(),
        Listener::builder().address(path("kinds")),
        Listener::builder().address(format!("\0mp-pipe-test-{}", std::process::id())),
        Listener::builder().address(Address::loopback()),
        Listener::builder().address(("localhost", 0)),
    ]
}

/// A copy of a pending client's socket lives on in a child that never comes to accept. It is no business of
/// the parent's any more, which would else be ready for ever without anything to do.
fn a_forked_copy_of_a_pending_connection_is_not_waited_for() {
    let listener = Listener::builder().authkey(AuthKey::new(*b"peekaboo")).bind().unwrap();
    let mut peer = silent(&listener);
    none_yet(&listener);
    let (gate, open) = pipe_simplex::<()>().unwrap();
    mp_core::scope(|scope| {
        scope.fork(|| gate.recv().unwrap()).unwrap();
        write_frame(&mut peer, b"garbage").unwrap();
        let refused = refused(&listener);
        assert!(matches!(refused, HandshakeError::Authentication(_)), "{refused}");
        // To the copy.
        write_frame(&mut peer, b"more").unwrap();
        assert!(matches!(try_wait(&[&listener]), Err(PollError::WouldBlock)));
        open.send(&()).unwrap();
    });
}

/// What stays on its host is not sent, and says so; the connection goes on.
fn handles_do_not_go_over_tcp() {
    let listener = Listener::bind(Address::loopback()).unwrap();
    let address = listener.address().clone();
    type Loaded = (u32, Option<Sender<u32>>);
    let client = thread::spawn(move || Client::connect::<(), Loaded>(address).unwrap());
    let connection: Connection<Loaded, ()> = listener.accept().unwrap();
    let client = client.join().unwrap();
    let (_receiver, sender) = pipe_simplex().unwrap();
    let refused = connection.send(&(1, Some(sender)));
    assert!(matches!(refused, Err(SendError::NoHandlesHere { count: 1 })), "{refused:?}");
    connection.send(&(2, None)).unwrap();
    assert_eq!(client.recv().unwrap().0, 2);
}

type Told = Connection<(u32, String), String>;
type Telling = Connection<String, (u32, String)>;

fn tell(address: Address) -> String {
    let connection: Told = Client::connect(address).expect("the parent accepts");
    connection.send(&(7, "seven".to_owned())).expect("the parent listens");
    connection.recv().expect("the parent answers")
}

/// P40
fn a_child_connects_by_every_kind_of_address() {
    for builder in kinds() {
        let listener = builder.bind().unwrap();
        let child = Process::new(tell, (listener.address().clone(),)).start().unwrap();
        let connection: Telling = listener.accept().unwrap();
        assert_eq!(connection.recv().unwrap(), (7, "seven".to_owned()));
        connection.send(&format!("by {}", listener.address())).unwrap();
        assert_eq!(child.join().unwrap(), format!("by {}", listener.address()));
        connection.close();
    }
}

fn listen(say: Connection<Address, ()>) -> u32 {
    let listener = Listener::new().expect("a directory can be made");
    say.send(listener.address()).expect("the parent listens");
    let connection: Connection<u32, u32> = listener.accept().expect("the parent connects");
    connection.send(&connection.recv().expect("the parent sends a number")).expect("and takes it back");
    connection.recv().expect("and sends another")
}

fn a_child_listens() {
    let (here, there) = pipe::<(), Address>().unwrap();
    let child = Process::new(listen, (there.clone(),)).start().unwrap();
    there.close();
    let connection: Connection<u32, u32> = Client::connect(here.recv().unwrap()).unwrap();
    connection.send(&1).unwrap();
    assert_eq!(connection.recv().unwrap(), 1);
    connection.send(&2).unwrap();
    assert_eq!(child.join().unwrap(), 2);
}

fn answer_by_pipe(address: Address) {
    let connection: Connection<(), Connection<u32, u32>> = Client::connect(address).unwrap();
    let end = connection.recv().expect("an end of a pipe");
    end.send(&(end.recv().unwrap() + 1)).unwrap();
}

fn a_lock_and_a_pipe_end_cross_the_connection() {
    let listener = Listener::new().unwrap();
    let child = Process::new(answer_by_pipe, (listener.address().clone(),)).start().unwrap();
    let connection: Connection<Connection<u32, u32>, ()> = listener.accept().unwrap();
    let (here, there) = pipe::<u32, u32>().unwrap();
    connection.send(&there).unwrap();
    there.close();
    here.send(&41).unwrap();
    assert_eq!(here.recv().unwrap(), 42);
    child.join().unwrap();
}

/// P40
fn an_address_in_use_is_refused() {
    for builder in kinds().into_iter().skip(1) {
        let listener = builder.bind().unwrap();
        let again = Listener::bind(listener.address());
        assert!(
            matches!(&again, Err(BindError::InUse(address)) if address == listener.address()),
            "{again:?}"
        );
        // And it still listens.
        let address = listener.address().clone();
        let client = thread::spawn(move || Client::connect::<(), ()>(address).unwrap());
        listener.accept::<(), ()>().unwrap();
        client.join().unwrap();
        listener.close();
    }
}

/// P40
fn a_client_may_connect_before_the_accept() {
    for form in [without_key, with_key, with_cpythons_handshake] {
        let (listener, client) = form();
        let (here, there) = pipe::<(), ()>().unwrap();
        let client = thread::spawn(move || {
            // A connection without a handshake is there before it is accepted.
            let connection = client();
            connection.send_bytes(b"early").unwrap();
            there.send(&()).unwrap();
        });
        // It is at the door; the one without a handshake may have sent already.
        assert_eq!(wait(&[&listener]).unwrap(), [0]);
        let connection: Connection = listener.accept().unwrap();
        here.recv().unwrap();
        assert_eq!(connection.recv_bytes().unwrap(), b"early");
        client.join().unwrap();
    }
}

/// P40, and test_issue14725.
fn a_client_may_have_gone_before_the_accept() {
    let (listener, client) = without_key();
    let client = client();
    client.send_bytes(b"early").unwrap();
    client.close();
    let connection: Connection = listener.accept().unwrap();
    assert_eq!(connection.recv_bytes().unwrap(), b"early");
    assert!(matches!(connection.recv_bytes(), Err(RecvError::Closed)));
}

type Connecting = Box<dyn FnOnce() -> Connection + Send>;

fn without_key() -> (Listener, Connecting) {
    let listener = Listener::builder().without_authkey().bind().unwrap();
    let address = listener.address().clone();
    (listener, Box::new(|| Client::builder(address).without_authkey().connect().unwrap()))
}

fn with_key() -> (Listener, Connecting) {
    let key = AuthKey::new(*b"peekaboo");
    let listener = Listener::builder().authkey(key.clone()).bind().unwrap();
    let address = listener.address().clone();
    (listener, Box::new(|| Client::builder(address).authkey(key).connect().unwrap()))
}

fn with_cpythons_handshake() -> (Listener, Connecting) {
    let listener = Listener::builder().cpython().bind().unwrap();
    let address = listener.address().clone();
    (listener, Box::new(|| Client::builder(address).cpython().connect().unwrap()))
}

fn no_client_in_time_is_an_error_and_not_early() {
    let listener = Listener::new().unwrap();
    none_yet(&listener);
    for client in [false, true] {
        // A client that connects and sends nothing makes no difference.
        let silent =
            client.then(|| Client::builder(listener.address()).without_authkey().connect::<(), ()>());
        let began = Instant::now();
        let time = Duration::from_millis(60);
        assert!(matches!(listener.accept_timeout::<(), ()>(time), Err(AcceptError::Timeout)));
        assert!(began.elapsed() >= time);
        drop(silent);
    }
    // No process accepts: the client reports it.
    let began = Instant::now();
    let time = Duration::from_millis(60);
    let late = Client::builder(listener.address()).timeout(time).connect::<(), ()>();
    assert!(matches!(late, Err(ConnectError::Timeout)));
    assert!(began.elapsed() >= time);
}

fn a_listener_is_waited_for_beside_other_things() {
    let listener = Listener::builder().cpython().bind().unwrap();
    let (here, there) = pipe::<(), u32>().unwrap();
    assert!(matches!(try_wait(&[&here, &listener]), Err(PollError::WouldBlock)));
    let address = listener.address().clone();
    let client = thread::spawn(move || {
        there.send(&1).unwrap();
        let connection: Connection<u32, u32> = Client::builder(address).cpython().connect().unwrap();
        connection.send(&2).unwrap();
        connection.recv().unwrap()
    });
    let (mut number, mut connection) = (None, None::<Connection<u32, u32>>);
    let mut looks = 0;
    while number.is_none() || connection.is_none() {
        let ready = wait(&[&here, &listener]).unwrap();
        assert!(!ready.is_empty());
        if ready.contains(&0) && number.is_none() {
            number = Some(here.recv().unwrap());
        }
        if ready.contains(&1) {
            match listener.try_accept() {
                Ok(one) => connection = Some(one),
                Err(error) => assert!(matches!(error, AcceptError::WouldBlock), "{error}"),
            }
        }
        looks += 1;
        assert!(looks < 1000, "it is ready without anything to do");
    }
    let connection = connection.unwrap();
    assert_eq!((number, connection.recv().unwrap()), (Some(1), 2));
    connection.send(&3).unwrap();
    assert_eq!(client.join().unwrap(), 3);
    // Ready for nothing any more.
    assert!(matches!(try_wait(&[&listener]), Err(PollError::WouldBlock)));
}

fn threads_take_turns_at_accepting() {
    let listener = Listener::new().unwrap();
    thread::scope(|scope| {
        let accepting: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..5).map(|_| listener.accept::<(), u32>().unwrap().recv().unwrap()).sum::<u32>()
                })
            })
            .collect();
        let connecting: Vec<_> = (0..20_u32)
            .map(|number| {
                let address = listener.address().clone();
                scope.spawn(move || {
                    Client::connect::<u32, ()>(address).unwrap().send(&number).unwrap();
                })
            })
            .collect();
        connecting.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(accepting.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>(), 190);
    });
}

/// As servers do that fork their workers: each accepts from the one socket.
fn a_forked_child_accepts_from_the_same_listener() {
    let listener = Listener::new().unwrap();
    mp_core::scope(|scope| {
        for _ in 0..3 {
            let serve_one = || {
                assert_eq!(wait(&[&listener]).unwrap(), [0]);
                let connection: Connection<u32, ()> = listener.accept().unwrap();
                connection.send(&std::process::id()).unwrap();
                // Until all have been served.
                connection.recv().unwrap();
            };
            scope.fork(serve_one).unwrap();
        }
        let connect = |_| Client::connect::<(), u32>(listener.address()).unwrap();
        let connections: Vec<_> = (0..3).map(connect).collect();
        let mut workers: Vec<u32> = connections.iter().map(|one| one.recv().unwrap()).collect();
        workers.sort_unstable();
        workers.dedup();
        assert_eq!(workers.len(), 3);
        connections.iter().for_each(|one| one.send(&()).unwrap());
    });
}

/// Not even one that is under way, with something to read for the parent.
fn a_forked_child_does_not_disturb_its_parents_handshakes() {
    let key = AuthKey::new(*b"peekaboo");
    let listener = Listener::builder().authkey(key.clone()).most_pending(1).bind().unwrap();
    let mut peer = Peer::new(&listener, &key, Form::Own);
    none_yet(&listener);
    assert!(peer.step());
    mp_core::scope(|scope| {
        let look = || {
            assert!(matches!(try_wait(&[&listener]), Err(PollError::WouldBlock)));
            none_yet(&listener);
            // One of the child's own, which takes no other's place.
            let _own = silent(&listener);
            none_yet(&listener);
        };
        scope.fork(look).unwrap().join().unwrap();
    });
    assert_eq!(wait(&[&listener]).unwrap(), [0]);
    let connection: Connection = listener.try_accept().unwrap();
    assert!(!peer.step());
    write_frame(&mut peer.stream, b"still here").unwrap();
    assert_eq!(connection.recv_bytes().unwrap(), b"still here");
}

fn no_listener_is_an_error() {
    let port = Listener::bind(Address::loopback()).unwrap().address().clone();
    let name = format!("\0mp-pipe-test-{}", std::process::id());
    for address in [port, Address::from(path("none")), Address::from(&*name)] {
        let refused = Client::connect::<(), ()>(&address);
        assert!(matches!(refused, Err(ConnectError::NotListening(_))), "{address}: {refused:?}");
    }
}

fn what_is_no_address_is_an_error() {
    let long = "x".repeat(108);
    for address in ["", "\0", "a\0b", &*long] {
        let (bound, connected) = (Listener::bind(address), Client::connect::<(), ()>(address));
        assert!(matches!(bound, Err(BindError::Address(_))), "{bound:?}");
        assert!(matches!(connected, Err(ConnectError::Address(_))), "{connected:?}");
    }
    let host = Client::connect::<(), ()>(("no such host", 1));
    assert!(matches!(host, Err(ConnectError::Host { .. })), "{host:?}");
    let nowhere = Listener::bind("/no such directory/socket");
    assert!(matches!(nowhere, Err(BindError::Os(_))), "{nowhere:?}");
}

fn where_a_client_came_from_is_told() {
    let listener = Listener::bind(Address::loopback()).unwrap();
    assert_eq!(listener.last_accepted(), None);
    let address = listener.address().clone();
    let client = thread::spawn(move || Client::connect::<(), ()>(address).unwrap());
    let _connection = listener.accept::<(), ()>().unwrap();
    let _client = client.join().unwrap();
    let Some(Address::Tcp(host, port)) = listener.last_accepted() else { panic!("no address") };
    assert!(host == "127.0.0.1" && port > 0, "{host}:{port}");
    assert_ne!(listener.last_accepted().as_ref(), Some(listener.address()));
}

/// The kernel's queue is full, so connecting itself waits.
fn a_full_queue_ends_in_time() {
    let listener = Listener::builder().backlog(1).bind().unwrap();
    let connect = || {
        let time = Duration::from_millis(30);
        Client::builder(listener.address()).without_authkey().timeout(time).connect::<(), ()>()
    };
    // Linux queues one more than it was told.
    let waiting = [connect().unwrap(), connect().unwrap()];
    let began = Instant::now();
    assert!(matches!(connect(), Err(ConnectError::Timeout)));
    assert!(began.elapsed() >= Duration::from_millis(30));
    drop(waiting);
}

fn an_address_is_what_it_says() {
    let made_up = Listener::new().unwrap();
    let Address::Path(path) = made_up.address() else { panic!("{made_up:?}") };
    assert!(path.starts_with(std::env::temp_dir()) && path.exists());
    assert_eq!(format!("{made_up:?}"), format!("Listener({})", path.display()));
    // Also by a name that has numbers of both kinds.
    for address in [Address::loopback(), Address::from(("localhost", 0))] {
        let Address::Tcp(host, port) = Listener::bind(address).unwrap().address().clone() else {
            panic!("no port")
        };
        assert!(host == "127.0.0.1" && port > 0, "{host}:{port}");
    }
}
