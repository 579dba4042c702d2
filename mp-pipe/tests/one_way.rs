//! Mirrors test_duplex_false and test_context (P36). Left out: what does not compile here (the wrong
//! direction, use after close: doc-tests in pipe.rs).

use mp_pipe::{Connection, RecvError, SendError, pipe_simplex};
use std::thread;

#[test]
fn what_one_end_sends_the_other_receives() {
    let (receiver, sender) = pipe_simplex::<u32>().unwrap();
    assert!(!receiver.poll().unwrap());
    sender.send(&1).unwrap();
    sender.send_bytes(b"two").unwrap();
    assert!(receiver.poll().unwrap());
    assert_eq!(receiver.recv().unwrap(), 1);
    assert_eq!(receiver.recv_bytes().unwrap(), b"two");
    assert!(!receiver.poll().unwrap());
    receiver.close();
    assert!(matches!(sender.send(&3), Err(SendError::Closed(_))));
}

/// P36: Python's `with`.
#[test]
fn an_end_closes_with_its_scope() {
    let (receiver, sender) = pipe_simplex::<u32>().unwrap();
    {
        let scoped = sender.clone();
        scoped.send(&1).unwrap();
        sender.close();
    }
    assert_eq!(receiver.recv().unwrap(), 1);
    assert!(matches!(receiver.recv(), Err(RecvError::Closed)));
    let (receiver, sender) = pipe_simplex::<u32>().unwrap();
    let scope = thread::spawn(move || {
        sender.send(&2).unwrap();
        panic!("a deliberate panic");
    });
    assert!(scope.join().is_err());
    assert_eq!(receiver.recv().unwrap(), 2);
    assert!(matches!(receiver.recv(), Err(RecvError::Closed)));
}

/// P36: a direction that an end of a system's pipe does not have, which no type can know.
#[test]
fn a_descriptor_that_is_no_stream_socket_is_an_error() {
    const ENOTSOCK: Option<i32> = Some(88);
    let (read, write) = mp_core::sys::fd::pipe().unwrap();
    for end in [read, write] {
        let end: Connection<u32, u32> = Connection::from_fd(end);
        for sent in [end.send(&1), end.send_bytes(b"1")] {
            assert!(matches!(&sent, Err(SendError::Os(error)) if error.errno() == ENOTSOCK), "{sent:?}");
        }
        let into = end.recv_bytes_into(&mut [0; 4]).unwrap_err();
        let come =
            [end.recv().unwrap_err(), end.try_recv().unwrap_err(), end.recv_bytes().unwrap_err(), into];
        for error in come {
            assert!(matches!(&error, RecvError::Os(error) if error.errno() == ENOTSOCK), "{error}");
        }
    }
}
