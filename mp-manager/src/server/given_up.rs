//! Calls that are given up by a client that takes no replies: what they have taken is there for others.

use super::entry::{Stream, ask, created};
use super::tests::{BySlot, Running, call, value, waiting};
use crate::protocol::{
    Call, ConditionCall, DictCall, Kind, ListCall, LockCall, ONE_WAY, ObjectId, QueueCall, Reply, Request,
    SemaphoreCall, Start, Wait, Waiting as Sleep, serial_of_slot,
};
use crate::slots::Answer;
use std::time::Duration;
#[cfg(feature = "listener")]
use {
    super::clients::{Clients, Delivery},
    crate::object::Room,
    mp_core::sys::poll::Interest,
    mp_core::sys::socket::stream_pair,
    mp_core::sys::waitset::WaitSet,
    mp_pipe::Connection,
    std::os::fd::AsFd,
};

/// No socket holds it.
const LONG: usize = 3 << 20;
#[cfg(feature = "listener")]
const CLIENT: u64 = 16;

fn create(client: &Stream, kind: Kind, start: Start) -> ObjectId {
    created(ask(client, Request::Create { kind, start }))
}

fn timed(object: ObjectId, call: Call) -> Request {
    Request::Call { object, thread: 1, wait: Wait::AtMost(Duration::MAX), call }
}

/// A queue with an item that no socket holds.
fn queue_of_one(client: &Stream) -> ObjectId {
    let queue = create(client, Kind::Queue, Start::Number(0));
    let put = call(queue, Call::Queue(QueueCall::Put(value(&vec![7; LONG]))));
    assert!(matches!(ask(client, put), Reply::Done));
    queue
}

fn takes_the_item(client: &Stream, queue: ObjectId) {
    let taken = ask(client, waiting(queue, Call::Queue(QueueCall::Get)));
    assert!(matches!(taken, Reply::Value(Some(item)) if item.message.bytes.len() == LONG));
}

/// Begins to take the item, whose reply is sent in part.
fn takes_a_part(client: &Stream, queue: ObjectId) {
    client.send(&(1, timed(queue, Call::Queue(QueueCall::Get)))).unwrap();
    assert!(client.poll_timeout(Duration::MAX).unwrap());
}

fn are_undone(client: &Stream, serials: &[u64]) {
    for undone in serials {
        let reply = client.recv();
        assert!(matches!(reply, Ok((serial, Reply::GivenUp)) if serial == *undone), "{reply:?}");
    }
}

#[test]
fn a_long_item_goes_back_whose_getter_reads_no_more() {
    let server = Running::new();
    let (getter, other) = (server.client(), server.client());
    let queue = queue_of_one(&other);
    takes_a_part(&getter, queue);
    getter.send(&(ONE_WAY, Request::GiveUp(vec![1]))).unwrap();
    takes_the_item(&other, queue);
}

/// Its next call is through a slot, and waits for the item that its last one has not taken.
#[test]
fn a_getter_that_sleeps_in_its_slot_gets_the_item_that_it_gave_up() {
    let server = Running::new();
    let (getter, other) = (BySlot::new(&server), server.client());
    let queue = queue_of_one(&other);
    takes_a_part(&getter.stream, queue);
    getter.stream.send(&(ONE_WAY, Request::GiveUp(vec![1]))).unwrap();
    assert_eq!(getter.request(&waiting(queue, Call::Queue(QueueCall::Get))), Answer::ByStream);
    let of_slot = serial_of_slot(getter.slot);
    assert!(matches!(getter.stream.recv(), Ok((1, Reply::Value(Some(_))))));
    // The slot may have been asked before the first call was given up.
    let replies = [(); 2].map(|()| getter.stream.recv().unwrap());
    assert!(replies.iter().any(|reply| matches!(reply, (1, Reply::GivenUp))));
    assert!(
        replies.iter().any(|(serial, reply)| *serial == of_slot && matches!(reply, Reply::Value(Some(_))))
    );
    // The same for one that it gave up through the slot.
    getter.stream.send(&(ONE_WAY, Request::GiveUp(vec![of_slot]))).unwrap();
    assert!(matches!(getter.stream.recv(), Ok((serial, Reply::GivenUp)) if serial == of_slot));
    assert_eq!(getter.request(&waiting(queue, Call::Queue(QueueCall::Get))), Answer::ByStream);
    getter.stream.send(&(ONE_WAY, Request::GiveUp(vec![of_slot]))).unwrap();
    takes_the_item(&other, queue);
    assert!(matches!(getter.stream.recv(), Ok((serial, Reply::Value(Some(_)))) if serial == of_slot));
    assert!(matches!(getter.stream.recv(), Ok((serial, Reply::GivenUp)) if serial == of_slot));
}

/// They wait behind a long reply, and are not begun.
#[test]
fn what_waits_behind_a_long_reply_and_is_given_up_takes_nothing() {
    let server = Running::new();
    let (getter, other) = (server.client(), server.client());
    let (queue, numbers) = (queue_of_one(&other), create(&other, Kind::Queue, Start::Number(0)));
    let semaphore = create(&other, Kind::Semaphore, Start::Number(1));
    let (lock, condition) =
        (create(&other, Kind::Lock, Start::Empty), create(&other, Kind::Condition, Start::Empty));
    assert!(matches!(ask(&getter, call(condition, Call::condition(ConditionCall::Acquire))), Reply::Done));
    takes_a_part(&getter, queue);
    let calls = [
        timed(lock, Call::Lock(LockCall::Acquire)),
        timed(semaphore, Call::Semaphore(SemaphoreCall::Acquire)),
        timed(numbers, Call::Queue(QueueCall::Put(value(&[1])))),
        // Its lock is free all the same.
        timed(condition, Call::condition(ConditionCall::Wait(Sleep::Asked))),
    ];
    for (serial, request) in (2..).zip(calls) {
        getter.send(&(serial, request)).unwrap();
    }
    getter.send(&(ONE_WAY, Request::GiveUp(vec![5, 2, 1, 3, 4]))).unwrap();
    takes_the_item(&other, queue);
    assert!(matches!(ask(&other, waiting(lock, Call::Lock(LockCall::Acquire))), Reply::Done));
    assert!(matches!(ask(&other, waiting(semaphore, Call::Semaphore(SemaphoreCall::Acquire))), Reply::Done));
    assert!(matches!(ask(&other, waiting(condition, Call::condition(ConditionCall::Acquire))), Reply::Done));
    assert!(matches!(ask(&other, call(numbers, Call::Queue(QueueCall::Len))), Reply::Count(0)));
    // There is no reply but the first one, which was under way.
    assert!(matches!(getter.recv(), Ok((1, Reply::Value(Some(_))))));
    are_undone(&getter, &[5, 2, 1, 3, 4]);
    assert!(matches!(ask(&getter, Request::Count), Reply::Count(5)));
}

/// They were done before the item was asked for, and their replies wait behind a longer one.
#[test]
fn what_was_done_goes_back_although_its_reply_is_not_sent() {
    let server = Running::new();
    let (getter, other) = (server.client(), server.client());
    let lock = create(&other, Kind::Lock, Start::Empty);
    let list = create(&getter, Kind::List, Start::Empty);
    let numbers = create(&getter, Kind::Queue, Start::Number(0));
    let push = call(list, Call::List(ListCall::Push(value(&vec![7; LONG]))));
    assert!(matches!(ask(&getter, push), Reply::Done));
    // Both wait, and what they wait for comes when the reply about the list is under way.
    assert!(matches!(ask(&other, call(lock, Call::Lock(LockCall::Acquire))), Reply::Done));
    getter.send(&(1, timed(numbers, Call::Queue(QueueCall::Get)))).unwrap();
    getter.send(&(2, timed(lock, Call::Lock(LockCall::Acquire)))).unwrap();
    ask(&getter, Request::Count);
    getter.send(&(3, call(list, Call::List(ListCall::All)))).unwrap();
    assert!(getter.poll_timeout(Duration::MAX).unwrap());
    assert!(matches!(ask(&other, call(numbers, Call::Queue(QueueCall::Put(value(&[1]))))), Reply::Done));
    assert!(matches!(ask(&other, call(lock, Call::Lock(LockCall::Release))), Reply::Done));
    // The thread that asked for the list reads it later.
    getter.send(&(ONE_WAY, Request::GiveUp(vec![1, 2]))).unwrap();
    assert!(matches!(ask(&other, waiting(lock, Call::Lock(LockCall::Acquire))), Reply::Done));
    let number = ask(&other, waiting(numbers, Call::Queue(QueueCall::Get)));
    assert!(matches!(number, Reply::Value(Some(item)) if item.message.bytes == [1]));
    assert!(matches!(getter.recv(), Ok((3, Reply::Values(_)))));
    are_undone(&getter, &[1, 2]);
    assert!(matches!(ask(&getter, Request::Count), Reply::Count(3)));
}

/// Its references too: it calls no more, and awaits nothing.
#[test]
fn what_follows_a_call_that_was_given_up_is_done() {
    let server = Running::new();
    let (getter, other) = (server.client(), server.client());
    let (queue, dict) = (queue_of_one(&other), create(&getter, Kind::Dict, Start::Empty));
    takes_a_part(&getter, queue);
    // Read ahead, and done in their order once the call is given up.
    getter.send(&(ONE_WAY, Request::Publish { name: "dict".to_owned(), object: Some(dict) })).unwrap();
    getter.send(&(ONE_WAY, Request::Release(vec![dict]))).unwrap();
    getter.send(&(ONE_WAY, Request::GiveUp(vec![1]))).unwrap();
    takes_the_item(&other, queue);
    let lookup = || Request::Lookup { name: "dict".to_owned(), kind: Kind::Dict };
    let mut replies = std::iter::repeat_with(|| ask(&other, lookup()));
    let found = replies.find(|reply| !matches!(reply, Reply::Failed(_))).map(created);
    assert_eq!(found, Some(dict));
    assert!(matches!(ask(&other, call(dict, Call::Dict(DictCall::Len))), Reply::Count(0)));
}

/// While a reply to it is under way: one of its threads reads, and the other one sends what no socket holds.
#[test]
fn a_client_that_sends_much_and_reads_nothing_does_not_wait_for_the_server() {
    let server = Running::new();
    let (getter, other) = (server.client(), server.client());
    let queue = queue_of_one(&other);
    takes_a_part(&getter, queue);
    // More than its socket holds, while the server cannot send what it has.
    for serial in 2..4 {
        let put = call(queue, Call::Queue(QueueCall::Put(value(&vec![8; LONG]))));
        getter.send(&(serial, put)).unwrap();
    }
    assert!(matches!(getter.recv(), Ok((1, Reply::Value(Some(_))))));
    for serial in 2..4 {
        assert!(matches!(getter.recv(), Ok((done, Reply::Done)) if done == serial));
    }
    assert!(matches!(ask(&other, call(queue, Call::Queue(QueueCall::Len))), Reply::Count(2)));
}

/// A client at an address, which has not taken a long reply; and the room for such clients.
#[cfg(feature = "listener")]
fn at_an_address(limit: u64) -> (WaitSet, Room, Clients, Stream) {
    let (set, room) = (WaitSet::new().unwrap(), Room::default());
    room.set_limit(limit);
    let mut clients = Clients::of(room.clone());
    let (ours, theirs) = stream_pair().unwrap();
    set.add(theirs.as_fd(), CLIENT, Interest::Read).unwrap();
    clients.add(CLIENT, Connection::from_fd(theirs), false);
    let reply = Reply::Value(Some(value(&vec![7; LONG])));
    assert!(matches!(clients.send(&set, CLIENT, 1, reply), Delivery::Sent));
    (set, room, clients, Connection::from_fd(ours))
}

/// Others at addresses have used the room up: they cannot keep it from giving up what it holds.
#[cfg(feature = "listener")]
#[test]
fn a_client_at_an_address_that_has_no_room_gives_calls_up_all_the_same() {
    let (set, room, mut clients, stream) = at_an_address(1 << 20);
    let _of_others = room.hold(1 << 20);
    stream.send(&(2, Request::Hello)).unwrap();
    stream.send(&(ONE_WAY, Request::GiveUp(vec![1]))).unwrap();
    assert!(matches!(clients.next(&set, CLIENT), Ok(None)));
    let next = clients.next(&set, CLIENT);
    assert!(matches!(next, Ok(Some((ONE_WAY, Ok(Request::GiveUp(serials))))) if serials == [1]));
}

/// What is read ahead of a client at an address counts against the room of such clients, until it is served.
#[cfg(feature = "listener")]
#[test]
fn a_client_at_an_address_is_read_ahead_within_its_room() {
    let (set, room, mut clients, stream) = at_an_address(1 << 20);
    let mut sent = 0;
    for serial in 2..100 {
        let put = call(1, Call::Queue(QueueCall::Put(value(&[8; 10_000]))));
        sent += u64::from(stream.try_send(&(serial, put)).is_ok());
        assert!(matches!(clients.next(&set, CLIENT), Ok(None)));
    }
    assert!(sent > 90, "there was room for {sent}");
    while room.check(1).is_ok() {
        let put = call(1, Call::Queue(QueueCall::Put(value(&[8; 10_000]))));
        stream.send(&(sent + 2, put)).unwrap();
        sent += 1;
        assert!(matches!(clients.next(&set, CLIENT), Ok(None)));
    }
    // No more is read: all that its socket holds stays there.
    while stream.try_send(&(ONE_WAY, Request::Count)).is_ok() {
        assert!(matches!(clients.next(&set, CLIENT), Ok(None)));
    }
    // It reads, and all that it sent is served in its order.
    let mut next = None;
    while next.is_none() {
        next = clients.next(&set, CLIENT).unwrap();
        let _ = stream.try_recv();
    }
    for serial in 2..sent + 2 {
        let (found, request) = next.take().unwrap();
        assert_eq!(found, serial);
        assert!(matches!(request, Ok(Request::Call { .. })));
        next = clients.next(&set, CLIENT).unwrap();
    }
    assert!(matches!(next, Some((ONE_WAY, Ok(Request::Count)))));
    assert!(room.check(1 << 20).is_ok());
}
