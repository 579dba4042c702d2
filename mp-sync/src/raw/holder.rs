//! Holder: a word that names the thread that owns something, and that the kernel marks when the thread dies.
//!
//! ```text
//!   FREE ── take ──► TAKEN by tid ── give_back ──► FREE
//!                        └── killed ──► DIED ── take ──► TAKEN by another
//! ```
//!
//! | word        | meaning                                                                              |
//! |-------------|--------------------------------------------------------------------------------------|
//! | low 30 bits | the thread that owns it; 0: none                                                     |
//! | DIED        | set by the kernel: the owner died                                                    |
//! | ASK         | the kernel may not report its thread's death: others ask the system                  |
//!
//! It is acquired and released only under a lock around it, so there is no race for it; DIED is the one change
//! from outside. Each change is one store, so it is whole whichever thread dies.
//!
//! # Orderings
//! Stores are Relaxed, since the lock orders them. Reads are Acquire, for what the kernel writes without the
//! lock.
//!
//! # When a process dies
//! This file is for that case. The kernel may be unable to report a death: it keeps no list, the thread has
//! more on it than the kernel walks, or the thread has ended and left the word to its process. Then ASK is in
//! the word, and each read asks the system about the owner. Other words are spared that system call.

use mp_core::word::{Ordering, Owned, Word};

const FREE: u32 = 0;
/// As in `lock.rs`.
const THREAD: u32 = (1 << 30) - 1;
const DIED: u32 = 1 << 30;
/// The kernel's `FUTEX_WAITERS`: the flag that the kernel neither compares nor clears. A thread that leaves a
/// word to its process sets it too (`robust.rs`).
const ASK: u32 = 1 << 31;

/// Whether no thread owns it. A dead owner still counts.
pub(super) fn is_free<O: Owned>(holder: &O) -> bool {
    read(holder) & THREAD == FREE
}

/// Whether its owner died, and no thread has taken it since.
pub(super) fn has_died<O: Owned>(holder: &O) -> bool {
    read(holder) & (THREAD | DIED) == DIED || is_found_dead(holder)
}

/// Whether the calling thread owns it.
pub(super) fn is_mine<O: Owned>(holder: &O) -> bool {
    read(holder) & !ASK == O::me()
}

/// The first that can be taken.
pub(super) fn free<O: Owned>(holders: &[O]) -> Option<usize> {
    holders.iter().position(is_free).or_else(|| holders.iter().position(is_found_dead))
}

/// Takes the first that can be taken; returns its index.
pub(super) fn take<O: Owned>(holders: &[O]) -> Option<usize> {
    let at = free(holders)?;
    let holder = &holders[at];
    let ask = if O::kernel_tells() { 0 } else { ASK };
    // Announced to the kernel before the id is written, and enlisted after it: a death at any step is marked.
    holder.announce();
    write(holder, O::me() | ask);
    holder.enlist();
    holder.retract();
    Some(at)
}

/// Releases what the calling thread owns.
pub(super) fn give_back<O: Owned>(holder: &O) {
    holder.announce();
    holder.delist();
    write(holder, FREE);
    holder.retract();
}

/// Frees the word of a dead owner.
pub(super) fn clear<O: Owned>(holder: &O) {
    write(holder, FREE);
}

/// Whether its owner is dead although the kernel does not report it.
fn is_found_dead<O: Owned>(holder: &O) -> bool {
    let word = read(holder);
    word & ASK != 0 && word & THREAD != FREE && O::is_dead(word & THREAD)
}

fn read<O: Owned>(holder: &O) -> u32 {
    // ORDERING: Acquire, pairs with what the kernel writes for a dead owner: it was not inside the lock, so
    // the lock does not order what it did. For living threads it does.
    holder.word().load(Ordering::Acquire)
}

fn write<O: Owned>(holder: &O, value: u32) {
    // ORDERING: Relaxed: the lock orders it.
    holder.word().store(value, Ordering::Relaxed);
}
