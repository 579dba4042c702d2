//! Calling several functions in one child, each on its own account: a pool's tasks, a manager's updates.

use super::join_error::At;
use super::panics;
use crate::transfer::{Block, CallError, Calls, Code, Handle, Message, Resolved};
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
    let mut handles = arguments.handles;
    call_catching(&mut bytes, &mut handles, |bytes, handles| {
        callable.call_onto(&arguments.bytes, bytes, handles)
    })
    .map_err(|error| *error)?;
    Ok(Message { bytes, handles })
}

/// As [`call_caught`], for a function that is called many times: appends the packed result, or leaves the block that it
/// is. On an error the bytes of the result are as they were, and there are no handles.
#[doc(hidden)]
#[inline]
pub fn call_caught_onto(
    callable: &Resolved,
    arguments: &[u8],
    result: &mut Vec<u8>,
    handles: &mut Vec<Handle>,
    block: &mut Block,
) -> Result<(), Box<CaughtError>> {
    call_catching(result, handles, |result, handles| {
        callable.call_with_block(arguments, result, handles, block)
    })
}

/// As [`call_caught_onto`], for calls that follow each other: until there is no other one, or one has failed. That one
/// began, and did not end.
#[doc(hidden)]
#[inline]
pub fn call_many_caught(
    callable: &Resolved,
    calls: &mut dyn Calls<'_>,
    result: &mut Vec<u8>,
    handles: &mut Vec<Handle>,
) -> Result<(), Box<CaughtError>> {
    call_catching(result, handles, |result, handles| callable.call_many(calls, result, handles))
}

/// What each call begins with that follows another one: no panic from before it can be its own.
#[doc(hidden)]
#[inline]
pub fn begin_call() {
    panics::begin();
}

#[inline]
fn call_catching(
    result: &mut Vec<u8>,
    handles: &mut Vec<Handle>,
    call: impl FnOnce(&mut Vec<u8>, &mut Vec<Handle>) -> Result<(), Box<CallError>>,
) -> Result<(), Box<CaughtError>> {
    let before = result.len();
    let error = match caught(|| call(result, handles)) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => CaughtError::Call(*error),
        Err(panic) => panic,
    };
    result.truncate(before);
    handles.clear();
    Err(Box::new(error))
}

/// Does it, and catches its panic. Whether what it was changing can still be used is the caller's concern.
#[doc(hidden)]
#[inline]
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, CaughtError> {
    panics::begin();
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let (message, location) = panics::explain(payload);
        CaughtError::Panicked { message, location }
    })
}
