//! One end of a pipe in the hands of several processes: what the documentation of `Connection` advises for
//! long messages, and for receiving, a lock around each call.

use mp::{Child, Lock, Process, Receiver, RecvError, Sender, pipe_simplex};

mp_testing::cases! {
    every_method: [
        long_messages_of_several_children_do_not_mix_under_a_lock,
        children_that_share_a_receiver_get_each_message_once,
    ],
}

const CHILDREN: u8 = 3;
/// The kernel queues the last ones in pieces, between which others' would come.
const LENGTHS: [usize; 5] = [1, 20_000, 16_384, 100_000, 600_000];
const ROUNDS: usize = 4;

fn send_runs(sender: Sender<()>, lock: Lock, byte: u8) {
    for length in LENGTHS.repeat(ROUNDS) {
        let _turn = lock.acquire().unwrap();
        sender.send_bytes(&vec![byte; length]).expect("the parent listens");
    }
}

fn long_messages_of_several_children_do_not_mix_under_a_lock() {
    let (lock, (receiver, sender)) = (Lock::new().unwrap(), pipe_simplex().unwrap());
    let start = |byte| Process::new(send_runs, (sender.clone(), lock.clone(), byte)).start().unwrap();
    let children: Vec<Child<()>> = (0..CHILDREN).map(start).collect();
    sender.close();
    let expected = LENGTHS.repeat(ROUNDS);
    let mut came = [0; CHILDREN as usize];
    for _ in 0..expected.len() * came.len() {
        let message = receiver.recv_bytes().unwrap();
        let count = &mut came[usize::from(message[0])];
        assert!(message.iter().all(|byte| *byte == message[0]), "messages are mixed");
        assert_eq!(message.len(), expected[*count], "each sender's own order is kept");
        *count += 1;
    }
    assert!(matches!(receiver.recv_bytes(), Err(RecvError::Closed)));
    children.iter().for_each(|child| child.join().unwrap());
}

/// A number, and bytes that are all of its lowest one.
type Numbered = Option<(u32, Vec<u8>)>;

fn receive_numbers(receiver: Receiver<Numbered>, lock: Lock) -> Vec<u32> {
    let mut numbers = Vec::new();
    loop {
        let received = {
            let _turn = lock.acquire().unwrap();
            receiver.recv().expect("a whole message")
        };
        let Some((number, bytes)) = received else { return numbers };
        assert!(bytes.len() == length(number) && bytes.iter().all(|byte| *byte == number as u8));
        numbers.push(number);
    }
}

fn length(number: u32) -> usize {
    LENGTHS[number as usize % LENGTHS.len()]
}

fn children_that_share_a_receiver_get_each_message_once() {
    const MESSAGES: u32 = 60;
    let (lock, (receiver, sender)) = (Lock::new().unwrap(), pipe_simplex::<Numbered>().unwrap());
    let start = |_| Process::new(receive_numbers, (receiver.clone(), lock.clone())).start().unwrap();
    let children: Vec<Child<Vec<u32>>> = (0..CHILDREN).map(start).collect();
    receiver.close();
    for number in 0..MESSAGES {
        sender.send(&Some((number, vec![number as u8; length(number)]))).unwrap();
    }
    // Not by the end of the stream, which a forked child would not see: it has a copy of the sender.
    (0..CHILDREN).for_each(|_| sender.send(&None).unwrap());
    let mut all: Vec<u32> = Vec::new();
    for child in children {
        let numbers = child.join().unwrap();
        assert!(numbers.is_sorted(), "each takes the messages in their order");
        all.extend(numbers);
    }
    all.sort_unstable();
    assert_eq!(all, Vec::from_iter(0..MESSAGES));
}
