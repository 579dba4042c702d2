//! The board: all that the pool and its workers share. Words alone; the bytes of arguments and results are beside it.
//!
//! ```text
//!   caller ── slot.rs ──► READY ── lane.rs ──► hints ──► worker: TAKEN ─► DONE ── finished.rs ──► caller
//!                                     sleep.rs: idle workers, and the caller that waits
//! ```
//!
//! | file          | what                                                                        |
//! |---------------|-----------------------------------------------------------------------------|
//! | `slot.rs`     | one chunk of items: its one truth word, and what is said beside it          |
//! | `run.rs`      | a slot whose items are taken one by one, with a truth word for each         |
//! | `lane.rs`     | hints to ready slots: as many lanes as CPUs, which all workers steal from   |
//! | `finished.rs` | what is done: marks of each worker, and a stack of the workers with marks   |
//! | `sleep.rs`    | workers without work, and the caller without results                        |
//! | `sentinel.rs` | how many workers are woken, where there are more than CPUs                  |
//! | `turns.rs`    | how far ahead of its consumer a task that yields may be                     |
//! | `layout.rs`   | where each word is                                                          |
//!
//! One process writes what the caller writes, under a lock of its own memory. No lock lies in shared memory: a process
//! that stops or dies at any instruction holds up what it has taken, and nothing else.
//!
//! # When a process dies
//! A worker: each file says so for its part. What it had taken names it, so the caller finds it by looking at all
//! slots. The caller: its workers are daemons, and die with it.
//! # Tested by
//! model/, and `mp-pool/tests`

#![forbid(unsafe_code)]

mod finished;
mod lane;
mod layout;
#[cfg(test)]
mod model;
mod run;
mod sentinel;
mod sleep;
mod slot;
mod turns;

pub(crate) use lane::{hint_of_run, is_of_run};
pub(crate) use layout::Shape;
pub(crate) use run::{Item, Run};
pub(crate) use slot::{Chunk, Found, Life, Marks, Running};
pub(crate) use turns::Turn;

use layout::Places;
use mp_core::word::{Ordering, Word};
use std::ops::Deref;

/// The most workers of a pool.
pub(crate) const MOST_WORKERS: usize = 1024;

/// What a worker has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) slot: u32,
    /// The item of a run; `None`: the slot.
    pub(crate) item: Option<u32>,
}

/// The words, wherever they lie, and which one is what.
#[derive(Debug, Clone)]
pub(crate) struct Board<V> {
    words: V,
    places: Places,
}

impl<W: Word, V: Deref<Target = [W]>> Board<V> {
    /// All zeros is a board on which nothing is. `None`: there are not as many words as the shape takes.
    pub(crate) fn new(words: V, shape: Shape) -> Option<Board<V>> {
        let places = Places::of(shape);
        (words.len() >= places.total()).then_some(Board { words, places })
    }

    pub(crate) fn shape(&self) -> &Shape {
        &self.places.shape
    }

    #[inline]
    fn word(&self, at: usize) -> &W {
        &self.words[at]
    }

    /// Has the workers end when they find nothing to take.
    pub(crate) fn quit(&self) {
        // ORDERING: Relaxed: published by the change of the event counts that follows.
        self.word(self.places.quit()).store(1, Ordering::Relaxed);
        self.wake_every_worker();
    }

    fn is_over(&self) -> bool {
        // ORDERING: Relaxed: read again after each wait; in `sleep` a fence stands before it.
        self.word(self.places.quit()).load(Ordering::Relaxed) != 0
    }
}
