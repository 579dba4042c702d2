//! A stream: the input of a call is read as its results are taken, a bounded number of items ahead.
//!
//! ```text
//!   input ──read──► submitted, not done ──► done, held ──next──► program
//!                   └──────── at most a window ──────┘
//! ```
//!
//! | next is called, and                        | the stream                                                    |
//! |--------------------------------------------|---------------------------------------------------------------|
//! | a result is held                           | reads a run first, if less than half of what it may is not done |
//! | none is, and it may read                   | reads a run, submits it, and looks again                      |
//! | none is, and it may not                    | waits for a result, or for room on the board                  |
//!
//! A run is one chunk: the next read may block, and what was read is to begin before that. It is longer where the input
//! promises more items (`size_hint`) and gave the last ones quickly, since a lock and a wake for each item would cost
//! more than a short task. A full board ends the reading until there is room, so the arguments of an endless input take
//! no more memory than the arena has.

use crate::buffer::{Lending, decoding};
use crate::call::{Call, MOST_BYTES, POSITIONS, Packed};
use crate::dispatch::{Dispatch, TurnOf, Yielded};
use crate::error::{SubmitError, TaskError};
use crate::input::Input;
use crate::job::{Piece, Settled, decoded, decoded_short, value_of};
use crate::record::take_outcome;
use crate::window::Window;
use mp_core::word::Deadline;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Chunks of the longest run.
const LONGEST_RUN: u64 = 256;
/// An input that gives items faster than this, on average, is quick.
const QUICK: Duration = Duration::from_micros(1);
/// The window is filled up by such a part of it, not by each item that leaves it.
const REFILL: u64 = 4;
/// So many times in a window of results that are held, the board is looked at: workers are to have work meanwhile.
const LOOKS: u64 = 16;

/// In which order results are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    OfInput,
    OfCompletion,
}

/// Results side by side that have come.
struct Held {
    /// Position of the first one, its low bits.
    first: u32,
    items: u32,
    outcome: Settled,
    /// What they may name.
    lending: Option<Arc<Lending>>,
    /// Where the next record begins.
    at: usize,
}

impl Held {
    fn of(piece: Piece) -> Held {
        let (outcome, lending) = match piece.outcome {
            Settled::Lending(settled, lending) => (*settled, Some(lending)),
            settled => (settled, None),
        };
        Held { first: piece.first, items: piece.items, outcome, lending, at: 0 }
    }

    /// Takes the first result.
    fn take<R: DeserializeOwned>(&mut self) -> Result<R, TaskError> {
        self.items -= 1;
        self.first = self.first.wrapping_add(1);
        match self.lending.clone() {
            Some(lending) => decoding(&lending, || self.value()),
            None => self.value(),
        }
    }

    fn value<R: DeserializeOwned>(&mut self) -> Result<R, TaskError> {
        match &mut self.outcome {
            Settled::Short(value) => decoded_short(value.as_slice()),
            Settled::Lent(lent) => lent.value(),
            Settled::Records(bytes, worker) => {
                let mut rest = bytes.get(self.at..).unwrap_or_default();
                let value = value_of(take_outcome(&mut rest), worker);
                self.at = bytes.len() - rest.len();
                value
            }
            Settled::Value(message) => decoded(&message.bytes, std::mem::take(&mut message.handles)),
            Settled::Failed(error) => Err(error.clone()),
            // No end: taken by `next_piece`.
            Settled::Yielded(_) | Settled::Lending(..) => Err(TaskError::Terminated),
        }
    }
}

/// What is next of tasks that yield.
pub(crate) enum Next<R> {
    /// Nothing before the deadline.
    Late,
    /// A value.
    Yielded { item: u64, yielded: Box<Yielded> },
    /// The end of an item.
    Ended { item: u64, outcome: Result<R, TaskError> },
}

pub(crate) struct Stream<I> {
    call: Call,
    input: Input<I>,
    order: Order,
    chunk: usize,
    window: Window,
    /// Items whose results were given.
    given: u64,
    /// Items whose results are held.
    held_items: u64,
    /// The results that are given next.
    current: Option<Held>,
    /// The others, by position in the input, or as they came.
    held: BTreeMap<u64, Held>,
    came: u64,
    /// Chunks of the next run.
    run: u64,
}

impl<I: Iterator<Item: Serialize + DeserializeOwned>> Stream<I> {
    pub(crate) fn new(
        call: Call,
        input: I,
        order: Order,
        (chunk, window): (usize, Window),
        workers: usize,
    ) -> Stream<I> {
        if let Some(work) = call.job.work() {
            work.know_length(input.size_hint());
        }
        let look_ahead = window.size() as usize;
        let mut stream = Stream {
            call,
            input: Input::new(input),
            order,
            chunk,
            window,
            given: 0,
            held_items: 0,
            current: None,
            held: BTreeMap::new(),
            came: 0,
            run: 1,
        };
        // The workers begin before the first result is asked for.
        let mut chunks = stream.input.chunks_at_once(look_ahead, workers) as u64;
        while chunks > 0 && stream.may_read() && !stream.call.full {
            stream.run = stream.run.min(chunks);
            chunks -= stream.run;
            stream.read_run();
        }
        stream
    }

    /// The next result; `None`: there is none any more. `late` at the deadline.
    ///
    /// # Panics
    /// The input's own panic, once the results before it were given.
    pub(crate) fn next<R: DeserializeOwned>(
        &mut self,
        until: Option<Deadline>,
        late: TaskError,
    ) -> Option<Result<R, TaskError>> {
        match self.ready(until)? {
            Ok(true) => Some(self.take()),
            Ok(false) => Some(Err(late)),
            Err(refused) => Some(Err(refused)),
        }
    }

    /// What is next of tasks that yield; `None`: there is nothing any more.
    ///
    /// # Panics
    /// As [`next`](Stream::next).
    pub(crate) fn next_piece<R: DeserializeOwned>(&mut self, until: Option<Deadline>) -> Option<Next<R>> {
        match self.ready(until)? {
            Ok(false) => return Some(Next::Late),
            Err(refused) => return Some(Next::Ended { item: self.call.submitted, outcome: Err(refused) }),
            Ok(true) => {}
        }
        let item = position_before(self.call.submitted, self.current.as_ref()?.first);
        let is_value = |held: &mut Held| matches!(held.outcome, Settled::Yielded(_));
        if let Some(Held { outcome: Settled::Yielded(yielded), .. }) = self.current.take_if(is_value) {
            return Some(Next::Yielded { item, yielded });
        }
        Some(Next::Ended { item, outcome: self.take() })
    }

    /// Waits until there is a result to take; `false`: until the deadline. `None`: there is none any more. An error is
    /// the last one.
    fn ready(&mut self, until: Option<Deadline>) -> Option<Result<bool, TaskError>> {
        if let Err(error) = self.call.shared.check_process() {
            if !std::mem::replace(&mut self.call.complete, true) {
                self.input.refuse(error);
            }
            return self.input.ended();
        }
        loop {
            // The input may be slow, and results come meanwhile.
            if !self.is_next_held() || self.given.is_multiple_of(self.window.size().div_ceil(LOOKS)) {
                self.look();
            }
            let is_held = self.is_next_held();
            let ahead = self.outstanding() - self.held_items;
            if self.may_read() && !self.call.full && (!is_held || ahead < self.window.size().div_ceil(2)) {
                self.read_run();
            } else if !is_held && self.outstanding() == 0 && self.input.has_ended() {
                self.call.complete = true;
                return self.input.ended();
            } else if !is_held && !self.wait(until) {
                return Some(Ok(false));
            }
            if is_held {
                return Some(Ok(true));
            }
        }
    }

    /// Items that were read, and whose results were not given.
    fn outstanding(&self) -> u64 {
        self.call.submitted - self.given
    }

    fn may_read(&self) -> bool {
        let room = self.window.size().saturating_sub(self.outstanding());
        !self.input.has_ended() && (room >= self.window.size().div_ceil(REFILL) || self.outstanding() == 0)
    }

    /// Takes what has come.
    fn hold(&mut self) {
        for piece in self.call.job.take_pieces() {
            let key = match self.order {
                Order::OfInput => position(self.given, piece.first),
                Order::OfCompletion => self.came,
            };
            self.held_items += u64::from(piece.items);
            self.insert(key, Held::of(piece));
        }
    }

    fn insert(&mut self, key: u64, held: Held) {
        self.came += 1;
        self.held.insert(key, held);
    }

    fn is_next_held(&mut self) -> bool {
        let is_next = |at: u64| self.order == Order::OfCompletion || at == self.given;
        if self.current.is_none() && self.held.first_key_value().is_some_and(|(at, _)| is_next(*at)) {
            self.current = self.held.pop_first().map(|(_, held)| held);
        }
        self.current.is_some()
    }

    fn take<R: DeserializeOwned>(&mut self) -> Result<R, TaskError> {
        // It was looked at just before.
        let Some(held) = &mut self.current else { return Err(TaskError::Terminated) };
        self.given += 1;
        self.window.gave();
        self.held_items -= 1;
        let value = held.take();
        if held.items == 0 {
            self.current = None;
        }
        value
    }

    /// Takes what is finished, without waiting.
    fn look(&mut self) {
        if self.call.shared.board.has_finished() {
            let mut dispatch = self.call.shared.dispatch();
            dispatch.collect();
            self.call.shared.tell(&mut dispatch);
            self.call.full = dispatch.is_full_for(&self.call.job);
        }
        self.hold();
    }

    /// Waits for a result, or for room if more is to be read; `false`: until the deadline.
    fn wait(&mut self, until: Option<Deadline>) -> bool {
        let reads = self.may_read();
        let Call { shared, job, .. } = &self.call;
        let is_so = |dispatch: &Dispatch| job.has_pieces() || reads && !dispatch.is_full_for(job);
        let Some(dispatch) = shared.wait_until(Some(job), until, is_so) else { return false };
        let full = dispatch.is_full_for(&self.call.job);
        drop(dispatch);
        self.call.full = full;
        true
    }

    /// Reads a run of the input, and submits it.
    fn read_run(&mut self) {
        let (began, before) = (Instant::now(), self.call.submitted);
        let submitted = self.read_items(self.run.min(self.input.promised() / self.chunk as u64).max(1));
        if let Err(error) = submitted {
            self.input.refuse(error);
        }
        if self.input.has_ended()
            && let Some(work) = self.call.job.work()
        {
            work.end_input();
        }
        let items = u32::try_from(self.call.submitted - before).unwrap_or(u32::MAX);
        let is_quick = began.elapsed() < QUICK * items;
        self.run = if is_quick { (2 * self.run).min(LONGEST_RUN) } else { 1 };
    }

    fn read_items(&mut self, chunks: u64) -> Result<(), SubmitError> {
        let mut packed = Packed::default();
        let most = (chunks.saturating_mul(self.chunk as u64))
            .min(self.window.size().saturating_sub(self.outstanding()).max(1))
            // No chunk lies across the end of the positions.
            .min(POSITIONS + 1 - (self.call.submitted & POSITIONS));
        let mut handles = Vec::new();
        for _ in 0..most {
            let before = packed.bytes.len();
            let number = self.call.number_of(packed.items);
            let shared = &self.call.shared;
            let put = |item| shared.put(number, &(item,), &mut packed.bytes, &mut handles);
            let Some(put) = self.input.read(put) else {
                packed.bytes.truncate(before);
                break;
            };
            match put {
                Ok(leases) => {
                    packed.items += 1;
                    if !handles.is_empty() || leases.is_some() {
                        let beside = (std::mem::take(&mut handles), leases);
                        if self.call.shared.is_elsewhere() {
                            packed.items -= 1;
                            packed.bytes.truncate(before);
                            let submitted = self.submit(&mut packed);
                            self.refuse_item(SubmitError::Handles.to_string());
                            submitted?;
                            continue;
                        }
                        self.call.submit_alone(&mut packed, before, beside, self.chunk)?;
                    }
                }
                Err(error) => {
                    let submitted = self.submit(&mut packed);
                    self.refuse_item(format!("its arguments cannot be serialised: {error}"));
                    submitted?;
                }
            }
            if packed.bytes.len() >= MOST_BYTES {
                break;
            }
        }
        self.submit(&mut packed)
    }

    fn submit(&mut self, packed: &mut Packed) -> Result<(), SubmitError> {
        self.call.submit_batch(std::mem::take(packed), self.chunk)
    }

    /// The item is its own error, at its place.
    fn refuse_item(&mut self, reason: String) {
        let key = if self.order == Order::OfInput { self.call.submitted } else { self.came };
        let error = TaskError::Failed(reason);
        if let Some(work) = self.call.job.work() {
            work.submitted(1);
            work.failed((self.call.submitted & POSITIONS) as u32, &error);
        }
        let outcome = Settled::Failed(error);
        self.insert(
            key,
            Held { first: (self.call.submitted & POSITIONS) as u32, items: 1, outcome, lending: None, at: 0 },
        );
        self.held_items += 1;
        self.call.submitted += 1;
    }
}

impl<I> Stream<I> {
    /// Nothing more is read, and what is not done is given up.
    pub(crate) fn cancel(&mut self) {
        self.input.end();
        self.call.shared.cancel(&self.call.job);
    }

    /// The calling thread takes results.
    pub(crate) fn taken_here(&self) {
        self.call.job.taken_here();
    }

    /// So many values of a task were taken.
    pub(crate) fn grant(&self, by: TurnOf, taken: u32) {
        self.call.shared.dispatch().grant(by, taken);
    }

    /// No more values of a task are wanted.
    pub(crate) fn stop(&self, by: TurnOf) {
        self.call.shared.dispatch().stop(by);
    }

    /// No more values of any task are wanted.
    pub(crate) fn stop_all(&self) {
        if !self.call.complete && !self.call.shared.is_copied() {
            self.call.shared.dispatch().stop_all(&self.call.job);
        }
    }
}

/// The last position before `end` whose low bits are `first`.
fn position_before(end: u64, first: u32) -> u64 {
    let last = end.saturating_sub(1);
    last - (last.wrapping_sub(first.into()) & POSITIONS)
}

/// The position whose low bits are `first`, not before that of the result that is given next.
fn position(given: u64, first: u32) -> u64 {
    given + (u64::from(first).wrapping_sub(given) & POSITIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_known_by_its_low_bits() {
        for given in [0, 5, POSITIONS - 3, POSITIONS, POSITIONS + 1, 7 * (POSITIONS + 1) - 2] {
            for ahead in [0, 1, 2, 3, 4, 1000, POSITIONS / 2] {
                let at = given + ahead;
                assert_eq!(position(given, (at & POSITIONS) as u32), at);
                assert_eq!(position_before(at + 1, (at & POSITIONS) as u32), at);
                assert_eq!(position_before(at + 1 + ahead, (at & POSITIONS) as u32), at);
            }
        }
    }
}
