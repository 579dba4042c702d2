//! Calling several functions in one child, each on its own account: a pool's tasks, a manager's updates.

use super::panics::{self, At};
use crate::transfer::{CallError, Code, Handle, Message, Resolved};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a call gave no value. The process goes on.
#[doc(hidden)]
#[derive(Debug, thiserror::Error)]
pub enum CaughtError {
    /// The function panicked.
    #[error("panicked{}: {message}", At(location))]
    Panicked {
        /// What the panic said.
        message: String,
        /// `file:line:column`; empty if the panic was not one of this call, or went through a hook of the program's
        /// alone.
        location: String,
    },
    /// It could not be called, or its value could not be encoded.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Calls a function with packed arguments, in a child of this library, and catches its panic.
#[doc(hidden)]
pub fn call_caught(code: &Code, arguments: Message) -> Result<Message, CaughtError> {
    let mut bytes = Vec::new();
    let callable = code.resolve().map_err(CaughtError::Call)?;
    let handles = call_caught_onto(&callable, &arguments.bytes, arguments.handles, &mut bytes)?;
    Ok(Message { bytes, handles })
}

/// As [`call_caught`], for a function that is called many times: appends the packed result to `result`, and gives its
/// handles. On an error `result` is as it was.
#[doc(hidden)]
#[inline]
pub fn call_caught_onto(
    callable: &Resolved,
    arguments: &[u8],
    handles: Vec<Handle>,
    result: &mut Vec<u8>,
) -> Result<Vec<Handle>, CaughtError> {
    let before = result.len();
    panics::begin();
    let error = match catch_unwind(AssertUnwindSafe(|| callable.call_onto(arguments, handles, result))) {
        Ok(Ok(handles)) => return Ok(handles),
        Ok(Err(error)) => error.into(),
        Err(payload) => {
            let (message, location) = panics::explain(payload);
            CaughtError::Panicked { message, location }
        }
    };
    result.truncate(before);
    Err(error)
}
