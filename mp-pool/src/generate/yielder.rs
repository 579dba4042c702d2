//! The task's part: it yields values, as far ahead as it may. What is here sends them out of a worker process; in a
//! thread they go by a channel (`threads/channel.rs`).

use super::ring::Writer;
use crate::board::Turn;
use crate::line::{Line, Said};
use crate::memory::SharedBoard;
use crate::threads::Channel;
use mp_core::CodecError;
use mp_core::sys::owning_process::OwningProcess;
use mp_core::transfer::{Handle, Part, Target, pack_value_with};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Bytes of a value that surely goes within a packet, so that it cannot be lost for want of a descriptor.
const SHORT: usize = 4096;

/// The error of [`Yielder::yield_`]. A generator gives it back (`?`): it is to end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum YieldError {
    /// The results of the call are not taken any more: [`Generate`](crate::Generate) was dropped.
    #[error("the results of the call are not wanted any more: return from the generator")]
    Stopped,
    /// The value could not be serialised or sent. Its task ends with that.
    #[error("the value could not be yielded: {0}")]
    Failed(String),
}

/// What a generator yields its results with: the last argument of a function for
/// [`Pool::generate`](crate::Pool::generate) or [`ThreadPool::generate`](crate::ThreadPool::generate).
///
/// It belongs to the task that has got it, and to the thread that runs it. Kept beyond the task's end, it yields
/// nothing ([`YieldError::Stopped`]).
pub struct Yielder<T> {
    way: Way<T>,
    /// The task is the calling thread's.
    thread: PhantomData<*const ()>,
}

/// Where what is yielded goes.
enum Way<T> {
    /// Out of this process. The turn is 0 for one that is of no task.
    Worker { turn: u32, pack: Pack<T> },
    /// To another thread.
    Thread { channel: Arc<Channel<T>>, item: u64 },
}

type Pack<T> = fn(&T, &mut Vec<u8>, &mut Vec<Handle>) -> Result<(), Box<CodecError>>;

impl<T> fmt::Debug for Yielder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yielder").finish_non_exhaustive()
    }
}

impl<T> Yielder<T> {
    fn new(way: Way<T>) -> Yielder<T> {
        Yielder { way, thread: PhantomData }
    }

    /// That of the task of this item, which runs in a thread.
    pub(crate) fn in_thread(channel: Arc<Channel<T>>, item: u64) -> Yielder<T> {
        Yielder::new(Way::Thread { channel, item })
    }

    /// Gives a result to the one that takes them, and waits until it is not too far ahead of it.
    ///
    /// `Ok` means that the value is on its way: it arrives, once, also if this process is killed at the next
    /// instruction. After an error the task is to return.
    ///
    /// # Errors
    /// [`YieldError`].
    ///
    /// Python: the statement `yield`.
    #[doc(alias = "yield")]
    pub fn yield_(&self, value: T) -> Result<(), YieldError> {
        let (turn, pack) = match &self.way {
            Way::Thread { channel, item } => return channel.send(*item, value),
            Way::Worker { turn, pack } => (*turn, pack),
        };
        let (mut bytes, mut handles) = (Vec::new(), Vec::new());
        pack(&value, &mut bytes, &mut handles).map_err(|error| YieldError::Failed(error.to_string()))?;
        let send = |current: &RefCell<Option<(OwningProcess, Current)>>| match &mut *current.borrow_mut() {
            // A forked copy of the worker sends nothing.
            Some((process, current)) if current.turn.number == turn && process.is_current() => {
                current.send(&bytes, &handles)
            }
            _ => Err(YieldError::Stopped),
        };
        // A yielder that a destructor of the worker's thread uses is of no task.
        CURRENT.try_with(send).unwrap_or(Err(YieldError::Stopped))
    }
}

/// The task that yields.
pub(crate) struct Current {
    pub(crate) line: Arc<Line>,
    pub(crate) board: SharedBoard,
    pub(crate) slot: u32,
    pub(crate) turn: Turn,
    /// So many values may be on their way.
    pub(crate) ahead: u32,
    pub(crate) sent: u32,
    pub(crate) ring: Writer,
    /// A value went over the line.
    pub(crate) uses_line: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<(OwningProcess, Current)>> = const { RefCell::new(None) };
}

impl Current {
    fn send(&mut self, bytes: &[u8], handles: &[Handle]) -> Result<(), YieldError> {
        let (turn, number) = (self.turn, self.sent);
        let may = self.board.may_send(turn, self.slot, number, self.ahead);
        let Some(taken) = may else { return Err(YieldError::Stopped) };
        if handles.is_empty()
            && let Some(end) = self.ring.put(number, taken, bytes)
        {
            self.sent = number.wrapping_add(1);
            self.board.say_yielded(self.slot, end);
            self.board.push_finished(turn.worker, self.slot);
            self.board.tell_caller();
            return Ok(());
        }
        self.uses_line = true;
        let (slot, turn, value) = (self.slot, turn.number, Part { bytes, handles });
        let follows = !handles.is_empty() || bytes.len() > SHORT;
        // What cannot be received is known to be this value, and no end of a task.
        let first =
            self.line.send(&Said::Yielded { slot, turn, follows }, if follows { Part::EMPTY } else { value });
        // A value that was not sent is not counted: the caller would wait for it.
        self.sent = if first.is_ok() { number.wrapping_add(1) } else { number };
        let sent = first.and_then(|()| if follows { self.send_announced(value) } else { Ok(()) });
        sent.map_err(|error| YieldError::Failed(error.to_string()))
    }

    fn send_announced(&self, value: Part<'_>) -> Result<(), mp_core::transfer::ParcelError> {
        let sent = self.line.send(&Said::Value { failure: None, wanted: 0 }, value);
        if let Err(error) = &sent {
            // It was announced, so something has to come.
            let failure = crate::error::Failure::Failed(error.to_string());
            self.line.send_failure(failure, 0);
        }
        sent
    }
}

/// Ends the task's turn when it is dropped.
#[must_use = "dropped, it ends the turn"]
pub(crate) struct Open(());

/// A task that yields begins on this thread.
pub(crate) fn begin(current: Current) -> Open {
    CURRENT.set(Some((OwningProcess::current(), current)));
    Open(())
}

impl Drop for Open {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

/// The task that runs on this thread has ended, and says how many values it has yielded. Whether one of them went over
/// the line.
pub(crate) fn end_task() -> bool {
    CURRENT.with_borrow(|current| {
        let Some((_, current)) = current else { return false };
        current.ring.say_yielded_in_all(current.sent);
        current.uses_line
    })
}

/// A generator as a function of its item.
pub(crate) struct Generating<F, T>(F, PhantomData<fn(T)>);

impl<F: Copy, T> Clone for Generating<F, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Copy, T> Copy for Generating<F, T> {}

impl<F, T> Generating<F, T> {
    pub(super) fn new(function: F) -> Self {
        Generating(function, PhantomData)
    }
}

impl<F, A, T> Target<(A,)> for Generating<F, T>
where
    F: Target<(A, Yielder<T>), Output = Result<(), YieldError>>,
    T: Serialize + DeserializeOwned + 'static,
{
    type Output = Result<(), YieldError>;
    fn call(&self, (item,): (A,)) -> Self::Output {
        let turn =
            CURRENT.with_borrow(|current| current.as_ref().map_or(0, |(_, current)| current.turn.number));
        self.0.call((item, Yielder::new(Way::Worker { turn, pack: pack_value_with })))
    }
    fn state() -> Option<mp_core::transfer::StateType> {
        F::state()
    }
}
