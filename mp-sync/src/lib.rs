//! Locks, barriers, events and values that processes share and that survive a killed holder (Python:
//! `multiprocessing.synchronize` and `sharedctypes`).
//!
//! | type                   | state in shared memory          | released by      | when a holder or party dies              |
//! |------------------------|---------------------------------|------------------|------------------------------------------|
//! | [`Lock`]               | owner's thread id               | its owner        | the next one gets [`OwnerDiedError`], at once |
//! | [`RLock`]              | a lock, and a depth             | its owner        | as for `Lock`                            |
//! | [`Mutex`]              | a lock, and data                | its owner        | as for `Lock`                            |
//! | [`RwLock`]             | its readers, its writer, data   | its owner        | as for `Lock`, if it wrote               |
//! | [`Condition`]          | a slot for each waiter          | -                | another one is notified, within 1 s      |
//! | [`Semaphore`], [`BoundedSemaphore`] | a count of permits | any thread       | its permits are lost, as in Python       |
//! | [`OwnedSemaphore`]     | a holder for each permit        | its owner        | its permits are free again               |
//! | [`Event`]              | a count of sets, a flag         | set by any thread | nothing happens                          |
//! | [`Barrier`]            | round, parties, processes       | -                | [`BrokenBarrierError`] for all, within 1 s    |
//! | [`Value`]              | a lock, and the value           | its owner        | as for `Lock`                            |
//! | [`Array`]              | a lock, and the elements        | its owner        | as for `Lock`                            |
//! | [`Synchronized`]       | the value, or the elements      | the lock's owner | as for `RLock`                           |
//! | [`RawValue`], [`RawArray`] | the value, the elements     | -                | nothing happens                          |
//! | [`Atomic`], [`AtomicBool`] | the number                  | -                | nothing happens                          |
//! | [`SharedDict`]         | a lock, a journal, the entries  | its owner        | nothing happens: its call is done, or was never made |
//!
//! All of them are handles. Clones share the object, and so do copies that are sent to other processes as
//! arguments, results or messages. The object lives as long as any handle, in any process.
//!
//! # Types
//!
//! | Python's code         | here                                  |                                          |
//! |-----------------------|---------------------------------------|------------------------------------------|
//! | `c`                   | `u8`                                  | texts in arrays: [`Array::value`]        |
//! | `b`, `h`, `i`, `q`    | `i8`, `i16`, `i32`, `i64`             | too large a number wraps there, and does not compile here |
//! | `B`, `H`, `I`, `Q`    | `u8`, `u16`, `u32`, `u64`             |                                          |
//! | `l`, `L`              | `isize`, `usize`                      |                                          |
//! | `f`, `d`              | `f32`, `f64`                          |                                          |
//! | `u`, `c_bool`         | `u32`; `u8` or [`AtomicBool`]         | not all bits are a `char` or a `bool`    |
//! | a `Structure`, an array | a type that derives `Shareable`, `[T; N]` |                                    |
//!
//! Python's `lock=False` is a [`RawValue`] or a [`RawArray`]. One lock for several values, `lock=l` or
//! `synchronized`, is [`Value::with_lock`], [`Array::with_lock`], [`Synchronized::new`]; or they are fields
//! of one structure in a [`Mutex`] or [`Value`].
//!
//! Locks ([`Lock`], [`RLock`]), events and semaphores of one maker share pages and their descriptors. Each other
//! object has memory of its own: at least a page, and a descriptor in each process that has it. (Python puts small
//! ones together.) For thousands of values use one [`Array`].
//!
//! The algorithms are in [`raw`], one in each file. They are generic over the words they work on, so a model
//! checker runs the same source.

#![deny(clippy::unwrap_used)]

mod array;
mod atomic;
mod barrier;
mod cell;
mod condition;
mod dict;
mod elements;
mod error;
mod event;
mod guard;
mod lock;
mod membership;
mod mutex;
mod owned_semaphore;
pub mod raw;
mod relock;
mod rlock;
mod row;
mod rwlock;
mod semaphore;
mod synchronized;
mod text;
mod value;
mod without_guard;

pub use array::{Array, ArrayGuard, RawArray};
pub use atomic::{
    Atomic, AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16,
    AtomicU32, AtomicU64, AtomicUsize,
};
pub use barrier::{Barrier, BarrierBuilder, BarrierWaitResult};
pub use condition::{Condition, ConditionGuard};
pub use dict::{DictError, Integer, SharedDict};
pub use error::{AcquireError, BrokenBarrierError, OwnerDiedError, ReleaseError, WaitError};
pub use event::Event;
pub use guard::Guard;
pub use lock::{Lock, LockGuard};
pub use mutex::{Mutex, MutexGuard};
pub use owned_semaphore::{OwnedPermit, OwnedSemaphore};
pub use rlock::{RLock, RLockGuard};
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
pub use semaphore::{BoundedSemaphore, Permit, Semaphore};
pub use synchronized::Synchronized;
pub use value::{RawValue, Value, ValueGuard};

/// What a user of this crate alone needs of the ground floor: processes, and the error of making an object.
pub use mp_core::transfer::KeyOf;
pub use mp_core::{CreateError, MemError, OutOfRangeError, Process};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
