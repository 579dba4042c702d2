//! What the workers of W6 do.

use super::super::processes::thread_cpu_time;
use mp_pool::{Buffer, buffer};
use serde::{Deserialize, Serialize};
use std::hint::black_box;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Task {
    /// Next to nothing.
    Square,
    /// 10 ms of a CPU.
    Burn,
    /// 50 us of a CPU, and each hundredth 5 ms.
    Uneven,
}

pub(super) const BURNT: Duration = Duration::from_millis(10);
const SHORT: Duration = Duration::from_micros(50);

pub(super) fn square(x: u64) -> u64 {
    x.wrapping_mul(x)
}

pub(super) fn burn(x: u64) -> u64 {
    use_cpu(BURNT);
    square(x)
}

pub(super) fn uneven(x: u64) -> u64 {
    use_cpu(if x % 100 == 99 { 100 * SHORT } else { SHORT });
    square(x)
}

impl Task {
    #[inline]
    pub(super) fn run(self, x: u64) -> u64 {
        match self {
            Task::Square => black_box(square as fn(u64) -> u64)(x),
            Task::Burn => burn(x),
            Task::Uneven => uneven(x),
        }
    }
}

/// Until this thread has had so much of a CPU.
fn use_cpu(time: Duration) {
    let end = thread_cpu_time() + time;
    // No pause between: a hypervisor may take a CPU away for it.
    while thread_cpu_time() < end {}
}

pub(super) fn do_chunk(task: Task, items: &[u64]) -> Vec<u64> {
    items.iter().map(|x| task.run(*x)).collect()
}

pub(super) fn same(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// A copy, as a thread makes one: what it gives is another buffer than what it was given.
pub(super) fn copied(bytes: Buffer<u8>) -> Buffer<u8> {
    let mut copy = buffer(bytes.len()).expect("memory for a copy");
    copy.copy_from_slice(&bytes);
    copy.freeze()
}
