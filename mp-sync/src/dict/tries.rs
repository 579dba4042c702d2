//! The tries of a call with a function of the program's, which is called again when its entry has changed meanwhile.
//!
//! The function may write other entries, of this dict or of others. Two processes, each of which so writes the entry
//! that the other one changes, hinder each other: each write makes the other's try fail, and so they would go on for
//! ever. So a try whose function has written, and which failed, is followed by a pause of a random length, which
//! doubles from try to try: of two of them one will be alone for long enough. Where the function is short, it doubles
//! ten times, which is enough for hundreds of them. Where it is long, four times, for dozens: a call that fails for
//! another reason, beside a fast writer of its entry, does not come to wait for minutes.
//!
//! | the function has written | the try failed                                                      |
//! |--------------------------|---------------------------------------------------------------------|
//! | nothing                  | again at once: another call has succeeded                           |
//! | another entry            | a pause, and then again with what the entry has then                |
//! | the entry itself         | the same; after eight in a row [`DictError::Nested`]: none succeeds |

use super::DictError;
use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant};

/// So many tries in a row that the function makes fail by itself are an error.
const MOST_OWN: u32 = 8;
/// A function is taken to need at least so long.
const SHORTEST: Duration = Duration::from_micros(20);
/// A pause is at most so many doublings of the time that the function needs.
const MOST_DOUBLINGS: u32 = 10;
/// It is at most so long, or so many times the function: of *n* calls in each other's way about *n* / 8 write within
/// one call of the function then.
const LONGEST: Duration = Duration::from_millis(100);
const MOST_TIMES: u32 = 16;

/// An entry: what tells its dict from others, and the hash of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) dict: u64,
    pub(super) key: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wrote {
    Nothing,
    Another,
    Itself,
}

thread_local! {
    /// The entries whose functions this thread is in, and what these have written.
    static IN: RefCell<Vec<(Entry, Wrote)>> = const { RefCell::new(Vec::new()) };
}

/// This thread has written an entry, or a whole dict (`None`).
#[inline]
pub(super) fn has_written(written: Option<Entry>) {
    // The list is gone while the thread's locals are being torn down: then no pause is made.
    let _ = IN.try_with(|functions| {
        for (entry, wrote) in functions.borrow_mut().iter_mut() {
            let is_it = written == Some(*entry);
            *wrote = (*wrote).max(if is_it { Wrote::Itself } else { Wrote::Another });
        }
    });
}

pub(super) struct Tries {
    entry: Entry,
    wrote: Wrote,
    took: Duration,
    /// In a row, those whose function has written.
    hindered: u32,
    /// In a row, those whose function has written the entry itself.
    own: u32,
}

/// Also when the function panics.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        let _ = IN.try_with(|functions| functions.borrow_mut().pop());
    }
}

impl Tries {
    #[inline]
    pub(super) fn of(entry: Entry) -> Tries {
        Tries { entry, wrote: Wrote::Nothing, took: Duration::ZERO, hindered: 0, own: 0 }
    }

    /// Calls the function.
    #[inline]
    pub(super) fn call<R>(&mut self, function: impl FnOnce() -> R) -> R {
        // What it takes is asked only where there may be a pause.
        let began = (self.hindered > 0).then(Instant::now);
        if IN.try_with(|functions| functions.borrow_mut().push((self.entry, Wrote::Nothing))).is_err() {
            return function();
        }
        let leave = Leave;
        let result = function();
        let last = IN.try_with(|functions| functions.borrow().last().map(|(_, wrote)| *wrote));
        drop(leave);
        self.wrote = last.ok().flatten().unwrap_or(Wrote::Nothing);
        self.took = began.map_or(Duration::ZERO, |began| began.elapsed());
        result
    }

    /// The entry has changed since the function was given it. Gives whether it is to be read again: there was a pause.
    ///
    /// # Errors
    /// [`DictError::Nested`].
    #[inline]
    pub(super) fn failed(&mut self) -> Result<bool, DictError> {
        if self.wrote == Wrote::Nothing {
            (self.hindered, self.own) = (0, 0);
            return Ok(false);
        }
        self.pause()?;
        Ok(true)
    }

    #[cold]
    fn pause(&mut self) -> Result<(), DictError> {
        self.own = if self.wrote == Wrote::Itself { self.own + 1 } else { 0 };
        if self.own >= MOST_OWN {
            return Err(DictError::Nested);
        }
        self.hindered += 1;
        // Any process and any thread has another one.
        let random = RandomState::new().build_hasher().finish();
        std::thread::sleep(longest_pause(self.took, self.hindered).mul_f64(random as f64 / u64::MAX as f64));
        Ok(())
    }
}

/// The longest pause after so many tries in a row that were hindered, of a function that took so long.
fn longest_pause(took: Duration, hindered: u32) -> Duration {
    let took = took.max(SHORTEST);
    (took * (1 << hindered.min(MOST_DOUBLINGS))).min(LONGEST.max(took * MOST_TIMES))
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, longest_pause};
    use std::time::Duration;

    const SHORT: Duration = Duration::from_micros(100);
    const LONG: Duration = Duration::from_millis(10);

    /// The next of some numbers from 0 to 1 that look random.
    fn random(state: &mut u64) -> f64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Calls that begin together, each of which writes the entries of all others at its function's end: how many
    /// calls of functions there were until each has succeeded, or `None` if that takes more than so many.
    fn calls_until_all_succeed(call: Duration, calls: usize, most: usize, seed: u64) -> Option<usize> {
        let mut state = seed;
        // When the function begins of those that have not succeeded, and how many tries have failed.
        let mut under_way: Vec<(Duration, u32)> = vec![(Duration::ZERO, 0); calls];
        let mut last_write: Option<Duration> = None;
        for count in 0..most {
            let next = (0..under_way.len()).min_by_key(|at| under_way[*at].0);
            let Some(next) = next else { return Some(count) };
            let (began, hindered) = under_way[next];
            let end = began + call;
            // All calls are equally long, so the last one to end before this one is the last to have written.
            let is_hindered = last_write.is_some_and(|write| write > began);
            // Of two that end together the first one to swap succeeds, and has been written to all the same.
            let is_together = under_way.iter().enumerate().any(|(at, other)| at != next && other.0 == began);
            last_write = Some(end);
            if is_hindered || is_together {
                let pause = longest_pause(call, hindered + 1).mul_f64(random(&mut state));
                under_way[next] = (end + pause, hindered + 1);
            } else {
                under_way.swap_remove(next);
            }
        }
        None
    }

    #[test]
    fn many_in_each_others_way_get_on() {
        let few = [(2, 40), (4, 120), (8, 500), (16, 2_000), (32, 20_000)];
        let long = few.map(|(calls, most)| (LONG, calls, most));
        let short = few.into_iter().chain([(64, 20_000), (128, 20_000)]);
        for (call, calls, most) in short.map(|(calls, most)| (SHORT, calls, most)).chain(long) {
            for seed in 0..50 {
                let count = calls_until_all_succeed(call, calls, most, seed);
                assert!(count.is_some(), "{calls} of {call:?} with seed {seed}");
            }
        }
    }

    #[test]
    fn no_pause_is_long_but_that_of_a_long_function() {
        for hindered in [1, 4, 10, 1_000, u32::MAX] {
            assert!(longest_pause(SHORT, hindered) <= LONGEST);
            assert!(longest_pause(LONG, hindered) <= 16 * LONG);
        }
    }
}
