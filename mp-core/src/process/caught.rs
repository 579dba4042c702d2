//! Calling several functions in one child, each on its own account: a pool's tasks, a manager's updates.

use super::panics::{self, At};
use crate::transfer::{CallError, Code, Message};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a call gave no value. The process goes on.
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
    let Message { bytes, handles } = arguments;
    panics::begin();
    match catch_unwind(AssertUnwindSafe(|| code.call(&bytes, handles))) {
        Ok(result) => Ok(result?),
        Err(payload) => {
            let (message, location) = panics::explain(payload);
            Err(CaughtError::Panicked { message, location })
        }
    }
}
