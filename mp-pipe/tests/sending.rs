//! Sending within a time: what is not sent at all, what is sent in part, and what happens to the rest.

use mp_core::transfer::Handle;
use mp_pipe::{Connection, RecvError, SendError, pipe, pipe_simplex};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

const LONG: usize = 4 << 20;

fn long() -> Vec<u8> {
    (0..LONG).map(|at| at as u8).collect()
}

#[test]
fn a_message_without_room_is_not_sent() {
    let (receiver, sender) = pipe_simplex::<u32>().unwrap();
    let sent = (0..).take_while(|number| sender.try_send(number).is_ok()).count() as u32;
    assert!(sent > 10, "{sent}");
    assert!(matches!(sender.try_send(&sent), Err(SendError::Full)));
    assert!(matches!(sender.try_send_bytes(b"1"), Err(SendError::Full)));
    let (began, time) = (Instant::now(), Duration::from_millis(20));
    assert!(matches!(sender.send_timeout(&sent, time), Err(SendError::Timeout)));
    assert!(matches!(sender.send_bytes_timeout(b"1", time), Err(SendError::Timeout)));
    assert!(began.elapsed() >= 2 * time);
    sender.flush().unwrap();
    for number in 0..sent {
        assert_eq!(receiver.recv().unwrap(), number);
    }
    assert!(matches!(receiver.try_recv(), Err(RecvError::Empty)), "nothing of the others was sent");
    sender.send_timeout(&sent, Duration::MAX).unwrap();
    assert_eq!(receiver.recv().unwrap(), sent);
}

#[test]
fn the_rest_of_a_message_goes_out_before_the_next() {
    let (receiver, sender): (Connection, Connection) = pipe().unwrap();
    for timeout in [None, Some(Duration::from_millis(10))] {
        let message = long();
        let sent = match timeout {
            None => sender.try_send_bytes(&message),
            Some(timeout) => sender.send_bytes_timeout(&message, timeout),
        };
        assert!(matches!(sent, Err(SendError::Partial)), "{sent:?}");
        assert!(matches!(sender.try_flush(), Err(SendError::Full)));
        assert!(matches!(sender.flush_timeout(Duration::ZERO), Err(SendError::Timeout)));
        assert!(matches!(sender.try_send_bytes(b"next"), Err(SendError::Full)));
        let packed = mp_core::transfer::pack(&sender).map(drop);
        assert!(packed.is_err(), "an end in the middle of a message cannot travel");
        thread::scope(|scope| {
            let next = scope.spawn(|| sender.send_bytes(b"next").unwrap());
            assert_eq!(receiver.recv_bytes().unwrap(), message);
            assert_eq!(receiver.recv_bytes().unwrap(), b"next");
            next.join().unwrap();
        });
        mp_core::transfer::pack(&sender).unwrap();
    }
}

#[test]
fn a_rest_is_flushed_as_far_as_there_is_room() {
    let (receiver, sender) = pipe_simplex::<Vec<u8>>().unwrap();
    let message = long();
    assert!(matches!(sender.try_send(&message), Err(SendError::Partial)));
    let receives = thread::spawn(move || receiver.recv().unwrap());
    while let Err(error) = sender.try_flush() {
        assert!(matches!(error, SendError::Full), "{error}");
        thread::yield_now();
    }
    assert_eq!(receives.join().unwrap(), message);
}

#[test]
fn a_rest_that_is_never_sent_is_a_cut() {
    let (receiver, sender): (Connection, Connection) = pipe().unwrap();
    assert!(matches!(sender.try_send_bytes(&long()), Err(SendError::Partial)));
    sender.close();
    assert!(matches!(receiver.recv_bytes(), Err(RecvError::Truncated)));
    let (receiver, sender): (Connection, Connection) = pipe().unwrap();
    assert!(matches!(sender.try_send_bytes(&long()), Err(SendError::Partial)));
    receiver.close();
    assert!(matches!(sender.flush(), Err(SendError::Closed(_))));
    assert!(matches!(sender.send_bytes(b"more"), Err(SendError::Closed(_))));
}

/// With more descriptors than one call carries, and a value that is longer than there is room for.
#[test]
fn handles_of_a_rest_arrive() {
    type Parcel = (Vec<Handle>, Vec<u8>);
    let (receiver, sender) = pipe_simplex::<Parcel>().unwrap();
    let file: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    let handle = Handle::new(file);
    let parcel: Parcel = (vec![handle; 300], long());
    assert!(matches!(sender.try_send(&parcel), Err(SendError::Partial)));
    let receives = thread::spawn(move || receiver.recv().unwrap());
    sender.flush().unwrap();
    let (handles, bytes) = receives.join().unwrap();
    assert_eq!((handles.len(), bytes), (300, parcel.1));
}
