//! What may be asked of the objects, and what the answer is: by CPython's rules, and by ours.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What is taken and given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Lockable {
    Lock,
    RLock,
    Semaphore,
    Bounded,
}

/// A barrier of one party, or of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Meeting {
    One,
    Two,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Op {
    TryAcquire(Lockable),
    /// With a timeout of zero.
    AcquireZero(Lockable),
    /// Without one: asked for only where it must come back.
    Acquire(Lockable),
    Release(Lockable),
    /// Whether no other actor could take it.
    Locked(Lockable),
    /// Permits of the semaphore.
    Value,
    /// Permits of the bounded one.
    BoundedValue,
    /// How often the actor has the recursive lock.
    Depth,
    Set,
    Clear,
    IsSet,
    /// With a timeout of zero.
    Wait,
    /// With a timeout of zero.
    Meet(Meeting),
    Abort(Meeting),
    Reset(Meeting),
    Broken(Meeting),
    Waiting(Meeting),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Yes,
    No,
    Done,
    /// An error of a release: the calling thread does not hold it, or there would be too many permits.
    Refused,
    Number(u32),
    Broken,
}

impl Answer {
    pub(crate) fn of(yes: bool) -> Answer {
        if yes { Answer::Yes } else { Answer::No }
    }
}

/// As `python.py` writes them.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Yes => f.write_str("True"),
            Answer::No => f.write_str("False"),
            Answer::Done => f.write_str("None"),
            Answer::Refused => f.write_str("refused"),
            Answer::Number(number) => write!(f, "{number}"),
            Answer::Broken => f.write_str("broken"),
        }
    }
}

/// Where the two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Any process may give back a lock that is held.
    Python,
    /// A lock has an owner.
    Ours,
}

/// Permits that the semaphores begin with.
pub(crate) const PERMITS: u32 = 2;

#[derive(Debug, Clone, Copy, Default)]
struct Barrier {
    parties: u32,
    broken: bool,
}

/// All the state there is.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    rules: Rules,
    lock: Option<usize>,
    /// Whose, and how often.
    rlock: Option<(usize, u32)>,
    permits: u32,
    bounded: u32,
    set: bool,
    barriers: [Barrier; 2],
}

impl Model {
    pub(crate) fn new(rules: Rules) -> Model {
        let barriers = [1, 2].map(|parties| Barrier { parties, broken: false });
        Model { rules, lock: None, rlock: None, permits: PERMITS, bounded: PERMITS, set: false, barriers }
    }

    /// The answer to what this actor asks.
    pub(crate) fn answer(&mut self, actor: usize, op: Op) -> Answer {
        match op {
            Op::TryAcquire(which) | Op::AcquireZero(which) | Op::Acquire(which) => {
                Answer::of(self.take(actor, which))
            }
            Op::Release(which) => {
                if self.give(actor, which) {
                    Answer::Done
                } else {
                    Answer::Refused
                }
            }
            Op::Locked(which) => Answer::of(self.locked(which)),
            Op::Value => Answer::Number(self.permits),
            Op::BoundedValue => Answer::Number(self.bounded),
            Op::Depth => {
                Answer::Number(self.rlock.map_or(0, |(whose, depth)| if whose == actor { depth } else { 0 }))
            }
            Op::Set => {
                self.set = true;
                Answer::Done
            }
            Op::Clear => {
                self.set = false;
                Answer::Done
            }
            Op::IsSet | Op::Wait => Answer::of(self.set),
            Op::Meet(which) => self.meet(which),
            Op::Abort(which) => {
                self.barriers[which as usize].broken = true;
                Answer::Done
            }
            Op::Reset(which) => {
                self.barriers[which as usize].broken = false;
                Answer::Done
            }
            Op::Broken(which) => Answer::of(self.barriers[which as usize].broken),
            // An actor that came with no time to wait is gone.
            Op::Waiting(_) => Answer::Number(0),
        }
    }

    pub(crate) fn locked(&self, which: Lockable) -> bool {
        match which {
            Lockable::Lock => self.lock.is_some(),
            Lockable::RLock => self.rlock.is_some(),
            Lockable::Semaphore => self.permits == 0,
            Lockable::Bounded => self.bounded == 0,
        }
    }

    fn take(&mut self, actor: usize, which: Lockable) -> bool {
        let mine = self.rlock.filter(|(whose, _)| which == Lockable::RLock && *whose == actor);
        if self.locked(which) && mine.is_none() {
            return false;
        }
        match which {
            Lockable::Lock => self.lock = Some(actor),
            Lockable::RLock => self.rlock = Some((actor, mine.map_or(1, |(_, depth)| depth + 1))),
            Lockable::Semaphore => self.permits -= 1,
            Lockable::Bounded => self.bounded -= 1,
        }
        true
    }

    fn give(&mut self, actor: usize, which: Lockable) -> bool {
        match which {
            Lockable::Lock => {
                let may = self.lock.is_some_and(|whose| whose == actor || self.rules == Rules::Python);
                if may {
                    self.lock = None;
                }
                may
            }
            Lockable::RLock => match self.rlock {
                Some((whose, depth)) if whose == actor => {
                    self.rlock = (depth > 1).then_some((whose, depth - 1));
                    true
                }
                _ => false,
            },
            Lockable::Semaphore => {
                self.permits += 1;
                true
            }
            Lockable::Bounded if self.bounded == PERMITS => false,
            Lockable::Bounded => {
                self.bounded += 1;
                true
            }
        }
    }

    /// Alone, and with no time: a barrier of one is passed, one of two breaks.
    fn meet(&mut self, which: Meeting) -> Answer {
        let barrier = &mut self.barriers[which as usize];
        barrier.broken |= barrier.parties > 1;
        if barrier.broken { Answer::Broken } else { Answer::Number(0) }
    }
}
