//! The names of shared memory that this process owns for the manager's clients. They end with the server, also when it is
//! killed: the keeper of `mp-shm` unlinks them then.

use super::Server;
use super::jobs::{Outcome, Ticket, Work};
use crate::object::ClientId;
use crate::protocol::{Failure, Reply};
use mp_core::MemError;
use mp_shm::{OwnedName, SharedMemoryError};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Segments(BTreeMap<String, OwnedName>);

impl Segments {
    pub(super) fn keep(&mut self, name: OwnedName) -> String {
        let text = name.name().to_owned();
        self.0.insert(text.clone(), name);
        text
    }

    /// By its name, with or without the slash.
    pub(super) fn take(&mut self, name: &str) -> Option<OwnedName> {
        self.0.remove(name.strip_prefix('/').unwrap_or(name))
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

impl Server {
    /// Makes a block, on another thread: the kernel zeroes its memory.
    pub(super) fn make_memory(&mut self, client: ClientId, serial: u64, size: u64) -> Result<(), Failure> {
        let work: Work = Box::new(move || {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            Outcome::Segment(OwnedName::make(size).map_err(Failure::from))
        });
        self.jobs.give(Ticket::of(client, serial), work)
    }

    /// Ends a name, on another thread: its memory may be freed by it.
    pub(super) fn release_memory(
        &mut self,
        client: ClientId,
        serial: u64,
        name: &str,
    ) -> Result<Option<Reply>, Failure> {
        let Some(name) = self.segments.take(name) else { return Ok(Some(Reply::Flag(false))) };
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
