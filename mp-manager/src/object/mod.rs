//! What the server keeps. Every call on an object is one step under its lock.

mod dict;
mod list;
mod lock;

pub(crate) use dict::Dict;
pub(crate) use list::List;
pub(crate) use lock::Lock;

use crate::protocol::Failure;
use mp_core::process::take_panic;
use mp_core::transfer::{Code, Message};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls a user's function with packed arguments. If it panics, nothing was changed.
fn apply(code: &Code, arguments: Message) -> Result<Message, Failure> {
    let Message { bytes, handles } = arguments;
    match catch_unwind(AssertUnwindSafe(|| code.call(&bytes, handles))) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::Codec(error.to_string())),
        Err(payload) => {
            // A payload whose drop panics would end the client's thread: it is left alone.
            std::mem::forget(payload);
            let (message, location) = take_panic().unwrap_or_default();
            Err(Failure::Panicked { message, location })
        }
    }
}
