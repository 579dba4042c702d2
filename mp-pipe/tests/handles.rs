//! Mirrors test_fd_transfer, test_large_fd_transfer, test_missing_fd_transfer and _TestPicklingConnections, on
//! threads (P38; with children: processes.rs).

use mp_core::sys::fd::pipe as system_pipe;
use mp_core::sys::socket::{Mode, send};
use mp_core::transfer::{Handle, pack, unpack};
use mp_pipe::{Connection, RecvError, SendError, Sender, pipe, pipe_simplex};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::Duration;

fn read_all(fd: impl Into<OwnedFd>) -> String {
    let mut text = String::new();
    File::from(fd.into()).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_descriptor_travels_in_a_value() {
    let (receiver, sender) = pipe_simplex::<(String, Handle)>().unwrap();
    let (read, write) = system_pipe().unwrap();
    sender.send(&("its read end".to_owned(), Handle::new(read))).unwrap();
    let (text, read) = receiver.recv().unwrap();
    assert_eq!(text, "its read end");
    File::from(write).write_all(b"foo").unwrap();
    assert_eq!(read_all(read.into_fd().unwrap()), "foo");
}

#[test]
fn a_connection_travels_through_a_connection() {
    let (receiver, sender) = pipe_simplex::<(u8, Sender<String>)>().unwrap();
    let other = thread::spawn(move || {
        for _ in 0..2 {
            let (number, reply) = receiver.recv().unwrap();
            reply.send(&format!("reply {number}")).unwrap();
        }
    });
    for number in 0..2 {
        let (replies, reply) = pipe_simplex().unwrap();
        sender.send(&(number, reply)).unwrap();
        assert_eq!(replies.recv().unwrap(), format!("reply {number}"));
        assert!(matches!(replies.recv(), Err(RecvError::Closed)), "no process holds the other end");
    }
    other.join().unwrap();
}

#[test]
fn what_is_under_way_outlives_its_sender() {
    let (receiver, sender) = pipe_simplex::<Connection<(), u32>>().unwrap();
    let (inner, outer) = pipe::<(), u32>().unwrap();
    sender.send(&inner).unwrap();
    inner.close();
    sender.close();
    outer.send(&5).unwrap();
    assert_eq!(receiver.recv().unwrap().recv().unwrap(), 5);
}

#[test]
fn a_limit_travels_with_its_connection() {
    let (one, two): (Connection, Connection) = pipe().unwrap();
    let message = pack(&one.with_limit(3)).unwrap();
    let copy: Connection = unpack(&message.bytes, message.handles).unwrap();
    two.send_bytes(b"four").unwrap();
    assert!(matches!(copy.recv_bytes(), Err(RecvError::TooLong { length: 4, limit: 3 })));
}

#[test]
fn six_hundred_descriptors_travel_in_one_value() {
    let (receiver, sender) = pipe_simplex::<(Vec<Handle>, Vec<u8>)>().unwrap();
    let (read, write) = system_pipe().unwrap();
    for (count, length) in [(253, 10), (254, 10), (600, 10), (600, 1 << 20)] {
        let handles: Vec<Handle> = (0..count).map(|_| Handle::new(write.try_clone().unwrap())).collect();
        let value = (handles, vec![7; length]);
        thread::scope(|scope| {
            scope.spawn(|| sender.send(&value).unwrap());
            let (handles, bytes) = receiver.recv().unwrap();
            assert_eq!((handles.len(), bytes.len()), (count, length));
            let last = handles.into_iter().next_back().unwrap();
            File::from(last.into_fd().unwrap()).write_all(b"x").unwrap();
        });
    }
    drop(write);
    assert_eq!(read_all(read), "xxxx");
}

#[test]
fn the_most_handles_travel_and_one_more_is_refused() {
    let (receiver, sender) = pipe_simplex::<Vec<Handle>>().unwrap();
    let (read, _write) = system_pipe().unwrap();
    let mut handles: Vec<Handle> = (0..1012).map(|_| Handle::new(read.try_clone().unwrap())).collect();
    sender.send(&handles).unwrap();
    handles.push(Handle::new(read));
    let refused = sender.send(&handles).unwrap_err();
    assert!(matches!(refused, SendError::TooManyHandles { count: 1013, most: 1012 }), "{refused}");
    drop(handles);
    assert_eq!(receiver.recv().unwrap().len(), 1012);
    assert!(matches!(receiver.try_recv(), Err(RecvError::Empty)), "nothing of the refused message came");
}

#[test]
fn descriptors_survive_a_timeout_in_the_middle_of_a_message() {
    let (receiver, peer) = scripted();
    let (read, write) = system_pipe().unwrap();
    let message = pack(&Handle::new(write)).unwrap();
    let wire = frame(1, &message.bytes);
    for cut in 1..wire.len() {
        send_with(&peer, &wire[..cut], &[message.handles[0].as_fd()]);
        assert!(matches!(receiver.recv_timeout(Duration::ZERO), Err(RecvError::Timeout)));
        send_with(&peer, &wire[cut..], &[]);
        File::from(receiver.recv().unwrap().into_fd().unwrap()).write_all(b"y").unwrap();
    }
    drop(message);
    assert_eq!(read_all(read), "y".repeat(wire.len() - 1));
}

/// A connection that receives a handle, and a peer that can send it any bytes with any descriptors.
fn scripted() -> (Connection<(), Handle>, Connection) {
    let (one, two) = mp_core::sys::socket::stream_pair().unwrap();
    (Connection::from_fd(one), Connection::from_fd(two))
}

fn frame(count: u32, postcard: &[u8]) -> Vec<u8> {
    let length = (postcard.len() + 4) as u32;
    [&length.to_be_bytes()[..], &count.to_be_bytes(), postcard].concat()
}

fn send_with(peer: &impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    assert_eq!(send(peer.as_fd(), &[bytes], fds, Mode::Block).unwrap(), bytes.len());
}

/// A handle's place in a value that holds nothing else.
const FIRST: &[u8] = &[0];

#[test]
fn missing_and_surplus_descriptors_are_errors_and_nothing_stays_open() {
    let (receiver, peer) = scripted();
    for (announced, sent) in [(1, 0), (2, 1), (0, 1), (1, 2), (u32::MAX, 3), (1, 250)] {
        let (read, write) = system_pipe().unwrap();
        send_with(&peer, &frame(announced, FIRST), &vec![write.as_fd(); sent]);
        drop(write);
        match receiver.recv() {
            Err(RecvError::Handles { announced: said, came }) => {
                assert_eq!((said, came), (announced as usize, sent))
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(read_all(read), "", "the end comes only when no copy of the write end is open");
    }
    assert_still_usable(&receiver, &peer);
}

#[test]
fn descriptors_beside_the_payload_are_surplus() {
    let (receiver, peer) = scripted();
    let (read, write) = system_pipe().unwrap();
    let wire = frame(1, FIRST);
    send_with(&peer, &wire[..5], &[write.as_fd()]);
    send_with(&peer, &wire[5..], &[write.as_fd()]);
    drop(write);
    assert!(matches!(receiver.recv(), Err(RecvError::Handles { announced: 1, .. })));
    assert_eq!(read_all(read), "");
    assert_still_usable(&receiver, &peer);
}

/// As beside bytes. They are no part of the value.
#[test]
fn descriptors_beside_the_payload_of_a_value_that_has_none_are_closed() {
    let (one, peer) = mp_core::sys::socket::stream_pair().unwrap();
    let receiver = Connection::<(), u8>::from_fd(one);
    for cut in [4, 5] {
        let (read, write) = system_pipe().unwrap();
        let wire = frame(0, &[7]);
        send_with(&peer, &wire[..cut], &[]);
        send_with(&peer, &wire[cut..], &[write.as_fd()]);
        drop(write);
        assert_eq!(receiver.recv().unwrap(), 7);
        assert_eq!(read_all(read), "");
    }
}

#[test]
fn a_value_that_names_a_descriptor_that_did_not_come_is_no_value() {
    let (receiver, peer) = scripted();
    send_with(&peer, &frame(0, FIRST), &[]);
    assert!(matches!(receiver.recv(), Err(RecvError::Decode(_))));
    assert_still_usable(&receiver, &peer);
}

#[test]
fn bytes_bring_no_descriptors() {
    let (receiver, peer) = scripted();
    for timeout in [None, Some(Duration::from_secs(60))] {
        let (read, write) = system_pipe().unwrap();
        send_with(&peer, &[0, 0, 0, 2, b'h', b'i'], &[write.as_fd()]);
        drop(write);
        let bytes =
            timeout.map_or_else(|| receiver.recv_bytes(), |timeout| receiver.recv_bytes_timeout(timeout));
        assert_eq!(bytes.unwrap(), b"hi");
        assert_eq!(read_all(read), "");
    }
    assert_still_usable(&receiver, &peer);
}

fn assert_still_usable(receiver: &Connection<(), Handle>, peer: &Connection) {
    let (read, write) = system_pipe().unwrap();
    send_with(peer, &frame(1, FIRST), &[read.as_fd()]);
    File::from(write).write_all(b"usable").unwrap();
    assert_eq!(read_all(receiver.recv().unwrap().into_fd().unwrap()), "usable");
}

#[test]
fn a_connection_cannot_leave_outside_a_transfer_or_in_the_middle_of_a_message() {
    let (receiver, peer) = scripted();
    assert!(pack(&receiver).is_ok());
    send_with(&peer, &[0, 0], &[]);
    assert!(matches!(receiver.try_recv_bytes(), Err(RecvError::Empty)));
    assert!(pack(&receiver).is_err(), "two bytes of a message are kept here");
    send_with(&peer, &[0, 0], &[]);
    assert_eq!(receiver.recv_bytes().unwrap(), b"");
    assert!(pack(&receiver).is_ok());
}
