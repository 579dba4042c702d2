//! What a worker does: one chunk after the other, from the board and back.
//!
//! Before it begins an item it says so on the board. So the pool knows, however the worker ends, which one item that end
//! is attributed to: the one begun and not done.

use crate::board::{Chunk, Life};
use crate::error::Failure;
use crate::line::{Fetched, Line, Said};
use crate::memory::Memory;
use crate::record::{HEAD, code_of, put_failure, put_value_head, take_code, take_item};
use mp_core::process::{At, CaughtError, call_caught, call_caught_onto};
use mp_core::sys::signal;
use mp_core::sys::socket::{Mode, is_want_of_descriptors};
use mp_core::transfer::{Code, Handle, Message, ParcelError, Part, Resolved};
use serde::{Deserialize, Serialize};

/// What a worker is given.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Bootstrap {
    pub(crate) index: u32,
    pub(crate) memory: Memory,
    pub(crate) line: Line,
    pub(crate) initializer: Option<(Code, Message)>,
    /// The worker ends after about this many items (it finishes its chunk), and is replaced.
    pub(crate) most_tasks: Option<u32>,
}

/// The worker's whole life.
pub(crate) fn work(bootstrap: Bootstrap) {
    let Bootstrap { index, memory, line, initializer, most_tasks } = bootstrap;
    // Ctrl-C reaches the whole foreground group; what becomes of the pool is for its owner to say.
    signal::ignore_interrupts();
    if let Some((code, arguments)) = initializer
        && let Err(error) = call_caught(&code, arguments)
    {
        let reason = match failure(error) {
            Failure::Panicked { message, location } => {
                format!("the initializer panicked{}: {message}", At(&location))
            }
            Failure::Failed(reason) => format!("the initializer could not be called: {reason}"),
        };
        let _ = line.send(&Said::NotReady { reason }, Part::EMPTY);
        return;
    }
    memory.board.live(index, Life::Ready);
    let mut worker = Worker {
        index,
        memory,
        line,
        left: most_tasks.map_or(u64::MAX, u64::from),
        worked: false,
        messages: 0,
        code: (Vec::new(), None),
        arguments: Vec::new(),
        value: Vec::new(),
        record: Vec::new(),
    };
    while worker.left > 0
        && let Some(slot) = worker.memory.board.next(index)
        && worker.run(slot)
    {}
}

fn failure(error: CaughtError) -> Failure {
    match error {
        CaughtError::Panicked { message, location } => Failure::Panicked { message, location },
        CaughtError::Call(error) => Failure::Failed(error.to_string()),
    }
}

struct Worker {
    index: u32,
    memory: Memory,
    line: Line,
    /// Items until it ends.
    left: u64,
    /// It has begun an item.
    worked: bool,
    /// Messages with results that it has sent so far.
    messages: u32,
    /// The last code, packed, and the function that it names.
    code: (Vec<u8>, Option<Resolved>),
    // Buffers, kept from chunk to chunk.
    arguments: Vec<u8>,
    value: Vec<u8>,
    record: Vec<u8>,
}

/// A value up to this length is copied once more, to be written at once.
const SHORT: usize = 256;

/// What came of an item: the length of its value, which is in the buffer, and the value's handles.
type Done = Result<Vec<Handle>, Failure>;

impl Worker {
    /// Does a chunk; `false`: this process is to end.
    fn run(&mut self, slot: u32) -> bool {
        let chunk = self.memory.board.chunk(slot);
        let mut buffer = std::mem::take(&mut self.arguments);
        buffer.clear();
        self.memory.bytes.read_onto(chunk.place as usize, chunk.length as usize, &mut buffer);
        let goes_on = self.run_items(slot, chunk, &buffer);
        self.arguments = kept(buffer);
        self.value = kept(std::mem::take(&mut self.value));
        // Given up by the caller, it takes nothing more: it is about to be killed, or cannot be, and ends here.
        if !self.memory.board.done(slot, self.index) {
            return false;
        }
        self.memory.board.push_finished(slot);
        self.memory.board.tell_caller();
        goes_on
    }

    fn run_items(&mut self, slot: u32, chunk: Chunk, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        let function = self.function(take_code(&mut rest).unwrap_or_default());
        let results = chunk.place as usize + crate::arena::whole(chunk.length as usize);
        let mut written = 0;
        for done in 0..chunk.items {
            let (arguments, goes_on) = if chunk.by_message {
                match self.fetch(slot) {
                    Ok(message) => (Ok(message), true),
                    // What is left of it in the line would be taken for the next answer.
                    Err(reason) => (Err(Failure::Failed(reason)), false),
                }
            } else {
                (Ok(Message::default()), true)
            };
            if !self.worked {
                self.memory.board.live(self.index, Life::Working);
                self.worked = true;
            }
            self.memory.board.begin(slot, done);
            self.left = self.left.saturating_sub(1);
            let outcome = match (&function, arguments) {
                (Err(reason), _) => Err(Failure::Failed(reason.clone())),
                (_, Err(failure)) => Err(failure),
                (Ok(function), Ok(message)) => {
                    let inline = if chunk.by_message {
                        &message.bytes[..]
                    } else {
                        take_item(&mut rest).unwrap_or_default()
                    };
                    self.value.clear();
                    call_caught_onto(function, inline, message.handles, &mut self.value).map_err(failure)
                }
            };
            let message = self.write(outcome, results, chunk.room as usize, &mut written);
            self.memory.board.end(slot, done + 1, written as u32, message);
            if message != 0 || !goes_on {
                // There was no room for this one: the rest goes back, and is given more.
                return goes_on;
            }
        }
        true
    }

    /// Writes what came of an item behind the others. Gives the number of the message that it was sent as instead, if
    /// it did not fit; else 0.
    fn write(&mut self, outcome: Done, results: usize, room: usize, written: &mut usize) -> u32 {
        self.record.clear();
        let value = match &outcome {
            Ok(handles) if handles.is_empty() && self.value.len() + HEAD <= room - *written => {
                put_value_head(self.value.len(), &mut self.record);
                self.value.as_slice()
            }
            Ok(handles) => {
                let sent = self.send_value(None, &self.value, handles);
                return self.sent_or_failed(sent);
            }
            Err(failure) => {
                put_failure(failure, &mut self.record);
                &[]
            }
        };
        if self.record.len() + value.len() > room - *written {
            let sent = self.send_value(outcome.err(), &[], &[]);
            return self.sent_or_failed(sent);
        }
        let at = results + *written;
        *written += self.record.len() + value.len();
        if value.len() <= SHORT {
            self.record.extend_from_slice(value);
            self.memory.bytes.write(at, &self.record);
        } else {
            self.memory.bytes.write(at, &self.record);
            self.memory.bytes.write(at + self.record.len(), value);
        }
        0
    }

    fn send_value(
        &self,
        failure: Option<Failure>,
        bytes: &[u8],
        handles: &[Handle],
    ) -> Result<(), ParcelError> {
        let said = Said::Value { failure };
        self.line.send(&said, Part { bytes, handles })
    }

    fn sent_or_failed(&mut self, sent: Result<(), ParcelError>) -> u32 {
        if let Err(error) = sent {
            let failure = Failure::Failed(format!("result: {error}"));
            // If that cannot be sent either, the pool is gone, and so is this process soon.
            let _ = self.send_value(Some(failure), &[], &[]);
        }
        self.messages += 1;
        self.messages
    }

    /// The arguments of a slot that do not go through shared memory.
    fn fetch(&self, slot: u32) -> Result<Message, String> {
        let cannot = |error: ParcelError| match error {
            ParcelError::Os(error) if is_want_of_descriptors(&error) => {
                format!("the handles of its arguments cannot be opened in the worker: {error}")
            }
            error => format!("its arguments could not be received: {error}"),
        };
        self.line.send(&Said::Fetch { slot }, Part::EMPTY).map_err(cannot)?;
        match self.line.receive(Mode::Block).map_err(cannot)? {
            (Fetched::Arguments, message) => Ok(message),
            (Fetched::Failed(reason), _) => Err(format!("its arguments could not be sent: {reason}")),
        }
    }

    /// The function that packed code names: most often the one of the chunk before.
    fn function(&mut self, packed: &[u8]) -> Result<Resolved, String> {
        if let (last, Some(function)) = &self.code
            && last == packed
        {
            return Ok(*function);
        }
        let code = code_of(packed).map_err(|error| error.to_string())?;
        let function = code.resolve().map_err(|error| error.to_string())?;
        self.code = (packed.to_vec(), Some(function));
        Ok(function)
    }
}

/// A buffer to use again, if it is not so long that the system had better have it back.
fn kept(buffer: Vec<u8>) -> Vec<u8> {
    const MOST_KEPT: usize = 4 << 20;
    if buffer.capacity() <= MOST_KEPT { buffer } else { Vec::new() }
}
