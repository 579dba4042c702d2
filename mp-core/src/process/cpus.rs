//! How many CPUs there are, and how many this process may use.

use crate::sys;

/// The CPUs that are online, whether this process may use them or not; at least 1.
///
/// Python: `multiprocessing.cpu_count`.
pub fn cpu_count() -> usize {
    sys::process::online_cpus().unwrap_or(1)
}

/// The CPUs that this process may use, by affinity and by its cgroup's quota; at least 1.
///
/// Python: `os.process_cpu_count`.
pub fn usable_cpu_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
