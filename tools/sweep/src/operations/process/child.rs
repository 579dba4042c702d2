//! What the child does: its whole life, from its first instruction, and its end, when it has a daemon of its own;
//! and what the template does. Its parent is a sleeper, and hears how it ended.

use super::{FAMILY, SEVEN, VALUE, forever, known};
use crate::operations::tally::Tally;
use crate::sweep::family::stop_member;
use crate::sweep::process::{Children, children, have_next_program_stand_still, lead_a_family, stand_still};
use crate::sweep::scene::{Fate, Scene, Verdict, VictimKind, lost_unless};
use mp_core::finalize::register_after_fork;
use mp_core::popen::forkserver::template_pid;
use mp_core::sys::process::remembered_end;
use mp_core::transfer::Target;
use mp_core::{Child, JoinError, Process, StartError, StartMethod};
use std::fs;
use std::os::fd::OwnedFd;

/// In the tally: by which signal the victim ended, as its parent was told,
const SIGNAL: usize = 2;
/// and whether the parent waits for it.
const AWAITED: usize = 3;

fn seven() -> u32 {
    SEVEN
}

/// Starts a daemon by the method by which it was started itself, and comes to its end.
fn leave() -> u32 {
    Process::new(forever, ()).daemon().start().expect("a sweep needs processes");
    stand_still();
    SEVEN
}

fn start(function: impl Target<(), Output = u32>, method: StartMethod) -> Result<Child<u32>, StartError> {
    Process::new(function, ()).method(method).not_daemon().start()
}

/// What a process has open, and what children.
fn holdings() -> (usize, Children) {
    (fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or_default(), children())
}

fn nothing_is_left(before: (usize, Children), after: (usize, Children)) -> Verdict {
    let (open, children) = after;
    lost_unless(children != Children::Zombie, || "its parent has a zombie".to_owned())?;
    lost_unless(after == before, || {
        format!("its parent has {open} descriptors, {children:?}, not {before:?}")
    })
}

/// Where the victim stands still before it is swept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    ItsBeginning,
    ItsEnd,
}

/// The process that is swept.
enum Subject {
    /// A child that is started by this method, from there on.
    Child(StartMethod, From),
    /// From its first instruction to its end, while its parent starts two children and joins them. A start whose
    /// template is killed under it may fail once.
    Template,
}

/// A life, that of a sleeper's relative.
pub(super) struct Life {
    subject: Subject,
    tally: Tally,
}

impl Life {
    pub(super) fn of_child(method: StartMethod, from: From) -> Box<dyn Scene> {
        Life::scene(Subject::Child(method, from))
    }

    pub(super) fn of_template() -> Box<dyn Scene> {
        Life::scene(Subject::Template)
    }

    fn scene(subject: Subject) -> Box<dyn Scene> {
        Box::new(Life { subject, tally: Tally::new() })
    }

    /// Has the next child stand still at its beginning; gives what is to be kept until then.
    fn catch_the_next(&self, method: StartMethod) -> Option<(OwnedFd, OwnedFd)> {
        match method {
            StartMethod::Spawn => return Some(have_next_program_stand_still()),
            StartMethod::ForkServer => stop_member(self.tally.get(FAMILY), "mp-spare"),
            _ => register_after_fork(stand_still),
        }
        None
    }

    /// Starts the child, and hears of its end.
    fn see_child(&self, method: StartMethod, from: From) -> Verdict {
        // What a parent has once and for good, it has from now on.
        let first = start(seven, method).expect("a sweep needs processes");
        drop(first.join());
        drop(first);
        let _catch = if from == From::ItsBeginning { self.catch_the_next(method) } else { None };
        let before = holdings();

        let started = match from {
            From::ItsBeginning => start(seven, method),
            From::ItsEnd => start(leave, method),
        };
        let child = started.expect("a sweep needs processes");
        self.tally.set(AWAITED, 1);
        let (joined, code) = (child.join(), child.exitcode());
        drop(child);
        self.tally.set(VALUE, *joined.as_ref().unwrap_or(&0));
        self.tally.set(SIGNAL, code.unwrap_or(-99).unsigned_abs());
        let told = matches!(joined, Ok(SEVEN) | Err(JoinError::Killed(9))) && matches!(code, Some(0 | -9));
        lost_unless(told, || format!("its parent was told {joined:?}, exit code {code:?}"))?;
        nothing_is_left(before, holdings())
    }

    /// How it ended, as its parent was told, is how it ended.
    fn check_child(&self, fate: Fate) -> Verdict {
        let (value, signal) = (self.tally.get(VALUE), self.tally.get(SIGNAL));
        let to_its_end = fate.lived() || fate.finished;
        let expected = if to_its_end { 0 } else { 9 };
        lost_unless(signal == expected, || {
            format!("it passed for ended by signal {signal}, not {expected}")
        })?;
        lost_unless(value == SEVEN || !to_its_end, || format!("{value} was returned"))
    }

    /// Starts two children by the template, and hears of their ends.
    fn see_template(&self) -> Verdict {
        // The lifeline, which a parent has once and for good.
        let first = start(seven, StartMethod::Spawn).expect("a sweep needs processes");
        drop(first.join());
        // Where the kernel forgets (before Linux 6.15), a killed template takes the ends of its children with it.
        let remembers = remembered_end(first.sentinel()).is_some();
        drop(first);
        let _catch = have_next_program_stand_still();
        let (open, _) = holdings();

        self.tally.set(AWAITED, 1);
        let mut failed = 0;
        let mut again = || loop {
            match start(seven, StartMethod::ForkServer) {
                Err(StartError::Died) if failed == 0 => failed += 1,
                started_or_not => return started_or_not,
            }
        };
        let both = [again(), again()];
        for child in both {
            let said = child.as_ref().map(|child| (child.join(), child.exitcode()));
            let well = match said {
                Ok((Ok(SEVEN), code)) => code == Some(0) || code.is_none() && !remembers,
                _ => false,
            };
            lost_unless(well, || format!("the parent was told {said:?}"))?;
        }
        let mut after = holdings();
        // The template, killed after the last start: the next one reaps it, or the one after that, if it has left a
        // spare.
        for _ in 0..2 {
            if after.1 != Children::Zombie {
                break;
            }
            let child = again();
            lost_unless(matches!(child.map(|child| child.join()), Ok(Ok(SEVEN))), || "no start".to_owned())?;
            after = holdings();
        }
        // The template's socket and pidfd, the next pre-forked child's socket, and the four files by which the
        // parent sees whether it is confined as the template is.
        lost_unless(template_pid().is_some(), || "there is no template".to_owned())?;
        nothing_is_left((open + 7, Children::Living), after)
    }
}

impl Scene for Life {
    fn victim(&self) -> VictimKind {
        VictimKind::Relative
    }

    fn awaits_victim(&self) -> bool {
        self.tally.get(AWAITED) == 1
    }

    fn family(&self) -> Option<u32> {
        known(&self.tally, FAMILY)
    }

    fn operate(&self) {}

    fn sleepers(&self) -> u32 {
        1
    }

    fn sleep(&self) -> Verdict {
        self.tally.set(FAMILY, lead_a_family());
        match self.subject {
            Subject::Child(method, from) => self.see_child(method, from),
            Subject::Template => self.see_template(),
        }
    }

    fn barge(&self, _: &dyn Fn()) -> Verdict {
        Ok(())
    }

    fn check(&self, fate: Fate) -> Verdict {
        match self.subject {
            Subject::Child(..) => self.check_child(fate),
            Subject::Template => Ok(()),
        }
    }
}
