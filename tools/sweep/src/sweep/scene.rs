//! Scene: an operation as the sweep sees it.

use std::fmt;
use std::time::Duration;

/// What becomes of the victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is killed.
    Kill,
    /// It is stopped, and goes on when the others have shown that they can.
    Stop,
    /// A third party acts while it stands still; then it is killed.
    Barge,
    /// A third party acts while it stands still, and holds what it has while the victim goes on, to its end.
    Pass,
    /// It is killed, and so is the process that does the same operation next, after each of that one's
    /// instructions.
    Twice,
}

impl Mode {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Mode::Kill => "kill",
            Mode::Stop => "stop",
            Mode::Barge => "barge",
            Mode::Pass => "pass",
            Mode::Twice => "twice",
        }
    }
}

/// What can become of the victim of any operation on shared objects.
const COMMON_MODES: &[Mode] = &[Mode::Kill, Mode::Stop, Mode::Barge];
/// And of one whose check knows how to count what two processes did that may have died in it.
const EVERY_MODE: &[Mode] = &[Mode::Kill, Mode::Stop, Mode::Barge, Mode::Pass, Mode::Twice];

/// The kind of victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VictimKind {
    /// A child of the maker's, which does `prepare`, `operate` and `finish`.
    Child,
    /// The one of the family that stands still (`stand_still`). A sleeper has started it; what it does from there
    /// to its end is the operation.
    Relative,
}

/// What became of the victim, for the check.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fate {
    pub(crate) mode: Mode,
    /// It had come to the operation's end.
    pub(crate) finished: bool,
    /// The sleepers waited for what the victim did not do, and another process has done it: `rouse` was called.
    pub(crate) roused: bool,
}

impl Fate {
    /// Whether it went on to its end.
    pub(crate) fn lived(self) -> bool {
        matches!(self.mode, Mode::Stop | Mode::Pass)
    }
}

/// What is wrong.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A committed item is gone, or there is one that no process made.
    Lost(String),
    /// Guarded data is half changed, or not guarded.
    Torn(String),
}

pub(crate) type Verdict = Result<(), Fault>;

/// `Lost`, with these words, unless it holds.
pub(crate) fn lost_unless(holds: bool, words: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Fault::Lost(words())) }
}

/// `Torn`, with these words, unless it holds.
pub(crate) fn torn_unless(holds: bool, words: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Fault::Torn(words())) }
}

/// How long a process waits for what a stopped victim may hold.
pub(crate) const PATIENCE: Duration = Duration::from_millis(20);

/// Fresh shared objects, and what each process does with them. All processes are forks of the one that made the
/// scene: what it keeps outside of shared memory, each of them has for itself, as it was at the fork.
pub(crate) trait Scene {
    /// The process that is stepped, and dies.
    fn victim(&self) -> VictimKind {
        VictimKind::Child
    }
    /// Whether the sleeper has come so far that it does nothing but wait for the victim, or for what that does.
    fn awaits_victim(&self) -> bool {
        true
    }
    /// The process group that the scene's processes are in, where the operation starts some (the maker inherits
    /// those whose parents die): when all is over, no process of it may be left. `None` as long as it is not known.
    fn family(&self) -> Option<u32> {
        None
    }

    /// The victim, before the sweep begins.
    fn prepare(&self) {}
    /// The victim: the operation.
    fn operate(&self);
    /// The victim, after the operation, if it lives on.
    fn finish(&self) {}

    /// How many sleep before the victim begins.
    fn sleepers(&self) -> u32 {
        0
    }
    /// A sleeper: waits, goes on, ends.
    fn sleep(&self) -> Verdict {
        Ok(())
    }

    /// How many come when the victim sleeps; at the latest when it is dead, or stopped.
    fn comers(&self) -> u32 {
        0
    }
    /// A process that comes.
    fn come(&self) -> Verdict {
        Ok(())
    }
    /// The maker of the scene, at the same moment, once: lets go what the victim sleeps for. It must not wait.
    fn let_go(&self) {}

    /// The maker, when the victim stands at its last instruction and no other process moves: what the check needs
    /// to know.
    fn look(&self) {}
    /// The same of the second victim ([`Mode::Twice`]).
    fn look_again(&self) {}
    /// The third party: the same operation. Where it holds something, it calls `hold` with it in hand: the victim
    /// dies meanwhile.
    fn barge(&self, hold: &dyn Fn()) -> Verdict;
    /// The second victim ([`Mode::Twice`]): the same operation, after the first one's death. It calls `ready` where
    /// its points begin.
    fn operate_again(&self, ready: &dyn Fn()) {
        ready();
        let _ = self.barge(&|| {});
    }
    /// A process, while the victim is stopped: must come to an end.
    fn meanwhile(&self) -> Verdict {
        Ok(())
    }

    /// Whether the remaining sleepers must go on by themselves.
    fn owed(&self) -> bool {
        true
    }
    /// A process: does for the sleepers what the victim did not do.
    fn rouse(&self) -> Verdict {
        Ok(())
    }
    /// A process, when all others have ended: checks that all is there, and works.
    fn check(&self, fate: Fate) -> Verdict;
}

/// Which of an operation's points are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Every {
    /// Each n-th one.
    Point(u64),
    /// The one just after each system call.
    Call,
}

impl fmt::Display for Every {
    /// As the mode says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Every::Point(1) => Ok(()),
            Every::Point(number) => write!(f, "/{number}"),
            Every::Call => f.write_str("/call"),
        }
    }
}

/// An operation that can be swept.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// Makes a scene.
    pub(crate) scene: fn(Mode) -> Box<dyn Scene>,
    /// After this time a process that does not go on is stuck.
    pub(crate) limit: Duration,
    /// Swept when its whole name is given, and not with the others.
    pub(crate) hidden: bool,
    /// Its points are counted from its last system call, and the one just after each call is always tried.
    pub(crate) by_calls: bool,
    /// Which points, unless the command line says otherwise.
    pub(crate) every: Every,
    /// What can become of its victim.
    pub(crate) modes: &'static [Mode],
}

impl Operation {
    /// With every mode there is.
    pub(crate) const fn in_every_mode(self) -> Operation {
        Operation { modes: EVERY_MODE, ..self }
    }

    pub(crate) const fn new(name: &'static str, scene: fn(Mode) -> Box<dyn Scene>) -> Operation {
        let limit = Duration::from_secs(5);
        Operation {
            name,
            scene,
            limit,
            hidden: false,
            by_calls: false,
            every: Every::Point(1),
            modes: COMMON_MODES,
        }
    }
}
