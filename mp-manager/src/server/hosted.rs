//! Hosted: a value of a user's type in the server, and which of its methods may run beside each other.
//!
//! | runs            | a `&self` call | a `&mut self` call |
//! |-----------------|----------------|--------------------|
//! | nothing         | begins         | begins             |
//! | `&self` calls   | begins         | waits              |
//! | a `&mut self` call | waits       | waits              |

use crate::protocol::{Call, Failure};
use mp_core::process::{CaughtError, call_caught, caught};
use mp_core::transfer::{Code, Message};
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// A value of a user's type, called by the number of a method.
pub(crate) trait Hosted: Send + Sync {
    /// Whether it is in a process of its own.
    fn is_supervised(&self) -> bool {
        false
    }

    /// Calls a method: an exclusive one when no other is called.
    fn call(&self, method: u32, exclusive: bool, arguments: Message) -> Result<Message, Failure>;
}

thread_local! {
    /// What a constructor has made, on its way from the function to the thread that called it.
    static BUILT: RefCell<Option<Box<dyn Hosted>>> = const { RefCell::new(None) };
}

/// Leaves what a constructor has made for the thread that called it.
pub(crate) fn stash(made: Box<dyn Hosted>) {
    BUILT.set(Some(made));
}

/// Calls a constructor, here.
pub(super) fn construct(code: &Code, arguments: Message) -> Result<Box<dyn Hosted>, Failure> {
    call_caught(code, arguments).map_err(failure)?;
    BUILT.take().ok_or_else(|| Failure::Codec("the function is no constructor of an object".to_owned()))
}

/// Calls a method, and catches its panic.
pub(super) fn guarded(call: impl FnOnce() -> Result<Message, Failure>) -> Result<Message, Failure> {
    caught(call).map_err(failure)?
}

pub(super) fn failure(error: CaughtError) -> Failure {
    match error {
        CaughtError::Panicked { message, location } => Failure::Panicked { message, location },
        CaughtError::Call(error) => Failure::Codec(error.to_string()),
    }
}

/// The object, and what runs on it.
pub(super) struct Custom {
    value: Arc<dyn Hosted>,
    shared: u64,
    is_alone: bool,
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Custom").field("shared", &self.shared).field("is_alone", &self.is_alone).finish()
    }
}

impl Custom {
    pub(super) fn new(value: Box<dyn Hosted>) -> Custom {
        Custom { value: value.into(), shared: 0, is_alone: false }
    }

    /// Whether this call may begin now.
    pub(super) fn may(&self, call: &Call) -> bool {
        let wants_alone = matches!(call, Call::Custom { exclusive, .. } if self.wants_alone(*exclusive));
        !self.is_alone && (self.shared == 0 || !wants_alone)
    }

    /// The calls of a supervised object come one after the other.
    fn wants_alone(&self, exclusive: bool) -> bool {
        exclusive || self.value.is_supervised()
    }

    /// A call begins: the value, and whether it runs alone.
    pub(super) fn begin(&mut self, exclusive: bool) -> (Arc<dyn Hosted>, bool) {
        let alone = self.wants_alone(exclusive);
        if alone {
            self.is_alone = true;
        } else {
            self.shared += 1;
        }
        (Arc::clone(&self.value), alone)
    }

    /// A call has ended.
    pub(super) fn leave(&mut self, alone: bool) {
        if alone {
            self.is_alone = false;
        } else {
            self.shared -= 1;
        }
    }
}
