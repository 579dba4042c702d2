//! One error for a program that only wants to end well: what any call of the family says, as text.

use std::error::Error as StdError;
use std::fmt;

/// Any error, as its words. Made by `?` from every error of the family and of the standard library.
///
/// Each call has a typed error of its own; this is for the program that passes it on.
pub struct Error {
    message: String,
}

/// What `main` returns.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with words of one's own.
    pub fn new(message: impl fmt::Display) -> Error {
        Error { message: message.to_string() }
    }
}

/// Errors may borrow (a guard in `OwnerDied`, a value in `PutError`), so they are turned into words at once.
impl<E: StdError> From<E> for Error {
    fn from(error: E) -> Error {
        Error::new(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// As it is printed when `main` returns it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
