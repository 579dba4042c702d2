//! How much memory may be reserved now: the estimate of `estimate.rs`, read rarely.
//!
//! ```text
//!  reserve(n):  n <= SMALL ────────────────────────────► credit -= n; the kernel alone decides
//!               n <= credit, read < 100 ms ago ────────► credit -= n
//!               otherwise: read the files ─ n > left ──► refused
//!                                         └ else ──────► credit = min(4 MiB, a 16th of what is left then)
//! ```
//!
//! A read costs some 50 system calls. So its result is valid for 100 ms and for a credit, from which each reservation
//! of this process is subtracted. A process can reserve at most its credit beyond the real limit: 4 MiB are small
//! against the margin of the estimate. A call that asks for more than the credit always reads.
//!
//! # When a process dies
//! Nothing here is shared between processes. A fork while another thread is reading leaves the child a lock that no
//! thread releases: it is only tried, and the child reads each time.

use super::estimate::{Group, groups, left};
use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A request up to this is never refused by an estimate: the kernel alone decides. Locks, values, and a queue's
/// first memory are smaller.
pub const SMALL: u64 = 1 << 20;

const MOST_CREDIT: u64 = 4 << 20;
const GOOD_FOR: Duration = Duration::from_millis(100);

/// What was read last.
struct Reading {
    at: Instant,
    left: u64,
    credit: u64,
}

impl Reading {
    fn new(left: u64, now: Instant) -> Reading {
        Reading { at: now, left, credit: MOST_CREDIT.min(left / 16) }
    }

    /// Takes so many bytes from the credit, if it is not too old or too small.
    fn take(&mut self, bytes: u64, now: Instant) -> bool {
        let good = now.saturating_duration_since(self.at) < GOOD_FOR && bytes <= self.credit;
        if good {
            self.credit -= bytes;
            self.left -= bytes;
        }
        good
    }
}

/// The control groups, and the text of `/proc/self/cgroup` that they were found by.
struct Found {
    cgroup: String,
    groups: Vec<Group>,
}

#[derive(Default)]
struct Known {
    reading: Option<Reading>,
    found: Option<Found>,
}

static KNOWN: Mutex<Known> = Mutex::new(Known { reading: None, found: None });

impl Known {
    /// `Err`: how much there is, if that is less than `bytes`.
    fn take(&mut self, bytes: u64, now: Instant, read: &dyn Fn(&str) -> Option<String>) -> Result<(), u64> {
        if self.reading.as_mut().is_some_and(|reading| reading.take(bytes, now)) {
            return Ok(());
        }
        let left = self.read(read);
        let after = left.checked_sub(bytes).ok_or(left);
        self.reading = Some(Reading::new(after.unwrap_or(left), now));
        after.map(drop)
    }

    /// So many bytes are taken without a question: the next question counts them.
    fn note(&mut self, bytes: u64) {
        if let Some(reading) = &mut self.reading {
            reading.credit = reading.credit.saturating_sub(bytes);
            reading.left = reading.left.saturating_sub(bytes);
        }
    }

    fn left(&mut self, now: Instant, read: &dyn Fn(&str) -> Option<String>) -> u64 {
        if self.reading.as_mut().is_none_or(|reading| !reading.take(0, now)) {
            self.reading = Some(Reading::new(self.read(read), now));
        }
        self.reading.as_ref().map_or(u64::MAX, |reading| reading.left)
    }

    fn read(&mut self, read: &dyn Fn(&str) -> Option<String>) -> u64 {
        // A process can be moved, and then the text is another one. Its folders are looked for only then.
        let cgroup = read("/proc/self/cgroup").unwrap_or_default();
        let found = self.found.take().filter(|found| found.cgroup == cgroup).unwrap_or_else(|| {
            let mountinfo = read("/proc/self/mountinfo").unwrap_or_default();
            Found { groups: groups(&cgroup, &mountinfo), cgroup }
        });
        left(&self.found.insert(found).groups, read).unwrap_or(u64::MAX)
    }
}

fn with_known<R>(act: impl Fn(&mut Known) -> R) -> R {
    match KNOWN.try_lock() {
        Ok(mut known) => act(&mut known),
        Err(_) => act(&mut Known::default()),
    }
}

fn from_system(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// Bytes that may be taken, as of 100 ms ago or later: the least of what the machine and each memory control group
/// that this process is in leave, less a margin of 64 MiB, or a quarter of a limit if that is less. Memory that the
/// kernel can reclaim, as the page cache, counts as available. `u64::MAX`: nothing is known.
pub fn available_memory() -> u64 {
    with_known(|known| known.left(Instant::now(), &from_system))
}

/// Whether so many bytes may be asked of the kernel; `Err`: how many there are, which is less.
pub(super) fn take(bytes: u64) -> Result<(), u64> {
    if bytes <= SMALL {
        with_known(|known| known.note(bytes));
        return Ok(());
    }
    with_known(|known| known.take(bytes, Instant::now(), &from_system))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A machine with so many MiB available.
    fn machine(mib: u64, reads: &Cell<u32>) -> impl Fn(&str) -> Option<String> {
        move |path| {
            (path == "/proc/meminfo").then(|| {
                reads.set(reads.get() + 1);
                format!("MemTotal: {} kB\nMemAvailable: {} kB\n", 1 << 20, mib << 10)
            })
        }
    }

    #[test]
    fn a_reading_is_good_for_a_credit_and_a_moment() {
        let (mut known, now, reads) = (Known::default(), Instant::now(), Cell::new(0));
        let read = machine(512, &reads);
        let read: &dyn Fn(&str) -> Option<String> = &read;
        assert_eq!(known.left(now, read), (512 - 64) << 20);
        for _ in 0..2 {
            assert_eq!(known.take(2 << 20, now, read), Ok(()));
        }
        assert_eq!((reads.get(), known.left(now, read)), (1, (512 - 64 - 4) << 20));
        // The credit is used up.
        assert_eq!(known.take(1, now, read), Ok(()));
        assert_eq!(reads.get(), 2);
        // What was taken unasked counts.
        known.note((2 << 20) + 1);
        assert_eq!(known.take(2 << 20, now, read), Ok(()));
        assert_eq!(reads.get(), 3);
        // It is old.
        assert_eq!(known.take(2 << 20, now + GOOD_FOR, read), Ok(()));
        assert_eq!(reads.get(), 4);
        // Beyond any credit it is read each time, and refused by what is there.
        assert_eq!(known.take(448 << 20, now + GOOD_FOR, read), Ok(()));
        assert_eq!(known.take((448 << 20) + 1, now + GOOD_FOR, read), Err(448 << 20));
        assert_eq!(reads.get(), 6);
    }

    #[test]
    fn where_little_is_left_there_is_little_credit() {
        let (mut known, now, reads) = (Known::default(), Instant::now(), Cell::new(0));
        let read = machine(64 + 16, &reads);
        assert_eq!(known.take(0, now, &read), Ok(()));
        assert_eq!(known.take(1 << 20, now, &read), Ok(()));
        assert_eq!(known.take(1, now, &read), Ok(()));
        assert_eq!(reads.get(), 2);
    }

    #[test]
    fn what_cannot_be_read_sets_no_bound() {
        let (mut known, now) = (Known::default(), Instant::now());
        assert_eq!(known.take(u64::MAX, now, &|_| None), Ok(()));
        assert_eq!(known.left(now, &|_| Some("garbage".into())), 0);
        assert_eq!(known.left(now + GOOD_FOR, &|_| Some("garbage".into())), u64::MAX);
    }

    #[test]
    fn groups_are_looked_for_again_only_by_another_name() {
        let (mut known, now, looks) = (Known::default(), Cell::new(Instant::now()), Cell::new(0));
        let name = Cell::new("0::/one\n");
        let read = |path: &str| match path {
            "/proc/self/cgroup" => Some(name.get().to_owned()),
            "/proc/self/mountinfo" => {
                looks.set(looks.get() + 1);
                Some("1 1 0:1 / /cg rw - cgroup2 cgroup2 rw\n".to_owned())
            }
            "/cg/one/memory.max" => Some("1000\n".to_owned()),
            "/cg/two/memory.max" => Some("2000\n".to_owned()),
            "/cg/one/memory.current" | "/cg/two/memory.current" => Some("0\n".to_owned()),
            _ => None,
        };
        let mut left = || {
            now.set(now.get() + GOOD_FOR);
            known.left(now.get(), &read)
        };
        assert_eq!((left(), left(), looks.get()), (750, 750, 1));
        name.set("0::/two\n");
        assert_eq!((left(), left(), looks.get()), (1500, 1500, 2));
    }
}
