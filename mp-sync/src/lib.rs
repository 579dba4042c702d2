//! Locks, barriers, events and values that processes share and that survive a killed holder (Python:
//! `multiprocessing.synchronize` and `sharedctypes`).
//!
//! | type                   | state in shared memory          | who may release  | when a holder or party dies              |
//! |------------------------|---------------------------------|------------------|------------------------------------------|
//! | [`Lock`]               | owner's thread id               | its owner        | the next one gets [`OwnerDied`], at once |
//! | [`RLock`]              | a lock, and a depth             | its owner        | as for `Lock`                            |
//! | [`Mutex`]              | a lock, and data                | its owner        | as for `Lock`                            |
//! | [`RwLock`]             | its readers, its writer, data   | its owner        | as for `Lock`, if it wrote               |
//! | [`Condition`]          | a place for each waiter         | -                | another is notified instead, within 1 s  |
//! | [`Semaphore`], [`BoundedSemaphore`] | a count of permits | anybody          | its permits are gone, as in Python       |
//! | [`OwnedSemaphore`]     | a holder for each permit        | its owner        | its permits are had by others            |
//! | [`Event`]              | a count of sets, a flag         | anybody sets it  | nothing happens                          |
//! | [`Barrier`]            | round, parties, processes       | -                | [`BrokenBarrier`] for all, within 1 s    |
//! | [`Value`]              | a lock, and the value           | its owner        | as for `Lock`                            |
//! | [`Array`]              | a lock, and the elements        | its owner        | as for `Lock`                            |
//! | [`Synchronized`]       | the value, or the elements      | the lock's owner | as for `RLock`                           |
//! | [`RawValue`], [`RawArray`] | the value, the elements     | -                | nothing happens                          |
//! | [`Atomic`], [`AtomicBool`] | the number                  | -                | nothing happens                          |
//!
//! All of them are handles: clones share the object, and so do copies that travel to other processes as arguments,
//! results or messages. The object lives as long as any handle, in any process.
//!
//! # Types
//!
//! | Python's code         | here                                  |                                          |
//! |-----------------------|---------------------------------------|------------------------------------------|
//! | `c`                   | `u8`                                  | texts in arrays: [`Array::value`]        |
//! | `b`, `h`, `i`, `q`    | `i8`, `i16`, `i32`, `i64`             | what is too large wraps there, and does not compile here |
//! | `B`, `H`, `I`, `Q`    | `u8`, `u16`, `u32`, `u64`             |                                          |
//! | `l`, `L`              | `isize`, `usize`                      |                                          |
//! | `f`, `d`              | `f32`, `f64`                          |                                          |
//! | `u`, `c_bool`         | `u32`; `u8` or [`AtomicBool`]         | not all bits are a `char` or a `bool`    |
//! | a `Structure`, an array | a type that derives `Shareable`, `[T; N]` |                                    |
//!
//! Python's `lock=False` is a [`RawValue`] or a [`RawArray`]. One lock for several values, `lock=l` or `synchronized`, is
//! [`Value::with_lock`], [`Array::with_lock`], [`Synchronized::new`]; or they are fields of one structure in a [`Mutex`] or
//! [`Value`].
//!
//! Each object is memory of its own: a page at least, and a descriptor in each process that has it. (Python puts
//! small ones together.) Where there are thousands, let them be the elements of one [`Array`].
//!
//! The algorithms are in [`raw`], one a file, generic over the words they work on, so that a model checker runs
//! the very same source.

mod array;
mod atomic;
mod barrier;
mod cell;
mod condition;
mod elements;
mod error;
mod event;
mod held;
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
pub use error::{
    AcquireError, BrokenBarrier, NewBarrierError, NewSemaphoreError, NotOwner, OutOfRange, OverReleased,
    OwnerDied, WaitError,
};
pub use event::Event;
pub use held::Held;
pub use lock::{Lock, LockGuard};
pub use mutex::{Mutex, MutexGuard};
pub use owned_semaphore::{OwnedPermit, OwnedSemaphore};
pub use rlock::{RLock, RLockGuard};
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
pub use semaphore::{BoundedSemaphore, Permit, Semaphore};
pub use synchronized::Synchronized;
pub use value::{RawValue, Value, ValueGuard};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
