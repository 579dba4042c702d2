//! A word in shared memory on which threads can sleep: `futex(2)`.
//!
//! Never `FUTEX_PRIVATE`: the sleepers are other processes.
//!
//! # Safety
//! The one invariant: a futex call is given the address of a live `AtomicU32`.
#![allow(unsafe_code)]

use super::machine::note_wake;
use crate::error::OsError;
use crate::word::{Deadline, Looks, Machine, Ordering, Wake, Word};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, fence};
use std::time::Duration;

/// [`Word`] on the kernel's futex. Position-free, so it may live in any mapping.
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct FutexWord(AtomicU32);

impl FutexWord {
    /// A word with a value.
    pub const fn new(value: u32) -> Self {
        FutexWord(AtomicU32::new(value))
    }

    fn sleep(&self, until: Option<Deadline>, looks: Looks, block: impl FnOnce(Duration)) -> Wake {
        let left = until.map(Deadline::remaining);
        if left == Some(Duration::ZERO) {
            return Wake::TimedOut;
        }
        let now = now();
        let wake_up = next_wake_up(now, looks);
        let end = left.map_or(wake_up, |left| wake_up.min(now.saturating_add(left)));
        block(end);
        match until {
            Some(deadline) if deadline.passed() => Wake::TimedOut,
            _ => Wake::Look,
        }
    }

    /// Sleeps while the word is `expected`, until this time on the machine's clock.
    fn block(&self, expected: u32, end: Duration, identity: u32) {
        let end = timespec(end);
        // The wait for bits is also the one that takes a point in time.
        let operation = libc::FUTEX_WAIT_BITSET;
        // SAFETY: the word is alive for the call, since `self` is borrowed; the time is on this stack.
        // Every result, an interruption included, means: look again.
        unsafe {
            let unused = ptr::null::<u32>();
            libc::syscall(libc::SYS_futex, self.0.as_ptr(), operation, expected, &end, unused, identity);
        }
    }

    /// Sleeps while both words are as expected, until this time. `None`: it has not slept, and cannot.
    fn block_either(&self, expected: u32, other: &Self, other_expected: u32, end: Duration) -> Option<Woken> {
        if !can_wait_for_two() {
            return None;
        }
        let waiter = |word: &FutexWord, expected: u32| Waiter {
            expected: expected.into(),
            address: word.0.as_ptr() as u64,
            flags: SIZE_U32,
            reserved: 0,
        };
        let waiters = [waiter(self, expected), waiter(other, other_expected)];
        let (end, count, no_flags) = (timespec(end), waiters.len(), 0);
        // SAFETY: both words are alive for the call, since they are borrowed; the list and the time are on this stack.
        let woken = unsafe {
            libc::syscall(
                libc::SYS_futex_waitv,
                waiters.as_ptr(),
                count,
                no_flags,
                &end,
                libc::CLOCK_MONOTONIC,
            )
        };
        match woken {
            0 => Some(Woken::Here),
            1 => Some(Woken::There),
            _ => match OsError::last("futex_waitv").errno() {
                Some(libc::EAGAIN | libc::EINTR | libc::ETIMEDOUT) => Some(Woken::Otherwise),
                Some(libc::ENOMEM) => None,
                // Linux before 5.16, an emulator, a filter on system calls.
                _ => {
                    // ORDERING: Relaxed: the flag alone says it.
                    CAN_WAIT_FOR_TWO.store(false, Ordering::Relaxed);
                    None
                }
            },
        }
    }

    /// Gives how many it has woken.
    fn rouse(&self, count: u32, bits: u32) -> u32 {
        let count = count.min(i32::MAX as u32);
        let (unused, operation) = (ptr::null::<u32>(), libc::FUTEX_WAKE_BITSET);
        let began = Self::now();
        #[cfg(feature = "forced-waits")]
        super::forced::delay();
        // SAFETY: the word is alive for the call; waking changes no memory.
        let woken = unsafe {
            libc::syscall(libc::SYS_futex, self.0.as_ptr(), operation, count, unused, unused, bits)
        };
        let woken = u32::try_from(woken).unwrap_or(0);
        if woken == 1 {
            note_wake(Self::now().saturating_sub(began));
        }
        woken
    }
}

/// The kernel's `struct futex_waitv`: a word and what is expected there.
#[repr(C)]
struct Waiter {
    expected: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

/// The kernel's `FUTEX2_SIZE_U32`: a word of 32 bits, which other processes see.
const SIZE_U32: u32 = 2;

/// What ended a sleep on two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Woken {
    /// A wake at the first one.
    Here,
    /// A wake at the other one.
    There,
    Otherwise,
}

/// Until a wait for two words was refused. The call takes a time of 64 bits wherever it is.
static CAN_WAIT_FOR_TWO: AtomicBool = AtomicBool::new(cfg!(target_pointer_width = "64"));

/// Whether the system can wait for two words, as far as is known: from Linux 5.16 on, `futex_waitv(2)`.
pub fn can_wait_for_two() -> bool {
    // ORDERING: Relaxed: the flag alone says it.
    CAN_WAIT_FOR_TWO.load(Ordering::Relaxed)
}

fn timespec(time: Duration) -> libc::timespec {
    libc::timespec { tv_sec: time.as_secs() as libc::time_t, tv_nsec: time.subsec_nanos() as libc::c_long }
}

/// Waiters wake by themselves at the multiples of this on the machine's clock: all at the same moments,
/// so that one interrupt is for many, and what the kernel does for one it does warm for the next. At moments of
/// their own, a hundred waiters take three to four times as much of a CPU.
const LOOKS_APART: Duration = Duration::from_millis(500);

/// Bits of sleepers, by which those of [`Word::wait_long`] can be woken alone.
const USUAL: u32 = 1;
const LONG: u32 = 2;

impl Word for FutexWord {
    #[inline]
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }
    #[inline]
    fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }
    #[inline]
    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.0.swap(value, order)
    }
    #[inline]
    fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_add(value, order)
    }
    #[inline]
    fn fetch_sub(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_sub(value, order)
    }
    #[inline]
    fn fetch_or(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_or(value, order)
    }
    #[inline]
    fn compare_exchange(&self, current: u32, new: u32, ok: Ordering, err: Ordering) -> Result<u32, u32> {
        self.0.compare_exchange(current, new, ok, err)
    }

    fn wait(&self, expected: u32, until: Option<Deadline>) -> Wake {
        self.sleep(until, Looks::ALL, |end| self.block(expected, end, USUAL))
    }

    fn wait_long(&self, expected: u32, until: Option<Deadline>, looks: Looks) -> Wake {
        self.sleep(until, looks, |end| self.block(expected, end, LONG))
    }

    fn wait_either(&self, expected: u32, other: &Self, other_expected: u32, until: Option<Deadline>) -> Wake {
        self.sleep(until, Looks::ALL, |end| {
            if self.block_either(expected, other, other_expected, end).is_none() {
                self.block(expected, end, USUAL);
            }
        })
    }

    fn nap(&self, expected: u32, nanos: u32) {
        let end = now() + Duration::from_nanos(nanos.into());
        on_time(|| {
            self.block(expected, end, USUAL);
        });
    }

    fn wake(&self, count: u32) -> u32 {
        self.rouse(count, USUAL | LONG)
    }

    fn wake_long(&self, count: u32) -> u32 {
        self.rouse(count, LONG)
    }

    #[cfg(all(target_arch = "x86_64", not(miri)))]
    #[inline]
    fn prefetch(&self) {
        // SAFETY: a hint that changes neither memory nor flags, and never faults.
        unsafe {
            std::arch::asm!("prefetchw [{}]", in(reg) self.0.as_ptr(), options(nostack, preserves_flags, readonly));
        }
    }

    #[inline]
    fn fence() {
        // ORDERING: SeqCst is what the trait promises.
        fence(Ordering::SeqCst);
    }
}

/// The clock that a futex waits by.
pub(super) fn now() -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the result is on this stack.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Sleeps by a timer that the kernel does not delay.
pub(super) fn on_time(sleep: impl FnOnce()) {
    let slack = timer_slack();
    if slack.is_some() {
        set_timer_slack(1);
    }
    sleep();
    if let Some(slack) = slack {
        set_timer_slack(slack);
    }
}

/// By how much the kernel may delay the calling thread's timers, to let several expire together; in nanoseconds.
fn timer_slack() -> Option<libc::c_ulong> {
    // SAFETY: integer arguments only.
    let slack = unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) };
    libc::c_ulong::try_from(slack).ok().filter(|slack| *slack > 1)
}

fn set_timer_slack(nanos: libc::c_ulong) {
    // SAFETY: integer arguments only.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, nanos) };
}

/// The next of these moments on the machine's clock.
fn next_wake_up(now: Duration, looks: Looks) -> Duration {
    let apart = LOOKS_APART.as_nanos() as u64;
    Duration::from_nanos(looks.after(now.as_nanos() as u64 / apart) * apart)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_changed_word_is_not_slept_on() {
        assert_eq!(FutexWord::new(1).wait(0, None), Wake::Look);
    }

    #[test]
    fn a_deadline_ends_the_wait_and_not_before() {
        let word = FutexWord::new(0);
        let began = Instant::now();
        let timeout = Duration::from_millis(30);
        let deadline = Deadline::after(timeout);
        while word.wait(0, deadline) != Wake::TimedOut {}
        assert!(began.elapsed() >= timeout);
    }

    #[test]
    fn a_nap_ends_by_itself_and_leaves_the_timer_slack_as_it_was() {
        set_timer_slack(40_000);
        let (word, began) = (FutexWord::new(0), Instant::now());
        word.nap(0, 2_000_000);
        assert!(began.elapsed() >= Duration::from_millis(2));
        word.nap(1, u32::MAX);
        assert_eq!(timer_slack(), Some(40_000));
    }

    #[test]
    fn all_look_at_the_same_moments_and_soon() {
        for nanos in [0, 1, 499_999_999, 500_000_000, 500_000_001, 86_400_123_456_789] {
            let now = Duration::from_nanos(nanos);
            let wake_up = next_wake_up(now, Looks::ALL);
            assert!(now < wake_up && wake_up <= now + LOOKS_APART);
            assert_eq!(wake_up.as_nanos() % LOOKS_APART.as_nanos(), 0);
            let mut of_all_phases: Vec<Duration> =
                (0..4).map(|phase| next_wake_up(now, Looks::every(4, phase))).collect();
            of_all_phases.sort_unstable();
            assert_eq!(of_all_phases, [0, 1, 2, 3].map(|later| wake_up + later * LOOKS_APART));
        }
    }

    #[test]
    fn long_sleepers_are_woken_alone() {
        let (word, deadline) = (FutexWord::new(0), Deadline::after(Duration::from_secs(3600)));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while word.load(Ordering::Acquire) == 0 {
                    let _ = word.wait(0, deadline);
                }
            });
            // Asleep at these moments, and in front of that most of the time.
            let mut woken = 0;
            while woken < 100 {
                assert_eq!(word.wake_long(1), 0);
                woken += word.rouse(1, USUAL | LONG);
            }
            scope.spawn(|| word.wait_long(0, deadline, Looks::every(6, 0)));
            while word.wake_long(1) == 0 {
                std::thread::yield_now();
            }
            word.store(1, Ordering::Release);
            word.wake(1);
        });
    }

    /// Sleeps on both until the other thread, which is given the words, has woken it.
    fn woken_by(waker: impl Fn(&FutexWord, &FutexWord) -> u32 + Sync) -> Option<Woken> {
        let (here, there) = (FutexWord::new(0), FutexWord::new(0));
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                loop {
                    let woken = here.block_either(0, &there, 0, now() + LOOKS_APART);
                    if woken != Some(Woken::Otherwise) {
                        return woken;
                    }
                }
            });
            while !sleeper.is_finished() && waker(&here, &there) == 0 {
                std::thread::yield_now();
            }
            sleeper.join().expect("it does not panic")
        })
    }

    #[test]
    fn a_wake_at_either_word_ends_a_wait_for_two() {
        let woken = woken_by(|here, _| here.wake(1));
        assert!(
            matches!((can_wait_for_two(), woken), (true, Some(Woken::Here)) | (false, None)),
            "{woken:?}"
        );
        let woken = woken_by(|_, there| there.wake(1));
        assert!(
            matches!((can_wait_for_two(), woken), (true, Some(Woken::There)) | (false, None)),
            "{woken:?}"
        );
    }

    #[test]
    fn a_change_of_either_word_is_not_slept_on() {
        let (zero, one) = (FutexWord::new(0), FutexWord::new(1));
        assert_eq!(zero.wait_either(0, &one, 0, None), Wake::Look);
        assert_eq!(one.wait_either(0, &zero, 0, None), Wake::Look);
    }

    #[test]
    fn without_a_deadline_it_looks_again_by_itself() {
        assert_eq!(FutexWord::new(0).wait(0, None), Wake::Look);
    }
}
