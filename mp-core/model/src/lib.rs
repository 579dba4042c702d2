//! The words of mp-core inside the loom model checker, with death before each access.
//!
//! ```text
//!   check ── explore(), sweep(): all schedules up to a preemption bound; a table of what was walked
//!     │
//!   life ─── spawn(), point(): model threads with an id, a fuse, and a kernel that tidies up behind them
//!     │
//!   word ─── ModelWord, ModelLong      owned ─── ModelOwned
//! ```
//!
//! A model thread stands for a process. One of them may be given a fuse: it is counted down before each access
//! to anything shared, and when it has burnt the thread unwinds, past everything the algorithm would still have
//! done, as SIGKILL does. Then the harness does what the kernel does at a thread's end. Swept over all lengths of
//! the fuse, loom walks every interleaving times every point of death.
//!
//! # What the model is not
//! A wake comes through a loom mutex, which orders more than the kernel promises: that an algorithm reads the word
//! again after a wait is for the reader to check. loom takes a sequentially consistent *access* for an
//! acquire-release one (only [`fence`](mp_core::word::Word::fence) is modelled in full): false alarms are possible.
//! Sleepers are woken in the order they came. There is no clock: see [`Looks`] for what stands in for the timed
//! look. One word has one address.
//!
//! Not published, and no part of any product: a development dependency of the crates whose algorithms it tries.

mod check;
mod life;
mod owned;
mod word;

pub use check::{Report, bound, explore, sweep, sweep_woken};
pub use life::{Fuse, Life, Lit, Looks, live_here, point, set_looks, spawn};
pub use owned::ModelOwned;
pub use word::{ModelLong, ModelWord};
