//! All points of an operation, shared out among several processes.
//!
//! Each of them goes through its own part of the points, n, n + jobs, …, to the first one that lies beyond the
//! operation's end; then it writes what it has counted into its pipe.
//!
//! Each point has a scene of its own, whose victim is stepped from the operation's beginning. So the time for all
//! points grows with the square of the operation's length, and no mode changes that: one that takes long is no sign
//! that a process waits. The first part says how far it is.

use super::place;
use super::point::{self, Outcome, Point, Wrong};
use super::process::fork;
use super::scene::{Every, Mode, Operation};
use super::victim::Reached;
use mp_core::sys::fd::pipe;
use mp_core::sys::futex::FutexWord;
use mp_core::sys::image;
use mp_core::sys::process::become_subreaper;
use mp_core::sys::socket::{self, packet_pair};
use mp_core::transfer::{Message, receive_parcel, send_parcel};
use mp_core::word::Word;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// A wait that lasted longer was ended by a timed look, and not by a wake.
const WOKEN: Duration = Duration::from_millis(40);
/// After this many bad points a process goes no further.
const ENOUGH: u64 = 25;
/// And says no more after this many.
const TOLD: u64 = 3;
/// After this time it is told how far a sweep is.
const SILENCE: Duration = Duration::from_secs(20);

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

/// Tries these points of an operation, `jobs` at a time.
pub(super) fn all_points(operation: &Operation, mode: Mode, every: Every, jobs: u64) -> Row {
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

fn start_part(operation: &Operation, mode: Mode, first: u64, jobs: u64, every: Every) -> (Pid, File) {
    let (says, tells) = pipe().expect("a sweep needs descriptors");
    let pid = fork(|| {
        // Those whose parents die in the sweep are ours, to see that they end.
        become_subreaper().expect("a sweep inherits what its victims leave");
        // What a process makes at its first lock and its first wait, once, the victims inherit.
        warm_up();
        let seconds = if let Every::Point(every) = every { every } else { 1 };
        let said = (first == 0).then(Instant::now);
        let mut part = Part { operation, mode, seconds, row: Row::default(), told: 0, said };
        let own = (first..).step_by(jobs as usize);
        match every {
            Every::Call => part.by_calls(own, None),
            Every::Point(every) if operation.by_calls => part.by_calls(own, Some(every)),
            Every::Point(every) => part.by_steps(own.map(|n| n * every)),
        }
        let words = part.row.numbers().map(u64::to_le_bytes).concat();
        File::from(tells).write_all(&words).map_or(1, |()| 0)
    });
    (pid, File::from(says))
}

/// What one process does of the sweep of an operation.
struct Part<'a> {
    operation: &'a Operation,
    mode: Mode,
    /// Instructions from one second death to the next.
    seconds: u64,
    row: Row,
    told: u64,
    /// When it said last how far it is, or began; `None`: another one does.
    said: Option<Instant>,
}

impl Part<'_> {
    /// Points counted from the operation's beginning.
    fn by_steps(&mut self, all_steps: impl Iterator<Item = u64>) {
        for steps in all_steps {
            if self.at(None, steps) == Reached::Finished || self.has_enough(steps) {
                break;
            }
        }
    }

    /// After each of these system calls: the point just after it, and every `every`-th one from there to the next.
    fn by_calls(&mut self, all_calls: impl Iterator<Item = u64>, every: Option<u64>) {
        for calls in all_calls {
            let further = every.map(|every| (every..).step_by(every as usize)).into_iter().flatten();
            for steps in std::iter::once(0).chain(further) {
                match self.at(Some(calls), steps) {
                    Reached::Finished => return,
                    Reached::Beyond => break,
                    _ if self.has_enough(steps) => return,
                    _ => {}
                }
            }
        }
    }

    /// Tries the point there; both, if the victim sleeps there.
    fn at(&mut self, calls: Option<u64>, steps: u64) -> Reached {
        let point = Point { calls, steps, to_sleep: true, to_first_sleep: false };
        let mut reached = self.try_all_seconds(point);
        if reached == Reached::Asleep {
            // And once more: woken, and not a step further.
            reached = self.try_all_seconds(Point { to_sleep: false, ..point });
        }
        if matches!(reached, Reached::Finished | Reached::Beyond) {
            self.row.points -= 1;
        }
        reached
    }

    /// Tries it; with two deaths, once for each point of the second.
    fn try_all_seconds(&mut self, point: Point) -> Reached {
        for second in (0..).step_by(self.seconds as usize) {
            let (reached, within) = self.try_one(point, second);
            let ended = matches!(reached, Reached::Finished | Reached::Beyond);
            if self.mode != Mode::Twice || !within || ended || self.row.bad() >= ENOUGH {
                return reached;
            }
        }
        unreachable!("it comes to its end")
    }

    fn try_one(&mut self, point: Point, second: u64) -> (Reached, bool) {
        let outcome = point::run(self.operation, self.mode, point, second);
        self.row.note(&outcome);
        if let Some(wrong) = &outcome.wrong {
            self.told += 1;
            if self.told <= TOLD {
                tell(self.operation, self.mode, (point, second), &outcome, wrong);
            }
        }
        self.say_how_far(point);
        (outcome.reached, outcome.second_within)
    }

    fn say_how_far(&mut self, point: Point) {
        if self.said.is_some_and(|said| said.elapsed() >= SILENCE) {
            let (name, mode, points) = (self.operation.name, self.mode.name(), self.row.points);
            eprintln!(
                "{name} {mode}: goes on, {points} points tried in the first part; the last one {point}"
            );
            self.said = Some(Instant::now());
        }
    }

    fn has_enough(&self, steps: u64) -> bool {
        let enough = self.row.bad() >= ENOUGH;
        if enough {
            let name = self.operation.name;
            eprintln!("{name}: enough; the points after {steps} instructions are left out");
        }
        enough
    }
}

fn warm_up() {
    FutexWord::new(1).wait(0, None);
    let lock = mp_sync::Lock::new().expect("a sweep needs shared memory");
    drop(lock.acquire());
    // The buffer for what a child sends, which is written full of zeros.
    let (ours, theirs) = packet_pair().expect("a sweep needs descriptors");
    send_parcel(theirs.as_fd(), &Message::default()).expect("the socket is ours");
    receive_parcel(ours.as_fd(), socket::Mode::Block).expect("it was just sent");
    image::build();
}

fn tell(operation: &Operation, mode: Mode, at: (Point, u64), outcome: &Outcome, wrong: &Wrong) {
    let (point, second) = at;
    let then = if mode == Mode::Twice { format!(", then {second} of the next one") } else { String::new() };
    let (name, mode) = (operation.name, mode.name());
    let asleep = if outcome.reached == Reached::Asleep { ", asleep" } else { "" };
    let at = outcome.instruction.map_or(String::new(), |at| format!("\n    before {}", place::of(at)));
    eprintln!("{name} {mode}, {point}{asleep}{then}: {wrong}{at}");
}
