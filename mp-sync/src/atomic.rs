//! Atomic numbers in shared memory: std's own, behind a handle.
//!
//! # When a process dies
//! Each operation has happened or not; there is nothing to repair.

use mp_core::MemError;
use mp_core::mem::{SharedRef, Structure};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{self, Ordering};

/// An atomic number in shared memory, without a lock. It dereferences to std's atomic `A`, with all its
/// methods.
///
/// ```
/// use mp_sync::AtomicU64;
/// use std::sync::atomic::Ordering::Relaxed;
///
/// let done = AtomicU64::new(0)?;
/// let clone = done.clone(); // the same number; so is what a child gets as an argument
/// clone.fetch_add(2, Relaxed);
/// assert_eq!(done.load(Relaxed), 2);
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// Between processes the orderings mean what they mean between threads: a process that sees a `Release` store
/// by an `Acquire` load also sees what was written to shared memory before it. Another process may set the
/// number to any value at any time, so check it like any input.
///
/// The names: [`AtomicU64`], [`AtomicI64`], [`AtomicU32`], [`AtomicI32`], [`AtomicU16`], [`AtomicI16`],
/// [`AtomicU8`],
/// [`AtomicI8`], [`AtomicUsize`], [`AtomicIsize`]; and [`AtomicBool`], which is no number.
///
/// Python has no counterpart: `Value` with its lock.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Atomic<A: Structure> {
    place: SharedRef<A>,
}

impl<A: Structure> Deref for Atomic<A> {
    type Target = A;
    #[inline]
    fn deref(&self) -> &A {
        &self.place
    }
}

impl<A: Structure> Clone for Atomic<A> {
    fn clone(&self) -> Self {
        Atomic { place: self.place.clone() }
    }
}

impl<A: Structure + fmt::Debug> fmt::Debug for Atomic<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Atomic").field(&**self).finish()
    }
}

macro_rules! numbers {
    ($($name:ident: $number:ty),*) => {$(
        #[doc = concat!("A `", stringify!($number), "` in shared memory: an [`Atomic`].")]
        pub type $name = Atomic<atomic::$name>;

        impl Atomic<atomic::$name> {
            /// Makes a number in shared memory.
            ///
            /// # Errors
            /// No memory or no descriptor for the shared object.
            pub fn new(number: $number) -> Result<Self, MemError> {
                let place = SharedRef::<atomic::$name>::create("mp-atomic")?;
                // ORDERING: Relaxed: it is not shared yet; sending it orders what was written before.
                place.store(number, Ordering::Relaxed);
                Ok(Atomic { place })
            }
        }
    )*};
}

numbers!(AtomicU8: u8, AtomicI8: i8, AtomicU16: u16, AtomicI16: i16, AtomicU32: u32, AtomicI32: i32,
    AtomicU64: u64, AtomicI64: i64, AtomicUsize: usize, AtomicIsize: isize);

/// An atomic `bool` in shared memory, without a lock.
///
/// It does not dereference to std's `AtomicBool`, since another process could write a 2, which is not a
/// `bool`. It has the same methods; any byte but 0 is `true`.
///
/// ```
/// use mp_sync::AtomicBool;
/// use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};
///
/// let begun = AtomicBool::new(false)?;
/// assert!(!begun.swap(true, AcqRel)); // the first one
/// assert!(begun.load(Acquire));
/// begun.store(false, Release);
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// To wait until it changes, take an [`Event`](crate::Event).
#[derive(Clone, Serialize, Deserialize)]
pub struct AtomicBool {
    byte: SharedRef<atomic::AtomicU8>,
}

impl AtomicBool {
    /// Makes a `bool` in shared memory.
    ///
    /// # Errors
    /// No memory or no descriptor for the shared object.
    pub fn new(value: bool) -> Result<AtomicBool, MemError> {
        let new = AtomicBool { byte: SharedRef::create("mp-atomic-bool")? };
        // ORDERING: Relaxed: it is not shared yet; sending it orders what was written before.
        new.store(value, Ordering::Relaxed);
        Ok(new)
    }

    /// Reads the value. Like std's, with any ordering but `Release` and `AcqRel`.
    #[inline]
    pub fn load(&self, order: Ordering) -> bool {
        self.byte.load(order) != 0
    }

    /// Stores a value. Like std's, with any ordering but `Acquire` and `AcqRel`.
    #[inline]
    pub fn store(&self, value: bool, order: Ordering) {
        self.byte.store(u8::from(value), order);
    }

    /// Stores a value, and returns the old one.
    #[inline]
    pub fn swap(&self, value: bool, order: Ordering) -> bool {
        self.byte.swap(u8::from(value), order) != 0
    }

    /// Stores `new` if the value is `current`. Returns the old value: `Ok` if it was stored, otherwise `Err`.
    pub fn compare_exchange(
        &self,
        current: bool,
        new: bool,
        success: Ordering,
        failure: Ordering,
    ) -> Result<bool, bool> {
        let change = |byte: u8| ((byte != 0) == current).then_some(u8::from(new));
        let changed = self.byte.fetch_update(success, failure, change);
        changed.map(|byte| byte != 0).map_err(|byte| byte != 0)
    }

    /// Logical or with `value`; returns the old value.
    #[inline]
    pub fn fetch_or(&self, value: bool, order: Ordering) -> bool {
        self.byte.fetch_or(u8::from(value), order) != 0
    }

    /// Logical and with `value`; returns the old value.
    #[inline]
    pub fn fetch_and(&self, value: bool, order: Ordering) -> bool {
        // All bits of a `true`, since any of them may be what makes it one.
        self.byte.fetch_and(if value { u8::MAX } else { 0 }, order) != 0
    }
}

impl fmt::Debug for AtomicBool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // ORDERING: Relaxed: for display only.
        f.debug_tuple("AtomicBool").field(&self.load(Ordering::Relaxed)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Relaxed, SeqCst};

    #[test]
    fn what_is_no_bool_is_true() {
        let flag = AtomicBool::new(false).unwrap();
        for byte in 1..=u8::MAX {
            let with = |change: &dyn Fn()| {
                flag.byte.store(byte, Relaxed);
                change();
                flag.load(Relaxed)
            };
            assert!(with(&|| ()));
            assert!(!with(&|| assert!(flag.swap(false, SeqCst))));
            assert!(!with(&|| assert_eq!(flag.compare_exchange(true, false, SeqCst, Relaxed), Ok(true))));
            assert!(with(&|| assert_eq!(flag.compare_exchange(false, false, SeqCst, Relaxed), Err(true))));
            assert!(with(&|| assert!(flag.fetch_and(true, SeqCst))));
            assert!(!with(&|| assert!(flag.fetch_and(false, SeqCst))));
            assert!(with(&|| assert!(flag.fetch_or(false, SeqCst))));
        }
        flag.store(false, Relaxed);
        assert_eq!(flag.compare_exchange(true, false, SeqCst, Relaxed), Err(false));
        assert!(!flag.fetch_or(true, SeqCst) && flag.load(SeqCst));
    }
}
