//! All points of an operation, shared out among several processes.
//!
//! Each of them goes through its own part of the points, n, n + jobs, …, to the first one that lies beyond the
//! operation's end; then it writes what it has counted into its pipe.

use super::place;
use super::point::{self, Outcome, Point, Wrong};
use super::process::fork;
use super::scene::{Mode, Operation};
use super::victim::Reached;
use mp_core::sys::fd::pipe;
use mp_core::sys::futex::FutexWord;
use mp_core::word::Word;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

/// A wait that lasted longer was ended by a timed look, and not by a wake.
const WOKEN: Duration = Duration::from_millis(40);
/// After this many bad points a process goes no further.
const ENOUGH: u64 = 25;
/// And says no more after this many.
const TOLD: u64 = 3;

/// What an operation's points came to.
#[derive(Debug, Default)]
pub(super) struct Row {
    points: u64,
    stuck: u64,
    lost: u64,
    torn: u64,
    timer: u64,
    worst_micros: u64,
}

impl Row {
    pub(super) const HEADER: [&str; 8] =
        ["operation", "mode", "points", "stuck", "lost", "torn", "timer", "worst_ms"];

    pub(super) fn columns(&self, operation: &str, mode: &str) -> [String; 8] {
        let Row { points, stuck, lost, torn, timer, worst_micros } = self;
        let worst = format!("{:.2}", *worst_micros as f64 / 1000.0);
        let numbers = [points, stuck, lost, torn, timer].map(u64::to_string);
        let [points, stuck, lost, torn, timer] = numbers;
        [operation.to_owned(), mode.to_owned(), points, stuck, lost, torn, timer, worst]
    }

    /// Points after which not all was well.
    pub(super) fn bad(&self) -> u64 {
        self.stuck + self.lost + self.torn
    }

    fn note(&mut self, outcome: &Outcome) {
        self.points += 1;
        match outcome.wrong {
            Some(Wrong::Stuck(_)) => self.stuck += 1,
            Some(Wrong::Lost(_)) => self.lost += 1,
            Some(Wrong::Torn(_)) => self.torn += 1,
            None => {}
        }
        self.timer += u64::from(outcome.recovery > WOKEN);
        self.worst_micros = self.worst_micros.max(outcome.recovery.as_micros() as u64);
    }

    fn add(&mut self, other: &Row) {
        self.points += other.points;
        self.stuck += other.stuck;
        self.lost += other.lost;
        self.torn += other.torn;
        self.timer += other.timer;
        self.worst_micros = self.worst_micros.max(other.worst_micros);
    }

    fn numbers(&self) -> [u64; 6] {
        [self.points, self.stuck, self.lost, self.torn, self.timer, self.worst_micros]
    }

    fn of(numbers: [u64; 6]) -> Row {
        let [points, stuck, lost, torn, timer, worst_micros] = numbers;
        Row { points, stuck, lost, torn, timer, worst_micros }
    }
}

/// Tries every `every`-th point of an operation, `jobs` at a time.
pub(super) fn all_points(operation: &Operation, mode: Mode, every: u64, jobs: u64) -> Row {
    let parts: Vec<(Pid, File)> =
        (0..jobs).map(|first| start_part(operation, mode, first, jobs, every)).collect();
    let mut sum = Row::default();
    for (pid, mut says) in parts {
        let mut words = Vec::new();
        says.read_to_end(&mut words).expect("a pipe of ours can be read");
        let ended = waitpid(pid, None);
        assert_eq!(ended, Ok(WaitStatus::Exited(pid, 0)), "a part of the sweep of {} failed", operation.name);
        let (numbers, _) = words.as_chunks::<8>();
        let numbers: Vec<u64> = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
        sum.add(&Row::of(numbers.try_into().expect("a part that ended well has said its numbers")));
    }
    // The end itself: each part has come to it, or beyond, and counted none.
    sum.points += 1;
    sum
}

fn start_part(operation: &Operation, mode: Mode, first: u64, jobs: u64, every: u64) -> (Pid, File) {
    let (says, tells) = pipe().expect("a sweep needs descriptors");
    let pid = fork(|| {
        let row = part(operation, mode, (first..).step_by(jobs as usize).map(|n| n * every));
        let words = row.numbers().map(u64::to_le_bytes).concat();
        File::from(tells).write_all(&words).map_or(1, |()| 0)
    });
    (pid, File::from(says))
}

fn part(operation: &Operation, mode: Mode, all_steps: impl Iterator<Item = u64>) -> Row {
    // What a process makes at its first lock and its first wait, once, the victims inherit.
    warm_up();
    let mut row = Row::default();
    let mut told = 0;
    for steps in all_steps {
        let mut try_one = |to_sleep: bool| {
            let outcome = point::run(operation, mode, Point { steps, to_sleep });
            row.note(&outcome);
            if let Some(wrong) = &outcome.wrong {
                told += 1;
                if told <= TOLD {
                    tell(operation, mode, steps, &outcome, wrong);
                }
            }
            outcome.reached
        };
        let mut reached = try_one(true);
        if reached == Reached::Asleep {
            // And once more: woken, and not a step further.
            reached = try_one(false);
        }
        if reached == Reached::Finished {
            row.points -= 1;
            break;
        }
        if row.bad() >= ENOUGH {
            eprintln!("{}: enough; the points after {steps} instructions are left out", operation.name);
            break;
        }
    }
    row
}

fn warm_up() {
    FutexWord::spin(0);
    FutexWord::new(1).wait(0, None);
    let lock = mp_sync::Lock::new().expect("a sweep needs shared memory");
    drop(lock.acquire());
}

fn tell(operation: &Operation, mode: Mode, steps: u64, outcome: &Outcome, wrong: &Wrong) {
    let (name, mode) = (operation.name, mode.name());
    let asleep = if outcome.reached == Reached::Asleep { ", asleep" } else { "" };
    let at = outcome.instruction.map_or(String::new(), |at| format!("\n    before {}", place::of(at)));
    eprintln!("{name} {mode}, after {steps} instructions{asleep}: {wrong}{at}");
}
