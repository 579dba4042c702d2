//! What every work needs: figures from counts and times, and errors as texts.

use mp_core::usable_cpu_count;
use std::time::Instant;

/// How many a second, when `count` took since `began`.
pub(super) fn rate(count: u64, began: Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}

/// Nanoseconds since then, at most as many as fit.
pub(super) fn nanoseconds_since(began: Instant) -> u32 {
    u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX)
}

/// An error if fewer CPUs may be used: then no worker can be pinned to its own CPU.
pub(super) fn need_cpus(count: usize) -> Result<(), String> {
    if usable_cpu_count() < count { Err("only one CPU may be used".to_owned()) } else { Ok(()) }
}

/// What an error says: a round that fails gives that.
pub(super) fn text(error: impl ToString) -> String {
    error.to_string()
}
