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

use crate::call::{Call, MOST_BYTES, POSITIONS, Packed};
use crate::dispatch::{Dispatch, TurnOf, Yielded};
use crate::error::{SubmitError, TaskError};
pub(crate) use crate::held::Order;
use crate::held::{Held, Results};
use crate::input::Input;
use crate::job::{Piece, Settled};
use crate::window::Window;
use mp_core::transfer::Handle;
use mp_core::word::Deadline;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Chunks of the longest run.
const LONGEST_RUN: u64 = 256;
/// An input that gives items faster than this, on average, is quick.
const QUICK: Duration = Duration::from_micros(1);
/// The window is filled up by such a part of it, not by each item that leaves it.
const REFILL: u64 = 4;
/// So many times in a window of results that are held, the board is looked at: workers are to have work meanwhile.
const LOOKS: u64 = 16;

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
    chunk: usize,
    window: Window,
    /// Items whose results were given.
    given: u64,
    results: Results,
    /// So many results are given before anything else is looked at.
    at_hand: u64,
    /// So many more, and the board is looked at.
    until_look: u64,
    /// Chunks of the next run.
    run: u64,
    /// What has come is taken into it.
    pieces: Vec<Piece>,
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
            chunk,
            window,
            given: 0,
            results: Results::new(order),
            at_hand: 0,
            until_look: 0,
            run: 1,
            pieces: Vec::new(),
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
        if self.at_hand == 0 || self.call.shared.is_copied() {
            match self.ready(until)? {
                Ok(true) => self.at_hand = self.many_at_hand(),
                Ok(false) => return Some(Err(late)),
                Err(refused) => return Some(Err(refused)),
            }
        }
        self.at_hand -= 1;
        Some(self.take())
    }

    /// How many of the results that are held may be given one after the other: until the board is to be looked at, and
    /// no more than are read together of the input, so that workers have work meanwhile.
    fn many_at_hand(&mut self) -> u64 {
        let items = self.results.current().map_or(1, |held| held.items.into());
        self.until_look.min(self.run.saturating_mul(self.chunk as u64)).min(items).max(1)
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
        let item = position_before(self.call.submitted, self.results.current()?.first);
        let is_value = |held: &mut Held| matches!(held.outcome, Settled::Yielded(_));
        if let Some(Held { outcome: Settled::Yielded(yielded), .. }) = self.results.take_current_if(is_value)
        {
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
            if self.until_look == 0 || self.results.current().is_none() {
                self.until_look = self.window.size().div_ceil(LOOKS);
                self.look();
            }
            let is_held = self.results.current().is_some();
            let ahead = self.outstanding() - self.results.items();
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
        self.call.job.take_pieces_into(&mut self.pieces);
        for piece in self.pieces.drain(..) {
            let position = position(self.given, piece.first);
            self.results.put(position, Held::of(piece));
        }
    }

    #[inline]
    fn take<R: DeserializeOwned>(&mut self) -> Result<R, TaskError> {
        self.given += 1;
        self.until_look = self.until_look.saturating_sub(1);
        self.window.gave();
        self.results.take()
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
        let (call, chunk, results) = (&mut self.call, self.chunk, &mut self.results);
        let (mut handles, mut whole, mut failed) = (Vec::new(), 0, None);
        self.input.read(most, |item| {
            let read = read_item(call, chunk, results, (&mut packed, &mut handles), item);
            whole = packed.bytes.len();
            let goes_on = read.is_ok() && whole < MOST_BYTES;
            failed = read.err();
            if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        // Of one that panicked while it was packed.
        packed.bytes.truncate(whole);
        failed.map_or(Ok(()), Err)?;
        self.call.submit_batch(packed, self.chunk)
    }
}

/// Packs an item behind others, or submits it, if it does not go with them.
fn read_item<A: Serialize + DeserializeOwned>(
    call: &mut Call,
    chunk: usize,
    results: &mut Results,
    (packed, handles): (&mut Packed, &mut Vec<Handle>),
    item: A,
) -> Result<(), SubmitError> {
    let before = packed.bytes.len();
    let number = call.number_of(packed.items);
    let leases = match call.shared.put(number, &(item,), &mut packed.bytes, handles) {
        Ok(leases) => leases,
        Err(error) => {
            let submitted = call.submit_batch(std::mem::take(packed), chunk);
            refuse_item(call, results, format!("its arguments cannot be serialised: {error}"));
            return submitted;
        }
    };
    packed.items += 1;
    if handles.is_empty() && leases.is_none() {
        return Ok(());
    }
    let beside = (std::mem::take(handles), leases);
    if call.shared.is_elsewhere() {
        packed.items -= 1;
        packed.bytes.truncate(before);
        let submitted = call.submit_batch(std::mem::take(packed), chunk);
        refuse_item(call, results, SubmitError::Handles.to_string());
        return submitted;
    }
    call.submit_alone(packed, before, beside, chunk)
}

/// The item is its own error, at its place.
fn refuse_item(call: &mut Call, results: &mut Results, reason: String) {
    let (position, error) = (call.submitted, TaskError::Failed(reason));
    let first = (position & POSITIONS) as u32;
    if let Some(work) = call.job.work() {
        work.submitted(1);
        work.failed(first, &error);
    }
    results.put(position, Held::of(Piece { first, items: 1, outcome: Settled::Failed(error) }));
    call.submitted += 1;
}

impl<I> Stream<I> {
    /// Nothing more is read, and what is not done is given up.
    pub(crate) fn cancel(&mut self) {
        self.input.end();
        self.call.shared.cancel(&self.call.job);
    }

    /// Whether this process is a copy of the one whose results they are.
    pub(crate) fn is_copied(&self) -> bool {
        self.call.shared.is_copied()
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
