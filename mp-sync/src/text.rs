//! Texts in arrays of bytes: `value` of Python's arrays of `c`.
//!
//! ```text
//!  set_value(b"abc"):   a b c 0 x y z      the zero ends it, and the bytes behind it stay
//! ```
//!
//! # When a process dies
//! In the middle of a change of an [`Array`]: the next holder of the lock gets `OwnerDied`. Of a
//! [`RawArray`]: the text is a mixture of the old and the new one.

use crate::array::{Array, RawArray};
use mp_core::OutOfRangeError;

impl Array<u8> {
    /// The bytes before the first zero, or all if there is none.
    ///
    /// ```
    /// let text = mp_sync::Array::from_slice(b"hello world")?;
    /// text.set_value(b"bye").unwrap();
    /// assert_eq!(text.value(), b"bye");
    /// assert_eq!(text.to_vec(), b"bye\0o world"); // Python: text.raw
    /// # Ok::<(), mp_core::MemError>(())
    /// ```
    ///
    /// Python: `Array('c', ...).value`.
    pub fn value(&self) -> Vec<u8> {
        self.update(|bytes| until_zero(bytes).to_vec())
    }

    /// Writes a text at the beginning, and a zero behind it unless it fills the array.
    ///
    /// Python: `Array('c', ...).value = text`.
    ///
    /// # Errors
    /// [`OutOfRangeError`] if the text is longer than the array; nothing was changed.
    pub fn set_value(&self, text: &[u8]) -> Result<(), OutOfRangeError> {
        self.write(0, &with_zero(text, self.len()))
    }
}

impl RawArray<u8> {
    /// The bytes before the first zero, or all if there is none. Python: `RawArray('c', ...).value`.
    pub fn value(&self) -> Vec<u8> {
        until_zero(&self.to_vec()).to_vec()
    }

    /// Writes a text at the beginning, and a zero behind it unless it fills the array.
    ///
    /// Python: `RawArray('c', ...).value = text`.
    ///
    /// # Errors
    /// [`OutOfRangeError`] if the text is longer than the array; nothing was changed.
    pub fn set_value(&self, text: &[u8]) -> Result<(), OutOfRangeError> {
        self.write(0, &with_zero(text, self.len()))
    }
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The bytes to write, in one step, into an array of `len`.
fn with_zero(text: &[u8], len: usize) -> Vec<u8> {
    let end = if text.len() < len { &[0][..] } else { &[] };
    [text, end].concat()
}
