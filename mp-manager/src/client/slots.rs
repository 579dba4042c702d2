//! Calls through shared memory: this process's slots, one for each of its threads that calls at the same time.
//!
//! | the call                                     | goes                                    |
//! |----------------------------------------------|-----------------------------------------|
//! | has no handles and fits, a slot is free      | through the slot                        |
//! | otherwise, or the client is no relative      | over the connection                     |
//! | follows one there that was given up          | over the connection, until that is undone |
//! | its reply has handles, or does not fit       | comes over the connection, by the slot's serial |
//! | it was given up (patience.rs)                | keeps its slot until it is answered, or undone |

use super::patience::{Patience, late_by_slot};
use super::replies::Left;
use super::{Client, is_confirmed, is_kept};
use crate::error::ManagerError;
use crate::protocol::{Reply, Request, serial_of_slot};
use crate::slots::{Answer, Attachable, BODY, Partner, SlotMemory};
use mp_core::sys::eventfd;
use mp_core::sys::placement::current_cpu;
use mp_core::sys::poll::{Interest, wait_for};
use mp_core::transfer::{Handle, pack_onto, scratch, unpack};
use mp_core::word::Deadline;
use std::os::fd::AsFd;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The most slots of one process.
const MOST: u32 = 64;

/// This process's part.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// None: the manager has no shared memory for this process.
    shared: OnceLock<Option<Shared>>,
    free: Mutex<Free>,
}

#[derive(Debug)]
struct Shared {
    memory: SlotMemory,
    doorbell: Handle,
}

#[derive(Debug, Default)]
struct Free {
    slots: Vec<u32>,
    /// Their calls were given up, and were not answered when this was last looked at.
    left: Vec<u32>,
    /// Slots that were asked for, and did not come in time.
    awaited: u32,
    owned: u32,
    /// The server gives this process no more.
    is_all: bool,
}

/// A slot in use; free again when this is dropped.
struct Taken<'a> {
    lines: &'a Lines,
    slot: u32,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.lines.free().slots.push(self.slot);
    }
}

impl Taken<'_> {
    /// Its call was given up: it is free once that is answered.
    fn leave(self) {
        self.lines.free().left.push(self.slot);
        std::mem::forget(self);
    }
}

impl Free {
    /// A slot whose call was given up and is answered by now.
    fn take_answered(&mut self, shared: &Shared) -> Option<u32> {
        let at = self.left.iter().position(|slot| shared.memory.slots.is_answered(*slot))?;
        Some(self.left.swap_remove(at))
    }
}

impl Lines {
    /// The memory of the slots, which comes with the first of them.
    fn attach(&self, Attachable(memory): Attachable, doorbell: Option<Handle>) -> Option<&Shared> {
        let shared = self.shared.get_or_init(|| Some(Shared { memory: memory?, doorbell: doorbell? }));
        shared.as_ref()
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Calls through a slot. `None`: the request has to go over the connection.
    pub(super) fn call_by_slot(
        &self,
        request: &Request,
        patience: Patience,
    ) -> Result<Option<Reply>, ManagerError> {
        // What was given up over the connection is undone before what follows it there.
        if !matches!(request, Request::Call { .. }) || !self.is_relative() || self.replies.has_left() {
            return Ok(None);
        }
        let Some((shared, taken)) = self.take_slot(patience)? else { return Ok(None) };
        let mut buffer = scratch::encoding();
        let fits = match pack_onto(request, &mut buffer) {
            Ok(handles) => handles.is_empty() && buffer.len() <= BODY,
            // The connection says why.
            Err(_) => false,
        };
        if fits {
            shared.memory.write(taken.slot, &buffer);
        }
        let length = buffer.len() as u32;
        scratch::keep_encoding(buffer);
        if !fits {
            return Ok(None);
        }
        let ring = || eventfd::set(shared.doorbell.as_fd());
        let is_here = shared.memory.slots.hints().client_runs_on(taken.slot, current_cpu());
        shared.memory.slots.ask(taken.slot, length, ring);
        let server = if is_here { Partner::Here } else { Partner::Apart };
        self.await_answer(shared, taken, server, request, patience).map(Some)
    }

    fn await_answer(
        &self,
        shared: &Shared,
        taken: Taken<'_>,
        server: Partner,
        request: &Request,
        mut patience: Patience,
    ) -> Result<Reply, ManagerError> {
        let (slots, slot) = (&shared.memory.slots, taken.slot);
        loop {
            match slots.wait(slot, server, patience.until(), || self.has_ended()) {
                Some(Answer::Here(length)) => {
                    let reply = read(shared, slot, length);
                    slots.leave(slot);
                    return reply;
                }
                Some(Answer::ByStream) => return self.receive_for_slot(shared, taken, request, patience),
                Some(Answer::Over) => return Err(ManagerError::Gone),
                None if patience.goes_on(|| self.is_served()) => {}
                None if slots.give_up(slot) => {
                    taken.leave();
                    return Err(late_by_slot(request));
                }
                // It was answered meanwhile.
                None => {}
            }
        }
    }

    /// The reply of a call through a slot, which comes over the connection.
    fn receive_for_slot(
        &self,
        shared: &Shared,
        taken: Taken<'_>,
        request: &Request,
        patience: Patience,
    ) -> Result<Reply, ManagerError> {
        let serial = serial_of_slot(taken.slot);
        let reply = match self.receive(serial, patience.until())? {
            Some(reply) => reply,
            None => match self.replies.leave(serial) {
                Some(reply) => reply,
                None => {
                    self.give_up(serial);
                    // Until the server has undone the call: it finds the call by the slot's serial.
                    std::mem::forget(taken);
                    return Err(late_by_slot(request));
                }
            },
        };
        shared.memory.slots.leave(taken.slot);
        drop(taken);
        // Until then the server keeps a copy of an item, with the descriptors in it. That it was read the slot says.
        if is_confirmed(request) && is_kept(&reply) && !self.confirm(serial, patience.until()) {
            self.unsent().read.push(serial);
        }
        Ok(reply)
    }

    /// What has come over the connection for a call that was given up.
    pub(super) fn take_left(&self, left: Left) {
        let slot = match left {
            Left::Slot(slot) => {
                let Some(shared) = self.lines.shared.get().and_then(Option::as_ref) else { return };
                shared.memory.slots.leave(slot);
                Some(slot)
            }
            Left::Reply(Reply::Slot { slot, memory, doorbell }) => {
                self.lines.free().awaited -= 1;
                self.lines.attach(memory, doorbell).and(slot)
            }
            Left::Reply(_) => None,
        };
        self.lines.free().slots.extend(slot);
    }

    fn take_slot(&self, patience: Patience) -> Result<Option<(&Shared, Taken<'_>)>, ManagerError> {
        let lines = &self.lines;
        let mut free = lines.free();
        if let Some(slot) = free.slots.pop() {
            drop(free);
            // A slot that is free came with the memory.
            let shared = lines.shared.get().and_then(Option::as_ref);
            return Ok(shared.map(|shared| (shared, Taken { lines, slot })));
        }
        if let Some(Some(shared)) = lines.shared.get()
            && let Some(slot) = free.take_answered(shared)
        {
            return Ok(Some((shared, Taken { lines, slot })));
        }
        // The server does not answer: another slot would be no use.
        let is_silent = free.awaited > 0 || !free.left.is_empty();
        if is_silent || free.is_all || free.owned == MOST {
            return Ok(None);
        }
        // Others that find none meanwhile ask for one as well.
        free.owned += 1;
        drop(free);
        let slot = self.ask_for_slot(patience)?;
        if slot.is_none() {
            lines.free().is_all = true;
        }
        Ok(slot.map(|(shared, slot)| (shared, Taken { lines, slot })))
    }

    #[cold]
    fn ask_for_slot(&self, patience: Patience) -> Result<Option<(&Shared, u32)>, ManagerError> {
        let attached = self.lines.shared.get().is_some();
        let (slot, memory, doorbell) = match self.call_by_stream(Request::Slot { attached }, patience) {
            Ok(Reply::Slot { slot: Some(slot), memory, doorbell }) => (slot, memory, doorbell),
            // The server does not even read, and nothing was asked of the object yet.
            Err(error @ ManagerError::Timeout) => {
                self.lines.free().owned -= 1;
                return Err(error);
            }
            Err(ManagerError::Unanswered) => {
                self.lines.free().awaited += 1;
                return Err(ManagerError::Timeout);
            }
            _ => return Ok(None),
        };
        Ok(self.lines.attach(memory, doorbell).map(|shared| (shared, slot)))
    }

    /// Whether the server's end of the connection is closed.
    fn has_ended(&self) -> bool {
        let now = Deadline::after(Duration::ZERO);
        wait_for(self.connection.as_fd(), Interest::Hangup, now).unwrap_or(true)
    }
}

fn read(shared: &Shared, slot: u32, length: u32) -> Result<Reply, ManagerError> {
    let mut buffer = scratch::decoding();
    buffer.clear();
    shared.memory.read(slot, length, &mut buffer);
    let reply = unpack(&buffer, Vec::new());
    scratch::keep_decoding(buffer);
    Ok(reply?)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::client::{Route, ServerHandle, Stream};
    use crate::protocol::{Call, Failure, ONE_WAY, QueueCall, Wait};
    use crate::slots;
    use mp_core::sys::socket::stream_pair;
    use mp_pipe::Connection;

    pub(in crate::client) type Server = Connection<(u64, Reply), (u64, Request)>;

    /// A client, and the server's end of its connection.
    pub(in crate::client) fn connected() -> (Client, Server) {
        let (ours, theirs) = stream_pair().unwrap();
        let (accept_socket, _) = stream_pair().unwrap();
        let server = ServerHandle { manager: 1, route: Route::Inherited(Handle::new(accept_socket)) };
        (Client::on(Stream::from_fd(ours), server), Server::from_fd(theirs))
    }

    pub(in crate::client) fn get(client: &Client, wait: Wait) -> Result<Reply, ManagerError> {
        client.call(Request::Call { object: 1, thread: 1, wait, call: Call::Queue(QueueCall::Get) })
    }

    /// Reads the next request of the client, and answers it.
    pub(in crate::client) fn answer(server: &Server, reply: Reply) -> Request {
        let (serial, request) = server.recv().unwrap();
        server.send(&(serial, reply)).unwrap();
        request
    }

    /// Answers the next request in the first slot.
    fn answer_slot(memory: &SlotMemory, answer: Answer) -> slots::Client {
        while memory.slots.take(0) == 0 {
            std::thread::yield_now();
        }
        let client = memory.slots.answer(0, answer);
        memory.slots.wake(0);
        client
    }

    /// A call over the connection: what has come before its reply is read.
    fn count(client: &Client, server: &Server) {
        std::thread::scope(|scope| {
            let count = scope.spawn(|| client.call(Request::Count));
            answer(server, Reply::Count(1));
            assert!(matches!(count.join().unwrap(), Ok(Reply::Count(1))));
        });
    }

    /// The server would keep it as long as the client lives.
    #[test]
    fn a_failure_is_confirmed_but_for_one_that_is_too_late() {
        let (client, server) = connected();
        for (failure, is_kept) in [(Failure::OwnerDied, true), (Failure::Timeout, false)] {
            std::thread::scope(|scope| {
                let call = scope.spawn(|| get(&client, Wait::AtMost(Duration::MAX)));
                if is_kept {
                    let no_slot = Reply::Slot { slot: None, memory: Attachable(None), doorbell: None };
                    assert!(matches!(answer(&server, no_slot), Request::Slot { .. }));
                }
                assert!(matches!(answer(&server, Reply::Failed(failure)), Request::Call { .. }));
                assert!(call.join().unwrap().is_err());
            });
            let confirmed =
                server.try_recv().is_ok_and(|(_, request)| matches!(request, Request::Received(_)));
            assert_eq!(confirmed, is_kept);
        }
    }

    #[test]
    fn a_slot_that_could_not_be_asked_for_may_be_asked_for_later() {
        let (client, _server) = connected();
        while client.connection.try_send(&(ONE_WAY, Request::Count)).is_ok() {}
        assert!(matches!(get(&client, Wait::AtMost(Duration::ZERO)), Err(ManagerError::Timeout)));
        assert_eq!(client.lines.free().owned, 0);
    }

    #[test]
    fn a_slot_whose_call_was_given_up_is_not_used_before_that_is_undone() {
        let (client, server) = connected();
        let (memory, doorbell) = (SlotMemory::create().unwrap(), eventfd::eventfd().unwrap());
        assert!(memory.reserve(0));
        let (attached, serial) = (Attachable(Some(memory.clone())), serial_of_slot(0));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| get(&client, Wait::Forever));
            let doorbell = Some(Handle::new(doorbell));
            answer(&server, Reply::Slot { slot: Some(0), memory: attached, doorbell });
            answer_slot(&memory, Answer::ByStream);
            server.send(&(serial, Reply::Done)).unwrap();
            assert!(matches!(first.join().unwrap(), Ok(Reply::Done)));
            assert!(matches!(server.recv(), Ok((ONE_WAY, Request::Received(_)))));
            // One that has given up before it was answered is no such call.
            let mut state = slots::Client::Left;
            while state == slots::Client::Left {
                let late = scope.spawn(|| get(&client, Wait::AtMost(Duration::from_millis(1))));
                state = answer_slot(&memory, Answer::ByStream);
                assert!(matches!(late.join().unwrap(), Err(ManagerError::Timeout)));
            }
            assert!(matches!(server.recv(), Ok((_, Request::GiveUp(serials))) if serials == [serial]));
            server.send(&(serial, Reply::Value(None))).unwrap();
            count(&client, &server);
            // The late reply was read, and the call is not undone yet: the next one goes over the connection.
            assert!(client.lines.free().slots.is_empty());
            let next = scope.spawn(|| get(&client, Wait::Forever));
            assert!(matches!(answer(&server, Reply::Done), Request::Call { .. }));
            assert!(matches!(next.join().unwrap(), Ok(Reply::Done)));
            assert!(matches!(server.recv(), Ok((ONE_WAY, Request::Received(_)))));
            server.send(&(serial, Reply::GivenUp)).unwrap();
            count(&client, &server);
            assert_eq!(client.lines.free().slots, [0]);
            let last = scope.spawn(|| get(&client, Wait::Forever));
            answer_slot(&memory, Answer::Over);
            assert!(matches!(last.join().unwrap(), Err(ManagerError::Gone)));
        });
    }
}
