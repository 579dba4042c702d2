//! Holder: a word that says which thread has something, and that the kernel frees when the thread dies.
//!
//! ```text
//!   FREE ── take ──► TAKEN by tid ── give_back ──► FREE
//!                        └── killed ──► DIED ── take ──► TAKEN by another
//! ```
//!
//! | word        | means                                                                                   |
//! |-------------|-----------------------------------------------------------------------------------------|
//! | low 30 bits | the thread that has it; 0: nobody                                                       |
//! | DIED        | the kernel's: the thread that had it died                                               |
//! | ASK         | the kernel may not tell of its thread's death: others ask                               |
//!
//! It is taken and given back by those only who hold a lock around it, so there is no race for it; the kernel's DIED is
//! the one change from outside. Each is one store, so that it is whole whoever dies.
//!
//! # Orderings
//! Stores are Relaxed, since the lock orders them; reads are Acquire, for what the kernel writes without it.
//! # When a process dies
//! That is what it is for. Where the kernel would not tell (it keeps no list, the thread has more on it than it walks, or
//! has ended and left it to its process), ASK is in the word, and each look asks about the holder: a system call, which
//! others are spared.

use mp_core::word::{Ordering, Owned, Word};

const FREE: u32 = 0;
/// As in `lock.rs`.
const WHO: u32 = (1 << 30) - 1;
const DIED: u32 = 1 << 30;
/// The kernel's `FUTEX_WAITERS`: of the flags, what it neither compares nor takes away. Who leaves a word to its process
/// sets it too (`robust.rs`).
const ASK: u32 = 1 << 31;

/// Whether nobody has it; one who died has not.
pub(super) fn is_free<O: Owned>(holder: &O) -> bool {
    read(holder) & WHO == FREE
}

/// Whether who had it died, and nobody has taken it since.
pub(super) fn has_died<O: Owned>(holder: &O) -> bool {
    read(holder) & (WHO | DIED) == DIED || is_found_dead(holder)
}

/// Whether the calling thread has it.
pub(super) fn is_mine<O: Owned>(holder: &O) -> bool {
    read(holder) & !ASK == O::me()
}

/// The first that can be had.
pub(super) fn free<O: Owned>(holders: &[O]) -> Option<usize> {
    holders.iter().position(is_free).or_else(|| holders.iter().position(is_found_dead))
}

/// Takes the first that can be had; gives its number.
pub(super) fn take<O: Owned>(holders: &[O]) -> Option<usize> {
    let at = free(holders)?;
    let holder = &holders[at];
    let ask = if O::kernel_tells() { 0 } else { ASK };
    holder.announce();
    write(holder, O::me() | ask);
    holder.enlist();
    holder.retract();
    Some(at)
}

/// Gives back what the calling thread has.
pub(super) fn give_back<O: Owned>(holder: &O) {
    holder.announce();
    holder.delist();
    write(holder, FREE);
    holder.retract();
}

/// Says that it is nobody's, of one whose holder died.
pub(super) fn clear<O: Owned>(holder: &O) {
    write(holder, FREE);
}

/// Whether its holder is dead although the kernel does not tell.
fn is_found_dead<O: Owned>(holder: &O) -> bool {
    let word = read(holder);
    word & ASK != 0 && word & WHO != FREE && O::is_dead(word & WHO)
}

fn read<O: Owned>(holder: &O) -> u32 {
    // ORDERING: Acquire, pairs with what the kernel writes for a dead holder: he was not inside the lock, so the lock
    // does not order what he did. For the living it does.
    holder.word().load(Ordering::Acquire)
}

fn write<O: Owned>(holder: &O, value: u32) {
    // ORDERING: Relaxed: the lock orders it.
    holder.word().store(value, Ordering::Relaxed);
}
