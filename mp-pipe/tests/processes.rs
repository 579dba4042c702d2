//! Mirrors _TestConnection and _TestPicklingConnections, with children (P35, P38). What needs no child is in
//! connection.rs and handles.rs.

use mp_core::sys::fd::pipe as system_pipe;
use mp_core::sys::socket::{Mode, send, stream_pair};
use mp_core::transfer::Handle;
use mp_core::{JoinError, Process, StartMethod};
use mp_pipe::{
    Connection, PollError, Receiver, RecvError, SendError, Sender, pipe, pipe_simplex, try_wait, wait,
};
use mp_testing::{limited, open_descriptors};
use nix::sys::resource::{Resource, setrlimit};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        the_end_comes_although_siblings_live,
        a_lying_length_costs_no_memory,
        descriptors_above_the_limit_are_an_error_and_do_not_leak,
        messages_leave_no_descriptors_behind,
        a_message_cut_off_by_an_error_ends_its_stream,
    ],
    every_method: [
        a_child_echoes_objects_and_bytes,
        both_ends_move_to_children,
        an_end_sent_to_a_child_can_be_closed_at_once,
        a_connection_travels_through_a_connection,
        a_child_returns_an_end,
        a_sender_killed_within_a_message_leaves_it_truncated,
        a_receiver_killed_ends_the_sender,
        children_that_share_an_end_do_not_mix_short_messages,
        messages_and_sentinels_are_waited_for_together,
        a_child_writes_through_the_descriptors_it_receives,
        a_descriptor_that_did_not_come_is_an_error_in_the_child_too,
    ],
}

type Object = (u32, f64, Option<String>);

fn echo(connection: Connection<Object, Object>) {
    let object = connection.recv().expect("an object");
    connection.send(&object).expect("the parent listens");
    loop {
        let message = connection.recv_bytes().expect("the parent ends with an empty message");
        if message.is_empty() {
            return;
        }
        connection.send_bytes(&message).expect("the parent listens");
    }
}

fn a_child_echoes_objects_and_bytes() {
    let (here, there) = pipe::<Object, Object>().unwrap();
    let child = Process::new(echo, (there.clone(),)).daemon().start().unwrap();
    there.close();
    let object = (1, 2.25, None);
    here.send(&object).unwrap();
    assert_eq!(here.recv().unwrap(), object);
    for length in [1, 110, 16 << 20] {
        let message = vec![b'X'; length];
        here.send_bytes(&message).unwrap();
        let mut buffer = vec![b' '; length + 3];
        assert_eq!(here.recv_bytes_into(&mut buffer[3..]).unwrap(), length);
        assert!(buffer[..3] == *b"   " && buffer[3..] == message[..], "{length} bytes");
    }
    here.send_bytes(b"").unwrap();
    child.join().unwrap();
    assert!(matches!(here.recv(), Err(RecvError::Closed)));
    assert!(matches!(here.recv_bytes(), Err(RecvError::Closed)));
}

fn send_four(sender: Sender<Option<i32>>) {
    for value in [Some(42), None, Some(-1)] {
        sender.send(&value).expect("the other child listens");
    }
}

fn receive_all(receiver: Receiver<Option<i32>>) -> Vec<Option<i32>> {
    std::iter::from_fn(|| receiver.recv().ok()).collect()
}

fn both_ends_move_to_children() {
    let (receiver, sender) = pipe_simplex().unwrap();
    // Not the other way round: a forked reader would have a copy of the sender, and wait for itself.
    let writer = Process::new(send_four, (sender.clone(),)).start().unwrap();
    sender.close();
    let reader = Process::new(receive_all, (receiver.clone(),)).start().unwrap();
    receiver.close();
    writer.join().unwrap();
    assert_eq!(reader.join().unwrap(), [Some(42), None, Some(-1)]);
}

fn an_end_sent_to_a_child_can_be_closed_at_once() {
    let (here, there) = pipe::<Object, Object>().unwrap();
    let child = Process::new(echo, (there.clone(),)).start().unwrap();
    there.close();
    here.send(&(7, 0.5, Some("hello".to_owned()))).unwrap();
    assert_eq!(here.recv().unwrap().0, 7);
    here.send_bytes(b"").unwrap();
    here.close();
    child.join().unwrap();
}

fn answer_each(receiver: Receiver<Sender<String>>) {
    while let Ok(reply) = receiver.recv() {
        reply.send(&"here is the child".to_owned()).expect("the parent listens");
    }
}

fn a_connection_travels_through_a_connection() {
    let (receiver, sender) = pipe_simplex().unwrap();
    let child = Process::new(answer_each, (receiver.clone(),));
    let (replies, reply) = pipe_simplex::<String>().unwrap();
    sender.send(&reply).unwrap();
    reply.close();
    sender.close();
    let child = child.start().unwrap();
    receiver.close();
    assert_eq!(replies.recv().unwrap(), "here is the child");
    assert!(matches!(replies.recv(), Err(RecvError::Closed)));
    child.join().unwrap();
}

fn make_a_pipe() -> Receiver<u32> {
    let (receiver, sender) = pipe_simplex().expect("a pipe");
    sender.send(&11).expect("room for a number");
    receiver
}

fn a_child_returns_an_end() {
    let receiver = Process::new(make_a_pipe, ()).start().unwrap().join().unwrap();
    assert_eq!(receiver.recv().unwrap(), 11);
    assert!(matches!(receiver.recv(), Err(RecvError::Closed)));
}

fn send_long(sender: Sender<()>) {
    sender.send(&()).expect("the parent listens");
    sender.send_bytes(&vec![1; 16 << 20]).expect("killed before");
}

fn a_sender_killed_within_a_message_leaves_it_truncated() {
    let (receiver, sender) = pipe_simplex().unwrap();
    let child = Process::new(send_long, (sender.clone(),)).start().unwrap();
    sender.close();
    receiver.recv().unwrap();
    assert!(receiver.poll_timeout(Duration::MAX).unwrap(), "the long message has begun");
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(9))));
    assert!(matches!(receiver.recv_bytes(), Err(RecvError::Truncated)));
}

fn wait_for_ever(connection: Connection<u32, u32>) {
    connection.send(&0).expect("the parent listens");
    while connection.poll_timeout(Duration::MAX).is_ok() {}
}

fn a_receiver_killed_ends_the_sender() {
    let (here, there) = pipe::<u32, u32>().unwrap();
    let child = Process::new(wait_for_ever, (there.clone(),)).start().unwrap();
    there.close();
    here.recv().unwrap();
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(9))));
    assert!(matches!(here.send_bytes(&vec![0; 16 << 20]), Err(SendError::Closed(_))));
}

const RUNS: usize = 200;

fn send_runs(sender: Sender<()>, byte: u8) {
    for at in 0..RUNS {
        sender.send_bytes(&vec![byte; 1 + at * 16383 / (RUNS - 1)]).expect("the parent listens");
    }
}

fn children_that_share_an_end_do_not_mix_short_messages() {
    let (receiver, sender) = pipe_simplex().unwrap();
    let start = |byte| Process::new(send_runs, (sender.clone(), byte)).start().unwrap();
    let children: Vec<_> = (0..3).map(start).collect();
    sender.close();
    let mut seen = [0; 3];
    for _ in 0..3 * RUNS {
        let message = receiver.recv_bytes().unwrap();
        assert!(message.iter().all(|byte| *byte == message[0]), "messages are mixed");
        let count = &mut seen[usize::from(message[0])];
        assert_eq!(message.len(), 1 + *count * 16383 / (RUNS - 1), "each sender's own order is kept");
        *count += 1;
    }
    assert!(matches!(receiver.recv_bytes(), Err(RecvError::Closed)));
    children.into_iter().for_each(|child| child.join().unwrap());
}

fn send_one_and_wait(sender: Sender<u32>, until: Receiver<()>) {
    sender.send(&3).expect("the parent listens");
    until.recv().expect("the parent says when to stop");
}

fn messages_and_sentinels_are_waited_for_together() {
    let ((receiver, sender), (until, stop)) = (pipe_simplex().unwrap(), pipe_simplex().unwrap());
    let child = Process::new(send_one_and_wait, (sender.clone(), until)).start().unwrap();
    assert_eq!(wait(&[&child.sentinel(), &receiver]).unwrap(), [1]);
    assert_eq!(receiver.recv().unwrap(), 3);
    assert!(matches!(try_wait(&[&child.sentinel(), &receiver]), Err(PollError::WouldBlock)));
    stop.send(&()).unwrap();
    assert_eq!(wait(&[&child.sentinel(), &receiver]).unwrap(), [0], "the sender is still open here");
    child.join().unwrap();
}

fn read_all(fd: OwnedFd) -> Vec<u8> {
    let mut bytes = Vec::new();
    File::from(fd).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Writes its byte through each descriptor of a message, until one comes without any; gives how many messages did not
/// bring what they had announced.
fn write_through(receiver: Receiver<(Vec<Handle>, u8)>) -> u32 {
    let mut bad = 0;
    loop {
        match receiver.recv() {
            Ok((handles, _)) if handles.is_empty() => return bad,
            Ok((handles, byte)) => handles.into_iter().for_each(|handle| {
                File::from(handle.into_fd().expect("it has travelled")).write_all(&[byte]).expect("a pipe");
            }),
            Err(RecvError::Handles { announced: 1, came: 0 }) => bad += 1,
            Err(other) => panic!("{other}"),
        }
    }
}

/// P38, also by a descriptor with a large number, and by more of them than the kernel takes at a time.
fn a_child_writes_through_the_descriptors_it_receives() {
    let (receiver, sender) = pipe_simplex().unwrap();
    let child = Process::new(write_through, (receiver,)).start().unwrap();
    let (null, _write) = system_pipe().unwrap();
    let fill: Vec<OwnedFd> = (0..300).map(|_| null.try_clone().unwrap()).collect();
    for (count, byte) in [(1, b'a'), (1, b'b'), (253, b'c'), (600, b'd')] {
        let (read, write) = system_pipe().unwrap();
        assert!(write.as_raw_fd() > 256);
        let handles = (0..count).map(|_| Handle::new(write.try_clone().unwrap())).collect();
        sender.send(&(handles, byte)).unwrap();
        drop(write);
        // The end comes when the child has closed its own.
        assert_eq!(read_all(read), vec![byte; count]);
    }
    drop(fill);
    sender.send(&(Vec::new(), 0)).unwrap();
    assert_eq!(child.join().unwrap(), 0);
}

/// P38: a message announces a descriptor and brings none.
fn a_descriptor_that_did_not_come_is_an_error_in_the_child_too() {
    let (receiver, sender) = pipe_simplex().unwrap();
    let child = Process::new(write_through, (receiver,)).start().unwrap();
    // One announced; then a list of one handle, the first that came, and a byte.
    let frame = [&[0, 0, 0, 7][..], &[0, 0, 0, 1], &[1, 0, b'?']].concat();
    send(sender.as_fd(), &[&frame], &[], Mode::Block).unwrap();
    let (read, write) = system_pipe().unwrap();
    sender.send(&(vec![Handle::new(write)], b'!')).unwrap();
    assert_eq!(read_all(read), b"!", "the next message is whole");
    sender.send(&(Vec::new(), 0)).unwrap();
    assert_eq!(child.join().unwrap(), 1);
}

fn the_end_comes_although_siblings_live() {
    for method in [StartMethod::ForkServer, StartMethod::Spawn] {
        let start =
            |there: Connection<Object, Object>| Process::new(echo, (there,)).method(method).start().unwrap();
        let (first, there) = pipe().unwrap();
        let first_child = start(there);
        let (second, there) = pipe::<Object, Object>().unwrap();
        let second_child = start(there);
        // The first child sees the end of what it reads while the second, started later, lives.
        first.close();
        assert!(matches!(first_child.join(), Err(JoinError::Panicked { .. })));
        assert!(second_child.is_alive());
        second.send(&(0, 0.0, None)).unwrap();
        second.recv().unwrap();
        second.send_bytes(b"").unwrap();
        second_child.join().unwrap();
    }
}

fn memory_kib(field: &str) -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn a_lying_length_costs_no_memory() {
    let (one, two) = stream_pair().unwrap();
    let receiver: Connection = Connection::from_fd(one).with_limit(usize::MAX);
    let before = (memory_kib("VmRSS"), memory_kib("VmSize"));
    send(two.as_fd(), &[&[0xff; 4], &(1_u64 << 62).to_be_bytes(), b"and ten more"], &[], Mode::Block)
        .unwrap();
    assert!(matches!(receiver.recv_bytes_timeout(Duration::from_millis(10)), Err(RecvError::Timeout)));
    assert!(matches!(receiver.try_recv(), Err(RecvError::Empty)));
    let after = (memory_kib("VmRSS"), memory_kib("VmSize"));
    assert!(after.0 - before.0 < 2048 && after.1 - before.1 < 2048, "{before:?} {after:?} KiB");
}

fn descriptors_above_the_limit_are_an_error_and_do_not_leak() {
    let (receiver, sender) = pipe_simplex::<Vec<Handle>>().unwrap();
    let (read, _write) = system_pipe().unwrap();
    let many: Vec<Handle> = (0..20).map(|_| Handle::new(read.try_clone().unwrap())).collect();
    sender.send(&many).unwrap();
    sender.send(&vec![many[0].clone()]).unwrap();
    drop(many);
    let open = open_descriptors(std::process::id());
    // Ten numbers are free below the limit, one of which `open` itself took while it looked.
    let is_free = |number: &u32| open.iter().all(|(taken, _)| taken != number);
    let limit = (0..).filter(is_free).nth(9).unwrap();
    let result = limited(Resource::RLIMIT_NOFILE, u64::from(limit), || receiver.recv());
    assert!(matches!(result, Err(RecvError::Handles { announced: 20, .. })), "{result:?}");
    assert_eq!(open_descriptors(std::process::id()).len(), open.len());
    assert_eq!(receiver.recv().unwrap().len(), 1);
}

fn messages_leave_no_descriptors_behind() {
    let (here, there) = pipe::<Connection, Connection>().unwrap();
    let before = open_descriptors(std::process::id());
    for _ in 0..100 {
        let (one, two) = pipe().unwrap();
        here.send(&one).unwrap();
        there.send(&two).unwrap();
        there.recv().unwrap().send_bytes(b"through").unwrap();
        assert_eq!(here.recv().unwrap().recv_bytes().unwrap(), b"through");
    }
    assert_eq!(open_descriptors(std::process::id()).len(), before.len());
}

const ETOOMANYREFS: Option<i32> = Some(109);

fn a_message_cut_off_by_an_error_ends_its_stream() {
    let (receiver, sender) = pipe_simplex::<Vec<Handle>>().unwrap();
    let (other_receiver, other_sender) = pipe_simplex::<Handle>().unwrap();
    let (read, _write) = system_pipe().unwrap();
    let many: Vec<Handle> = (0..600).map(|_| Handle::new(read.try_clone().unwrap())).collect();
    if nix::unistd::geteuid().is_root() {
        // The limit below does not hold for root.
        nix::unistd::setuid(nix::unistd::Uid::from_raw(65534)).unwrap();
    }
    // More than 300 descriptors in flight are too many: what is found at the third lot of 253.
    setrlimit(Resource::RLIMIT_NOFILE, 300, 300).unwrap();
    assert!(matches!(sender.send(&many), Err(SendError::Os(error)) if error.errno() == ETOOMANYREFS));
    assert!(matches!(sender.send(&vec![]), Err(SendError::Torn)));
    assert!(matches!(sender.send_bytes(b"more"), Err(SendError::Torn)));
    assert!(mp_core::transfer::pack(&sender).is_err(), "a copy elsewhere would not know");
    // Where nothing of a message was sent, its stream is as it was.
    assert!(
        matches!(other_sender.send(&many[0]), Err(SendError::Os(error)) if error.errno() == ETOOMANYREFS)
    );
    drop(many);
    assert!(matches!(receiver.recv(), Err(RecvError::Truncated)));
    receiver.close();
    other_sender.send(&Handle::new(read)).unwrap();
    other_receiver.recv().unwrap();
}
