//! Calls through shared memory: this process's slots, one for each of its threads that calls at the same time.
//!
//! | the call                                     | goes                                    |
//! |----------------------------------------------|-----------------------------------------|
//! | has no handles and fits, a slot is free      | through the slot                        |
//! | otherwise, or the client is no relative      | over the connection                     |
//! | its reply has handles, or does not fit       | comes over the connection, by the slot's serial |

use super::{Client, takes_item};
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

impl Lines {
    fn free(&self) -> std::sync::MutexGuard<'_, Free> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Calls through a slot. `None`: the request has to go over the connection.
    pub(super) fn call_by_slot(&self, request: &Request) -> Option<Result<Reply, ManagerError>> {
        if !matches!(request, Request::Call { .. }) || !self.is_relative() {
            return None;
        }
        let (shared, taken) = self.take_slot()?;
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
            return None;
        }
        let ring = || eventfd::set(shared.doorbell.as_fd());
        let is_here = shared.memory.slots.hints().client_runs_on(taken.slot, current_cpu());
        shared.memory.slots.ask(taken.slot, length, ring);
        let server = if is_here { Partner::Here } else { Partner::Apart };
        Some(match shared.memory.slots.wait(taken.slot, server, || self.has_ended()) {
            Answer::Here(length) => {
                let reply = read(shared, taken.slot, length);
                shared.memory.slots.leave(taken.slot);
                reply
            }
            Answer::ByStream => {
                let serial = serial_of_slot(taken.slot);
                let reply = self.receive(serial);
                shared.memory.slots.leave(taken.slot);
                // Until then the server keeps a copy of an item, with the descriptors in it.
                if takes_item(request) && matches!(reply, Ok(Reply::Value(_) | Reply::Values(_))) {
                    self.tell(Request::Received(serial));
                }
                reply
            }
            Answer::Over => Err(ManagerError::Gone),
        })
    }

    fn take_slot(&self) -> Option<(&Shared, Taken<'_>)> {
        let lines = &self.lines;
        let mut free = lines.free();
        if let Some(slot) = free.slots.pop() {
            drop(free);
            // A slot that is free came with the memory.
            return Some((lines.shared.get()?.as_ref()?, Taken { lines, slot }));
        }
        if free.is_all || free.owned == MOST {
            return None;
        }
        // Others that find none meanwhile ask for one as well.
        free.owned += 1;
        drop(free);
        let slot = self.ask_for_slot();
        if slot.is_none() {
            lines.free().is_all = true;
        }
        slot.map(|(shared, slot)| (shared, Taken { lines, slot }))
    }

    #[cold]
    fn ask_for_slot(&self) -> Option<(&Shared, u32)> {
        let attached = self.lines.shared.get().is_some();
        let Ok(Reply::Slot { slot: Some(slot), memory, doorbell }) =
            self.call_by_stream(Request::Slot { attached })
        else {
            return None;
        };
        let shared = self.lines.shared.get_or_init(|| {
            let Attachable(memory) = memory;
            Some(Shared { memory: memory?, doorbell: doorbell? })
        });
        Some((shared.as_ref()?, slot))
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
