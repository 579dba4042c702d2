//! The C library's locks between processes: each in shared memory, made with `PTHREAD_PROCESS_SHARED`.
//!
//! # Safety
//! The one invariant: an object is initialised once, in the shared memory where it stays, before any other process has
//! its place; it is never destroyed there, and the memory outlives every use, since each handle keeps its mapping.
#![allow(unsafe_code)]

use super::measure::text;
use mp_core::mem::{SharedRef, Structure};
use serde::{Deserialize, Serialize};
use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, Ordering};

/// One of the C library's objects, where other processes see it too.
#[repr(transparent)]
pub(super) struct Shared<T>(UnsafeCell<T>);

// SAFETY: reached by the C library's own calls only, which are for many threads.
unsafe impl<T> Sync for Shared<T> {}
// SAFETY: made to be shared between processes; all zeros is as good as uninitialised, and it has no `Drop`.
unsafe impl Structure for Shared<libc::pthread_mutex_t> {}
// SAFETY: as above.
unsafe impl Structure for Shared<libc::sem_t> {}
// SAFETY: as above.
unsafe impl Structure for Shared<libc::pthread_barrier_t> {}

impl<T> Shared<T> {
    fn get(&self) -> *mut T {
        self.0.get()
    }
}

fn checked(result: c_int) -> Result<(), String> {
    if result == 0 { Ok(()) } else { Err(text(std::io::Error::from_raw_os_error(result))) }
}

fn init_mutex(mutex: &Shared<libc::pthread_mutex_t>, robustness: c_int) -> Result<(), String> {
    let mut attributes = MaybeUninit::uninit();
    // SAFETY: writes the attributes, on this stack; the same for the calls below.
    checked(unsafe { libc::pthread_mutexattr_init(attributes.as_mut_ptr()) })?;
    let shared = libc::PTHREAD_PROCESS_SHARED;
    // SAFETY: initialised above.
    checked(unsafe { libc::pthread_mutexattr_setpshared(attributes.as_mut_ptr(), shared) })?;
    // SAFETY: initialised above.
    checked(unsafe { libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), robustness) })?;
    // SAFETY: the mutex is not shared yet (the invariant).
    checked(unsafe { libc::pthread_mutex_init(mutex.get(), attributes.as_ptr()) })
}

fn lock(mutex: &Shared<libc::pthread_mutex_t>) {
    // SAFETY: initialised before it was shared (the invariant).
    let result = unsafe { libc::pthread_mutex_lock(mutex.get()) };
    assert_eq!(result, 0, "no holder dies");
}

fn unlock(mutex: &Shared<libc::pthread_mutex_t>) {
    // SAFETY: as above.
    let result = unsafe { libc::pthread_mutex_unlock(mutex.get()) };
    assert_eq!(result, 0, "held by the caller");
}

/// A mutex that says so when its holder has died.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RobustMutex(SharedRef<Shared<libc::pthread_mutex_t>>);

impl RobustMutex {
    pub(super) fn new() -> Result<RobustMutex, String> {
        let place = SharedRef::create("pthread-mutex").map_err(text)?;
        init_mutex(&place, libc::PTHREAD_MUTEX_ROBUST)?;
        Ok(RobustMutex(place))
    }

    #[inline]
    pub(super) fn lock(&self) {
        lock(&self.0);
    }

    #[inline]
    pub(super) fn unlock(&self) {
        unlock(&self.0);
    }
}

/// A `sem_t`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Sem(SharedRef<Shared<libc::sem_t>>);

impl Sem {
    pub(super) fn new(value: u32) -> Result<Sem, String> {
        let place: SharedRef<Shared<libc::sem_t>> = SharedRef::create("sem_t").map_err(text)?;
        // SAFETY: it is not shared yet (the invariant).
        let failed = unsafe { libc::sem_init(place.get(), 1, value) } != 0;
        if failed { Err(text(std::io::Error::last_os_error())) } else { Ok(Sem(place)) }
    }

    #[inline]
    pub(super) fn wait(&self) {
        // SAFETY: initialised before it was shared (the invariant). Failure is an interruption: again.
        while unsafe { libc::sem_wait(self.0.get()) } != 0 {}
    }

    #[inline]
    pub(super) fn post(&self) {
        // SAFETY: as above.
        let failed = unsafe { libc::sem_post(self.0.get()) } != 0;
        assert!(!failed, "far fewer posts than it can count");
    }
}

/// A mutex, a condition of it, and the number that is waited for.
#[repr(C)]
pub(super) struct Monitor {
    mutex: Shared<libc::pthread_mutex_t>,
    condition: Shared<libc::pthread_cond_t>,
    number: AtomicU32,
}

// SAFETY: parts that are made to be shared between processes; as above.
unsafe impl Structure for Monitor {}

/// A number that one waits for by a condition.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Awaited(SharedRef<Monitor>);

impl Awaited {
    pub(super) fn new() -> Result<Awaited, String> {
        let place: SharedRef<Monitor> = SharedRef::create("pthread-cond").map_err(text)?;
        init_mutex(&place.mutex, libc::PTHREAD_MUTEX_STALLED)?;
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: writes the attributes, on this stack.
        checked(unsafe { libc::pthread_condattr_init(attributes.as_mut_ptr()) })?;
        let shared = libc::PTHREAD_PROCESS_SHARED;
        // SAFETY: initialised above.
        checked(unsafe { libc::pthread_condattr_setpshared(attributes.as_mut_ptr(), shared) })?;
        // SAFETY: the condition is not shared yet (the invariant).
        checked(unsafe { libc::pthread_cond_init(place.condition.get(), attributes.as_ptr()) })?;
        Ok(Awaited(place))
    }

    /// Waits until it is `number`, and makes it `next`.
    pub(super) fn wait(&self, number: u32, next: u32) {
        lock(&self.0.mutex);
        // ORDERING: Relaxed: the mutex orders it.
        while self.0.number.load(Ordering::Relaxed) != number {
            // SAFETY: both were initialised before they were shared (the invariant), and the mutex is held.
            let result = unsafe { libc::pthread_cond_wait(self.0.condition.get(), self.0.mutex.get()) };
            assert_eq!(result, 0, "the mutex is held");
        }
        self.0.number.store(next, Ordering::Relaxed);
        unlock(&self.0.mutex);
    }

    /// Sets it to `number`, and wakes all waiters.
    pub(super) fn tell(&self, number: u32) {
        lock(&self.0.mutex);
        // ORDERING: Relaxed: the mutex orders it.
        self.0.number.store(number, Ordering::Relaxed);
        // SAFETY: initialised before it was shared (the invariant).
        unsafe { libc::pthread_cond_broadcast(self.0.condition.get()) };
        unlock(&self.0.mutex);
    }
}

/// A `pthread_barrier_t`.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Barrier(SharedRef<Shared<libc::pthread_barrier_t>>);

impl Barrier {
    pub(super) fn new(parties: u32) -> Result<Barrier, String> {
        let place: SharedRef<Shared<libc::pthread_barrier_t>> =
            SharedRef::create("pthread-barrier").map_err(text)?;
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: writes the attributes, on this stack.
        checked(unsafe { libc::pthread_barrierattr_init(attributes.as_mut_ptr()) })?;
        let shared = libc::PTHREAD_PROCESS_SHARED;
        // SAFETY: initialised above.
        checked(unsafe { libc::pthread_barrierattr_setpshared(attributes.as_mut_ptr(), shared) })?;
        // SAFETY: it is not shared yet (the invariant).
        checked(unsafe { libc::pthread_barrier_init(place.get(), attributes.as_ptr(), parties) })?;
        Ok(Barrier(place))
    }

    pub(super) fn wait(&self) {
        // SAFETY: initialised before it was shared (the invariant).
        let result = unsafe { libc::pthread_barrier_wait(self.0.get()) };
        assert!(result == 0 || result == libc::PTHREAD_BARRIER_SERIAL_THREAD, "a whole barrier");
    }
}
