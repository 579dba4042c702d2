//! The value of a result, decoded in the caller, or why there is none.

use crate::error::TaskError;
use crate::record::Outcome;
use mp_core::CodecError;
use mp_core::transfer::{Handle, unpack, unpack_with};
use serde::de::DeserializeOwned;

#[inline]
pub(crate) fn value_of<R: DeserializeOwned>(
    outcome: Option<Outcome<'_>>,
    worker: &str,
) -> Result<R, TaskError> {
    match outcome {
        Some(Outcome::Value(bytes)) => decoded_short(bytes),
        Some(Outcome::Failure(failure)) => Err(failure.in_worker(worker)),
        None => Err(TaskError::Value("what its worker wrote is damaged".to_owned())),
    }
}

#[inline]
pub(crate) fn decoded<R: DeserializeOwned>(bytes: &[u8], handles: Vec<Handle>) -> Result<R, TaskError> {
    unpack(bytes, handles).map_err(|error| not_decoded(&error))
}

/// A value without handles.
#[inline(always)]
pub(crate) fn decoded_short<R: DeserializeOwned>(bytes: &[u8]) -> Result<R, TaskError> {
    match unpack_with(bytes, &mut Vec::new()) {
        Ok(value) => Ok(value),
        Err(error) => Err(not_decoded(&error)),
    }
}

#[cold]
fn not_decoded(error: &CodecError) -> TaskError {
    TaskError::Value(error.to_string())
}
