//! A barrier: so many wait for each other.
//!
//! # When a process dies
//! Of the process of a waiter: the barrier is broken, since the generation will not be complete.

use super::attempt::{Attempt, Caller, Object};
use crate::protocol::{BarrierCall, Call, Failure, Reply};

#[derive(Debug)]
pub(crate) struct Barrier {
    parties: u64,
    /// Which gathering this is: those of earlier ones may pass.
    generation: u64,
    arrived: u64,
    /// The last generation that was broken, whose waiters are told. While it is the current one, the barrier is broken.
    last_broken: Option<u64>,
}

impl Object for Barrier {
    fn attempt(&mut self, _: Caller, call: &mut Call) -> Attempt {
        let Call::Barrier(call) = call else { return Failure::WrongKind.into() };
        match call {
            BarrierCall::Wait(place) => return self.wait(place),
            BarrierCall::Abort => self.break_it(),
            BarrierCall::Reset => {
                if self.arrived > 0 {
                    self.break_it();
                }
                self.next_generation();
            }
            BarrierCall::Parties => return Reply::Count(self.parties).into(),
            BarrierCall::Waiting => return Reply::Count(self.arrived).into(),
            BarrierCall::Broken => return Reply::Flag(self.is_broken()).into(),
        }
        Reply::Done.into()
    }

    fn give_up(&mut self, _: Caller, call: &mut Call) -> Option<Failure> {
        if let Call::Barrier(BarrierCall::Wait(Some((generation, _)))) = call
            && *generation == self.generation
        {
            self.break_it();
        }
        Some(Failure::Timeout)
    }
}

impl Barrier {
    pub(crate) fn new(parties: u64) -> Barrier {
        Barrier { parties, generation: 1, arrived: 0, last_broken: None }
    }

    fn wait(&mut self, place: &mut Option<(u64, u64)>) -> Attempt {
        let (generation, index) = match *place {
            Some(place) => place,
            None if self.is_broken() => return Failure::Broken.into(),
            None => {
                let arrived = (self.generation, self.arrived);
                *place = Some(arrived);
                self.arrived += 1;
                if self.arrived >= self.parties {
                    self.next_generation();
                }
                arrived
            }
        };
        if self.last_broken == Some(generation) {
            return Failure::Broken.into();
        }
        if generation < self.generation { Reply::Count(index).into() } else { Attempt::Wait }
    }

    fn next_generation(&mut self) {
        self.generation += 1;
        self.arrived = 0;
    }

    fn break_it(&mut self) {
        self.arrived = 0;
        self.last_broken = Some(self.generation);
    }

    fn is_broken(&self) -> bool {
        self.last_broken == Some(self.generation)
    }
}
