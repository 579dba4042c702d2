//! Copies of this process that other code makes by its own `fork(2)`: such a copy begins without a family.
//!
//! ```text
//!  fork(2) by the user's code
//!    prepare ── the library's locks are taken, so that no other thread is inside one ──┐
//!    parent  ◄─ released ──────────────────────────────────────────────────────────────┤
//!    child   ◄─ released; children, template, exit handlers, lifeline, outcome: forgotten, their descriptors closed
//! ```
//! The children, the template and the exit handlers belong to the process that made them. Without this, the
//! copy's exit would kill the original's daemons, wait for its children and take their results. Both would use
//! one template at once, and an end of the original would not be seen while the copy lives.
//!
//! The library's own forks do this themselves, in the order that they need (`fork.rs`). A copy made by the bare
//! system call runs no handlers: its process id shows it when it starts a child or exits ([`is_the_owner`]).
//!
//! # When a process dies
//! No state here outlives a call.

use crate::component::{self, Rank};
use crate::mem::mapping;
use crate::sys::owning_process::OwningProcess;
use crate::sys::{self, robust};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

thread_local! {
    /// Whether this thread is inside one of the library's own forks.
    static OWN: Cell<bool> = const { Cell::new(false) };
    /// The library's locks, from the start of a fork to its end.
    static HELD: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// The process to which the known children, template and exit handlers belong; 0: there are none yet.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// Installs the fork handlers. Before the first state exists that belongs to one process.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Its handler is registered before, and so runs before, the one that has everything forgotten.
        OwningProcess::current();
        sys::process::at_fork(before, in_original, in_copy);
        become_owner();
    });
}

/// From now on the known state belongs to this process.
#[inline]
pub(crate) fn become_owner() {
    // ORDERING: Relaxed, here and below: only a fork changes it, and then one thread runs.
    OWNER.store(std::process::id(), Ordering::Relaxed);
}

/// Whether the known state belongs to this process, and not to the original of which it is a copy.
pub(crate) fn is_the_owner() -> bool {
    // ORDERING: as above.
    OWNER.load(Ordering::Relaxed) == std::process::id()
}

/// In a copy for which no handler ran: forgets the original's state.
pub(crate) fn forget_original_if_copy() {
    if !is_the_owner() {
        forget_the_originals();
    }
}

/// Runs one of the library's own forks, which does all this itself.
#[inline]
pub(super) fn own<T>(fork: impl FnOnce() -> T) -> T {
    OWN.set(true);
    let forked = fork();
    OWN.set(false);
    forked
}

extern "C" fn before() {
    // While a thread's locals are destroyed the locks cannot be kept.
    if !OWN.get() {
        let _ = HELD.try_with(|held| held.replace(Some(Box::new(hold_own_locks()))));
    }
}

extern "C" fn in_original() {
    if !OWN.get() {
        let _ = HELD.try_with(RefCell::take);
    }
}

extern "C" fn in_copy() {
    if !OWN.get() {
        let _ = HELD.try_with(RefCell::take);
        forget_the_originals();
    }
}

/// The library's locks, so that no other thread is inside one. In the order in which they nest.
pub(super) fn hold_own_locks() -> impl Sized + 'static {
    // State that is made at its first use must not be half made by another thread: finish it here.
    sys::image::build();
    sys::process::is_surely_single_threaded();
    let components = component::hold_up_to(Rank::Panics);
    // Released in the opposite order.
    let (mapping, robust) = (mapping::hold(), robust::hold());
    (robust, mapping, components)
}

fn forget_the_originals() {
    become_owner();
    component::forget_all();
}
