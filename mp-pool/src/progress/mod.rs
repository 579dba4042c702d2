//! The progress of a pool's or a pipeline's work: counts to look at, events one after the other, a bar.
//!
//! ```text
//!   pool, pipeline ── work.rs: what happened to which task ──► tally ──► Progress::tally      now
//!                                                                 ├────► Progress::events     one after the other
//!                                                                 └────► Bar                  a bar, or plain lines
//! ```
//!
//! | file        | what                                                                            |
//! |-------------|---------------------------------------------------------------------------------|
//! | `handle.rs` | [`Progress`]: what the program holds, and what all of it share                  |
//! | `tally.rs`  | [`Tally`]: the counts                                                           |
//! | `event.rs`  | [`ProgressEvent`]: what has happened, to which task                             |
//! | `events.rs` | [`Events`]: an iterator over them                                               |
//! | `work.rs`   | one call of a pool, or one run of a pipeline, that reports                      |
//! | `piece.rs`  | what a pool's results say                                                       |
//! | `bar.rs`    | [`Bar`]: a thread that shows the tally                                          |
//! | `lines.rs`  | plain lines; how fast, and how much longer                                      |
//! | `terminal.rs` | a bar on a terminal                                                           |
//!
//! One lock guards a `Progress`. A report holds it for a few instructions; no code of the program runs under it.
//!
//! # When a process dies
//! A worker: [`What::Died`], and its task's event. The tally is in the memory of the process that has the pool.

mod bar;
mod event;
mod events;
mod handle;
mod lines;
mod piece;
mod tally;
#[cfg(feature = "indicatif")]
mod terminal;
mod work;

pub use bar::Bar;
pub use event::{ProgressEvent, Task, What};
pub use events::{Events, ProgressError};
pub use handle::Progress;
pub(crate) use piece::end_of_worker;
pub use tally::Tally;
pub(crate) use work::Work;
