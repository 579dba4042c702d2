//! The clock that all processes of a machine read alike, as one word.

use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use std::time::Duration;

/// Milliseconds of the monotonic clock, modulo 2^32. The wrapping difference of two readings is exact for up to 49
/// days.
pub fn monotonic_millis() -> u32 {
    // Every Linux has this clock.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    now.as_millis() as u32
}

/// Nanoseconds of the monotonic clock.
pub fn monotonic_nanos() -> u64 {
    // Every Linux has this clock.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    now.as_nanos() as u64
}

/// The CPU time that a process has used, all its threads together; `None`: there is none of this number.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(i32::try_from(pid).ok()?)).ok()?;
    clock_gettime(clock).ok().map(Duration::from)
}

/// The CPU time that a thread of this process has used; `None`: there is none of this number.
pub fn thread_cpu_time(thread: u32) -> Option<Duration> {
    // A clock's number as `pthread_getcpuclockid` makes it: of a thread, what the scheduler has counted.
    const THREAD_SCHEDULED: i32 = 4 | 2;
    // Larger numbers, which no thread has, would lose bits and name another clock; 0 names the calling thread's.
    let thread = i32::try_from(thread).ok().filter(|thread| (1..1 << 28).contains(thread))?;
    let clock = ClockId::from_raw((!thread << 3) | THREAD_SCHEDULED);
    clock_gettime(clock).ok().map(Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_process_grows_while_it_computes() {
        let first = cpu_time(std::process::id()).unwrap();
        while cpu_time(std::process::id()).unwrap() < first + Duration::from_millis(1) {
            std::hint::spin_loop();
        }
        assert_eq!(cpu_time(u32::MAX), None);
    }

    #[test]
    fn the_time_of_a_thread_is_its_own() {
        let own = || thread_cpu_time(crate::sys::process::gettid()).unwrap();
        let (first, mut theirs) = (own(), Duration::ZERO);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while theirs < Duration::from_millis(20) {
                    theirs = own();
                }
            });
        });
        assert!(theirs >= Duration::from_millis(20) && own() - first < theirs);
        assert_eq!([0, 1 << 28, i32::MAX as u32, u32::MAX].map(thread_cpu_time), [None; 4]);
    }

    #[test]
    fn it_never_goes_back() {
        let (first, first_nanos) = (monotonic_millis(), monotonic_nanos());
        for _ in 0..1000 {
            assert!((monotonic_millis().wrapping_sub(first) as i32) >= 0);
            assert!(monotonic_nanos() >= first_nanos);
        }
    }
}
