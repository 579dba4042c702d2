//! The life word: what a waiting client learns of the server's end by.
//!
//! ```text
//!   0 ──the server begins──► its thread | WAITERS ──it ends in order, or is killed (the kernel writes it)──► DIED
//!   └── the kernel would not tell of its end: clients ask their connections, at each look
//! ```
//! The server's thread holds the word as a lock that nothing else takes, from its beginning to its end. A client sleeps
//! on its slot and on this word.
//!
//! # When a process dies
//! The *server*: the kernel writes `DIED` and wakes one client, which wakes all others. That *client*, before it does:
//! the others look by themselves within half a second, and the first one wakes the rest. Where the system cannot wait
//! for two words, each client looks within half a second.

use mp_core::word::{Ordering, Owned, Word};

/// The kernel's `FUTEX_OWNER_DIED` and `FUTEX_WAITERS`.
pub(super) const DIED: u32 = 1 << 30;
const WAITERS: u32 = 1 << 31;

/// The calling thread is the server's: from now on the word says that it lives.
pub(crate) fn begin<O: Owned>(life: &O) {
    if !O::kernel_tells() {
        return;
    }
    life.announce();
    // The kernel wakes a sleeper only if the word says that there are some.
    // ORDERING: Release: a client that sees it sees nothing else by it.
    life.word().store(O::me() | WAITERS, Ordering::Release);
    life.enlist();
    life.retract();
}

/// The server's thread ends in order.
pub(crate) fn end<O: Owned>(life: &O) {
    life.announce();
    life.delist();
    // ORDERING: Release: the answers that it has given before are seen.
    life.word().store(DIED, Ordering::Release);
    life.word().wake(u32::MAX);
    life.retract();
}
