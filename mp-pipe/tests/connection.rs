//! Mirrors _TestConnection, on threads (P35, P37; with children: processes.rs; one way and scopes:
//! one_way.rs). Left out: negative offsets and timeouts.

use mp_pipe::{Connection, RecvError, SendError, pipe, pipe_simplex};
use std::os::fd::AsFd;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What tells the echoing side to stop.
const SENTINEL: &[u8] = b"";

fn echo_bytes(connection: Connection) -> JoinHandle<()> {
    thread::spawn(move || {
        loop {
            let message = connection.recv_bytes().unwrap();
            if message == SENTINEL {
                return;
            }
            connection.send_bytes(&message).unwrap();
        }
    })
}

#[test]
fn objects_are_echoed() {
    type Object = Vec<Option<(i32, f64, String)>>;
    let (here, there) = pipe::<Object, Object>().unwrap();
    let echo = thread::spawn(move || {
        while let Ok(object) = there.recv() {
            there.send(&object).unwrap();
        }
    });
    for object in [vec![], vec![Some((1, 2.25, "three".to_owned())), None], vec![None; 100_000]] {
        here.send(&object).unwrap();
        assert_eq!(here.recv().unwrap(), object);
    }
    here.close();
    echo.join().unwrap();
}

#[test]
fn bytes_of_any_length_are_echoed() {
    let (here, there): (Connection, Connection) = pipe().unwrap();
    let echo = echo_bytes(there);
    for length in [1, 2, 4095, 4096, 4097, 16384, 16385, 1 << 20, (1 << 20) + 1, 16 << 20] {
        let message: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        here.send_bytes(&message).unwrap();
        assert!(here.recv_bytes().unwrap() == message, "{length} bytes");
    }
    here.send_bytes(SENTINEL).unwrap();
    echo.join().unwrap();
    assert!(matches!(here.recv_bytes(), Err(RecvError::Closed)));
    assert!(matches!(here.recv(), Err(RecvError::Closed)));
}

/// Else a copy of the end elsewhere would miss it.
#[test]
fn nothing_behind_a_message_is_taken_with_it() {
    let (here, there) = pipe::<(), u32>().unwrap();
    let copy: Connection<(), u32> = Connection::from_fd(here.as_fd().try_clone_to_owned().unwrap());
    (0..6).for_each(|number| there.send(&number).unwrap());
    ["", "short", "last"].iter().for_each(|text| there.send_bytes(text.as_bytes()).unwrap());
    for number in [0, 2, 4] {
        assert_eq!((here.recv().unwrap(), copy.try_recv().unwrap()), (number, number + 1));
    }
    assert_eq!(here.recv_bytes().unwrap(), b"");
    assert_eq!(copy.recv_bytes_timeout(Duration::ZERO).unwrap(), b"short");
    assert_eq!(here.recv_bytes_into(&mut [0; 9]).unwrap(), 4);
    assert!(!copy.poll().unwrap());
}

#[test]
fn a_message_is_received_into_a_buffer_at_an_offset() {
    let (here, there): (Connection, Connection) = pipe().unwrap();
    for offset in [0, 3, 6] {
        let mut buffer = [0; 10];
        there.send_bytes(b"data").unwrap();
        assert_eq!(here.recv_bytes_into(&mut buffer[offset..]).unwrap(), 4);
        let mut expected = [0; 10];
        expected[offset..offset + 4].copy_from_slice(b"data");
        assert_eq!(buffer, expected);
    }
    there.send_bytes(b"").unwrap();
    assert_eq!(here.recv_bytes_into(&mut []).unwrap(), 0);
    assert!(matches!(here.try_recv_bytes_into(&mut [0; 4]), Err(RecvError::Empty)));
    assert!(matches!(here.recv_bytes_into_timeout(&mut [0; 4], Duration::ZERO), Err(RecvError::Timeout)));
}

#[test]
fn a_buffer_too_short_keeps_the_message() {
    let (here, there): (Connection, Connection) = pipe().unwrap();
    let long = b"hello world".repeat(10);
    there.send_bytes(&long).unwrap();
    there.send_bytes(b"next").unwrap();
    let mut buffer = [b' '; 40];
    match here.recv_bytes_into(&mut buffer[1..]) {
        Err(RecvError::BufferTooShort { message, room: 39 }) => assert_eq!(message, long),
        other => panic!("{other:?}"),
    }
    assert_eq!(buffer, [b' '; 40]);
    assert_eq!(here.recv_bytes_into(&mut buffer).unwrap(), 4);
    assert_eq!(&buffer[..5], b"next ");
}

#[test]
fn a_message_begun_elsewhere_is_finished_into_a_buffer() {
    let (here, raw) = raw_pair();
    raw_send(&raw, &[0, 0, 0, 6, 1, 2]);
    assert!(matches!(here.recv_bytes_timeout(Duration::ZERO), Err(RecvError::Timeout)));
    raw_send(&raw, &[3, 4, 5, 6]);
    let mut buffer = [0; 7];
    assert_eq!(here.recv_bytes_into(&mut buffer[1..]).unwrap(), 6);
    assert_eq!(buffer, [0, 1, 2, 3, 4, 5, 6]);
    raw_send(&raw, &[0, 0, 0, 3, 7, 8]);
    raw.close();
    let cut = here.recv_bytes_into(&mut buffer).unwrap_err();
    assert!(matches!(cut, RecvError::Truncated), "{cut}");
    assert!(matches!(here.recv_bytes(), Err(RecvError::Truncated)));
}

#[test]
fn poll_waits_as_long_as_it_is_told() {
    let (here, there) = pipe::<u32, u32>().unwrap();
    assert!(!here.poll().unwrap());
    let began = Instant::now();
    assert!(!here.poll_timeout(Duration::from_millis(50)).unwrap());
    assert!(began.elapsed() >= Duration::from_millis(50));
    there.send(&1).unwrap();
    assert!(here.poll_timeout(Duration::MAX).unwrap());
    assert!(here.poll_timeout(Duration::MAX).unwrap());
    assert_eq!(here.recv().unwrap(), 1);
    assert!(!here.poll().unwrap());
    there.close();
    assert!(here.poll().unwrap(), "an end is something to receive");
}

#[test]
fn what_was_sent_before_the_end_is_received() {
    let (receiver, sender) = pipe_simplex::<u32>().unwrap();
    let clone = sender.clone();
    sender.send(&1).unwrap();
    sender.close();
    clone.send(&2).unwrap();
    assert_eq!(receiver.recv().unwrap(), 1);
    assert_eq!(receiver.recv().unwrap(), 2);
    assert!(matches!(receiver.try_recv(), Err(RecvError::Empty)), "a clone is still there");
    clone.close();
    assert!(matches!(receiver.recv(), Err(RecvError::Closed)));
    assert!(matches!(receiver.try_recv(), Err(RecvError::Closed)));
}

#[test]
fn an_end_with_unread_messages_behind_it_is_an_end() {
    let (here, there) = pipe::<u32, u32>().unwrap();
    there.send(&1).unwrap();
    here.send(&2).unwrap();
    there.close();
    assert_eq!(here.recv().unwrap(), 1);
    assert!(matches!(here.recv(), Err(RecvError::Closed)));
    assert!(matches!(here.recv(), Err(RecvError::Closed)));
}

#[test]
fn sending_to_a_closed_end_is_an_error_and_no_signal() {
    let (here, there) = pipe::<String, ()>().unwrap();
    there.close();
    for _ in 0..2 {
        match here.send(&"lost".to_owned()) {
            Err(SendError::Closed(error)) => assert_eq!(error.errno(), Some(32), "EPIPE"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(here.send_bytes(&[0; 1 << 20]), Err(SendError::Closed(_))));
    }
}

#[test]
fn a_receiver_that_closes_ends_a_send_under_way() {
    let (receiver, sender) = pipe_simplex::<()>().unwrap();
    let sending =
        thread::spawn(move || (0..2).map(|_| sender.send_bytes(&vec![0; 16 << 20])).collect::<Vec<_>>());
    assert!(receiver.poll_timeout(Duration::MAX).unwrap());
    receiver.close();
    for result in sending.join().unwrap() {
        assert!(matches!(result, Err(SendError::Closed(_))), "{result:?}");
    }
}

/// P37
#[test]
fn parts_of_a_buffer_are_sent() {
    let (here, there): (Connection, Connection) = pipe().unwrap();
    let letters = b"abcdefghijklmnopqrstuvwxyz";
    for part in [0..26, 5..26, 7..15, 26..26] {
        here.send_bytes(&letters[part.clone()]).unwrap();
        assert_eq!(there.recv_bytes().unwrap(), &letters[part]);
    }
}

/// A connection, and a peer that can send it any bytes.
fn raw_pair() -> (Connection<String, String>, Connection) {
    let (one, two) = mp_core::sys::socket::stream_pair().unwrap();
    (Connection::from_fd(one), Connection::from_fd(two))
}

fn raw_send(to: &impl AsFd, bytes: &[u8]) {
    raw_send_with(to, bytes, &[]);
}

fn raw_send_with(to: &impl AsFd, bytes: &[u8], fds: &[std::os::fd::BorrowedFd<'_>]) {
    use mp_core::sys::socket::{Mode, send};
    assert_eq!(send(to.as_fd(), &[bytes], fds, Mode::Block).unwrap(), bytes.len());
}

/// The bytes of a value's frame, as they are on the wire.
fn on_the_wire(value: &str) -> Vec<u8> {
    let postcard = mp_core::transfer::pack(value).unwrap().bytes;
    let length = (postcard.len() + 4) as u32;
    [&length.to_be_bytes()[..], &[0; 4], &postcard].concat()
}

#[test]
fn a_timeout_in_the_middle_of_a_message_loses_nothing() {
    let (here, raw) = raw_pair();
    let wire = on_the_wire("some text");
    for cut in 0..wire.len() {
        raw_send(&raw, &wire[..cut]);
        for _ in 0..2 {
            assert!(matches!(here.try_recv(), Err(RecvError::Empty)), "cut at {cut}");
        }
        let began = Instant::now();
        assert!(matches!(here.recv_timeout(Duration::from_millis(2)), Err(RecvError::Timeout)));
        assert!(began.elapsed() >= Duration::from_millis(2));
        raw_send(&raw, &wire[cut..]);
        assert_eq!(here.recv_timeout(Duration::MAX).unwrap(), "some text", "cut at {cut}");
    }
}

#[test]
fn a_trickle_of_bytes_does_not_stretch_a_timeout() {
    let (here, raw) = raw_pair();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    raw_send(&raw, &i32::MAX.to_be_bytes());
    let trickle = thread::spawn(move || {
        while stopped.recv_timeout(Duration::from_millis(1)).is_err() {
            raw_send(&raw, &[0]);
        }
    });
    let limitless = here.with_limit(usize::MAX);
    assert!(matches!(limitless.recv_bytes_timeout(Duration::from_millis(100)), Err(RecvError::Timeout)));
    stop.send(()).unwrap();
    trickle.join().unwrap();
}

#[test]
fn a_timeout_covers_the_wait_for_another_thread() {
    let (receiver, sender) = pipe_simplex::<u32>().unwrap();
    let (other, (ready, is_ready)) = (receiver.clone(), std::sync::mpsc::channel());
    let waiting = thread::spawn(move || {
        ready.send(()).unwrap();
        other.recv().unwrap()
    });
    is_ready.recv().unwrap();
    // Whether the other thread waits already or not, there is nothing to receive.
    assert!(matches!(receiver.recv_timeout(Duration::from_millis(20)), Err(RecvError::Timeout)));
    assert!(matches!(receiver.try_recv(), Err(RecvError::Empty)));
    sender.send(&9).unwrap();
    assert_eq!(waiting.join().unwrap(), 9);
}

#[test]
fn an_end_inside_a_message_is_told_from_one_between_messages() {
    let wire = on_the_wire("some text");
    for cut in 0..wire.len() {
        let (here, raw) = raw_pair();
        raw_send(&raw, &wire);
        raw_send(&raw, &wire[..cut]);
        raw.close();
        assert_eq!(here.recv().unwrap(), "some text");
        for _ in 0..2 {
            match (here.recv(), cut) {
                (Err(RecvError::Closed), 0) => {}
                (Err(RecvError::Truncated), 1..) => {}
                (other, _) => panic!("{other:?}, cut at {cut}"),
            }
        }
    }
}

#[test]
fn a_bad_length_is_an_error_for_good() {
    for bad in [-2, -3, i32::MIN] {
        let (here, raw) = raw_pair();
        raw_send(&raw, &bad.to_be_bytes());
        raw.send_bytes(b"what follows cannot be found").unwrap();
        for _ in 0..2 {
            let error = here.recv_bytes().unwrap_err();
            assert!(matches!(error, RecvError::BadLength(length) if length == bad), "{error}");
        }
        let error = here.recv_bytes_into(&mut [0; 9]).unwrap_err();
        assert!(matches!(error, RecvError::BadLength(_)), "{error}");
    }
}

#[test]
fn a_message_above_the_limit_waits_for_a_larger_one() {
    let (here, there): (Connection, Connection) = pipe().unwrap();
    there.send_bytes(b"12345").unwrap();
    there.send_bytes(b"6").unwrap();
    let here = here.with_limit(4);
    let too_long = |error: &RecvError| matches!(error, RecvError::TooLong { length: 5, limit: 4 });
    assert!(too_long(&here.recv_bytes().unwrap_err()));
    assert!(too_long(&here.recv().unwrap_err()));
    assert!(matches!(here.recv_bytes_into(&mut [0; 9]), Err(error) if too_long(&error)));
    assert_eq!(here.clone().with_limit(5).recv_bytes().unwrap(), b"12345");
    assert_eq!(here.recv_bytes().unwrap(), b"6");
}

#[test]
fn bytes_that_are_no_such_value_leave_the_stream_usable() {
    let (numbers, strings) = {
        let (one, two) = mp_core::sys::socket::stream_pair().unwrap();
        (Connection::<u64, ()>::from_fd(one), Connection::<(), String>::from_fd(two))
    };
    numbers.send(&1000).unwrap();
    assert!(matches!(strings.recv(), Err(RecvError::Decode(_))));
    for short in [&b""[..], b"abc"] {
        numbers.send_bytes(short).unwrap();
        assert!(matches!(strings.recv(), Err(RecvError::Decode(_))));
    }
    numbers.send_bytes(b"plain").unwrap();
    assert_eq!(strings.recv_bytes().unwrap(), b"plain");
}

#[test]
fn a_value_that_cannot_be_serialised_sends_nothing() {
    struct Never;
    impl serde::Serialize for Never {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("never"))
        }
    }
    impl<'de> serde::Deserialize<'de> for Never {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Never)
        }
    }
    let (receiver, sender) = pipe_simplex::<Never>().unwrap();
    assert!(matches!(sender.send(&Never), Err(SendError::Encode(_))));
    sender.close();
    let bytes: Connection<(), ()> = Connection::from_fd(receiver.as_fd().try_clone_to_owned().unwrap());
    assert!(matches!(bytes.recv_bytes(), Err(RecvError::Closed)));
}

/// Messages of one byte repeated: mixed frames would show.
fn send_runs(sender: impl Fn(&[u8]), byte: u8, lengths: &[usize]) {
    for length in lengths {
        sender(&vec![byte; *length]);
    }
}

fn receive_runs(messages: usize, receive: impl Fn() -> Vec<u8>) {
    for _ in 0..messages {
        let message = receive();
        assert!(message.iter().all(|byte| *byte == message[0]), "messages are mixed");
    }
}

#[test]
fn threads_share_an_end_without_mixing_messages() {
    let (here, there): (Connection, Connection) = pipe().unwrap();
    let lengths = [1, 500_000, 17, 300_000, 16384];
    thread::scope(|scope| {
        for byte in 0..3 {
            let (here, there) = (here.clone(), there.clone());
            scope.spawn(move || send_runs(|message| here.send_bytes(message).unwrap(), byte, &lengths));
            scope.spawn(move || receive_runs(lengths.len(), || there.recv_bytes().unwrap()));
        }
    });
}

#[test]
fn copies_of_an_end_do_not_mix_short_messages() {
    let (receiver, sender) = pipe_simplex::<()>().unwrap();
    let lengths = [16384, 1, 16383, 5000].repeat(200);
    thread::scope(|scope| {
        for byte in 0..3 {
            // As another process would have it: the same socket, and no lock in common.
            let copy: Connection = Connection::from_fd(sender.as_fd().try_clone_to_owned().unwrap());
            let lengths = &lengths;
            scope.spawn(move || send_runs(|message| copy.send_bytes(message).unwrap(), byte, lengths));
        }
        receive_runs(3 * lengths.len(), || receiver.recv_bytes().unwrap());
    });
}

#[test]
fn a_socket_that_was_made_non_blocking_still_waits() {
    let (here, there): (Connection, Connection) = pipe().unwrap();
    for end in [&here, &there] {
        mp_core::sys::fd::set_nonblocking(end.as_fd(), true).unwrap();
    }
    let echo = echo_bytes(there);
    let message = vec![3; 4 << 20];
    here.send_bytes(&message).unwrap();
    assert!(here.recv_bytes().unwrap() == message);
    here.send_bytes(SENTINEL).unwrap();
    echo.join().unwrap();
}
