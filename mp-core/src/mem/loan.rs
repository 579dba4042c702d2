//! Loan: a count of the plain references into shared memory that may be alive in this process.
//!
//! A guard of shared data (of a value, an array, a mutex, a read-write lock) gives plain references. They promise
//! that no other thread changes the data while they live; the lock keeps that promise. A fork copies the references
//! and not the lock, so a fork is refused while the calling thread has a loan. A guard cannot be sent to another
//! thread. A reference from it can, and the guard's thread then still runs, which refuses the fork too.
//!
//! | end of a guard                   | its loan                              | its lock                       |
//! |----------------------------------|---------------------------------------|--------------------------------|
//! | dropped                          | ends                                  | free                           |
//! | leaked, and its thread runs      | stays with the thread                 | held                           |
//! | leaked, and its thread has ended | the process's, until it ends          | held, until the process ends   |
//!
//! What gives plain references without a lock, and may be sent to another thread, has a [`MovingLoan`]: it refuses the
//! fork in every thread.
//!
//! The last row is why a thread's end is watched here: the kernel frees the locks of a thread that ends, and a
//! reference from a leaked guard may still be in use by another thread.
//!
//! # When a process dies
//! The counts are in its own memory, and end with it.

use crate::sys::robust;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Loans of threads that have ended.
static ABANDONED: AtomicUsize = AtomicUsize::new(0);
/// Moving loans, of all threads.
static MOVING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Never dropped, so that the destructors of a thread's other locals can use guards.
    static LOANS: Cell<usize> = const { Cell::new(0) };
    static AT_END: AtEnd = const { AtEnd };
}

/// Counts one guard that can lend references into shared memory. Held by the guard as long as it can be borrowed.
#[doc(hidden)]
#[derive(Debug)]
pub struct Loan {
    own_thread_only: PhantomData<*const ()>,
}

impl Default for Loan {
    #[inline]
    fn default() -> Loan {
        let before = LOANS.get();
        if before == 0 {
            watch_end();
        }
        LOANS.set(before + 1);
        Loan { own_thread_only: PhantomData }
    }
}

impl Drop for Loan {
    #[inline]
    fn drop(&mut self) {
        LOANS.set(LOANS.get() - 1);
    }
}

/// A loan that may end in another thread than the one in which it began.
#[doc(hidden)]
#[derive(Debug)]
pub struct MovingLoan(());

impl MovingLoan {
    /// Whether there may be one in this process.
    #[inline]
    pub fn any() -> bool {
        // ORDERING: Relaxed: a thread that has what was lent has synchronised with the one that counted it.
        MOVING.load(Ordering::Relaxed) != 0
    }
}

impl Default for MovingLoan {
    fn default() -> MovingLoan {
        // ORDERING: Relaxed: as in `any`.
        MOVING.fetch_add(1, Ordering::Relaxed);
        MovingLoan(())
    }
}

impl Drop for MovingLoan {
    fn drop(&mut self) {
        // ORDERING: Relaxed: as in `any`.
        MOVING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The number of loans of the calling thread, of threads that ended with leaked guards, and of moving loans.
#[doc(hidden)]
pub fn loans() -> usize {
    // ORDERING: Acquire, pairs with the Release in `AtEnd`: a thread that has a reference which an ended thread
    // gave away has synchronised with it, and so sees its loan.
    let abandoned = ABANDONED.load(Ordering::Acquire);
    // ORDERING: Relaxed: as in `MovingLoan::any`.
    LOANS.get() + abandoned + MOVING.load(Ordering::Relaxed)
}

#[inline]
fn watch_end() {
    // Fails only while the thread's locals are destroyed: then no code is left to run what it leaks.
    let _ = AT_END.try_with(|_| ());
}

struct AtEnd;

impl Drop for AtEnd {
    fn drop(&mut self) {
        let leaked = LOANS.get();
        if leaked != 0 {
            // ORDERING: Release, pairs with the Acquire in `loans`.
            ABANDONED.fetch_add(leaked, Ordering::Release);
            robust::leave_to_process();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loan_counts_for_its_thread_until_it_ends() {
        std::thread::spawn(|| {
            let before = loans();
            let (one, two) = (Loan::default(), Loan::default());
            assert_eq!(loans(), before + 2);
            std::thread::spawn(move || assert_eq!(loans(), before)).join().unwrap();
            drop((one, two));
            assert_eq!(loans(), before);
        })
        .join()
        .unwrap();
    }
}
