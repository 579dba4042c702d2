//! Holder: a word that says which thread has something, and that the kernel frees when the thread dies.
//!
//! ```text
//!   FREE ── take ──► TAKEN by tid ── give_back ──► FREE
//!                        └── killed ──► DIED ── take ──► TAKEN by another
//! ```
//!
//! It is taken and given back by those only who hold a lock around it, so there is no race for it; the kernel's DIED is
//! the one change from outside. Each is one store, so that it is whole whoever dies.
//!
//! # Orderings
//! Stores are Relaxed, since the lock orders them; reads are Acquire, for what the kernel writes without it.
//! # When a process dies
//! That is what it is for. Where the kernel would not tell (it keeps no list, or the thread has more on it than it walks),
//! who takes a place says so beside it, in `unlisted`, before it takes it. From then on the holders are asked about, which
//! takes a system call each and is no matter of objects that never had such a one.

use mp_core::word::{Ordering, Owned, Word};

const FREE: u32 = 0;
/// As in `lock.rs`.
const DIED: u32 = 1 << 30;

/// Whether nobody has it; one who died has not.
pub(super) fn is_free<O: Owned>(holder: &O) -> bool {
    matches!(read(holder), FREE | DIED)
}

/// Whether who had it died, and nobody has taken it since.
pub(super) fn has_died<O: Owned>(holder: &O, unlisted: &O::Word) -> bool {
    read(holder) == DIED || is_found_dead(holder, unlisted)
}

/// Whether the calling thread has it.
pub(super) fn is_mine<O: Owned>(holder: &O) -> bool {
    read(holder) == O::me()
}

/// The first that can be had.
pub(super) fn free<O: Owned>(holders: &[O], unlisted: &O::Word) -> Option<usize> {
    let died = |holder: &O| is_found_dead(holder, unlisted);
    holders.iter().position(is_free).or_else(|| holders.iter().position(died))
}

/// Takes the first that can be had; gives its number.
pub(super) fn take<O: Owned>(holders: &[O], unlisted: &O::Word) -> Option<usize> {
    let at = free(holders, unlisted)?;
    let holder = &holders[at];
    if !O::kernel_tells() {
        // ORDERING: Relaxed: the lock orders it; a look without the lock that misses it is made again.
        unlisted.store(1, Ordering::Relaxed);
    }
    holder.announce();
    write(holder, O::me());
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
fn is_found_dead<O: Owned>(holder: &O, unlisted: &O::Word) -> bool {
    // ORDERING: Relaxed, as in `take`.
    let asks = unlisted.load(Ordering::Relaxed) != 0;
    let word = read(holder);
    asks && word != FREE && O::is_dead(word)
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
