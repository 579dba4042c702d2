//! Turn: how long a lock or permits may be kept from the threads that sleep for them.
//!
//! A turn is eight times what the last hand-over took, between the least that the machine says and a tenth of a
//! second. The users keep the times (`lock.rs`, `semaphore.rs`): here is what they compute from them.

use mp_core::word::{Ordering, Word};
use std::time::Duration;

/// How long a thread that has not slept leaves what was handed over to sleepers.
pub(super) const PATIENCE: Duration = Duration::from_millis(10);
/// A turn in units of what handing over costs, and its greatest length in nanoseconds.
const COSTS_IN_A_TURN: u32 = 8;
const LONGEST_TURN: u32 = 100_000_000;

/// The time in nanoseconds, which wraps after four seconds: one turn more or less then does no harm.
pub(super) fn now<W: Word>() -> u32 {
    W::now() as u32
}

/// Whether a turn of this length that began at `since` is over. Never where there are no turns.
pub(super) fn is_over<W: Word>(since: &W, length: impl FnOnce() -> u32) -> bool {
    let Some(least) = W::turn() else { return false };
    // ORDERING: Relaxed: a lock's holder reads it, and a semaphore's is a hint.
    let kept = now::<W>().wrapping_sub(since.load(Ordering::Relaxed));
    kept >= length().clamp(least, LONGEST_TURN.max(least))
}

/// The length of a turn where a hand-over took this long.
pub(super) fn length(took: u32) -> u32 {
    took.min(LONGEST_TURN).saturating_mul(COSTS_IN_A_TURN).min(LONGEST_TURN)
}
