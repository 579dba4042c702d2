//! The names of shared memory that this process owns for the manager's clients. They end with the server, also when it
//! is killed: the keeper of `mp-shm` unlinks them then.
//!
//! A client at an address lists and ends the names that it has made itself, and Python programs those that one of them
//! has; a relative all.
//!
//! What clients at an address have made is counted: it ends with the server, and not with them, so one that makes
//! blocks all the time would take the host's memory.

use super::Server;
use super::jobs::{Outcome, Ticket, Work};
use crate::object::{ClientId, Room};
use crate::protocol::{Failure, Reply};
use mp_core::MemError;
use mp_shm::{OwnedName, SharedMemoryError};
use std::collections::BTreeMap;

/// What a block counts at least: its name takes memory, too.
const LEAST: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct Segments {
    names: BTreeMap<String, Segment>,
    /// Of clients at an address.
    room: Room,
}

#[derive(Debug)]
struct Segment {
    name: OwnedName,
    counted: Counted,
    owner: Party,
}

/// What has made a block, or asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Party {
    Relative,
    /// At an address.
    Client(ClientId),
    /// Python programs are one: each call of theirs may come over another connection.
    #[cfg(feature = "pickle")]
    Python,
}

/// So many bytes of a block were counted; none, if a relative has asked for it.
#[derive(Debug)]
pub(super) struct Counted(u64);

impl Segments {
    pub(super) fn of(room: Room) -> Segments {
        Segments { names: BTreeMap::new(), room }
    }

    pub(super) fn keep(&mut self, name: OwnedName, counted: Counted, owner: Party) -> String {
        let text = name.name().to_owned();
        if let Some(before) = self.names.insert(text.clone(), Segment { name, counted, owner }) {
            self.give_back(before.counted);
        }
        text
    }

    /// By its name, with or without the slash. `None`: there is none, or it is another party's.
    pub(super) fn take(&mut self, name: &str, asks: Party) -> Option<OwnedName> {
        let name = name.strip_prefix('/').unwrap_or(name);
        self.names.get(name).filter(|segment| segment.is_for(asks))?;
        let segment = self.names.remove(name)?;
        self.give_back(segment.counted);
        Some(segment.name)
    }

    pub(super) fn names(&self, asks: Party) -> Vec<String> {
        let own = self.names.iter().filter(|(_, segment)| segment.is_for(asks));
        own.map(|(name, _)| name.clone()).collect()
    }

    fn count(&self, size: u64) -> Result<Counted, Failure> {
        let counted = size.max(LEAST);
        self.room.check(counted).map_err(|failure| match failure {
            Failure::MemoryLimit { left, .. } => Failure::MemoryLimit { asked: size, left },
            other => other,
        })?;
        self.room.take(counted);
        Ok(Counted(counted))
    }

    /// There is no such block, or none any more.
    pub(super) fn give_back(&self, Counted(counted): Counted) {
        self.room.give_back(counted);
    }
}

impl Segment {
    fn is_for(&self, asks: Party) -> bool {
        asks == Party::Relative || asks == self.owner
    }
}

impl Counted {
    pub(super) const NONE: Counted = Counted(0);
}

impl Server {
    fn party(&self, client: ClientId) -> Party {
        if self.clients.is_relative(client) { Party::Relative } else { Party::Client(client) }
    }

    pub(super) fn memory_names(&self, client: ClientId) -> Vec<String> {
        self.segments.names(self.party(client))
    }

    /// Makes a block, on another thread: the kernel zeroes its memory.
    pub(super) fn make_memory(&mut self, client: ClientId, serial: u64, size: u64) -> Result<(), Failure> {
        let counted = match self.clients.is_relative(client) {
            true => Counted::NONE,
            false => self.segments.count(size)?,
        };
        let Counted(bytes) = counted;
        let work: Work = Box::new(move || {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            Outcome::Segment(OwnedName::make(size).map_err(Failure::from), counted)
        });
        let given = self.jobs.give(Ticket::of(client, serial), work);
        given.inspect_err(|_| self.segments.give_back(Counted(bytes)))
    }

    /// A block was made, or not. `None`: its client is gone.
    pub(super) fn memory_made(
        &mut self,
        client: ClientId,
        made: Result<OwnedName, Failure>,
        counted: Counted,
    ) -> Option<Result<Reply, Failure>> {
        let owner = self.party(client);
        match made {
            Ok(name) if self.clients.has(client) => {
                Some(Ok(Reply::Text(self.segments.keep(name, counted, owner))))
            }
            Ok(_) => {
                self.segments.give_back(counted);
                None
            }
            Err(failure) => {
                self.segments.give_back(counted);
                Some(Err(failure))
            }
        }
    }

    /// Ends a name, on another thread: its memory may be freed by it.
    pub(super) fn release_memory(
        &mut self,
        client: ClientId,
        serial: u64,
        name: &str,
    ) -> Result<Option<Reply>, Failure> {
        let asks = self.party(client);
        let Some(name) = self.segments.take(name, asks) else { return Ok(Some(Reply::Flag(false))) };
        let work: Work = Box::new(move || {
            drop(name);
            Outcome::Released
        });
        self.jobs.give(Ticket::of(client, serial), work)?;
        Ok(None)
    }
}

impl From<SharedMemoryError> for Failure {
    fn from(error: SharedMemoryError) -> Failure {
        match error {
            SharedMemoryError::Memory(MemError::NoMemory { asked, available }) => {
                Failure::NoMemory { asked, available }
            }
            SharedMemoryError::Memory(MemError::Os(error)) => error.into(),
            other => Failure::Codec(other.to_string()),
        }
    }
}
