//! Clients that do not keep to the protocol harm themselves alone.

use super::entry::{Stream, ask, connected, created, serve_on_a_thread};
use super::*;
use crate::protocol::{
    BarrierCall, Call, ConditionCall, DictCall, ListCall, LockCall, Packed, QueueCall, Wait,
    Waiting as Sleep, serial_of_slot,
};
use crate::slots::{Answer, Attachable, Partner, SlotMemory};
use mp_core::sys::eventfd;
use mp_core::sys::socket::{packet_pair, stream_pair};
use mp_core::transfer::{Message, pack};
use mp_pipe::RecvError;
use std::os::fd::OwnedFd;

/// A server on a thread of this process; it ends when this and its clients are dropped.
pub(super) struct Running {
    accept: Option<OwnedFd>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    pub(super) fn new() -> Running {
        let (inside, outside) = packet_pair().unwrap();
        let thread = serve_on_a_thread(inside);
        Running { accept: Some(outside), thread: Some(thread) }
    }

    pub(super) fn end(&self) -> OwnedFd {
        connected(self.accept.as_ref().unwrap())
    }

    pub(super) fn client(&self) -> Stream {
        Connection::from_fd(self.end())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.accept = None;
        self.thread.take().unwrap().join().unwrap();
    }
}

pub(super) fn call(object: ObjectId, call: Call) -> Request {
    Request::Call { object, thread: 1, wait: Wait::Never, call }
}

pub(super) fn waiting(object: ObjectId, call: Call) -> Request {
    Request::Call { object, thread: 1, wait: Wait::Forever, call }
}

pub(super) fn value(bytes: &[u8]) -> Packed {
    bytes.to_vec().into()
}

#[test]
fn bytes_that_are_no_request_end_their_connection_alone() {
    let server = Running::new();
    let honest = server.client();
    let list = created(ask(&honest, Request::Create { kind: Kind::List, start: Start::Empty }));
    for garbage in [&b""[..], &[0, 0, 0, 0, 200], &[0; 3], &[255; 40], &[0, 0, 0, 9, 1, 2, 3]] {
        let hostile: Connection = Connection::from_fd(server.end());
        hostile.send_bytes(garbage).unwrap();
        let end = hostile.recv_bytes();
        assert!(matches!(end, Err(RecvError::Closed)), "{garbage:?}: {end:?}");
    }
    // Half a message, from a client that stays.
    let half = server.end();
    socket::send(half.as_fd(), &[&[0, 0]], &[], Mode::Block).unwrap();
    let push = ask(&honest, call(list, Call::List(ListCall::Push(value(&[1])))));
    assert!(matches!(push, Reply::Done), "{push:?}");
}

#[test]
fn unknown_objects_and_foreign_calls_are_errors() {
    let server = Running::new();
    let client = server.client();
    let list = created(ask(&client, Request::Create { kind: Kind::List, start: Start::Empty }));
    let failed = |request: Request, expected: Failure| match ask(&client, request) {
        Reply::Failed(failure) => assert_eq!(failure, expected),
        other => panic!("{other:?}"),
    };
    failed(call(list ^ 1, Call::List(ListCall::Len)), Failure::NoSuchObject);
    failed(call(list, Call::Dict(DictCall::Len)), Failure::WrongKind);
    failed(
        call(list, Call::Custom { method: 0, exclusive: false, arguments: Message::default() }),
        Failure::WrongKind,
    );
    failed(call(list, Call::List(ListCall::Commit(Vec::new()))), Failure::NotChanging);
    failed(Request::Hold(list ^ 1), Failure::NoSuchObject);
    failed(Request::Publish { name: "x".to_owned(), object: Some(list ^ 1) }, Failure::NoSuchObject);
    failed(Request::Create { kind: Kind::Lock, start: Start::Number(1) }, Failure::WrongKind);
    failed(Request::Create { kind: Kind::Custom, start: Start::Empty }, Failure::WrongKind);
    // A state of a wait that only the server gives.
    let condition = created(ask(&client, Request::Create { kind: Kind::Condition, start: Start::Empty }));
    let forged = Sleep::Returning { notified: true, depth: u64::MAX };
    failed(call(condition, Call::condition(ConditionCall::Wait(forged))), Failure::NotOwner);
    let barrier = Request::Create { kind: Kind::Barrier, start: Start::Number(2) };
    let barrier = created(ask(&client, barrier));
    failed(call(barrier, Call::Barrier(BarrierCall::Wait(Some((0, 0))))), Failure::WouldBlock);
    assert!(matches!(ask(&client, Request::Count), Reply::Count(3)));
}

#[test]
fn a_client_gives_back_only_what_it_holds() {
    let server = Running::new();
    let (owner, hostile) = (server.client(), server.client());
    let list = created(ask(&owner, Request::Create { kind: Kind::List, start: Start::Empty }));
    hostile.send(&(ONE_WAY, Request::Release(vec![list; 5]))).unwrap();
    hostile.send(&(ONE_WAY, Request::Lend { voucher: 9, end: None, object: list })).unwrap();
    assert!(matches!(ask(&hostile, Request::Count), Reply::Count(1)));
    owner.send(&(ONE_WAY, Request::Release(vec![list; 5]))).unwrap();
    assert!(matches!(ask(&owner, Request::Count), Reply::Count(0)));
}

#[test]
fn a_client_that_does_not_read_holds_up_no_other() {
    let server = Running::new();
    let (lazy, other) = (server.client(), server.client());
    let list = created(ask(&lazy, Request::Create { kind: Kind::List, start: Start::Empty }));
    ask(&lazy, call(list, Call::List(ListCall::Push(value(&vec![0; 100_000])))));
    // More than its socket holds, and it reads none of it.
    for serial in 1..=20 {
        lazy.send(&(serial, call(list, Call::List(ListCall::All)))).unwrap();
    }
    for _ in 0..100 {
        assert!(matches!(ask(&other, Request::Count), Reply::Count(1)));
    }
    for expected in 1..=20 {
        let (serial, reply) = lazy.recv().unwrap();
        assert!(serial == expected && matches!(reply, Reply::Values(_)), "{serial}: {reply:?}");
    }
    assert!(matches!(ask(&lazy, Request::Count), Reply::Count(1)));
}

/// The item is put while the getter waits and can be sent nothing any more, but its end is not seen: a client's
/// requests are done as far as it has sent them, and the put is one of them.
#[test]
fn an_item_for_a_client_that_has_died_stays() {
    let server = Running::new();
    let (witness, getter) = (server.client(), server.client());
    let start = Start::Number(0);
    let queue = created(ask(&witness, Request::Create { kind: Kind::Queue, start }));
    let lock = created(ask(&witness, Request::Create { kind: Kind::Lock, start: Start::Empty }));
    let list = created(ask(&getter, Request::Create { kind: Kind::List, start: Start::Empty }));
    assert!(matches!(ask(&getter, call(lock, Call::Lock(LockCall::Acquire))), Reply::Done));
    ask(&getter, call(list, Call::List(ListCall::Push(value(&vec![0; 100_000])))));
    getter.send(&(1, waiting(queue, Call::Queue(QueueCall::Get)))).unwrap();
    // More than its socket holds: while it reads none of it, what it sends afterwards is not read.
    for serial in 2..=20 {
        getter.send(&(serial, call(list, Call::List(ListCall::All)))).unwrap();
    }
    getter.send(&(21, call(queue, Call::Queue(QueueCall::Put(value(&[5])))))).unwrap();
    assert!(matches!(ask(&witness, call(queue, Call::Queue(QueueCall::Len))), Reply::Count(0)));
    drop(getter);
    // Its lock is free once its end is seen, after the put.
    match ask(&witness, waiting(lock, Call::Lock(LockCall::Acquire))) {
        Reply::Failed(failure) => assert_eq!(failure, Failure::OwnerDied),
        other => panic!("{other:?}"),
    }
    match ask(&witness, call(queue, Call::Queue(QueueCall::Get))) {
        Reply::Value(Some(packed)) => assert_eq!(packed.message.bytes, [5]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_getter_that_has_died_takes_no_item() {
    let server = Running::new();
    let (putter, getter) = (server.client(), server.client());
    let start = Start::Number(0);
    let queue = created(ask(&putter, Request::Create { kind: Kind::Queue, start }));
    getter.send(&(1, waiting(queue, Call::Queue(QueueCall::Get)))).unwrap();
    // It is parked once a later request of its client is answered.
    ask(&getter, Request::Count);
    drop(getter);
    ask(&putter, call(queue, Call::Queue(QueueCall::Put(value(&[5])))));
    match ask(&putter, call(queue, Call::Queue(QueueCall::Get))) {
        Reply::Value(Some(packed)) => assert_eq!(packed.message.bytes, [5]),
        other => panic!("{other:?}"),
    }
}

/// A client that calls through a slot, by hand.
pub(super) struct BySlot {
    pub(super) stream: Stream,
    pub(super) slot: u32,
    memory: SlotMemory,
    doorbell: Handle,
}

impl BySlot {
    pub(super) fn new(server: &Running) -> BySlot {
        let stream = server.client();
        let Reply::Slot { slot: Some(slot), memory: Attachable(Some(memory)), doorbell: Some(doorbell) } =
            ask(&stream, Request::Slot { attached: false })
        else {
            panic!("a relative gets a slot");
        };
        BySlot { stream, slot, memory, doorbell }
    }

    pub(super) fn ask(&self, bytes: &[u8]) {
        self.memory.write(self.slot, bytes);
        let ring = || eventfd::set(self.doorbell.as_fd());
        self.memory.slots.ask(self.slot, bytes.len() as u32, ring);
    }

    pub(super) fn request(&self, request: &Request) -> Answer {
        self.ask(&pack(request).unwrap().bytes);
        self.memory.slots.wait(self.slot, Partner::Apart, None, || false).unwrap()
    }
}

#[test]
fn an_item_that_a_killed_getter_has_not_read_is_the_next_one_again() {
    let server = Running::new();
    let other = server.client();
    let queue = created(ask(&other, Request::Create { kind: Kind::Queue, start: Start::Number(0) }));
    let victim = BySlot::new(&server);
    assert!(matches!(ask(&victim.stream, Request::Hold(queue)), Reply::Done));
    for number in [1, 2] {
        ask(&other, call(queue, Call::Queue(QueueCall::Put(value(&[number])))));
    }
    // The item is in the slot, and the victim does not come to read it.
    assert!(matches!(victim.request(&call(queue, Call::Queue(QueueCall::Get))), Answer::Here(_)));
    assert!(matches!(ask(&other, call(queue, Call::Queue(QueueCall::Len))), Reply::Count(1)));
    drop(victim);
    while !matches!(ask(&other, call(queue, Call::Queue(QueueCall::Len))), Reply::Count(2)) {}
    let first = ask(&other, call(queue, Call::Queue(QueueCall::Get)));
    assert!(matches!(first, Reply::Value(Some(packed)) if packed.message.bytes == [1]));
}

#[test]
fn an_item_that_a_getter_has_read_stays_with_it() {
    let server = Running::new();
    let other = server.client();
    let queue = created(ask(&other, Request::Create { kind: Kind::Queue, start: Start::Number(0) }));
    let getter = BySlot::new(&server);
    ask(&other, call(queue, Call::Queue(QueueCall::Put(value(&[1])))));
    getter.request(&call(queue, Call::Queue(QueueCall::Get)));
    getter.memory.slots.leave(getter.slot);
    // Its slot is the next client's once its end has been seen.
    let slot = getter.slot;
    drop(getter);
    while BySlot::new(&server).slot != slot {}
    assert!(matches!(ask(&other, call(queue, Call::Queue(QueueCall::Len))), Reply::Count(0)));
}

#[test]
fn what_is_no_call_in_a_slot_ends_its_client_and_no_other() {
    let server = Running::new();
    let other = server.client();
    for bytes in [&[0xFF; 20][..], &pack(&Request::Count).unwrap().bytes, &[]] {
        let client = BySlot::new(&server);
        client.ask(bytes);
        assert!(matches!(client.stream.recv(), Err(RecvError::Closed)), "{bytes:?}");
        assert!(matches!(ask(&other, Request::Count), Reply::Count(_)));
    }
}

#[test]
fn a_call_on_a_connection_is_not_taken_for_one_through_a_slot() {
    let server = Running::new();
    let client = BySlot::new(&server);
    client.stream.send(&(serial_of_slot(client.slot), Request::Count)).unwrap();
    assert!(matches!(client.stream.recv(), Err(RecvError::Closed)));
}

#[test]
fn an_item_on_its_way_over_a_connection_goes_back_unless_it_was_received() {
    let server = Running::new();
    let other = server.client();
    let queue = created(ask(&other, Request::Create { kind: Kind::Queue, start: Start::Number(0) }));
    for number in [1, 2, 3] {
        ask(&other, call(queue, Call::Queue(QueueCall::Put(value(&[number])))));
    }
    let getter = server.client();
    for (serial, item) in [(1, 1), (2, 2)] {
        getter.send(&(serial, call(queue, Call::Queue(QueueCall::Get)))).unwrap();
        let (_, reply) = getter.recv().unwrap();
        assert!(matches!(reply, Reply::Value(Some(packed)) if packed.message.bytes == [item]));
    }
    getter.send(&(ONE_WAY, Request::Received(1))).unwrap();
    drop(getter);
    while !matches!(ask(&other, call(queue, Call::Queue(QueueCall::Len))), Reply::Count(2)) {}
    let first = ask(&other, call(queue, Call::Queue(QueueCall::Get)));
    assert!(matches!(first, Reply::Value(Some(packed)) if packed.message.bytes == [2]));
}

#[test]
fn the_slot_of_a_client_that_was_sent_away_and_lives_is_no_other_clients() {
    let server = Running::new();
    let sent_away = BySlot::new(&server);
    sent_away.ask(&[0xFF; 20]);
    assert!(matches!(sent_away.stream.recv(), Err(RecvError::Closed)));
    assert_ne!(BySlot::new(&server).slot, sent_away.slot);
}

#[test]
fn an_item_that_a_getter_says_it_has_read_is_kept_no_longer() {
    let server = Running::new();
    let other = server.client();
    let queue = created(ask(&other, Request::Create { kind: Kind::Queue, start: Start::Number(0) }));
    let getter = BySlot::new(&server);
    let (inside, outside) = stream_pair().unwrap();
    let message = pack(&Handle::new(inside)).unwrap();
    ask(&other, call(queue, Call::Queue(QueueCall::Put(message.into()))));
    // Two, so that a reply for the second one is on its way when the first one's reader says so late.
    ask(&other, call(queue, Call::Queue(QueueCall::Put(value(&[7; 5000])))));
    let get = call(queue, Call::Queue(QueueCall::Get));
    assert!(matches!(getter.request(&get), Answer::ByStream));
    assert!(matches!(getter.stream.recv(), Ok((_, Reply::HandlesFollow))));
    drop(getter.stream.recv().unwrap());
    getter.memory.slots.leave(getter.slot);
    let received = || Request::Received(serial_of_slot(getter.slot));
    getter.stream.send(&(ONE_WAY, received())).unwrap();
    // The last copy of its descriptor is closed.
    let end = socket::receive(outside.as_fd(), &mut [0; 1], Mode::Block).unwrap();
    assert_eq!(end.bytes, 0);
    assert!(matches!(getter.request(&get), Answer::ByStream));
    getter.stream.send(&(ONE_WAY, received())).unwrap();
    assert!(matches!(ask(&other, call(queue, Call::Queue(QueueCall::Len))), Reply::Count(0)));
    drop(getter);
    while !matches!(ask(&other, call(queue, Call::Queue(QueueCall::Len))), Reply::Count(1)) {}
}

#[test]
fn an_item_that_a_getter_has_given_up_goes_back_before_its_slot_is_used_again() {
    let server = Running::new();
    let other = server.client();
    let queue = created(ask(&other, Request::Create { kind: Kind::Queue, start: Start::Number(0) }));
    ask(&other, call(queue, Call::Queue(QueueCall::Put(value(&[7; 5000])))));
    let getter = BySlot::new(&server);
    let (get, serial) = (call(queue, Call::Queue(QueueCall::Get)), serial_of_slot(getter.slot));
    for _ in 0..2 {
        assert!(matches!(getter.request(&get), Answer::ByStream));
        getter.stream.send(&(ONE_WAY, Request::GiveUp(vec![serial]))).unwrap();
        assert!(matches!(getter.stream.recv(), Ok((late, Reply::Value(Some(_)))) if late == serial));
        assert!(matches!(getter.stream.recv(), Ok((undone, Reply::GivenUp)) if undone == serial));
        assert!(matches!(ask(&other, call(queue, Call::Queue(QueueCall::Len))), Reply::Count(1)));
    }
}

#[test]
fn a_wait_that_may_not_wait_leaves_nothing_behind() {
    let server = Running::new();
    let (client, sleeper) = (server.client(), server.client());
    let condition = created(ask(&client, Request::Create { kind: Kind::Condition, start: Start::Empty }));
    let on = |client, condition_call| ask(client, call(condition, Call::condition(condition_call)));
    assert!(matches!(on(&client, ConditionCall::Acquire), Reply::Done));
    // Its time is over at once, and it has its lock again.
    assert!(matches!(on(&client, ConditionCall::Wait(Sleep::Asked)), Reply::Flag(false)));
    assert!(matches!(on(&client, ConditionCall::Release), Reply::Done));
    // The one notification is for the one that sleeps.
    assert!(matches!(on(&sleeper, ConditionCall::Acquire), Reply::Done));
    sleeper.send(&(8, waiting(condition, Call::condition(ConditionCall::Wait(Sleep::Asked))))).unwrap();
    ask(&sleeper, Request::Count);
    assert!(matches!(on(&client, ConditionCall::Acquire), Reply::Done));
    assert!(matches!(on(&client, ConditionCall::Notify(1)), Reply::Done));
    assert!(matches!(on(&client, ConditionCall::Release), Reply::Done));
    assert!(matches!(sleeper.recv(), Ok((8, Reply::Flag(true)))));
    // A barrier that one has given up is broken, as when its time is over.
    let barrier = created(ask(&client, Request::Create { kind: Kind::Barrier, start: Start::Number(2) }));
    let on = |barrier_call| ask(&client, call(barrier, Call::Barrier(barrier_call)));
    assert!(matches!(on(BarrierCall::Wait(None)), Reply::Failed(Failure::WouldBlock)));
    assert!(matches!(on(BarrierCall::Waiting), Reply::Count(0)));
    assert!(matches!(on(BarrierCall::Broken), Reply::Flag(true)));
}

#[test]
fn a_wait_ends_with_the_last_reference_to_its_condition() {
    let server = Running::new();
    let (client, other) = (server.client(), server.client());
    let lock = created(ask(&client, Request::Create { kind: Kind::Lock, start: Start::Empty }));
    let over = |start| Request::Create { kind: Kind::Condition, start };
    let condition = created(ask(&client, over(Start::Lock(lock))));
    for foreign in [lock ^ 1, condition] {
        assert!(matches!(ask(&client, over(Start::Lock(foreign))), Reply::Failed(_)));
    }
    let acquire = call(condition, Call::condition(ConditionCall::Acquire));
    assert!(matches!(ask(&client, acquire), Reply::Done));
    // A lock takes no calls of a condition, which names itself as no client can.
    let direct = call(lock, Call::condition(ConditionCall::NotifyAll));
    assert!(matches!(ask(&client, direct), Reply::Failed(Failure::WrongKind)));
    client.send(&(8, waiting(condition, Call::condition(ConditionCall::Wait(Sleep::Asked))))).unwrap();
    client.send(&(ONE_WAY, Request::Release(vec![condition]))).unwrap();
    assert!(matches!(client.recv(), Ok((8, Reply::Failed(Failure::NoSuchObject)))));
    assert!(matches!(ask(&other, Request::Count), Reply::Count(1)));
    assert!(matches!(ask(&other, call(lock, Call::Lock(LockCall::Acquire))), Reply::Done));
}

/// How many clients: 1,000 in a long run, under a limit of 4,096 open files.
fn many() -> usize {
    std::env::var("MP_CLIENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

#[test]
fn many_clients_have_a_slot_each_and_give_it_back() {
    let server = Running::new();
    let witness = server.client();
    let list = created(ask(&witness, Request::Create { kind: Kind::List, start: Start::Empty }));
    for _ in 0..2 {
        let clients: Vec<BySlot> = (0..many()).map(|_| BySlot::new(&server)).collect();
        let slots: std::collections::HashSet<u32> = clients.iter().map(|client| client.slot).collect();
        assert_eq!(slots.len(), many());
        for client in &clients {
            let push = call(list, Call::List(ListCall::Push(value(&[1]))));
            assert!(matches!(client.request(&push), Answer::Here(_)));
        }
        let length = ask(&witness, call(list, Call::List(ListCall::Len)));
        assert!(matches!(length, Reply::Count(count) if count % many() as u64 == 0));
        drop(clients);
        // All are free again once their ends were seen: the next ones are no new ones.
        let highest = *slots.iter().max().unwrap();
        while BySlot::new(&server).slot > highest {}
    }
}
