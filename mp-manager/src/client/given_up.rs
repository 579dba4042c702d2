//! Calls that are given up while the connection is in use, or takes nothing more.

use super::slots::tests::{Server, answer, connected, get};
use super::*;
use crate::protocol::{Call, Packed, QueueCall, serial_of_slot};
use crate::slots::{Answer, Attachable, SlotMemory};
use mp_core::sys::eventfd::eventfd;

/// No socket holds it.
const LONG: usize = 3 << 20;

fn long() -> Packed {
    vec![7; LONG].into()
}

fn is_long(reply: &Reply) -> bool {
    matches!(reply, Reply::Value(Some(value)) if value.message.bytes.len() == LONG)
}

/// The next request that tells something.
fn told(server: &Server) -> (u64, Request) {
    loop {
        match server.recv().unwrap() {
            (_, Request::Count) => {}
            told => return told,
        }
    }
}

/// Fills what the connection holds, in one direction.
fn fill(client: &Client) {
    while client.connection.try_send(&(ONE_WAY, Request::Count)).is_ok() {}
}

/// Another thread sends while this one gives up, and calls no more.
#[test]
fn a_call_is_given_up_once_another_thread_has_sent_its_own() {
    let (client, server) = connected();
    let put = Call::Queue(QueueCall::Put(long()));
    let put = Request::Call { object: 1, thread: 2, wait: Wait::Forever, call: put };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| client.call_by_stream(put, Patience::of(&Request::Count)));
        // The server has read none of it: there is no room for more.
        fill(&client);
        client.give_up(5);
        let mut put = None;
        while put.is_none() {
            put = match server.recv().unwrap() {
                (serial, Request::Call { .. }) => Some(serial),
                (ONE_WAY, Request::Count) => None,
                other => panic!("{other:?}"),
            };
        }
        assert!(matches!(told(&server), (ONE_WAY, Request::GiveUp(serials)) if serials == [5]));
        server.send(&(put.unwrap(), Reply::Done)).unwrap();
        assert!(matches!(other.join().unwrap(), Ok(Reply::Done)));
    });
}

/// The server takes it back, so it is not there twice.
#[test]
fn a_reply_that_cannot_be_confirmed_in_time_is_given_up() {
    let (client, server) = connected();
    let wait = Wait::AtMost(Duration::from_millis(300));
    let request = Request::Call { object: 1, thread: 1, wait, call: Call::Queue(QueueCall::Get) };
    let patience = Patience::of(&request);
    std::thread::scope(|scope| {
        // Over the connection at once: a slot that does not come in time would end it before it is sent.
        let call = scope.spawn(|| client.call_by_stream(request, patience));
        let (serial, _) = server.recv().unwrap();
        // Once its thread has left the connection to others.
        client.connection.send(&(ONE_WAY, Request::Count)).unwrap();
        fill(&client);
        server.send(&(serial, Reply::Value(Some(vec![1].into())))).unwrap();
        assert!(matches!(call.join().unwrap(), Err(ManagerError::Timeout)));
        let next = scope.spawn(|| client.call(Request::Hello));
        assert!(matches!(told(&server), (ONE_WAY, Request::GiveUp(serials)) if serials == [serial]));
        assert!(matches!(answer(&server, Reply::Done), Request::Hello));
        next.join().unwrap().unwrap();
    });
}

/// Two threads call through slots; both replies come over the connection, and one of them comes in part.
#[test]
fn one_that_gives_up_in_the_middle_of_its_reply_leaves_the_rest_to_others() {
    let (client, server) = connected();
    let (memory, doorbell) = (SlotMemory::create().unwrap(), eventfd().unwrap());
    assert!(memory.reserve(0) && memory.reserve(1));
    let mut attached = Some((memory.clone(), Handle::new(doorbell)));
    let mut give = |slot| {
        let (memory, doorbell) = attached.take().unzip();
        answer(&server, Reply::Slot { slot: Some(slot), memory: Attachable(memory), doorbell })
    };
    let by_stream = |slot| {
        while memory.slots.request(slot).is_none() {
            std::thread::yield_now();
        }
        let state = memory.slots.answer(slot, Answer::ByStream);
        memory.slots.wake(slot);
        state
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| get(&client, Wait::Forever));
        assert!(matches!(give(0), Request::Slot { .. }));
        let first = scope.spawn(|| get(&client, Wait::Forever));
        assert!(matches!(give(1), Request::Slot { .. }));
        let of_late = serial_of_slot(1);
        assert_ne!(by_stream(1), crate::slots::Client::Left);
        server.send(&(of_late, Reply::Done)).unwrap();
        first.join().unwrap().unwrap();
        assert!(matches!(told(&server), (ONE_WAY, Request::Received(_))));
        // Before a thread reads: one that reads as fast as this is sent would get all of it.
        let part = server.try_send(&(of_late, Reply::Value(Some(long()))));
        assert!(matches!(part, Err(SendError::Partial)));
        // One that has given up before it was answered is no such call.
        let mut state = crate::slots::Client::Left;
        while state == crate::slots::Client::Left {
            let late = scope.spawn(|| get(&client, Wait::AtMost(Duration::from_millis(100))));
            state = by_stream(1);
            assert!(matches!(late.join().unwrap(), Err(ManagerError::Timeout)));
        }
        assert!(matches!(told(&server), (ONE_WAY, Request::GiveUp(serials)) if serials == [of_late]));
        // The rest of that reply is in the way of the other one's.
        assert_ne!(by_stream(0), crate::slots::Client::Left);
        server.send(&(serial_of_slot(0), Reply::Value(Some(long())))).unwrap();
        assert!(is_long(&other.join().unwrap().unwrap()));
    });
}

/// A call through a slot would be served before the server has read that the other one was given up: it would get the
/// second item of a queue, or find a lock held that no thread holds.
#[test]
fn what_follows_a_call_that_was_given_up_does_not_overtake_it() {
    let (client, server) = connected();
    let (memory, doorbell) = (SlotMemory::create().unwrap(), eventfd().unwrap());
    assert!(memory.reserve(0));
    let attached = Attachable(Some(memory.clone()));
    let slot = Reply::Slot { slot: Some(0), memory: attached, doorbell: Some(Handle::new(doorbell)) };
    let by_slot = || {
        while memory.slots.take(0) == 0 {
            std::thread::yield_now();
        }
        assert_ne!(memory.slots.answer(0, Answer::Over), crate::slots::Client::Left);
        memory.slots.wake(0);
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| get(&client, Wait::Forever));
        assert!(matches!(answer(&server, slot), Request::Slot { .. }));
        by_slot();
        assert!(matches!(first.join().unwrap(), Err(ManagerError::Gone)));
        let late = || client.call_by_stream(Request::Hello, Patience::at_most(Duration::ZERO));
        let late = scope.spawn(late);
        let (serial, _) = server.recv().unwrap();
        assert!(late.join().unwrap().is_err());
        assert!(matches!(told(&server), (ONE_WAY, Request::GiveUp(serials)) if serials == [serial]));
        let second = scope.spawn(|| get(&client, Wait::Forever));
        server.send(&(serial, Reply::GivenUp)).unwrap();
        assert!(matches!(answer(&server, Reply::Done), Request::Call { .. }));
        assert!(matches!(second.join().unwrap(), Ok(Reply::Done)));
        // It is undone: the slot is used again.
        let third = scope.spawn(|| get(&client, Wait::Forever));
        by_slot();
        assert!(matches!(third.join().unwrap(), Err(ManagerError::Gone)));
    });
}
