//! Companion: one of the processes that live on, and what it says over its pipe.
//!
//! ```text
//!  R ── (H ── waits for its gate) ── '.' how long it took, W | L | T, words ── end
//! ```

use super::process::{fork, state};
use super::scene::{Fault, Verdict};
use mp_core::sys::fd::{pipe, set_nonblocking};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

const READY: u8 = b'R';
const HOLDS: u8 = b'H';
const END: u8 = b'.';

/// A forked process that gives a verdict. Dropped, it is killed if it has not ended.
pub(super) struct Companion {
    name: &'static str,
    pid: Pid,
    says: File,
    gate: File,
    heard: Vec<u8>,
    let_through: bool,
    end: Option<End>,
}

/// How a companion ended.
pub(super) struct End {
    pub(super) verdict: Verdict,
    /// From its first step to its last.
    pub(super) took: Duration,
    /// When it was seen.
    pub(super) seen: Instant,
}

/// What a companion does at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Now {
    Runs,
    Sleeps,
    /// It waits for its gate.
    Holds,
    Ended,
}

impl Companion {
    /// Starts one. `work` is given what has it wait until [`let_through`](Companion::let_through).
    pub(super) fn start(name: &'static str, work: impl FnOnce(&dyn Fn()) -> Verdict) -> Companion {
        let (says, tells) = pipe().expect("a sweep needs descriptors");
        let (waits, gate) = pipe().expect("a sweep needs descriptors");
        let pid = fork(|| {
            let (tells, waits) = (File::from(tells), File::from(waits));
            let say = |words: &[u8]| (&tells).write_all(words).expect("the sweep listens");
            say(&[READY]);
            let began = Instant::now();
            let verdict = work(&|| {
                say(&[HOLDS]);
                (&waits).read_exact(&mut [0]).expect("the sweep opens the gate");
            });
            say(&last_words(began.elapsed(), &verdict));
            // Open until the process has ended: its exit handlers come after its last words.
            std::mem::forget(tells);
            0
        });
        set_nonblocking(says.as_fd(), true).expect("a pipe can be asked without waiting");
        let (says, gate) = (File::from(says), File::from(gate));
        Companion { name, pid, says, gate, heard: Vec::new(), let_through: false, end: None }
    }

    /// Opens its gate, now or for when it comes there.
    pub(super) fn let_through(&mut self) {
        self.let_through = true;
        let _ = self.gate.write_all(&[0]);
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// How it ended, if it has.
    pub(super) fn end(&mut self) -> Option<&End> {
        self.hear();
        self.end.as_ref()
    }

    /// Whether it will not move by itself (but for a timed look): it has ended, sleeps, or waits at its gate.
    fn is_settled(&mut self) -> bool {
        self.now() != Now::Runs
    }

    fn now(&mut self) -> Now {
        // First the state, then its words: what it said before it slept is heard.
        let sleeps = state(self.pid) == Some(b'S');
        self.hear();
        match (&self.end, self.heard.last()) {
            (Some(_), _) => Now::Ended,
            (None, Some(&HOLDS)) if !self.let_through => Now::Holds,
            (None, Some(_)) if sleeps => Now::Sleeps,
            _ => Now::Runs,
        }
    }

    fn hear(&mut self) {
        if self.end.is_some() {
            return;
        }
        match self.says.read_to_end(&mut self.heard) {
            Ok(_) => {
                let _ = waitpid(self.pid, None);
                let unsaid = || (Duration::ZERO, Err(Fault::Lost(format!("the {} failed", self.name))));
                let (took, verdict) = understood(&self.heard).unwrap_or_else(unsaid);
                self.end = Some(End { verdict, took, seen: Instant::now() });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("a companion's pipe: {error}"),
        }
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        if self.end().is_none() {
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = waitpid(self.pid, None);
        }
    }
}

/// Holds a lock of this process's own. All processes of a scene are forks of one, so what one writes into a lock's
/// links would be what another expects there; with this lock on its list, they differ.
pub(super) fn have_other_links() {
    let own = mp_sync::Lock::new().expect("a sweep needs shared memory");
    own.acquire().expect("no other process has it").keep();
    std::mem::forget(own);
}

/// Waits until none of them runs; `false`: not before the deadline.
pub(super) fn settle(companions: &mut [Companion], deadline: Instant) -> bool {
    until(deadline, || companions.iter_mut().all(Companion::is_settled))
}

/// Waits until all have ended; `false`: not before the deadline.
pub(super) fn all_end(companions: &mut [Companion], deadline: Instant) -> bool {
    until(deadline, || companions.iter_mut().all(|companion| companion.end().is_some()))
}

/// Looks again and again; `false`: it did not come true before the deadline.
pub(super) fn until(deadline: Instant, mut came_true: impl FnMut() -> bool) -> bool {
    until_some(deadline, || came_true().then_some(())).is_some()
}

/// Looks again and again; `None`: there was nothing before the deadline.
pub(super) fn until_some<T>(deadline: Instant, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    for look in 0_u32.. {
        if let Some(found) = found() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        if look < 100 {
            std::thread::yield_now();
        } else {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
    None
}

fn last_words(took: Duration, verdict: &Verdict) -> Vec<u8> {
    let (tag, words) = match verdict {
        Ok(()) => (b'W', ""),
        Err(Fault::Lost(words)) => (b'L', words.as_str()),
        Err(Fault::Torn(words)) => (b'T', words.as_str()),
    };
    let mut all = vec![END];
    all.extend((took.as_nanos() as u64).to_le_bytes());
    all.push(tag);
    all.extend(words.as_bytes());
    all
}

fn understood(heard: &[u8]) -> Option<(Duration, Verdict)> {
    let at = heard.iter().position(|byte| *byte == END)? + 1;
    let (nanos, rest) = heard[at..].split_first_chunk::<8>()?;
    let (tag, words) = rest.split_first()?;
    let words = String::from_utf8_lossy(words).into_owned();
    let verdict = match tag {
        b'W' => Ok(()),
        b'L' => Err(Fault::Lost(words)),
        _ => Err(Fault::Torn(words)),
    };
    Some((Duration::from_nanos(u64::from_le_bytes(*nanos)), verdict))
}
