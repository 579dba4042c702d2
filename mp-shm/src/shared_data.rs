//! SharedData: data that every process reads without a copy, and none can change.
//!
//! ```text
//!  share(&[T]) ──write, seal──► memory without a name ◄── SharedData<[T]>, sent to any process of the program
//! ```
//!
//! # When a process dies
//! It changes nothing: there is no name, no owner and no lock. The memory goes with the last process that has it.

use mp_core::MemError;
use mp_core::mem::{Freezing, Frozen, Kind, Shareable, attach_frozen, bytes_of_all, freeze_each};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::slice;
use std::sync::Arc;

/// Read-only data in shared memory: a slice, or a value, of [`Shareable`] parts. Made by [`share`] and [`share_each`].
///
/// It is a handle: clones are of the same memory, and so is what arrives in another process when it is sent there. It
/// is read as the slice or the value itself. No process can change it, by no means: the kernel refuses it. So it needs
/// no lock, and a reference to it is an ordinary one.
///
/// ```no_run
/// use mp_core::Process;
/// use mp_shm::{SharedData, share};
///
/// fn sum(numbers: SharedData<[f64]>, from: usize) -> f64 {
///     numbers[from..].iter().sum()
/// }
///
/// let numbers = share(&[1.5, 2.0, 3.0][..])?;
/// let child = Process::new(sum, (numbers.clone(), 1)).start()?;
/// assert_eq!(child.join()?, 5.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Each process maps it when it arrives, which takes microseconds whatever its size; memory is read from the machine
/// once. A pool maps it once in each worker, if the worker keeps it: pass it to the `initializer_value` of its builder
/// rather than with each task.
///
/// Python: an array over `multiprocessing.shared_memory`, which each process may change; joblib maps a file
/// (`max_nbytes`), mpire calls it `shared_objects`.
#[doc(alias = "shared_objects")]
#[doc(alias = "memmap")]
pub struct SharedData<T: ?Sized> {
    frozen: Arc<Frozen>,
    data: PhantomData<fn() -> T>,
}

mod sealed {
    /// What [`share`](super::share) takes: slices and values.
    #[diagnostic::on_unimplemented(
        message = "a `{Self}` cannot be shared as read-only data",
        label = "no slice and no value of `Shareable` parts",
        note = "numbers, arrays, `#[repr(C)]` structs with `#[derive(Shareable)]`, and slices of them can: of a vector pass \
                `&vector[..]`"
    )]
    pub trait Share: 'static {
        type Part: mp_core::mem::Shareable;
        fn parts(&self) -> &[Self::Part];
        fn of(parts: &[Self::Part]) -> Option<&Self>;
    }
}
use sealed::Share;

impl<T: Shareable> Share for [T] {
    type Part = T;
    fn parts(&self) -> &[T] {
        self
    }
    fn of(parts: &[T]) -> Option<&[T]> {
        Some(parts)
    }
}

impl<T: Shareable> Share for T {
    type Part = T;
    fn parts(&self) -> &[T] {
        slice::from_ref(self)
    }
    fn of(parts: &[T]) -> Option<&T> {
        parts.first()
    }
}

/// Copies a slice, or a value, into shared memory, once.
///
/// ```
/// let squares: Vec<u64> = (0..1000).map(|x| x * x).collect();
/// let squares = mp_shm::share(&squares[..])?;
/// assert_eq!(squares[30], 900);
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// # Errors
/// [`MemError::NoMemory`]: there is not that much memory, which is known before a byte is written; an error of the
/// system.
pub fn share<T: Share + ?Sized>(data: &T) -> Result<SharedData<T>, MemError> {
    let parts = data.parts();
    let mut freezing = Freezing::begin("mp-shared-data")?;
    freezing.write(bytes_of_all(parts))?;
    let frozen = freezing.finish::<T::Part>(Kind::of::<T>(), parts.len())?;
    SharedData::new(frozen).ok_or(MemError::NotOurs("it has no value"))
}

/// Writes the items of an iterator into shared memory, as a slice of them. They are never all there twice, so this is
/// the way for data that is as large as half of the memory.
///
/// ```
/// let squares = mp_shm::share_each((0..1000_u64).map(|x| x * x))?;
/// assert_eq!((squares.len(), squares[30]), (1000, 900));
/// # Ok::<(), mp_core::MemError>(())
/// ```
///
/// # Errors
/// [`MemError::NoMemory`]: there is not enough memory for the next mebibyte; an error of the system.
pub fn share_each<T: Shareable>(items: impl IntoIterator<Item = T>) -> Result<SharedData<[T]>, MemError> {
    let frozen = freeze_each("mp-shared-data", Kind::of::<[T]>(), items)?;
    SharedData::new(frozen).ok_or(MemError::NotOurs("it has no value"))
}

impl<T: Share + ?Sized> SharedData<T> {
    /// `None`: no part is there, and it is no slice.
    fn new(frozen: Frozen) -> Option<SharedData<T>> {
        T::of(frozen.values())?;
        Some(SharedData { frozen: Arc::new(frozen), data: PhantomData })
    }
}

impl<T: Share + ?Sized> Deref for SharedData<T> {
    type Target = T;
    fn deref(&self) -> &T {
        T::of(self.frozen.values()).expect("checked where it was made")
    }
}

impl<T: ?Sized> Clone for SharedData<T> {
    fn clone(&self) -> Self {
        SharedData { frozen: Arc::clone(&self.frozen), data: PhantomData }
    }
}

/// Its type: the data may be long.
impl<T: ?Sized> fmt::Debug for SharedData<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(type_name::<Self>())
    }
}

/// Within a transfer to another process only.
impl<T: ?Sized> Serialize for SharedData<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.frozen.serialize(serializer)
    }
}

impl<'de, T: Share + ?Sized> Deserialize<'de> for SharedData<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let frozen = attach_frozen::<T::Part, D>(deserializer, Kind::of::<T>(), type_name::<T>())?;
        SharedData::new(frozen).ok_or_else(|| serde::de::Error::custom("it has no value"))
    }
}
