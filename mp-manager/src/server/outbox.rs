//! The replies that a client has not taken yet.
//!
//! | a reply                                        | may be awaited, so that the next requests wait        |
//! |------------------------------------------------|-------------------------------------------------------|
//! | is to be sent, or is sent in part              | yes                                                   |
//! | of a call that was given up, is to be sent     | it is taken out; one with handles is sent all the same |
//! | of a call that was given up, is sent in part   | no: the rest of it goes once the client reads         |
//! | says that a call is undone, or gives a slot    | no                                                    |

use super::clients::Stream;
use crate::protocol::{Failure, Reply};
use mp_pipe::SendError;
use std::collections::VecDeque;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    whole: VecDeque<Unsent>,
    /// A part of a reply has been sent.
    part: Option<Part>,
}

#[derive(Debug)]
struct Unsent {
    message: (u64, Reply),
    is_awaited: bool,
    /// It stands for one that could not be sent, and says why.
    is_substitute: bool,
}

#[derive(Debug)]
struct Part {
    serial: u64,
    is_awaited: bool,
}

/// The client can be sent nothing any more.
#[derive(Debug)]
pub(super) struct Deaf;

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.part.is_none() && self.whole.is_empty()
    }

    /// Whether a thread of the client may wait for one of them: it reads then, and so it takes them all.
    pub(super) fn is_awaited(&self) -> bool {
        self.part.as_ref().is_some_and(|part| part.is_awaited)
            || self.whole.iter().any(|unsent| unsent.is_awaited)
    }

    pub(super) fn push(&mut self, serial: u64, reply: Reply) {
        let is_awaited = !matches!(reply, Reply::GivenUp | Reply::Slot { .. });
        self.whole.push_back(Unsent { message: (serial, reply), is_awaited, is_substitute: false });
    }

    pub(super) fn pop_last(&mut self) -> Option<Reply> {
        self.whole.pop_back().map(|Unsent { message: (_, reply), .. }| reply)
    }

    /// The client does not wait for the reply of this serial. Gives it back if none of it was sent.
    pub(super) fn give_up(&mut self, serial: u64) -> Option<Reply> {
        if let Some(part) = self.part.as_mut().filter(|part| part.serial == serial) {
            part.is_awaited = false;
        }
        for unsent in self.whole.iter_mut().filter(|unsent| unsent.message.0 == serial) {
            unsent.is_awaited = false;
        }
        // The client was told that handles come, and reads the reply as the one that has them.
        let is_droppable = |Unsent { message: (other, reply), .. }: &Unsent| {
            *other == serial
                && !reply.has_handles()
                && !matches!(reply, Reply::HandlesFollow | Reply::Slot { .. })
        };
        let at = self.whole.iter().position(is_droppable)?;
        self.whole.remove(at).map(|Unsent { message: (_, reply), .. }| reply)
    }

    /// Sends what it can.
    pub(super) fn flush(&mut self, stream: &Stream) -> Result<(), Deaf> {
        if self.part.is_some() {
            match stream.try_flush() {
                Ok(()) => self.part = None,
                Err(SendError::Full) => return Ok(()),
                Err(_) => return Err(Deaf),
            }
        }
        while let Some(Unsent { message, is_awaited, is_substitute }) = self.whole.front_mut() {
            match stream.try_send(message) {
                Ok(()) => drop(self.whole.pop_front()),
                Err(SendError::Full) => return Ok(()),
                Err(SendError::Partial) => {
                    self.part = Some(Part { serial: message.0, is_awaited: *is_awaited });
                    self.whole.pop_front();
                    return Ok(());
                }
                Err(SendError::Closed(_) | SendError::Torn) => return Err(Deaf),
                // Not even that: a filter on system calls, or no memory for any message.
                Err(_) if *is_substitute => return Err(Deaf),
                Err(other) => {
                    message.1 = Reply::Failed(Failure::Codec(other.to_string()));
                    *is_substitute = true;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp_pipe::Connection;

    /// It would be tried again and again, and the server would serve nobody else.
    #[test]
    fn a_client_to_which_nothing_can_be_sent_is_given_up() {
        let nowhere = std::fs::File::open("/dev/null").unwrap();
        let stream: Stream = Connection::from_fd(nowhere.into());
        let mut outbox = Outbox::default();
        outbox.push(1, Reply::Done);
        assert!(matches!(outbox.flush(&stream), Err(Deaf)));
    }
}
