//! Waiting for the other side, and waking it.

use super::layout::Bell;
use super::{Memory, NotTaken, Refused, Ring, WordOf};
use mp_core::word::{Deadline, Ordering, Wake, Word};

impl<M: Memory> Ring<M> {
    /// Repeats `attempt` until it is not refused as full, or the deadline passes.
    pub(crate) fn until_room(
        &self,
        until: Option<Deadline>,
        mut attempt: impl FnMut() -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        self.repeat(until, &self.layout().freed, Refused::Full, || match attempt() {
            Err(Refused::Full) => None,
            other => Some(other),
        })
    }

    /// Repeats `attempt` until it does not find the queue empty, or the deadline passes.
    pub(crate) fn until_item<T>(
        &self,
        until: Option<Deadline>,
        mut attempt: impl FnMut() -> Result<T, NotTaken>,
    ) -> Result<T, NotTaken> {
        self.repeat(until, &self.layout().published, NotTaken::Empty, || match attempt() {
            Err(NotTaken::Empty) => None,
            other => Some(other),
        })
    }

    fn repeat<T, E>(
        &self,
        until: Option<Deadline>,
        bell: &Bell<WordOf<M>>,
        late: E,
        mut attempt: impl FnMut() -> Option<Result<T, E>>,
    ) -> Result<T, E> {
        let Bell { changes, asleep } = bell;
        let mut round = 0;
        loop {
            if let Some(done) = attempt() {
                return done;
            }
            if until.is_some_and(Deadline::passed) {
                return Err(late);
            }
            // ORDERING: Acquire, so that an attempt after the change sees what was changed.
            let seen = changes.load(Ordering::Acquire);
            while <WordOf<M>>::spin(round) {
                round += 1;
                // ORDERING: as above.
                if changes.load(Ordering::Acquire) != seen {
                    break;
                }
            }
            // ORDERING: Relaxed: the fence orders it before the last look.
            asleep.store(1, Ordering::Relaxed);
            <WordOf<M>>::fence();
            // ORDERING: as above.
            let seen = changes.load(Ordering::Acquire);
            if let Some(done) = attempt() {
                return done;
            }
            if changes.wait(seen, until) == Wake::TimedOut {
                return attempt().unwrap_or(Err(late));
            }
            // Others may sleep still, and whoever woke us has taken the flag down: the next round sets it again.
            round = 0;
        }
    }

    /// After a put: wakes a getter if one may sleep. After a take by one who was woken it passes the wake on,
    /// since one wake may stand for several items.
    pub(crate) fn wake_getter(&self) {
        Self::wake_one(&self.layout().published);
    }

    /// After a take: wakes a putter if one may sleep.
    pub(crate) fn wake_putter(&self) {
        Self::wake_one(&self.layout().freed);
    }

    fn wake_one(Bell { changes, asleep }: &Bell<WordOf<M>>) {
        <WordOf<M>>::fence();
        // ORDERING: Relaxed: the fences order it against the change on one side and the last look on the other.
        if asleep.load(Ordering::Relaxed) != 0 {
            asleep.store(0, Ordering::Relaxed);
            changes.wake(1);
        }
    }

    /// Has everybody look again.
    pub(crate) fn wake_everybody(&self) {
        for bell in [&self.layout().published, &self.layout().freed] {
            Self::bump(&bell.changes);
            bell.changes.wake(u32::MAX);
        }
    }
}
