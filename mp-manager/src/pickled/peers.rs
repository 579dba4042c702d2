//! The connections of Python programs, and which program refers to which object.
//!
//! ```text
//!   ASKING ──a request of the server──► CLOSING (its reply is sent)
//!     └──accept_connection──► CALLING ──a call that must wait──► WAITING ──its reply──► CALLING
//! ```
//! A connection has one request at a time: while a reply is not wholly sent nothing is read, and what is sent while a
//! call waits ends the connection, as no Python program sends it.

use super::kinds::Typed;
use super::request::Reply;
use super::sync::{self, Then};
use crate::object::{ClientId, Counts, Kept, Touched};
use crate::protocol::ObjectId;
use mp_core::sys::poll::{Interest, pidfd_pid, wait_for};
use mp_core::sys::socket::peer_pidfd;
use mp_core::sys::waitset::WaitSet;
use mp_core::word::Deadline;
use mp_pipe::{Connection, Listener, RecvError, SendError};
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    pub(crate) listener: Option<Listener>,
    peers: HashMap<ClientId, Peer>,
    /// What can be reached by its number.
    types: HashMap<ObjectId, Typed>,
    /// What was published.
    names: HashMap<String, Kept>,
    /// By the key of each in the set.
    programs: HashMap<u64, Program>,
}

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Asking,
    Calling,
    Waiting(Typed, Then),
    Closing,
}

#[derive(Debug)]
struct Peer {
    stream: Connection,
    stage: Stage,
    /// A reply that is not wholly sent, and whether a part of it is.
    unsent: Option<(Vec<u8>, bool)>,
    /// What keeps the objects of the proxies in the last reply until its program has its own references to them.
    last: Vec<Kept>,
    /// Objects to which its end means something.
    touched: Touched,
    program: u64,
}

/// The references of a process; or of all that cannot be told apart.
#[derive(Debug, Default)]
struct Program {
    /// Its number, and what is readable at its end.
    process: Option<(u32, OwnedFd)>,
    references: HashMap<ObjectId, u64>,
    connections: u64,
}

/// The key of all processes that the kernel does not name.
const UNNAMED: u64 = 0;

/// What became of a reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    Sent,
    /// Its program has ended.
    Gone,
}

/// Connections.
impl Peers {
    /// A new one. `key` is for its process, if that is new.
    pub(crate) fn add(
        &mut self,
        counts: &Counts,
        set: &WaitSet,
        client: ClientId,
        key: u64,
        stream: Connection,
    ) {
        if set.add(stream.as_fd(), client, Interest::Read).is_err() {
            return;
        }
        let program = self.program_of(counts, set, key, &stream);
        self.programs.entry(program).or_default().connections += 1;
        let (last, touched) = (Vec::new(), Touched::default());
        self.peers
            .insert(client, Peer { stream, stage: Stage::Asking, unsent: None, last, touched, program });
    }

    fn program_of(&mut self, counts: &Counts, set: &WaitSet, key: u64, stream: &Connection) -> u64 {
        let Some(pidfd) = peer_pidfd(stream.as_fd()) else { return UNNAMED };
        let Some(pid) = pidfd_pid(pidfd.as_fd()) else { return UNNAMED };
        let known = |program: &Program| program.process.as_ref().is_some_and(|(other, _)| *other == pid);
        if let Some((known, program)) = self.programs.iter().find(|(_, program)| known(program)) {
            let known = *known;
            if !program.has_ended() {
                return known;
            }
            // Another process has its number now.
            self.end_program(counts, set, known);
        }
        if set.add(pidfd.as_fd(), key, Interest::Read).is_err() {
            return UNNAMED;
        }
        self.programs.insert(key, Program { process: Some((pid, pidfd)), ..Program::default() });
        key
    }

    /// Whether this is the key of a process that has ended. Its references are given back.
    pub(crate) fn end_program(&mut self, counts: &Counts, set: &WaitSet, key: u64) -> bool {
        if key == UNNAMED {
            return false;
        }
        let Some(program) = self.programs.remove(&key) else { return false };
        if let Some((_, pidfd)) = &program.process {
            let _ = set.remove(pidfd.as_fd());
        }
        for (object, count) in program.references {
            (0..count).for_each(|_| counts.release(object));
        }
        true
    }

    pub(crate) fn has(&self, client: ClientId) -> bool {
        self.peers.contains_key(&client)
    }

    pub(crate) fn has_unsent(&self, client: ClientId) -> bool {
        self.peers.get(&client).is_some_and(|peer| peer.unsent.is_some())
    }

    pub(crate) fn stage(&self, client: ClientId) -> Option<Stage> {
        self.peers.get(&client).map(|peer| peer.stage)
    }

    pub(crate) fn set_stage(&mut self, client: ClientId, stage: Stage) {
        if let Some(peer) = self.peers.get_mut(&client) {
            peer.stage = stage;
        }
    }

    /// The next request's bytes, or `None` if there is none now. An error: the connection is over.
    pub(crate) fn next(&mut self, set: &WaitSet, client: ClientId) -> Result<Option<Vec<u8>>, ()> {
        let Some(peer) = self.peers.get_mut(&client) else { return Ok(None) };
        if peer.unsent.is_some() {
            peer.flush()?;
            if peer.unsent.is_some() {
                return Ok(None);
            }
            let _ = set.change(peer.stream.as_fd(), client, Interest::Read);
        }
        if peer.stage == Stage::Closing {
            return Err(());
        }
        match peer.stream.try_recv_bytes() {
            Ok(_) if matches!(peer.stage, Stage::Waiting(..)) => Err(()),
            Ok(bytes) => {
                peer.last.clear();
                Ok(Some(bytes))
            }
            Err(RecvError::Empty) => Ok(None),
            Err(_) => Err(()),
        }
    }

    /// Sends a reply, or keeps it until it can be sent.
    pub(crate) fn send(&mut self, set: &WaitSet, client: ClientId, reply: Reply) -> Sent {
        let Some(peer) = self.peers.get_mut(&client) else { return Sent::Gone };
        peer.unsent = Some((reply.bytes(), false));
        if let Reply::Returned(held) = reply {
            peer.last = held.into_parts().1;
        }
        if peer.flush().is_err() {
            peer.unsent = None;
            return Sent::Gone;
        }
        if peer.unsent.is_some() {
            let _ = set.change(peer.stream.as_fd(), client, Interest::Write);
        }
        Sent::Sent
    }

    /// Answers a call that was one of the server's own objects'.
    pub(crate) fn answer(
        &mut self,
        counts: &Counts,
        set: &WaitSet,
        client: ClientId,
        reply: &crate::protocol::Reply,
    ) -> Sent {
        let Some(Stage::Waiting(typed, then)) = self.stage(client) else { return Sent::Gone };
        self.set_stage(client, Stage::Calling);
        let reply = match sync::answer(counts, typed.type_, then, reply) {
            Ok(held) => Reply::Returned(held),
            Err(raised) => Reply::Raised(raised),
        };
        self.send(set, client, reply)
    }

    /// The object is to be told when the connection ends.
    pub(crate) fn touch(&mut self, client: ClientId, object: ObjectId, is_alive: impl Fn(ObjectId) -> bool) {
        if let Some(peer) = self.peers.get_mut(&client) {
            peer.touched.add(object, is_alive);
        }
    }

    /// A connection is over. Gives the objects to be told.
    pub(crate) fn remove(&mut self, set: &WaitSet, client: ClientId) -> Option<Touched> {
        let Peer { stream, touched, program, .. } = self.peers.remove(&client)?;
        let _ = set.remove(stream.as_fd());
        if let Some(known) = self.programs.get_mut(&program) {
            known.connections -= 1;
            self.forget_idle(set, program);
        }
        Some(touched)
    }
}

/// References.
impl Peers {
    /// A reference of the connection's program that was counted already. It is given back at once if the program's end
    /// was seen before this last request of it.
    pub(crate) fn add_reference(&mut self, counts: &Counts, client: ClientId, object: ObjectId) {
        let program = self.peers.get(&client).and_then(|peer| self.programs.get_mut(&peer.program));
        match program {
            Some(program) => *program.references.entry(object).or_default() += 1,
            None => counts.release(object),
        }
    }

    /// Gives one reference of the connection's program back; whether it has one.
    pub(crate) fn release(&mut self, counts: &Counts, client: ClientId, object: ObjectId) -> bool {
        let program = self.peers.get(&client).map_or(UNNAMED, |peer| peer.program);
        let Some(found) = self.programs.get_mut(&program) else { return false };
        let Some(count) = found.references.get_mut(&object) else { return false };
        *count -= 1;
        if *count == 0 {
            found.references.remove(&object);
        }
        counts.release(object);
        true
    }

    /// How many references Python programs have.
    fn references(&self, object: ObjectId) -> u64 {
        self.programs.values().filter_map(|program| program.references.get(&object)).sum()
    }

    /// A process without connections and references need not be watched.
    fn forget_idle(&mut self, set: &WaitSet, key: u64) {
        if let Some(program) = self.programs.get(&key)
            && program.connections == 0
            && program.references.is_empty()
        {
            if let Some((_, pidfd)) = &program.process {
                let _ = set.remove(pidfd.as_fd());
            }
            self.programs.remove(&key);
        }
    }
}

/// Objects.
impl Peers {
    pub(crate) fn enter(&mut self, object: ObjectId, typed: Typed) {
        self.types.insert(object, typed);
    }

    pub(crate) fn typed(&self, object: ObjectId) -> Option<Typed> {
        self.types.get(&object).copied()
    }

    pub(crate) fn forget(&mut self, object: ObjectId) {
        self.types.remove(&object);
    }

    pub(crate) fn publish(&mut self, name: &str, object: Kept) {
        self.names.insert(name.to_owned(), object);
    }

    /// Whether there was one of that name.
    pub(crate) fn unpublish(&mut self, name: &str) -> bool {
        self.names.remove(name).is_some()
    }

    pub(crate) fn published(&self, name: &str) -> Option<ObjectId> {
        self.names.get(name).map(Kept::object)
    }

    /// Each object with its references, and what it is.
    pub(crate) fn shown(&self, mut show: impl FnMut(ObjectId, Typed) -> String) -> String {
        let mut lines: Vec<String> = self
            .types
            .iter()
            .map(|(object, typed)| {
                let shown: String = show(*object, *typed).chars().take(75).collect();
                format!("  {object:x}:       refcount={}\n    {shown}", self.references(*object))
            })
            .collect();
        lines.sort_unstable();
        lines.join("\n")
    }
}

impl Peer {
    /// Sends what it can. An error: it can be sent nothing any more.
    fn flush(&mut self) -> Result<(), ()> {
        let Some((bytes, is_partly_sent)) = &mut self.unsent else { return Ok(()) };
        let sent = if *is_partly_sent { self.stream.try_flush() } else { self.stream.try_send_bytes(bytes) };
        match sent {
            Ok(()) => self.unsent = None,
            Err(SendError::Full) => {}
            Err(SendError::Partial) => (*bytes, *is_partly_sent) = (Vec::new(), true),
            Err(_) => return Err(()),
        }
        Ok(())
    }
}

impl Program {
    fn has_ended(&self) -> bool {
        let now = Deadline::after(Duration::ZERO);
        self.process
            .as_ref()
            .is_some_and(|(_, end)| wait_for(end.as_fd(), Interest::Read, now).unwrap_or(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp_core::sys::socket::stream_pair;

    #[test]
    fn the_last_request_of_a_program_that_has_ended_takes_no_reference() {
        let (counts, set) = (Counts::default(), WaitSet::new().unwrap());
        let (ours, _theirs) = stream_pair().unwrap();
        let mut peers = Peers::default();
        peers.add(&counts, &set, 1, 2, Connection::from_fd(ours));
        // The program's end was seen, and the connection's is not yet.
        peers.peers.get_mut(&1).unwrap().program = 3;
        counts.begin(7);
        peers.add_reference(&counts, 1, 7);
        assert_eq!(counts.next_unused(), Some(7));
        assert!(peers.remove(&set, 1).is_some());
    }
}
