//! The board in the model checker: every schedule with a few preemptions, and with a worker killed before each of its
//! accesses.
//!
//! | file          | what                                                                      |
//! |---------------|---------------------------------------------------------------------------|
//! | `slots.rs`    | take, steal, cancel, condemn, done, progress, the finished stack          |
//! | `runs.rs`     | slots whose items are taken one by one                                    |
//! | `lanes.rs`    | lanes that go round, old hints, slots and bytes that are used again        |
//! | `sleepers.rs` | workers and a caller that sleep, deaths between a commit and a wake       |
//! | `sentinel.rs` | how fast sleepers are woken where there are more workers than CPUs         |
//! | `turns.rs`    | tasks that yield: how far ahead they may be, and their end                |
//! | `keeps.rs`    | memory that a worker keeps beyond the end of its slot                     |
//! | `mutants.rs`  | worlds and callers with a fault, in which a model must fail               |
//!
//! A lost wake is a deadlock, which loom reports; no timed look stands in for it. Results and arguments are words that
//! are read and written without an ordering, so a missing Acquire or Release is an old value that is read.

mod keeps;
mod lanes;
mod mutants;
mod runs;
mod sentinel;
mod sleepers;
mod slots;
mod turns;

use super::{Board, Chunk, Found, Item, Run, Shape, Taken};
use mp_core::word::{Ordering, Word};
use mp_model::AnyWord;
use std::sync::Arc;

/// A board, and a word for each item's arguments and result.
pub(super) struct Table<W: Word> {
    pub(super) board: Board<Vec<W>>,
    arguments: Vec<W>,
    results: Vec<W>,
}

pub(super) type Shared<W> = Arc<Table<W>>;

fn table<W: AnyWord>(workers: u32, lanes: u32, slots: u32, hints: u32) -> Shared<W> {
    table_for(Shape { workers, cpus: workers, lanes, slots, hints, run: 2, apart: 2 })
}

fn table_for<W: AnyWord>(shape: Shape) -> Shared<W> {
    let words = |count: usize| (0..count).map(|_| W::default()).collect::<Vec<W>>();
    let board = Board::new(words(shape.words()), shape).expect("as many words as it takes");
    Arc::new(Table {
        board,
        arguments: words(shape.slots as usize),
        results: words(2 * shape.slots as usize),
    })
}

impl<W: Word> Table<W> {
    /// Caller: a chunk of so many items whose argument is a number.
    fn post(&self, slot: u32, items: u32, argument: u32) {
        // ORDERING: Relaxed, here and below: bytes have none either.
        self.arguments[slot as usize].store(argument, Ordering::Relaxed);
        self.board.post(slot, Chunk { items, ..Chunk::default() });
    }

    /// Caller: a chunk of one item with a deadline. The worker says its argument as the time.
    fn post_timed(&self, slot: u32, argument: u32) {
        // ORDERING: as above.
        self.arguments[slot as usize].store(argument, Ordering::Relaxed);
        self.board.post(slot, Chunk { items: 1, timed: true, ..Chunk::default() });
    }

    /// Caller: when the task of the slot began, if it has.
    fn began(&self, slot: u32) -> Option<u32> {
        self.board.running(slot).and_then(|running| running.since)
    }

    /// Worker: takes a slot.
    fn take(&self, me: u32) -> Option<u32> {
        self.board.take(me, |_| ()).map(|taken| taken.slot)
    }

    /// Worker: does what it has taken: each item's result is its argument and its number, the second one's by message.
    /// Gives the argument, and whether it was not given up.
    fn work(&self, slot: u32, me: u32) -> (u32, bool) {
        let chunk = self.board.chunk(slot);
        // ORDERING: as above.
        let argument = self.arguments[slot as usize].load(Ordering::Relaxed);
        let marks = self.board.marks(slot);
        if chunk.timed {
            marks.start(argument);
        }
        for done in 0..chunk.items {
            marks.begin(done);
            // ORDERING: as above.
            self.results[2 * slot as usize + done as usize].store(10 * argument + done, Ordering::Relaxed);
            marks.end(done + 1, done + 1, if done == 1 { 7 } else { 0 });
        }
        let done = self.board.done(slot, me);
        if done {
            self.board.push_finished(me, slot);
        }
        (argument, done)
    }

    /// Caller: a run of two items whose argument is a number.
    fn post_run(&self, slot: u32, argument: u32) {
        // ORDERING: as above.
        self.arguments[slot as usize].store(argument, Ordering::Relaxed);
        self.board.post_run(slot, Run { items: 2, ..Run::default() });
    }

    /// Worker: does an item that it has begun, and those after it: the result is the argument and the item's number.
    /// The second item's comes by message. Gives the argument of each, and its number, if it was not given up.
    fn work_in_run(&self, taken: Taken, me: u32) -> Vec<(u32, u32)> {
        let (slot, mut next, mut worked) = (taken.slot, taken.item, Vec::new());
        while let Some(item) = next {
            let run = self.board.run(slot);
            assert_eq!(run.items, 2);
            // ORDERING: as above.
            let argument = self.arguments[slot as usize].load(Ordering::Relaxed);
            // ORDERING: as above.
            self.results[(2 * slot + item) as usize].store(10 * argument + item, Ordering::Relaxed);
            if !self.board.done_item(slot, item, me, item == 1) {
                return worked;
            }
            worked.push((argument, item));
            self.board.push_finished(me, slot);
            next = self.board.begin_next(slot, item, me);
            if next.is_none() {
                self.board.leave(slot, me);
            }
        }
        worked
    }

    /// Worker: begins an item of a run, and does not do it. Gives its argument, and its number.
    fn begin(&self, me: u32) -> Option<(u32, u32)> {
        let taken = self.board.take(me, |_| ())?;
        // ORDERING: as above.
        let argument = self.arguments[taken.slot as usize].load(Ordering::Relaxed);
        Some((argument, taken.item.expect("an item of a run")))
    }

    /// Worker: takes what there is, and does it.
    fn work_all(&self, me: u32) -> Vec<(u32, u32)> {
        std::iter::from_fn(|| self.board.take(me, |_| ()))
            .flat_map(|taken| self.work_in_run(taken, me))
            .collect()
    }

    /// Caller: whether an item is done; its result is right then.
    fn is_done(&self, slot: u32, item: u32, argument: u32, of_dead: Option<u32>) -> bool {
        let Item::Done { sent, .. } = self.board.item(slot, item, of_dead) else { return false };
        assert_eq!(sent, item == 1, "a message that is not its item's");
        // ORDERING: as above.
        let result = self.results[(2 * slot + item) as usize].load(Ordering::Relaxed);
        assert_eq!(result, 10 * argument + item, "a result that does not stand");
        true
    }

    /// Caller: whether the results that stand are right.
    fn check(&self, slot: u32, found: Found, argument: u32) {
        let more = found.written - found.done;
        assert!(more <= u32::from(found.begun), "a length that is not its progress's");
        assert_eq!(
            found.message,
            if found.done == 2 { 7 } else { 0 },
            "a message that is not its progress's"
        );
        for done in 0..found.done {
            // ORDERING: as above.
            let result = self.results[2 * slot as usize + done as usize].load(Ordering::Relaxed);
            assert_eq!(result, 10 * argument + done, "a result that does not stand");
        }
    }

    /// Caller: what is finished.
    fn finished(&self) -> Vec<u32> {
        let mut finished = Vec::new();
        self.board.take_finished(&mut finished, |_| ());
        finished
    }
}

/// Each model a test of its name, as `how name to bound;`.
macro_rules! models {
    ($($how:ident $name:ident to $effort:expr;)*) => {
        mod walk {
            use mp_model::thorough::bound;
            $(
                #[test]
                fn $name() {
                    let report = mp_model::thorough::$how($effort, super::$name::<mp_model::thorough::ModelWord>);
                    println!("{:<60} {report}", stringify!($name));
                }
            )*
        }
    };
}
use models;
