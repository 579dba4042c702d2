//! The algorithms of the locks, each over words it is given: no `unsafe`, no data, no clock, no system call.
//!
//! ```text
//!   Lock  RLock  Semaphore  Event  Barrier  Condition   public types: shared memory, guards, errors
//!     │     │        │        │      │        │
//!   RawLock RawRLock RawSemaphore RawEvent …            this folder: one algorithm a file, all the atomics
//!     │     │        │        │      │        │
//!   Owned   Owned   Word     Word   Owned    Owned      mp_core::word: futexes in production, models in tests
//! ```
//!
//! # Rules of this folder
//! - All zeros is a valid start, since shared memory begins so. A barrier must then be told its parties.
//! - No algorithm waits for an answer from a sleeper: a sleeper may be dead.
//! - After `Word::wait` a word is read again with the ordering that is needed: the wake
//!   orders nothing by itself.
//! - After a death between a commit and its wake, the sleepers wake by themselves within half a second. Where an
//!   algorithm is faster, its file says how.
//!
//! # In a structure of your own
//! All of them are `repr(C)`, hold no address and begin as zeros, so they can be parts of a larger shared object:
//!
//! ```
//! use mp_core::mem::{SharedRef, Structure};
//! use mp_core::sys::{futex::FutexWord, robust::RobustWord};
//! use mp_core::word::Ordering;
//! use mp_sync::raw::{Acquired, RawEvent, RawLock};
//! use std::sync::atomic::AtomicU64;
//!
//! #[repr(C)]
//! struct Board {
//!     lock: RawLock<RobustWord>,
//!     full: RawEvent<FutexWord>,
//!     lines: [AtomicU64; 8],
//! }
//!
//! // SAFETY: words and atomics alone: others may change them at any time, and all zeros is a beginning.
//! unsafe impl Structure for Board {}
//!
//! // Sent to other processes as any handle is, in an argument, a result or a message.
//! let board = SharedRef::<Board>::create("board")?;
//! assert_eq!(board.lock.acquire(None), Some(Acquired::Clean));
//! board.lines[0].store(7, Ordering::Relaxed);
//! assert!(board.lock.release());
//! board.full.set();
//! # Ok::<(), mp_core::MemError>(())
//! ```
#![forbid(unsafe_code)]

mod barrier;
mod condition;
mod event;
mod hold;
mod holder;
mod lock;
mod locked;
mod monitor;
mod owned_semaphore;
mod rlock;
mod rwlock;
#[cfg(test)]
mod scripted;
mod semaphore;
mod turn;

pub use barrier::{Arrival, Broken, RawBarrier};
pub use condition::{CannotWait, RawCondition, Waited};
pub use event::RawEvent;
pub use hold::{Hold, Lend};
pub use lock::{Acquired, RawLock};
#[doc(hidden)]
pub use locked::Locked;
pub use owned_semaphore::RawOwnedSemaphore;
pub use rlock::RawRLock;
pub use rwlock::RawRwLock;
pub use semaphore::{MOST_PERMITS, RawSemaphore, TooMany};
