//! The messages between a pool and the host of one of its workers. README.md of this crate has them as a table.
//!
//! A message is its head, packed, with its length in front, and then bytes that are not packed again: arguments,
//! results.

use crate::limits::Recycling;
use crate::place::Place;
use crate::record::{put_length, take_length};
use mp_core::transfer::{Code, pack, unpack};
use mp_core::{Ended, StartMethod};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a host makes a worker from. The message's bytes are the arguments of the initializer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) name: String,
    /// What `worker_index` says in it.
    pub(super) index: u32,
    pub(super) initializer: Option<Code>,
    pub(super) place: Place,
    pub(super) most_tasks: Option<u32>,
    pub(super) recycling: Recycling,
    pub(super) outlasts_sigterm: bool,
    pub(super) method: StartMethod,
}

/// From the pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum ToHost {
    Start(Start),
    /// A chunk of items, one after the other. The bytes are the code and their arguments. The next one comes after this
    /// one's outcome.
    Submit {
        task: u64,
        items: u32,
    },
    /// SIGTERM for the worker.
    Terminate,
    /// SIGKILL for the worker.
    Kill,
    /// There are no more tasks: the worker is to end.
    Stop,
}

/// From the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum ToPool {
    /// The worker is there.
    Started { pid: u32 },
    /// Its initializer has succeeded: tasks may come.
    Ready,
    /// Its initializer has failed, and so would any other worker's.
    NotReady { reason: String },
    /// The worker has the task.
    Begun { task: u64 },
    /// What became of the task: the results of its first `done` items, which are the message's bytes; whether one more
    /// was begun when the worker died. The others were not begun.
    Done { task: u64, done: u32, begun: bool },
    /// The worker has ended, and it is the last message.
    WorkerDied { how: Option<Ended>, before_ready: bool },
}

pub(super) fn encode(head: &impl Serialize, bytes: &[u8]) -> Vec<u8> {
    // Text and numbers: they can be packed.
    let packed = pack(head).map(|message| message.bytes).unwrap_or_default();
    let mut message = Vec::with_capacity(packed.len() + bytes.len() + 10);
    put_length(packed.len(), &mut message);
    message.extend_from_slice(&packed);
    message.extend_from_slice(bytes);
    message
}

/// The head, and the bytes; `None`: it is no message of this version.
pub(super) fn decode<T: DeserializeOwned>(message: &[u8]) -> Option<(T, &[u8])> {
    let mut rest = message;
    let length = take_length(&mut rest)?;
    let (head, bytes) = rest.split_at_checked(length)?;
    Some((unpack(head, Vec::new()).ok()?, bytes))
}
