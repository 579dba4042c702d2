//! Texts in arrays of bytes: what Python's arrays of `c` have besides.
//!
//! ```text
//!  set_value(b"abc"):   a b c 0 x y z      the zero is its end, and what lies behind is left as it was
//! ```
//!
//! # When a process dies
//! In the middle of a change, in an [`Array`]: the next holder of the lock is told. In a [`RawArray`]: it is some
//! of the old and some of the new text.

use crate::array::{Array, RawArray};
use crate::error::OutOfRange;

impl Array<u8> {
    /// The bytes before the first zero; all of them, if there is none.
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

    /// Puts a text at the beginning, and a zero behind it unless it fills the array.
    ///
    /// Python: `Array('c', ...).value = text`.
    ///
    /// # Errors
    /// [`OutOfRange`]: the text is longer than the array; nothing was changed.
    pub fn set_value(&self, text: &[u8]) -> Result<(), OutOfRange> {
        self.write(0, &with_zero(text, self.len()))
    }
}

impl RawArray<u8> {
    /// The bytes before the first zero; all of them, if there is none. Python: `RawArray('c', ...).value`.
    pub fn value(&self) -> Vec<u8> {
        until_zero(&self.to_vec()).to_vec()
    }

    /// Puts a text at the beginning, and a zero behind it unless it fills the array.
    ///
    /// Python: `RawArray('c', ...).value = text`.
    ///
    /// # Errors
    /// [`OutOfRange`]: the text is longer than the array; nothing was changed.
    pub fn set_value(&self, text: &[u8]) -> Result<(), OutOfRange> {
        self.write(0, &with_zero(text, self.len()))
    }
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// What is to be written, as one step, into an array of `len`.
fn with_zero(text: &[u8], len: usize) -> Vec<u8> {
    let end = if text.len() < len { &[0][..] } else { &[] };
    [text, end].concat()
}
