//! Barrier, of three parties.
//!
//! A round passes for all or for none, and no party waits for a dead one. Each party has the barrier as one has it
//! that received it, so that all are watched, and their maker is none of them.
//!
//! The others' timeouts are not tried here while the victim is stopped: a party that is stopped inside the
//! barrier's lock, a few instructions of its wait, holds them up, as the barrier says.

use super::tally::Tally;
use crate::sweep::scene::{Fate, Mode, Operation, Scene, Verdict, lost_unless, torn_unless};
use mp_core::transfer::{Message, pack, unpack};
use mp_sync::Barrier;
use std::cell::RefCell;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::new("barrier.wait", |_| Play::scene(Place::First)),
        Operation::new("barrier.wait.last", |_| Play::scene(Place::Last)),
    ]
}

/// When the victim comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The others come when it waits.
    First,
    /// The others wait.
    Last,
}

struct Play {
    barrier: Message,
    place: Place,
    tally: Tally,
    /// The victim's own.
    own: RefCell<Option<Barrier>>,
}

const PARTIES: u32 = 3;
/// Besides the victim.
const OTHERS: u32 = PARTIES - 1;
/// Counts: how many passed, how many were told that it broke, how many passed as the leader.
const PASSED: usize = 0;
const BROKE: usize = 1;
const LED: usize = 2;

impl Play {
    fn scene(place: Place) -> Box<dyn Scene> {
        let barrier = Barrier::new(PARTIES).expect("a sweep needs shared memory");
        let barrier = pack(&barrier).expect("a barrier can travel");
        Box::new(Play { barrier, place, tally: Tally::new(), own: RefCell::new(None) })
    }

    /// The barrier, for a process that does not have it yet.
    fn receive(&self) -> Barrier {
        unpack(&self.barrier.bytes, self.barrier.handles.clone()).expect("it was packed as such")
    }

    fn meet(&self, barrier: &Barrier) {
        match barrier.wait() {
            Ok(place) => {
                self.tally.add(PASSED);
                if place.is_leader() {
                    self.tally.add(LED);
                }
            }
            Err(_) => self.tally.add(BROKE),
        }
    }
}

impl Scene for Play {
    fn prepare(&self) {
        *self.own.borrow_mut() = Some(self.receive());
    }

    fn operate(&self) {
        if let Some(barrier) = &*self.own.borrow() {
            self.meet(barrier);
        }
    }

    fn finish(&self) {
        self.own.take();
    }

    fn sleepers(&self) -> u32 {
        if self.place == Place::Last { OTHERS } else { 0 }
    }

    fn sleep(&self) -> Verdict {
        self.meet(&self.receive());
        Ok(())
    }

    fn comers(&self) -> u32 {
        if self.place == Place::First { OTHERS } else { 0 }
    }

    fn come(&self) -> Verdict {
        self.sleep()
    }

    fn barge(&self, _: &dyn Fn()) -> Verdict {
        self.sleep()
    }

    fn meanwhile(&self) -> Verdict {
        lost_unless(!self.receive().broken(), || "a stopped party broke it".to_owned())
    }

    fn check(&self, fate: Fate) -> Verdict {
        let [passed, broke, led] = [PASSED, BROKE, LED].map(|count| self.tally.get(count));
        let said = || format!("{passed} passed, {led} of them as leader, and {broke} did not");
        // A third party that barges in is one too many: it, or one whose place it took, is told that the victim
        // is dead.
        let alone = fate.mode == Mode::Barge && passed >= OTHERS;
        torn_unless(passed == 0 || broke == 0 || alone && broke == 1, said)?;
        torn_unless(led <= 1, said)?;
        lost_unless(!fate.lived() || passed == PARTIES && led == 1, said)?;
        lost_unless(!fate.finished || passed >= OTHERS, said)?;
        let barrier = self.receive();
        barrier.reset();
        let round = || {
            std::thread::scope(|scope| {
                let parties: Vec<_> = (0..PARTIES).map(|_| scope.spawn(|| barrier.wait().is_ok())).collect();
                parties.into_iter().all(|party| party.join().unwrap_or(false))
            })
        };
        lost_unless(round() && round(), || "no round passes after a reset".to_owned())
    }
}
