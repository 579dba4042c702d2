//! Mirrors _TestWait (P39): test_wait and test_wait_slow, test_wait_socket, test_wait_timeout. Left out:
//! test_neg_timeout (there is no negative timeout here) and test_wait_integer (sentinels: processes.rs).

use mp_core::sys::address::{Place, connect_to};
use mp_core::{Process, Waitable};
use mp_pipe::{PollError, Receiver, RecvError, Sender, pipe_simplex, try_wait, wait, wait_timeout};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        all_messages_of_four_threads_come_and_ends_drop_out,
        sockets_of_the_system_are_waited_for_too,
        a_wait_ends_empty_when_its_time_is_over,
    ],
    every_method: [
        all_messages_of_four_children_come_and_ends_drop_out,
    ],
}

const WRITERS: usize = 4;
const EACH: usize = 10;

/// The writer, and the number of its message.
type Message = (usize, usize);

fn write_all(sender: Sender<Message>, writer: usize) {
    (0..EACH).for_each(|at| sender.send(&(writer, at)).expect("the parent listens"));
}

/// Takes what comes from any of them until each has ended; checks that it is all, and each writer's in its
/// order.
fn take_all(mut receivers: Vec<Receiver<Message>>) {
    let mut next = [0; WRITERS];
    while !receivers.is_empty() {
        let list: Vec<&dyn Waitable> = receivers.iter().map(|receiver| receiver as &dyn Waitable).collect();
        let ready = wait(&list).unwrap();
        assert!(!ready.is_empty() && ready.is_sorted());
        // From the last one on, so that those before keep their places.
        for at in ready.into_iter().rev() {
            match receivers[at].recv() {
                Ok((writer, number)) => {
                    assert_eq!(number, next[writer]);
                    next[writer] += 1;
                }
                Err(RecvError::Closed) => drop(receivers.remove(at)),
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert_eq!(next, [EACH; WRITERS]);
}

fn all_messages_of_four_threads_come_and_ends_drop_out() {
    let (receivers, senders): (Vec<_>, Vec<_>) = (0..WRITERS).map(|_| pipe_simplex().unwrap()).unzip();
    thread::scope(|scope| {
        for (writer, sender) in senders.into_iter().enumerate() {
            scope.spawn(move || write_all(sender, writer));
        }
        take_all(receivers);
    });
}

/// P39
fn all_messages_of_four_children_come_and_ends_drop_out() {
    let mut receivers = Vec::new();
    let mut children = Vec::new();
    for writer in 0..WRITERS {
        // Each end is gone from here before the next child is made, which a fork would give a copy.
        let (receiver, sender) = pipe_simplex().unwrap();
        receivers.push(receiver);
        children.push(Process::new(write_all, (sender, writer)).start().unwrap());
    }
    take_all(receivers);
    children.into_iter().for_each(|child| child.join().unwrap());
}

fn sockets_of_the_system_are_waited_for_too() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    assert!(matches!(try_wait(&[&listener]), Err(PollError::WouldBlock)));
    thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(move || {
                // std's gives up when it is interrupted.
                let mut stream = TcpStream::from(connect_to(Place::Tcp(address), None).unwrap());
                (0..EACH).for_each(|at| stream.write_all(&[at as u8]).unwrap());
            });
        }
        let mut streams = Vec::new();
        for _ in 0..WRITERS {
            assert_eq!(wait(&[&listener]).unwrap(), [0]);
            streams.push((listener.accept().unwrap().0, Vec::new()));
        }
        let mut ended = 0;
        while ended < WRITERS {
            let list: Vec<&dyn Waitable> =
                streams.iter().map(|(stream, _)| stream as &dyn Waitable).collect();
            for at in wait(&list).unwrap().into_iter().rev() {
                let (stream, said) = &mut streams[at];
                let mut room = [0; EACH];
                match stream.read(&mut room).unwrap() {
                    0 => {
                        assert_eq!(*said, Vec::from_iter(0..EACH as u8));
                        ended += 1;
                        drop(streams.remove(at));
                    }
                    count => said.extend_from_slice(&room[..count]),
                }
            }
        }
    });
}

/// P39
fn a_wait_ends_empty_when_its_time_is_over() {
    let (receiver, sender) = pipe_simplex::<u8>().unwrap();
    let (pipe_read, _pipe_write) = mp_core::sys::fd::pipe().unwrap();
    assert!(matches!(try_wait(&[&receiver, &pipe_read]), Err(PollError::WouldBlock)));
    let began = Instant::now();
    assert!(matches!(
        wait_timeout(&[&receiver, &pipe_read], Duration::from_millis(30)),
        Err(PollError::Timeout)
    ));
    assert!(began.elapsed() >= Duration::from_millis(30));
    sender.send(&1).unwrap();
    for timeout in [Duration::ZERO, Duration::MAX] {
        assert_eq!(wait_timeout(&[&pipe_read, &receiver], timeout).unwrap(), [1]);
    }
    assert_eq!(wait(&[&pipe_read, &receiver]).unwrap(), [1]);
    assert!(matches!(try_wait(&[]), Err(PollError::WouldBlock)));
}
