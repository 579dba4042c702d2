//! The words of mp-core inside a model checker, with death before each access.
//!
//! ```text
//!   loom, shuttle, threads ─── the world of each checker, as models use it
//!     │
//!   check ── explore(), sweep(): schedules, and deaths; a table of what was walked
//!     │
//!   life ─── spawn(), point(): model threads with an id, a fuse, and a kernel that tidies up behind them
//!     │
//!   word ─── ModelWord, ModelLong      owned ─── ModelOwned      faults ─── the same with a fault
//!     │
//!   mutant ─ models in faulty worlds, each of which must fail
//!     │
//!   checker ─ Loom, Shuttle, Threads: atomics, sleep and schedules
//! ```
//!
//! | world     | threads | schedules                             | orderings                | finds a lost wake by |
//! |-----------|---------|---------------------------------------|--------------------------|----------------------|
//! | `loom`    | 2-3     | all, up to a bound of preemptions     | as the language has them | its deadlock         |
//! | `shuttle` | 4-6     | random, one half with few preemptions | all taken for SeqCst     | its deadlock         |
//! | `threads` | 2-3     | as they come; under Miri random       | Miri's weak memory       | a minute of sleep    |
//!
//! A model thread stands for a process. One of them may be given a fuse: it is counted down before each access
//! to anything shared, and when it has burnt the thread unwinds, past everything the algorithm would still have
//! done, as SIGKILL does. Then the harness does what the kernel does at a thread's end. Swept over all lengths of
//! the fuse, loom walks every interleaving times every point of death, and the others a share of that.
//!
//! # What the model is not
//! A wake comes through a mutex, which orders more than the kernel promises: that an algorithm reads the word
//! again after a wait is for the reader to check. loom takes a sequentially consistent *access* for an
//! acquire-release one (only [`fence`](mp_core::word::Word::fence) is modelled in full): false alarms are possible.
//! loom wakes sleepers in the order they came, the others in any. There is no clock: see
//! [`TimedLooks`](loom::TimedLooks) for what stands in for the timed look. One word has one address.
//!
//! Not published, and no part of any product: a development dependency of the crates whose algorithms it tries.

mod check;
mod checker;
mod faults;
mod life;
mod listed;
mod mutant;
mod owned;
mod word;
mod world;

pub use faults::{
    AcquireIsRelaxed, BreakIsForgotten, CommitsAreRelaxed, DelistedTooLate, DiedIsForgotten,
    DiesUnseenInTheLock, Fault, NappersPassNoWakeOn, NeverAnnounced, NeverEnlisted, NoDeathIsReported,
    NoFences, NoNoteIsLeft, NoneIsEverDead, NoneIsWoken, NoneMarks, NotesAreLost, OnlyOneIsWoken,
    ReleaseIsRelaxed, RoundsAreNotCounted, StoresAreRelaxed, TakersForgetTheMark, WakesForgetWaiters,
};
use mp_core::word::{Deadline, Owned, Word};
pub use mutant::{Mutant, catch_mutants, run_mutant};
use std::time::Duration;

/// What a model may be tried in: a word of some world, a faulty one perhaps.
pub trait AnyWord: Word + Default + Send + 'static {}

impl<W: Word + Default + Send + 'static> AnyWord for W {}

/// What a model may be tried in: an owned word of some world, a faulty one perhaps.
pub trait AnyOwned: Owned<Word: Default + Send> + Default + Send + 'static {}

impl<O: Owned<Word: Default + Send> + Default + Send + 'static> AnyOwned for O {}

/// The id of the first thread that a model starts.
pub const FIRST: u32 = 2;

/// Some deadline: in a model it passes whenever it likes.
pub fn soon() -> Option<Deadline> {
    Deadline::after(Duration::ZERO)
}

/// Models in loom.
pub mod loom {
    pub use crate::check::bound;
    crate::world::world!(crate::checker::Loom);
}

/// Models in loom that miss no order of a load and a store, where loom does (tokio-rs/loom#166).
pub mod thorough {
    pub use crate::check::bound;
    crate::world::world!(crate::checker::Thorough);
}

/// Models in shuttle.
pub mod shuttle {
    pub use crate::check::iterations;
    crate::world::world!(crate::checker::Shuttle, Send);
}

/// Models on threads, for Miri.
pub mod threads {
    pub use crate::check::rounds;
    crate::world::world!(crate::checker::Threads, Send);
}
