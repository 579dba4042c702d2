//! The tries of a call with a function of the program's, which is called again when its entry has changed meanwhile.
//!
//! The function may write other entries, of this dict or of others. Two processes, each of which so writes the entry
//! that the other one changes, hinder each other: each write makes the other's try fail, and so they would go on for
//! ever. So a try whose function has written, and which failed, is followed by a pause of a random length, which
//! doubles from try to try: of two of them one will be alone for long enough.
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
        let most = self.took.max(SHORTEST) * (1 << self.hindered.min(MOST_DOUBLINGS));
        // Any process and any thread has another one.
        let random = RandomState::new().build_hasher().finish();
        std::thread::sleep(most.mul_f64(random as f64 / u64::MAX as f64));
        Ok(())
    }
}
