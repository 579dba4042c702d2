//! The contents of shared memory: the raw algorithms, and data that is reached only through a held lock.
//!
//! # Safety
//! The one invariant: the data in a [`Guarded`] or behind an [`ArrayHead`] ([`Element`]s) is touched only by
//! the thread that holds its lock. Where that thread may acquire it again, references do not conflict: see
//! [`relock`](crate::relock). The data in a [`Shared`] is touched only by threads that hold its lock to read
//! or to write, and the data in a [`Plain`] is copied, never borrowed. (A child forked while a guard is held
//! has a copy of the guard: it does not hold the lock, and the guard panics.)
#![allow(unsafe_code)]

use crate::raw::{
    RawBarrier, RawCondition, RawEvent, RawLock, RawOwnedSemaphore, RawRLock, RawRwLock, RawSemaphore,
};
use crate::relock::{Keeper, Lent, RelockCell};
use mp_core::mem::{self, Shareable, Structure};
use mp_core::sys::futex::FutexWord;
use mp_core::sys::robust::RobustWord;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// A lock in shared memory.
pub(crate) type LockCell = RawLock<RobustWord>;
/// A lock in shared memory that its holder may acquire again.
pub(crate) type RLockCell = RawRLock<RobustWord>;
/// An event in shared memory.
pub(crate) type EventCell = RawEvent<FutexWord>;

// SAFETY: words alone; all zeros is a free lock.
unsafe impl Structure for LockCell {}
// SAFETY: words alone; all zeros is a free lock.
unsafe impl Structure for RLockCell {}
// SAFETY: words alone; all zeros is an event that is not set.
unsafe impl Structure for EventCell {}

/// Permits, and the most that there may be.
#[repr(C)]
pub(crate) struct SemaphoreCell {
    pub(crate) permits: RawSemaphore<FutexWord>,
    pub(crate) most: AtomicU32,
}

// SAFETY: words and atomic integers alone; all zeros is a semaphore without permits.
unsafe impl Structure for SemaphoreCell {}

/// The waiters of a condition.
pub(crate) type ConditionCell = RawCondition<RobustWord, 128>;

// SAFETY: words alone; all zeros is a condition without waiters.
unsafe impl Structure for ConditionCell {}

/// Permits with their owners.
pub(crate) type OwnedSemaphoreCell = RawOwnedSemaphore<RobustWord, 128, 128>;

impl OwnedSemaphoreCell {
    /// The most permits that there can be.
    pub(crate) const MOST: u32 = 128;
}

// SAFETY: words alone; all zeros is a semaphore before `init`.
unsafe impl Structure for OwnedSemaphoreCell {}

/// A barrier, its default timeout, and the processes that take part.
#[repr(C)]
pub(crate) struct BarrierCell {
    pub(crate) barrier: RawBarrier<RobustWord>,
    /// In nanoseconds; 0: none.
    pub(crate) timeout: AtomicU64,
    /// Process id and stamp of each, packed; 0: free.
    pub(crate) members: [AtomicU64; MEMBERS],
}

/// Processes whose death a barrier notices.
pub(crate) const MEMBERS: usize = 128;

// SAFETY: words and atomic integers alone; all zeros is a barrier before `init`.
unsafe impl Structure for BarrierCell {}

// SAFETY: words alone; all zeros is a free lock, and nothing lent.
unsafe impl Structure for RelockCell {}

/// Data beside its lock.
#[repr(C)]
pub(crate) struct Guarded<T, K = LockCell> {
    pub(crate) lock: K,
    data: UnsafeCell<T>,
}

// SAFETY: the data is reached by the lock's holder only (the invariant above), and may be anywhere
// (`Shareable`).
unsafe impl<T: Shareable, K: Structure> Sync for Guarded<T, K> {}
// SAFETY: a lock, and data of which every bit pattern is a value, reached through a cell.
unsafe impl<T: Shareable, K: Structure> Structure for Guarded<T, K> {}

impl<T: Shareable, K: Keeper> Guarded<T, K> {
    /// The data, for a holder. Its guard had lent `before`, and lends `now`.
    ///
    /// # Panics
    /// If the calling thread does not hold the lock, or another of its guards has lent a conflicting
    /// reference.
    #[inline]
    pub(crate) fn data(&self, before: Lent, now: Lent) -> &T {
        assert!(self.lock.held_by_me(), "the calling thread does not hold this guard's lock");
        self.lock.refer(Lent::Shared, before, now);
        // SAFETY: held, so no thread writes (and the guard that calls is borrowed for as long as the
        // reference lives).
        unsafe { &*self.data.get() }
    }

    /// The data, for a holder whose guard is borrowed mutably.
    ///
    /// # Panics
    /// In the cases of [`data`](Guarded::data).
    #[allow(clippy::mut_from_ref, reason = "the guard that calls is borrowed mutably")]
    #[inline]
    pub(crate) fn data_mut(&self, before: Lent, now: Lent) -> &mut T {
        assert!(self.lock.held_by_me(), "the calling thread does not hold this guard's lock");
        self.lock.refer(Lent::Mut, before, now);
        // SAFETY: held, and the guard is borrowed mutably, so there is no other reference.
        unsafe { &mut *self.data.get() }
    }
}

/// The head of an array's memory, in front of its elements. (Of [`Plain`] elements the lock is not used.)
#[repr(C)]
pub(crate) struct ArrayHead {
    pub(crate) lock: RelockCell,
    /// The number of elements: written when the array is made, and checked by each receiver.
    pub(crate) len: AtomicU64,
}

// SAFETY: words and an atomic integer alone; all zeros is a free lock and no elements.
unsafe impl Structure for ArrayHead {}

/// One element behind an [`ArrayHead`].
#[repr(transparent)]
pub(crate) struct Element<T>(UnsafeCell<T>);

// SAFETY: reached by the holder of the head's lock only (the invariant above).
unsafe impl<T: Shareable> Sync for Element<T> {}
// SAFETY: data of which every bit pattern is a value, reached through a cell.
unsafe impl<T: Shareable> Structure for Element<T> {}

impl ArrayHead {
    /// The elements behind this head, for a holder. Its guard had lent `before`, and lends `now`.
    ///
    /// # Panics
    /// If the calling thread does not hold the lock, or another of its guards has lent a conflicting
    /// reference.
    pub(crate) fn data<'a, T: Shareable>(
        &self,
        elements: &'a [Element<T>],
        before: Lent,
        now: Lent,
    ) -> &'a [T] {
        assert!(self.lock.held_by_me(), "the calling thread does not hold this guard's lock");
        self.lock.refer(Lent::Shared, before, now);
        // SAFETY: held, so no thread writes (and the guard that calls is borrowed for as long as the
        // reference lives); an `Element<T>` is laid out as a `T`.
        unsafe { &*(ptr::from_ref(elements) as *const [T]) }
    }

    /// The elements behind this head, for a holder whose guard is borrowed mutably.
    ///
    /// # Panics
    /// In the cases of [`data`](ArrayHead::data).
    #[allow(clippy::mut_from_ref, reason = "the guard that calls is borrowed mutably")]
    pub(crate) fn data_mut<'a, T: Shareable>(
        &self,
        elements: &'a [Element<T>],
        before: Lent,
        now: Lent,
    ) -> &'a mut [T] {
        assert!(self.lock.held_by_me(), "the calling thread does not hold this guard's lock");
        self.lock.refer(Lent::Mut, before, now);
        let first = UnsafeCell::raw_get(elements.as_ptr().cast::<UnsafeCell<T>>());
        // SAFETY: held, and the guard is borrowed mutably, so there is no other reference; the pointer is
        // that of the whole slice, whose elements are cells.
        unsafe { std::slice::from_raw_parts_mut(first, elements.len()) }
    }
}

/// Data beside a lock that many threads may hold to read.
#[repr(C)]
pub(crate) struct Shared<T> {
    pub(crate) lock: RawRwLock<RobustWord, 128>,
    data: UnsafeCell<T>,
}

// SAFETY: only the writer writes the data, while no thread reads, and it may be anywhere (`Shareable`).
unsafe impl<T: Shareable> Sync for Shared<T> {}
// SAFETY: a lock, and data of which every bit pattern is a value, reached through a cell.
unsafe impl<T: Shareable> Structure for Shared<T> {}

impl<T: Shareable> Shared<T> {
    /// The data, for the reader in this slot.
    ///
    /// # Panics
    /// If the calling thread does not hold the lock so.
    pub(crate) fn read(&self, slot: usize) -> &T {
        assert!(self.lock.read_by_me(slot), "the calling thread does not hold this guard's lock");
        // SAFETY: no thread writes while this one reads (and its guard is borrowed for as long as the
        // reference lives).
        unsafe { &*self.data.get() }
    }

    /// The data, for the writer.
    ///
    /// # Panics
    /// If the calling thread does not hold the lock so.
    pub(crate) fn written(&self) -> &T {
        assert!(self.lock.written_by_me(), "the calling thread does not hold this guard's lock");
        // SAFETY: no other thread reads or writes.
        unsafe { &*self.data.get() }
    }

    /// The data, for the writer whose guard is borrowed mutably.
    ///
    /// # Panics
    /// In the cases of [`written`](Shared::written).
    #[allow(clippy::mut_from_ref, reason = "the guard that calls is borrowed mutably")]
    pub(crate) fn written_mut(&self) -> &mut T {
        assert!(self.lock.written_by_me(), "the calling thread does not hold this guard's lock");
        // SAFETY: no other thread reads or writes, and the guard is borrowed mutably.
        unsafe { &mut *self.data.get() }
    }
}

/// The head of a dict's memory, in front of its words.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct DictHead {
    pub(crate) lock: LockCell,
    /// Of these three each is written when the dict is made, and checked by each receiver.
    pub(crate) entries: AtomicU32,
    pub(crate) cells: AtomicU32,
    pub(crate) seed: AtomicU64,
}

// SAFETY: words and atomic integers alone; all zeros is a free lock and no size, which no receiver takes.
unsafe impl Structure for DictHead {}

/// Data without a lock.
#[repr(transparent)]
pub(crate) struct Plain<T>(UnsafeCell<T>);

// SAFETY: reached by copies only, whose accesses are atomic; a torn copy of a compound value is still a
// value.
unsafe impl<T: Shareable> Sync for Plain<T> {}
// SAFETY: every bit pattern is a value, reached through a cell.
unsafe impl<T: Shareable> Structure for Plain<T> {}

impl<T: Shareable> Plain<T> {
    #[cfg(test)]
    pub(crate) fn holding(value: T) -> Plain<T> {
        Plain(UnsafeCell::new(value))
    }

    /// A copy. A number of up to 8 bytes is never half of one write and half of another; anything else may
    /// be.
    #[inline]
    pub(crate) fn get(&self) -> T {
        let mut value = MaybeUninit::uninit();
        // SAFETY: its `SharedRef` keeps it mapped and aligned.
        unsafe { mem::copy_out(self.0.get(), value.as_mut_ptr(), 1) };
        // SAFETY: just written; every bit pattern is a value (`Shareable`).
        unsafe { value.assume_init() }
    }

    /// Stores a copy, as whole as `get` reads it.
    #[inline]
    pub(crate) fn set(&self, value: T) {
        // SAFETY: its `SharedRef` keeps it mapped and aligned; the data has no `Drop` (`Shareable` is
        // `Copy`).
        unsafe { mem::copy_in(&raw const value, self.0.get(), 1) };
    }
}
