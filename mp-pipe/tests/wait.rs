//! Mirrors _TestWait (test_wait, test_wait_timeout, test_neg_timeout), on threads.

use mp_core::Waitable;
use mp_pipe::{Receiver, RecvError, pipe_simplex, wait};

use std::thread;
use std::time::{Duration, Instant};

#[test]
fn all_messages_of_four_writers_come_and_ends_drop_out() {
    let mut receivers: Vec<Receiver<(usize, usize)>> = Vec::new();
    let mut writers = Vec::new();
    for writer in 0..4 {
        let (receiver, sender) = pipe_simplex().unwrap();
        receivers.push(receiver);
        writers.push(thread::spawn(move || (0..10).for_each(|at| sender.send(&(writer, at)).unwrap())));
    }
    let mut messages = Vec::new();
    while !receivers.is_empty() {
        let list: Vec<&dyn Waitable> = receivers.iter().map(|receiver| receiver as &dyn Waitable).collect();
        for at in wait(&list, None).unwrap().into_iter().rev() {
            match receivers[at].recv() {
                Ok(message) => messages.push(message),
                Err(RecvError::Closed) => drop(receivers.remove(at)),
                Err(other) => panic!("{other}"),
            }
        }
    }
    messages.sort_unstable();
    assert_eq!(messages, (0..40).map(|at| (at / 10, at % 10)).collect::<Vec<_>>());
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

#[test]
fn a_wait_ends_empty_when_its_time_is_over() {
    let (receiver, sender) = pipe_simplex::<u8>().unwrap();
    let (pipe_read, _pipe_write) = mp_core::sys::fd::pipe().unwrap();
    assert!(wait(&[&receiver, &pipe_read], Some(Duration::ZERO)).unwrap().is_empty());
    let began = Instant::now();
    assert!(wait(&[&receiver, &pipe_read], Some(Duration::from_millis(30))).unwrap().is_empty());
    assert!(began.elapsed() >= Duration::from_millis(30));
    sender.send(&1).unwrap();
    for timeout in [Some(Duration::ZERO), Some(Duration::MAX), None] {
        assert_eq!(wait(&[&pipe_read, &receiver], timeout).unwrap(), [1]);
    }
}
