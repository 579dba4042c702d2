//! Buffers: arguments and results of tasks that are filled, sent and read where they lie.
//!
//! ```text
//!   caller:  Pool::buffer ─► BufferMut ── filled, frozen ─► Buffer ── an argument ──►┐ its place, no copy
//!   worker:                                     the same memory, read as a slice  ◄──┘
//!            buffer() ─► BufferMut, in the room for results ── filled, frozen ─► Buffer, the result ──►┐
//!   caller:                                                  the same memory, read as a slice  ◄───────┘
//! ```
//!
//! | file       | what                                                                       |
//! |------------|----------------------------------------------------------------------------|
//! | `home.rs`  | where the elements lie, and how a buffer crosses                           |
//! | `lease.rs` | the caller's blocks: lent until the last buffer of them is dropped         |
//! | `task.rs`  | what a worker's task has of the pool's memory                              |
//! | `slice.rs` | elements in shared memory as a slice; what makes that sound                |
//!
//! # When a process dies
//! A worker: the arguments' buffers are the caller's, which drops its hold when the slot is settled; what the worker
//! had filled lies in its slot's room, which comes back with the slot. What it kept of earlier tasks is free, too. The
//! caller: its workers end with it, and the memory with the last process that has it. There is no name.
//! # Tested by
//! `mp-pool/tests/buffers.rs`, `board/model/keeps.rs`, `mp-sweep pool.keeps`

mod home;
mod lease;
mod slice;
mod task;

pub(crate) use lease::{Lease, Leases, Lending, decoding, packing};
pub(crate) use task::{LENDS, OfTasks, TAIL, leave_this_host, take_wanted};

use crate::pool::Pool;
use crate::supervisor::Shared;
use home::{Home, bytes_of_len};
use mp_core::MemError;
use mp_core::mem::{Mapping, Shareable};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::any::type_name;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// Elements to be filled where a task, or its caller, will read them: made by [`Pool::buffer`] in the caller, and by
/// [`buffer`] in a task. [`freeze`](BufferMut::freeze) makes it a [`Buffer`], which can be sent.
///
/// Until it is filled its elements have any values, as those of a buffer that was there before. No other process can
/// read it. While there is one, this process cannot [`Fork`](mp_core::StartMethod::Fork).
///
/// Python: an array over a `SharedMemory` block.
pub struct BufferMut<T: Shareable> {
    home: Home<T>,
}

/// Elements that do not change, which a task or its caller reads where they lie. Read as a slice.
///
/// It is a handle: clones are of the same memory. As an argument or a result of a task of its pool it crosses without a
/// copy, whatever its length. The memory is used again when the last clone is dropped, and every task that had it is
/// done. It may outlive its pool.
///
/// Sent by any other way (to another pool, through a queue or a connection, to a worker on another host) a buffer
/// arrives as a copy; one with memory of its own, as [`Pool::buffer`] says, is shared by processes of this host there,
/// too. Written to a file or to JSON, it is its bytes, in this machine's order.
///
/// A task that keeps a buffer beyond its end (in its worker's state, say) keeps the memory of its arguments and results
/// from being used again until it drops it, or its worker ends: a copy is better there. A task that is tried again gets
/// the same elements.
///
/// # When a process dies
/// A worker that is killed holds no buffer any more: its arguments' memory is the caller's, and what it had filled is
/// used again.
///
/// Python: an array over a `SharedMemory` block; Ray: what `ray.put` and a task's result are; joblib: a `memmap`.
#[doc(alias = "put")]
#[doc(alias = "memmap")]
pub struct Buffer<T: Shareable> {
    home: Arc<Home<T>>,
}

/// A buffer for the result of the task that calls this: its caller reads it where it lies.
///
/// ```no_run
/// use mp_pool::{Buffer, Pool, buffer};
///
/// fn inverted(image: Buffer<u8>) -> Buffer<u8> {
///     let mut inverse = buffer(image.len()).expect("memory for an image");
///     inverse.iter_mut().zip(&*image).for_each(|(to, from)| *to = !from);
///     inverse.freeze()
/// }
///
/// let pool = Pool::new(2)?;
/// let mut image = pool.buffer(1 << 20)?;
/// image.fill(1);
/// let inverse = pool.apply(inverted, (image.freeze(),))?;
/// assert!(inverse.iter().all(|byte| *byte == 254));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It lies in the room that the pool has for the task's results: as much as its arguments' buffers have, or as much as
/// earlier results of the same function took. Where that is not enough, or the thread runs no task, it has memory of
/// its own, and crosses by its descriptor, which costs more. One of less than 16 KiB is a vector, and is copied.
///
/// Elements without a size do not compile:
///
/// ```compile_fail
/// let none = mp_pool::buffer::<[u8; 0]>(3);
/// ```
///
/// # Errors
/// [`MemError::NoMemory`], if it needs memory of its own; an error of the system.
pub fn buffer<T: Shareable>(len: usize) -> Result<BufferMut<T>, MemError> {
    Ok(BufferMut { home: Home::here(len)? })
}

impl Shared {
    /// Lends so many bytes to a buffer; `None`: there are none now.
    fn lease(&self, bytes: usize) -> Option<Arc<Lease>> {
        // A forked copy has no part in the pool's memory.
        if self.is_copied() {
            return None;
        }
        let mut dispatch = self.dispatch();
        let lease = dispatch.lease(bytes);
        self.tell(&mut dispatch);
        self.hand_on(&dispatch);
        lease
    }

    /// See [`Pool::buffer`].
    pub(crate) fn buffer<T: Shareable>(&self, len: usize) -> Result<BufferMut<T>, MemError> {
        let bytes = bytes_of_len::<T>(len)?;
        if Home::<T>::is_short(bytes) || self.is_elsewhere() {
            return Ok(BufferMut { home: Home::vector(len) });
        }
        let home = match self.lease(bytes + Mapping::ALIGNMENT) {
            Some(lease) => Home::leased(lease, bytes)?,
            None => Home::own(bytes)?,
        };
        Ok(BufferMut { home })
    }
}

impl Pool {
    /// A buffer for an argument of this pool's tasks: they read it where it lies.
    ///
    /// It lies in the pool's memory, of which 32 MiB are for buffers and for results that have some, taken together.
    /// One of more than 16 MiB, or for which there is no room now, has memory of its own; so nothing waits for a buffer
    /// to be dropped. One of less than 16 KiB is a vector, and is copied.
    ///
    /// # Errors
    /// [`MemError::NoMemory`], if it needs memory of its own; an error of the system.
    ///
    /// Python: a `SharedMemory` block for each; Ray: `ray.put`.
    #[doc(alias = "put")]
    pub fn buffer<T: Shareable>(&self, len: usize) -> Result<BufferMut<T>, MemError> {
        self.shared().buffer(len)
    }
}

impl<T: Shareable> BufferMut<T> {
    /// It does not change any more, and can be sent.
    #[must_use]
    pub fn freeze(self) -> Buffer<T> {
        Buffer { home: Arc::new(self.home.frozen()) }
    }
}

impl<T: Shareable> Deref for BufferMut<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        self.home.as_slice()
    }
}

impl<T: Shareable> DerefMut for BufferMut<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.home.as_mut_slice()
    }
}

impl<T: Shareable> Deref for Buffer<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        self.home.as_slice()
    }
}

impl<T: Shareable> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Buffer { home: Arc::clone(&self.home) }
    }
}

/// Its type and length: the elements may be many.
impl<T: Shareable> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer<{}>({})", type_name::<T>(), self.len())
    }
}

/// Its type and length.
impl<T: Shareable> fmt::Debug for BufferMut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BufferMut<{}>({})", type_name::<T>(), self.len())
    }
}

impl<T: Shareable> Serialize for Buffer<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.home.serialize(serializer)
    }
}

impl<'de, T: Shareable> Deserialize<'de> for Buffer<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Buffer { home: Arc::new(Home::deserialize(deserializer)?) })
    }
}
