//! A job: one call, and what has become of its items so far.
//!
//! ```text
//!   items, in batches ──► missing + n         pieces of results, as they come ──► missing - n
//!   end of the input  ──► missing - 1         missing = 0: settled, and the pieces are put in order once
//! ```

use crate::buffer::{Lending, decoding};
pub(crate) use crate::decoded::{decoded, decoded_short, value_of};
use crate::dispatch::Yielded;
use crate::error::TaskError;
use crate::hook::Hook;
use crate::lent::Lent;
use crate::options::TaskOptions;
use crate::order::order_of;
use crate::pieces::Pieces;
use crate::progress::Work;
use crate::record::{Outcome, Short, split_short_value, take_outcome};
use crate::thread;
use mp_core::transfer::Message;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// So many items in a slot take far longer to decode than a wake.
const COARSE: usize = 500;

pub(crate) struct Job {
    /// What each chunk begins with.
    pub(crate) code: Arc<[u8]>,
    pub(crate) options: TaskOptions,
    /// Items that are not settled, and 1 for the input while it is read.
    missing: AtomicUsize,
    /// Bytes that a result of it took; 0: there was none yet.
    result_bytes: AtomicUsize,
    /// Slots that it has.
    slots: AtomicUsize,
    /// Its results are taken as they come.
    stream: bool,
    /// Its tasks yield, and may be so many values ahead; 0: they do not.
    ahead: u32,
    /// Items that its last slot had.
    slot_items: AtomicUsize,
    /// What it is known by on the board; 0: it was not needed yet.
    number: AtomicU64,
    /// The caller has given up what workers have of it. It is not tried again.
    given_up: AtomicBool,
    /// The thread that took of its results last, or made it; 0: none is known.
    taker: AtomicUsize,
    pieces: Mutex<Pieces>,
    /// The pieces, and where each is among them, in the order of the input.
    in_order: OnceLock<(Vec<Piece>, Vec<u32>)>,
    /// What is done when it is settled. Under the dispatch's lock.
    hooks: Mutex<Vec<Hook>>,
    /// It reports what becomes of its items.
    work: Option<Work>,
    /// The number of its call, if its tasks are numbered.
    call: OnceLock<u64>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("missing", &self.missing).finish_non_exhaustive()
    }
}

/// What has become of a few items side by side.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) first: u32,
    pub(crate) items: u32,
    pub(crate) outcome: Settled,
}

#[derive(Debug)]
pub(crate) enum Settled {
    /// One value, packed.
    Short(Short),
    /// A record of one result that is still in the arena.
    Lent(Lent),
    /// A record for each, and which worker wrote them.
    Records(Vec<u8>, Arc<str>),
    /// What may name buffers that lie there.
    Lending(Box<Settled>, Arc<Lending>),
    /// A value that came by itself.
    Value(Message),
    Failed(TaskError),
    /// No end of an item: a value that it has yielded. The piece has no items.
    Yielded(Box<Yielded>),
}

impl Settled {
    /// The same, which may name what lies there.
    pub(crate) fn in_lending(self, lending: Option<&Arc<Lending>>) -> Settled {
        match lending {
            Some(lending) => Settled::Lending(Box::new(self), Arc::clone(lending)),
            None => self,
        }
    }

    /// Whether each of so many items has a value. The values are not looked at.
    fn is_successful(&self, items: u32) -> bool {
        match self {
            Settled::Records(bytes, _) => {
                let mut rest = bytes.as_slice();
                (0..items).all(|_| matches!(take_outcome(&mut rest), Some(Outcome::Value(_))))
            }
            Settled::Short(_) | Settled::Value(_) => true,
            Settled::Lent(lent) => lent.is_value(),
            Settled::Lending(settled, _) => settled.is_successful(items),
            Settled::Failed(_) | Settled::Yielded(_) => false,
        }
    }

    /// Gives what has become of each of so many items.
    fn for_each<R: DeserializeOwned>(&self, items: u32, each: &mut impl FnMut(Result<R, TaskError>)) {
        match self {
            Settled::Short(value) => each(decoded_short(value.as_slice())),
            Settled::Lent(lent) => each(lent.value()),
            Settled::Records(bytes, worker) => {
                let mut rest = bytes.as_slice();
                for _ in 0..items {
                    // What is left is not lent to a call, and an outcome is made where it goes: it is waited for in
                    // memory else.
                    if let Some((value, behind)) = split_short_value(rest) {
                        rest = behind;
                        each(decoded_short(value));
                    } else {
                        let mut behind = rest;
                        each(value_of(take_outcome(&mut behind), worker));
                        rest = behind;
                    }
                }
            }
            Settled::Lending(settled, lending) => decoding(lending, || settled.for_each(items, each)),
            Settled::Value(message) => each(decoded(&message.bytes, message.handles.clone())),
            Settled::Failed(error) => (0..items).for_each(|_| each(Err(error.clone()))),
            Settled::Yielded(_) => {}
        }
    }
}

impl Job {
    #[cfg(any(test, feature = "steps"))]
    pub(crate) fn new(code: impl Into<Arc<[u8]>>, options: TaskOptions) -> Arc<Job> {
        Job::reporting(code.into(), options, false, 0, None)
    }

    /// A job of one item, which is expected, and whose input has ended. It does not report.
    pub(crate) fn of_one(code: Arc<[u8]>, options: TaskOptions) -> Arc<Job> {
        // The one that is missing is the item.
        Job::reporting(code, options, false, 0, None)
    }

    /// A job that reports, if there is a work. `stream`: its results are [taken](Job::take_pieces) as they come.
    /// `ahead`: its tasks yield, and may be so many values ahead; 0: they do not.
    pub(crate) fn reporting(
        code: Arc<[u8]>,
        options: TaskOptions,
        stream: bool,
        ahead: u32,
        work: Option<Work>,
    ) -> Arc<Job> {
        Arc::new(Job {
            code,
            options,
            missing: AtomicUsize::new(1),
            result_bytes: AtomicUsize::new(0),
            slots: AtomicUsize::new(0),
            stream,
            ahead,
            slot_items: AtomicUsize::new(0),
            number: AtomicU64::new(0),
            given_up: AtomicBool::new(false),
            taker: AtomicUsize::new(0),
            pieces: Mutex::default(),
            in_order: OnceLock::new(),
            hooks: Mutex::default(),
            work,
            call: OnceLock::new(),
        })
    }

    /// More items were read.
    pub(crate) fn expect(&self, items: usize) {
        // ORDERING: Relaxed: the dispatch's lock orders it before what settles them.
        self.missing.fetch_add(items, Ordering::Relaxed);
        if let Some(work) = &self.work {
            work.submitted(items as u64);
        }
    }

    /// The input has ended.
    pub(crate) fn end_input(&self) {
        // ORDERING: Release, pairs with the Acquire in `is_settled`.
        self.missing.fetch_sub(1, Ordering::Release);
    }

    /// Settles items, each of which is settled once. Whether a thread that waits for the job is to look: they were the
    /// last, or are taken as they come.
    pub(crate) fn settle(&self, piece: Piece) -> bool {
        let items = piece.items as usize;
        if let Some(work) = &self.work {
            work.settled(&piece);
        }
        self.pieces().push(piece);
        // ORDERING: Release, pairs with the Acquire in `is_settled`: the piece is there.
        self.missing.fetch_sub(items, Ordering::Release) == items || self.stream
    }

    /// Keeps a hook, and gives how many it dropped: no thread waits for them any more.
    pub(crate) fn keep_hook(&self, hook: Hook) -> usize {
        hook.keep(&mut self.hooks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Its hooks, once it is settled.
    pub(crate) fn take_hooks(&self) -> Vec<Hook> {
        if !self.is_settled() {
            return Vec::new();
        }
        std::mem::take(&mut *self.hooks.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether it was cancelled, once it is settled: a job of one item.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.in_order()
            .next()
            .is_some_and(|piece| matches!(piece.outcome, Settled::Failed(TaskError::Cancelled)))
    }

    /// Its call has this number. Said once.
    pub(crate) fn set_call(&self, number: u64) {
        let _ = self.call.set(number);
    }

    /// The number of its call, if its tasks are numbered.
    pub(crate) fn call(&self) -> Option<u64> {
        self.call.get().copied()
    }

    /// What it reports to.
    pub(crate) fn work(&self) -> Option<&Work> {
        self.work.as_ref()
    }

    /// Whether it reports no more, from now on: it is settled, and has reported so far.
    pub(crate) fn ends_report(&self) -> bool {
        self.work.as_ref().is_some_and(|work| self.is_settled() && work.end())
    }

    /// How far ahead its tasks may be with what they yield; 0: they do not.
    pub(crate) fn ahead(&self) -> u32 {
        self.ahead
    }

    /// The calling thread takes of its results.
    pub(crate) fn taken_here(&self) {
        // ORDERING: Relaxed: a thread asks only whether it is itself.
        self.taker.store(thread::here(), Ordering::Relaxed);
    }

    /// Whether the calling thread was the last one that took of its results.
    pub(crate) fn was_taken_here(&self) -> bool {
        // ORDERING: as above.
        self.taker.load(Ordering::Relaxed) == thread::here()
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.stream
    }

    pub(crate) fn has_pieces(&self) -> bool {
        !self.pieces().is_empty()
    }

    /// Takes the results that have come, in no order.
    pub(crate) fn take_pieces(&self) -> Vec<Piece> {
        self.pieces().take()
    }

    /// As [`take_pieces`](Job::take_pieces), into a vector, which is empty, and whose memory the next ones use.
    pub(crate) fn take_pieces_into(&self, into: &mut Vec<Piece>) {
        self.pieces().take_into(into);
    }

    /// An empty vector for records.
    pub(crate) fn spare(&self) -> Vec<u8> {
        self.pieces().spare()
    }

    /// The memory of pieces that were decoded may be used again.
    pub(crate) fn recycle(&self, decoded: &mut Vec<Vec<u8>>) {
        self.pieces().recycle(decoded);
    }

    fn pieces(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing more will come of it in this process. No lock is taken: a thread that is not here may have it.
    pub(crate) fn lose(&self, error: &TaskError) {
        if !self.is_settled() {
            let lost = Piece { first: 0, items: 1, outcome: Settled::Failed(error.clone()) };
            let _ = self.in_order.set((vec![lost], vec![0]));
            // ORDERING: Release, pairs with the Acquire in `is_settled`: the piece is there.
            self.missing.store(0, Ordering::Release);
        }
    }

    pub(crate) fn is_settled(&self) -> bool {
        // ORDERING: Acquire, pairs with the Release in `settle` and `end_input`.
        self.missing.load(Ordering::Acquire) == 0
    }

    /// So many bytes were results of so many items.
    pub(crate) fn saw(&self, bytes: usize, items: usize) {
        if let Some(each) = bytes.checked_div(items) {
            // ORDERING: Relaxed: a guess for the next ones. A quarter more, so that most fit.
            self.result_bytes.store(each + each / 4 + 1, Ordering::Relaxed);
        }
    }

    /// What a result of it may take, if there was one.
    pub(crate) fn result_bytes(&self) -> Option<usize> {
        // ORDERING: Relaxed, as above.
        Some(self.result_bytes.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    /// Its number, where `last` is the last one that was given. Under the dispatch's lock.
    pub(crate) fn number(&self, last: &mut u64) -> u64 {
        // ORDERING: Relaxed, both: under a lock.
        if self.number.load(Ordering::Relaxed) == 0 {
            *last += 1;
            self.number.store(*last, Ordering::Relaxed);
        }
        self.number.load(Ordering::Relaxed)
    }

    /// It has a slot more, with so many items. Under the dispatch's lock, as is what reads it.
    pub(crate) fn took_slot(&self, items: u32) {
        // ORDERING: Relaxed, here and below: under a lock.
        self.slots.fetch_add(1, Ordering::Relaxed);
        self.slot_items.store(items as usize, Ordering::Relaxed);
    }

    /// Whether each of its slots is worth a wake: there is more to decode than a wake costs.
    pub(crate) fn is_coarse(&self) -> bool {
        // ORDERING: as above.
        self.slot_items.load(Ordering::Relaxed) >= COARSE
    }

    pub(crate) fn gave_slot(&self) {
        // ORDERING: as above.
        self.slots.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn slots(&self) -> usize {
        // ORDERING: as above.
        self.slots.load(Ordering::Relaxed)
    }

    /// It is not tried again. Under the dispatch's lock, as is what reads it.
    pub(crate) fn give_up(&self) {
        // ORDERING: Relaxed, here and below: under a lock.
        self.given_up.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_given_up(&self) -> bool {
        // ORDERING: as above.
        self.given_up.load(Ordering::Relaxed)
    }

    /// What has become of its items, in the order of the input, once it is settled.
    fn in_order(&self) -> impl Iterator<Item = &Piece> {
        let (pieces, order) = self.in_order.get_or_init(|| {
            let pieces = self.take_pieces();
            let order = order_of(&pieces);
            (pieces, order)
        });
        order.iter().map(|at| &pieces[*at as usize])
    }

    /// How many items it has, once it is settled.
    pub(crate) fn length(&self) -> usize {
        self.in_order().map(|piece| piece.items as usize).sum()
    }

    /// Whether each item has a value, once it is settled. The values are not looked at.
    pub(crate) fn is_successful(&self) -> bool {
        self.in_order().all(|piece| piece.outcome.is_successful(piece.items))
    }

    /// Gives what has become of each item, in the order of the input, once it is settled.
    pub(crate) fn for_each<R: DeserializeOwned>(&self, mut each: impl FnMut(Result<R, TaskError>)) {
        self.in_order().for_each(|piece| piece.for_each(&mut each));
    }

    /// What has become of the first item, once it is settled.
    pub(crate) fn first<R: DeserializeOwned>(&self) -> Result<R, TaskError> {
        // Of a job that is lost no lock is taken: see `lose`.
        let short = if self.in_order.get().is_none() { self.pieces().short() } else { None };
        if let Some(value) = short {
            return decoded_short(value.as_slice());
        }
        let mut first = None;
        self.for_each(|value| {
            first.get_or_insert(value);
        });
        first.unwrap_or(Err(TaskError::Terminated))
    }
}

impl Piece {
    /// Gives what has become of each item.
    pub(crate) fn for_each<R: DeserializeOwned>(&self, each: &mut impl FnMut(Result<R, TaskError>)) {
        self.outcome.for_each(self.items, each);
    }
}
