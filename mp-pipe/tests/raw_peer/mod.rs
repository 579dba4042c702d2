//! A client that is driven by hand: a socket, frames, and a handshake that goes one message at a time; and what its
//! listener says of it.
//! Each test file uses some of it.
#![allow(dead_code)]

use mp_core::AuthKey;
use mp_core::sys::address::{Place, connect_to};
use mp_pipe::frame::Header;
use mp_pipe::handshake::{Form, Handshake, Want};
use mp_pipe::{AcceptError, Address, HandshakeError, Listener};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

/// A connection to a listener at a path, on which nothing has been said.
pub(crate) fn silent(listener: &Listener) -> UnixStream {
    let Address::Path(path) = listener.address() else { panic!("{listener:?} is at no path") };
    // std's gives up when it is interrupted.
    connect_to(Place::Path(path), None).expect("the listener listens").into()
}

/// Lets the listener do the steps that are ready: no client is admitted by them.
#[track_caller]
pub(crate) fn none_yet(listener: &Listener) {
    let none = listener.try_accept::<(), ()>();
    assert!(matches!(none, Err(AcceptError::WouldBlock)), "{none:?}");
}

/// Waits for the next refused client; returns the reason.
#[track_caller]
pub(crate) fn refused(listener: &Listener) -> HandshakeError {
    match listener.accept_or_refuse::<(), ()>().unwrap_err() {
        AcceptError::Refused(reason) => reason,
        other => panic!("{other}"),
    }
}

pub(crate) fn read_frame(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut message)?;
    Ok(message)
}

pub(crate) fn write_frame(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    stream.write_all(&[Header::of(message.len() as u64).as_bytes(), message].concat())
}

/// Whether the other side has closed, once everything it had said is read.
pub(crate) fn is_closed(stream: &mut UnixStream) -> bool {
    let mut rest = Vec::new();
    stream.set_nonblocking(true).unwrap();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

/// A client whose handshake stops wherever a test wants.
pub(crate) struct Peer {
    pub(crate) stream: UnixStream,
    handshake: Handshake,
}

impl Peer {
    pub(crate) fn new(listener: &Listener, key: &AuthKey, form: Form) -> Peer {
        Peer { stream: silent(listener), handshake: Handshake::of_client(key, form).unwrap() }
    }

    /// Hears the listener's next message and says what follows from it; `false` when it is through.
    pub(crate) fn step(&mut self) -> bool {
        let mut heard = false;
        loop {
            match self.handshake.want().expect("the same key and form") {
                Want::Nothing => return false,
                Want::Write(bytes) => {
                    let count = bytes.len();
                    self.stream.write_all(bytes).unwrap();
                    self.handshake.wrote(count);
                    heard = true;
                }
                Want::Read(_) if heard => return true,
                Want::Read(room) => {
                    let count = room.len();
                    self.stream.read_exact(room).unwrap();
                    self.handshake.filled(count);
                }
            }
        }
    }
}
