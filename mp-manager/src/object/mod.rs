//! What the server keeps. Every call on an object is one step under its lock.

mod dict;
mod list;
mod lock;

pub(crate) use dict::Dict;
pub(crate) use list::List;
pub(crate) use lock::Lock;

use crate::protocol::Failure;
use mp_core::process::{CaughtError, call_caught};
use mp_core::transfer::{Code, Message};

/// Calls a user's function with packed arguments. If it panics, nothing was changed.
fn apply(code: &Code, arguments: Message) -> Result<Message, Failure> {
    call_caught(code, arguments).map_err(|error| match error {
        CaughtError::Panicked { message, location } => Failure::Panicked { message, location },
        CaughtError::Call(error) => Failure::Codec(error.to_string()),
    })
}
