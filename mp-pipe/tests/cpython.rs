//! CPython at the other end, every one from 3.8 on that this machine has: as the client of our listener, and as the
//! listener for our client. Mirrors OtherTest (answer_challenge, deliver_challenge), whose rest is in the handshake's
//! own tests. Ignored, for that reason, where there is no CPython.

mod raw_peer;

use mp_core::AuthKey;
use mp_pipe::{
    Address, AuthenticationError, Client, ClientBuilder, ConnectError, Connection, HandshakeError, Listener,
    ListenerBuilder,
};
use mp_testing::{Python, pythons};
use raw_peer::refused;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command};

mp_testing::cases! {
    plain: [
        a_python_client_and_our_listener_exchange_bytes,
        our_client_and_a_python_listener_exchange_bytes,
        a_python_client_with_a_wrong_key_is_refused,
        a_python_listener_refuses_a_wrong_key,
        a_python_listener_with_a_wrong_key_of_its_own_is_refused,
        old_pythons_need_md5_to_be_allowed,
        a_python_without_a_key_talks_to_a_listener_without_one,
        our_own_handshake_is_none_of_pythons,
        a_dead_pythons_file_is_replaced,
    ]
}

/// Sends back what it gets until the end of the stream. Says what becomes of it.
const ECHO: &str = r#"
import os, sys
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Listener
role, kind, where, key = sys.argv[1:5]
address = {"path": where, "abstract": "\0" + where, "tcp": None}[kind]
if kind == "tcp":
    host, port = where.rsplit(":", 1)
    address = (host, int(port))
key = key.encode() if key else None

def echo(connection):
    while True:
        try:
            message = connection.recv_bytes()
        except EOFError:
            print("ended")
            return
        connection.send_bytes(message)

try:
    if role == "client":
        with Client(address, authkey=key) as connection:
            echo(connection)
    else:
        with Listener(address, authkey=key) as listener:
            print(listener.address if kind != "tcp" else "%s:%d" % listener.address, flush=True)
            if role == "die":
                os.kill(os.getpid(), 9)
            with listener.accept() as connection:
                echo(connection)
except (AssertionError, AuthenticationError, EOFError, OSError) as error:
    print(type(error).__name__, error)
"#;

const KEY: &str = "known to the two";

fn key() -> AuthKey {
    AuthKey::new(KEY)
}

/// Before 3.12 nothing but MD5 is spoken.
fn is_old(python: &Python) -> bool {
    python.version < (3, 12, 0)
}

fn listening_to(python: &Python, builder: ListenerBuilder) -> ListenerBuilder {
    if is_old(python) { builder.cpython_and_md5() } else { builder.cpython() }
}

fn connecting_to(python: &Python, builder: ClientBuilder) -> ClientBuilder {
    if is_old(python) { builder.cpython_and_md5() } else { builder.cpython() }
}

fn path() -> PathBuf {
    std::env::temp_dir().join(format!("mp-pipe-python-{}", std::process::id()))
}

/// As the script takes them: `path /tmp/x`, `tcp 127.0.0.1:0`.
fn words(address: &Address) -> [String; 2] {
    match address {
        Address::Path(path) => ["path".to_owned(), path.display().to_string()],
        Address::Abstract(name) => ["abstract".to_owned(), String::from_utf8(name.clone()).unwrap()],
        Address::Tcp(..) => ["tcp".to_owned(), address.to_string()],
    }
}

fn addresses() -> [Address; 3] {
    let name = format!("\0mp-pipe-python-{}", std::process::id());
    [Address::from(path()), Address::from(&*name), Address::loopback()]
}

fn command(python: &Python, role: &str, address: &Address, key: &str) -> Command {
    let mut command = python.script(ECHO);
    command.arg(role).args(words(address)).arg(key);
    command
}

/// What it has said when it has ended.
fn ended(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// A Python that listens, where, and what it says after that.
fn python_listener(
    python: &Python,
    address: &Address,
    key: &str,
) -> (Child, Address, BufReader<ChildStdout>) {
    listening(command(python, "listener", address, key), address)
}

/// What a command starts, the address of that kind that its first line says, and what it says after that.
fn listening(mut command: Command, address: &Address) -> (Child, Address, BufReader<ChildStdout>) {
    let mut child = command.spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let bound = match address {
        Address::Tcp(..) => {
            let (host, port) = line.trim_end().rsplit_once(':').expect("a host and a port");
            Address::Tcp(host.to_owned(), port.parse().unwrap())
        }
        other => other.clone(),
    };
    (child, bound, output)
}

fn rest(mut child: Child, mut output: BufReader<ChildStdout>) -> String {
    let mut text = String::new();
    output.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    text.trim_end().to_owned()
}

/// Messages of every length that the format treats differently, both ways.
fn bytes_go_both_ways(connection: &Connection) {
    for length in [0, 1, 255, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 1 << 20] {
        let message: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        connection.send_bytes(&message).unwrap();
        assert!(connection.recv_bytes().unwrap() == message, "{length} bytes");
    }
}

fn a_python_client_and_our_listener_exchange_bytes() {
    for python in pythons((3, 8)) {
        for address in addresses() {
            let builder = Listener::builder().address(address).authkey(key());
            let listener = listening_to(&python, builder).bind().unwrap();
            let child = command(&python, "client", listener.address(), KEY).spawn().unwrap();
            let connection: Connection = listener.accept().unwrap();
            bytes_go_both_ways(&connection);
            connection.close();
            assert_eq!(ended(child), "ended", "{python:?}");
        }
    }
}

fn our_client_and_a_python_listener_exchange_bytes() {
    for python in pythons((3, 8)) {
        for address in addresses() {
            let (child, bound, output) = python_listener(&python, &address, KEY);
            let client = connecting_to(&python, Client::builder(bound).authkey(key()));
            let connection: Connection = client.connect().unwrap();
            bytes_go_both_ways(&connection);
            connection.close();
            assert_eq!(rest(child, output), "ended", "{python:?}");
        }
    }
}

fn a_python_client_with_a_wrong_key_is_refused() {
    for python in pythons((3, 8)) {
        let listener = listening_to(&python, Listener::builder().authkey(key())).bind().unwrap();
        let child = command(&python, "client", listener.address(), "another").spawn().unwrap();
        let refused = refused(&listener);
        assert!(
            matches!(refused, HandshakeError::Authentication(AuthenticationError::WrongKey)),
            "{refused}"
        );
        assert_eq!(ended(child), "AuthenticationError digest sent was rejected", "{python:?}");
        // And the listener goes on.
        let child = command(&python, "client", listener.address(), KEY).spawn().unwrap();
        bytes_go_both_ways(&listener.accept().unwrap());
        assert_eq!(ended(child), "ended");
    }
}

fn a_python_listener_refuses_a_wrong_key() {
    for python in pythons((3, 8)) {
        let (child, bound, output) = python_listener(&python, &Address::loopback(), KEY);
        let client = connecting_to(&python, Client::builder(bound).authkey(AuthKey::new("another")));
        let error = client.connect::<(), ()>().unwrap_err();
        assert!(matches!(error, ConnectError::Authentication(AuthenticationError::Rejected)), "{error}");
        assert_eq!(rest(child, output), "AuthenticationError digest received was wrong", "{python:?}");
    }
}

/// It lets us in, having the right key for that; but what it answers is of another: a false listener in the middle of
/// two, which Python's own `accept` cannot be.
fn a_python_listener_with_a_wrong_key_of_its_own_is_refused() {
    const FALSE: &str = r#"
from multiprocessing import AuthenticationError, connection
with connection.Listener(("127.0.0.1", 0)) as listener:
    print("%s:%d" % listener.address, flush=True)
    with listener.accept() as client:
        connection.deliver_challenge(client, b"known to the two")
        try:
            connection.answer_challenge(client, b"another")
        except AuthenticationError as error:
            print(error)
"#;
    for python in pythons((3, 8)) {
        let (child, bound, output) = listening(python.script(FALSE), &Address::loopback());
        let client = connecting_to(&python, Client::builder(bound).authkey(key()));
        let error = client.connect::<(), ()>().unwrap_err();
        assert!(matches!(error, ConnectError::Authentication(AuthenticationError::WrongKey)), "{error}");
        assert_eq!(rest(child, output), "digest sent was rejected", "{python:?}");
    }
}

fn old_pythons_need_md5_to_be_allowed() {
    let old: Vec<_> = pythons((3, 8)).into_iter().filter(is_old).collect();
    if old.is_empty() {
        mp_testing::not_here("there is no CPython from 3.8 to 3.11 here");
    }
    for python in old {
        let listener = Listener::builder().authkey(key()).cpython().bind().unwrap();
        let child = command(&python, "client", listener.address(), KEY).spawn().unwrap();
        let refused = refused(&listener);
        assert!(matches!(refused, HandshakeError::Authentication(AuthenticationError::Md5)), "{refused}");
        assert_eq!(ended(child), "AuthenticationError digest sent was rejected", "{python:?}");

        let (child, bound, output) = python_listener(&python, &Address::loopback(), KEY);
        let error = Client::builder(bound).authkey(key()).cpython().connect::<(), ()>().unwrap_err();
        assert!(matches!(error, ConnectError::Authentication(AuthenticationError::Md5)), "{error}");
        assert!(rest(child, output).starts_with("EOFError"), "{python:?}");
    }
}

fn a_python_without_a_key_talks_to_a_listener_without_one() {
    for python in pythons((3, 8)) {
        let listener = Listener::builder().without_authkey().bind().unwrap();
        let child = command(&python, "client", listener.address(), "").spawn().unwrap();
        bytes_go_both_ways(&listener.accept().unwrap());
        assert_eq!(ended(child), "ended");

        let (child, bound, output) = python_listener(&python, &Address::loopback(), "");
        let connection: Connection = Client::builder(bound).without_authkey().connect().unwrap();
        bytes_go_both_ways(&connection);
        connection.close();
        assert_eq!(rest(child, output), "ended");
    }
}

fn our_own_handshake_is_none_of_pythons() {
    for python in pythons((3, 8)) {
        let listener = Listener::builder().authkey(key()).bind().unwrap();
        let child = command(&python, "client", listener.address(), KEY).spawn().unwrap();
        assert!(matches!(refused(&listener), HandshakeError::Closed));
        let said = ended(child);
        // 3.8 to 3.11 have nothing but an assertion for it.
        let error = if is_old(&python) { "AssertionError" } else { "AuthenticationError" };
        assert!(said.starts_with(error), "{python:?}: {said}");

        let (child, bound, output) = python_listener(&python, &Address::loopback(), KEY);
        let error = Client::builder(bound).authkey(key()).connect::<(), ()>().unwrap_err();
        assert!(matches!(error, ConnectError::Authentication(AuthenticationError::Protocol(_))), "{error}");
        assert!(rest(child, output).starts_with("EOFError"), "{python:?}");
    }
}

/// Python says "address already in use" there.
fn a_dead_pythons_file_is_replaced() {
    for python in pythons((3, 8)) {
        let output = command(&python, "die", &Address::from(path()), KEY).output().unwrap();
        assert!(!output.status.success() && path().exists());
        let builder = Listener::builder().address(path()).authkey(key());
        let listener = listening_to(&python, builder).bind().unwrap();
        let child = command(&python, "client", listener.address(), KEY).spawn().unwrap();
        bytes_go_both_ways(&listener.accept().unwrap());
        assert_eq!(ended(child), "ended");
    }
}
