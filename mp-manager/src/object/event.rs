//! An event.

use super::attempt::{Attempt, Caller, Object};
use crate::protocol::{Call, EventCall, Failure, Reply};

#[derive(Debug, Default)]
pub(crate) struct Event {
    is_set: bool,
}

impl Object for Event {
    fn attempt(&mut self, _: Caller, call: &mut Call) -> Attempt {
        let Call::Event(call) = call else { return Failure::WrongKind.into() };
        match call {
            EventCall::IsSet => return Reply::Flag(self.is_set).into(),
            EventCall::Set => self.is_set = true,
            EventCall::Clear => self.is_set = false,
            EventCall::Wait if self.is_set => {}
            EventCall::Wait => return Attempt::Wait,
        }
        Reply::Done.into()
    }
}
