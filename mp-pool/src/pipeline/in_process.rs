//! One attempt in a process of its own.
//!
//! ```text
//!   context ──input──► arguments ──pack──► Message ──► the process: unpack, call, pack ──► Answer ──decode──► values
//!             (before any task of the block starts)
//! ```
//!
//! The process is a daemon, so it ends with this one, whatever ends it.

use super::context::{Context, ContextError};
use super::outcome::{Outcome, guarded};
use mp_core::popen::get_helper_method;
use mp_core::transfer::{Message, Target, pack_value, unpack};
use mp_core::{Child, JoinError, Process, StartError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the process says of its call.
#[derive(Serialize, Deserialize)]
pub(super) enum Answer {
    Value(Message),
    /// The function returned an error.
    Failed(String),
    /// The arguments could not be decoded there, or the value not encoded.
    NotSerializable(String),
}

type Pack = dyn Fn(&Context) -> Result<Message, Outcome> + Send + Sync;
type Start = dyn Fn(&str, Message) -> Result<Child<Answer>, StartError> + Send + Sync;
type Decode<T> = dyn Fn(Message) -> Result<T, Outcome> + Send + Sync;

/// The three parts of an attempt that know the types.
pub(super) struct Remote<T> {
    /// The packed arguments.
    pub(super) pack: Arc<Pack>,
    start: Arc<Start>,
    decode: Arc<Decode<T>>,
}

pub(super) fn remote<F, A, T, E>(
    function: F,
    input: Arc<impl Fn(&Context) -> Result<A, ContextError> + Send + Sync + 'static>,
) -> Remote<T>
where
    F: Target<A, Output = Result<T, E>> + Sync,
    A: Serialize + DeserializeOwned + 'static,
    T: Serialize + DeserializeOwned + 'static,
    E: fmt::Display,
{
    let pack = move |context: &Context| {
        let arguments = input(context).map_err(|error| Outcome::Failed(error.to_string()))?;
        pack_value(&arguments).map_err(|error| Outcome::NotSerializable(error.to_string()))
    };
    // It captures nothing: `function` has no size.
    let call = move |arguments: Message| -> Answer {
        let arguments: A = match unpack(&arguments.bytes, arguments.handles) {
            Ok(arguments) => arguments,
            Err(error) => return Answer::NotSerializable(error.to_string()),
        };
        match function.call(arguments) {
            Err(error) => Answer::Failed(error.to_string()),
            Ok(value) => match pack_value(&value) {
                Ok(value) => Answer::Value(value),
                Err(error) => Answer::NotSerializable(error.to_string()),
            },
        }
    };
    let start = move |name: &str, arguments: Message| {
        Process::new(call, (arguments,)).name(name).daemon().method(get_helper_method()?).start()
    };
    let decode = |value: Message| {
        unpack(&value.bytes, value.handles).map_err(|error| Outcome::NotSerializable(error.to_string()))
    };
    Remote { pack: Arc::new(pack), start: Arc::new(start), decode: Arc::new(decode) }
}

impl<T> Clone for Remote<T> {
    fn clone(&self) -> Remote<T> {
        let (pack, start, decode) =
            (Arc::clone(&self.pack), Arc::clone(&self.start), Arc::clone(&self.decode));
        Remote { pack, start, decode }
    }
}

impl<T: 'static> Remote<T> {
    pub(super) fn map<U: 'static>(self, into: fn(T) -> U) -> Remote<U> {
        let decode = self.decode;
        Remote { pack: self.pack, start: self.start, decode: Arc::new(move |value| decode(value).map(into)) }
    }

    /// Starts the process, tells its id, waits for its end, and gives its value and the bytes that the value took.
    pub(super) fn run(
        &self,
        name: &str,
        arguments: Message,
        leash: &Leash,
        began: impl FnOnce(u32),
    ) -> Result<(T, usize), Outcome> {
        let child = leash.start(|| (self.start)(name, arguments))?;
        began(child.pid());
        match child.join() {
            Ok(Answer::Value(value)) => {
                let bytes = value.bytes.len();
                guarded(|| (self.decode)(value)).map(|value| (value, bytes))
            }
            Ok(Answer::Failed(reason)) => Err(Outcome::Failed(reason)),
            Ok(Answer::NotSerializable(reason)) => Err(Outcome::NotSerializable(reason)),
            Err(error) => Err(leash.outcome(of_join(error))),
        }
    }
}

fn of_join(error: JoinError) -> Outcome {
    match error {
        JoinError::Panicked { message, location } => Outcome::Panicked { message, location },
        JoinError::Exited(code) => Outcome::Exited(code),
        JoinError::Killed(signal) => Outcome::Killed(signal),
        other => Outcome::Failed(other.to_string()),
    }
}

/// By which the thread that runs the pipeline ends the process of an attempt.
#[derive(Default)]
pub(super) struct Leash {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Why the attempt is to end.
    ended: Option<Outcome>,
    child: Option<Arc<Child<Answer>>>,
}

impl Leash {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the process unless the attempt was ended before. The lock is held, so that none starts unseen.
    fn start(
        &self,
        start: impl FnOnce() -> Result<Child<Answer>, StartError>,
    ) -> Result<Arc<Child<Answer>>, Outcome> {
        let mut state = self.lock();
        match &state.ended {
            Some(Outcome::Cancelled) => {
                return Err(Outcome::NotStarted("another task had failed".to_owned()));
            }
            Some(reason) => return Err(reason.clone()),
            None => {}
        }
        let child = Arc::new(start().map_err(|error| Outcome::NotStarted(error.to_string()))?);
        state.child = Some(Arc::clone(&child));
        Ok(child)
    }

    /// Ends the attempt, with SIGTERM. The first reason stands.
    pub(super) fn terminate(&self, reason: Outcome) {
        let mut state = self.lock();
        state.ended.get_or_insert(reason);
        if let Some(child) = &state.child {
            // One that this process may not signal ends by itself.
            let _ = child.terminate();
        }
    }

    pub(super) fn kill(&self) {
        let mut state = self.lock();
        state.ended.get_or_insert(Outcome::Cancelled);
        if let Some(child) = &state.child {
            let _ = child.kill();
        }
    }

    /// What the attempt's end is called, since it may be this process that ended it.
    fn outcome(&self, by_itself: Outcome) -> Outcome {
        match (&self.lock().ended, &by_itself) {
            (Some(reason), Outcome::Exited(_) | Outcome::Killed(_)) => reason.clone(),
            _ => by_itself,
        }
    }
}
