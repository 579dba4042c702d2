//! Queue and FixedQueue.
//!
//! What was put is got once, in order, and whole. The victim's own items: a put that was killed has put them or
//! not; a get that was killed has taken at most those that it was to take.

use super::line::{Block, Fixed, Line, Values, small};
use super::tally::Tally;
use crate::sweep::scene::{
    Every, Fate, Fault, Mode, Operation, PATIENCE, Scene, Verdict, lost_unless, torn_unless,
};
use mp_core::sys::forced::force_naps;
use mp_queue::{GetError, PutError};
use std::cell::{Cell, RefCell};
use std::time::Duration;

pub(super) fn operations() -> Vec<Operation> {
    fn plain() -> Values<Block> {
        Values::blocks(small())
    }
    [
        Operation::new("queue.put", |_| Play::scene(PUT, plain())),
        Operation::new("queue.put.asleep", |_| Play::scene(PUT_FOR_SLEEPERS, plain())),
        Operation::new("queue.get", |_| Play::scene(GET, plain())),
        Operation::new("queue.get.empty", |mode| Play::scene(GET_FROM_EMPTY.in_mode(mode), plain())),
        Operation::new("queue.get.empty.nap", |mode| {
            Play::scene(GET_FROM_EMPTY_AFTER_A_NAP.in_mode(mode), plain())
        }),
        Operation::new("queue.get.full", |_| {
            Play::scene(GET_FROM_FULL, Values::blocks(small().max_items(GET_FROM_FULL.before as u32)))
        }),
        Operation::new("queue.put_many", |_| Play::scene(PUT_MANY, plain())),
        Operation::new("queue.put_many.asleep", |_| Play::scene(PUT_MANY_FOR_SLEEPERS, plain())),
        Operation::new("queue.get_many", |_| Play::scene(GET_MANY, plain())),
        Operation::new("queue.get_many.empty", |mode| {
            Play::scene(GET_MANY_FROM_EMPTY.in_mode(mode), plain())
        }),
        grows("queue.put.grow", |_| Play::scene(PUT_BEHIND_ONE, Values::full())),
        grows("queue.put.large", |_| Play::scene(PUT_FIRST, Values::large::<{ VICTIMS[0] }>())),
        grows("queue.put.large.asleep", |_| Play::scene(PUT_FOR_SLEEPERS, Values::large::<{ VICTIMS[0] }>())),
        Operation::new("queue.get.leave", |_| Play::scene(GET, Values::to_leave())),
        Operation::new("queue.handles.put", |_| Play::scene(PUT, Values::parcels())),
        Operation::new("queue.handles.put.asleep", |_| Play::scene(PUT_FOR_SLEEPERS, Values::parcels())),
        Operation::new("queue.handles.get", |_| Play::scene(GET, Values::parcels())),
        Operation::new("queue.handles.get.empty", |mode| {
            Play::scene(GET_FROM_EMPTY.in_mode(mode), Values::parcels())
        }),
        Operation::new("queue.poll.put", |_| Play::scene(PUT_FOR_SLEEPERS, Values::polled())),
        Operation::new("queue.poll.get", |_| Play::scene(GET, Values::polled())),
        Operation::new("queue.poll.get.empty", |mode| {
            Play::scene(GET_FROM_EMPTY.in_mode(mode), Values::polled())
        }),
        Operation::new("fixed.put", |_| Play::scene(PUT, Fixed::new())),
        Operation::new("fixed.put.asleep", |_| Play::scene(PUT_FOR_SLEEPERS, Fixed::new())),
        Operation::new("fixed.get", |_| Play::scene(GET, Fixed::new())),
        Operation::new("fixed.get.empty", |mode| Play::scene(GET_FROM_EMPTY.in_mode(mode), Fixed::new())),
    ]
    .map(|operation| if operation.by_calls { operation } else { operation.in_every_mode() })
    .into()
}

/// Growing asks for the memory that is left, which takes thousands of instructions between many system calls.
fn grows(name: &'static str, scene: fn(Mode) -> Box<dyn Scene>) -> Operation {
    Operation { by_calls: true, every: Every::Point(61), ..Operation::new(name, scene) }
}

/// What the victim does, and what it finds.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// Items in the queue.
    before: usize,
    /// Items that the victim puts, in one call.
    puts: usize,
    /// Items that it gets at most, in one call.
    gets: usize,
    /// The sleepers: consumers, or producers where the queue is full.
    sleepers: u32,
    full: bool,
    /// Items that the maker puts, for those that wait.
    made: usize,
    /// The victim naps before it sleeps.
    naps: bool,
}

const NOTHING: Plan = Plan { before: 0, puts: 0, gets: 0, sleepers: 0, full: false, made: 0, naps: false };
/// Behind two others.
const PUT: Plan = Plan { before: 2, puts: 1, ..NOTHING };
const PUT_MANY: Plan = Plan { puts: 3, ..PUT };
const PUT_BEHIND_ONE: Plan = Plan { before: 1, puts: 1, ..NOTHING };
const PUT_FIRST: Plan = Plan { puts: 1, ..NOTHING };
/// Into an empty queue; two wait in get.
const PUT_FOR_SLEEPERS: Plan = Plan { puts: 1, sleepers: 2, ..NOTHING };
const PUT_MANY_FOR_SLEEPERS: Plan = Plan { puts: 3, ..PUT_FOR_SLEEPERS };
/// Of three.
const GET: Plan = Plan { before: 3, gets: 1, ..NOTHING };
const GET_MANY: Plan = Plan { gets: 2, ..GET };
/// Waits, with another one, until the maker puts one for each.
const GET_FROM_EMPTY: Plan = Plan { gets: 1, sleepers: 1, made: 2, ..NOTHING };
const GET_FROM_EMPTY_AFTER_A_NAP: Plan = Plan { naps: true, ..GET_FROM_EMPTY };
const GET_MANY_FROM_EMPTY: Plan = Plan { gets: 2, ..GET_FROM_EMPTY };
/// Two wait in put.
const GET_FROM_FULL: Plan = Plan { before: 2, gets: 1, sleepers: 2, full: true, ..NOTHING };

impl Plan {
    /// In [`Mode::Pass`] the victim lives, and the third party waits for an item of its own.
    fn in_mode(self, mode: Mode) -> Plan {
        Plan { made: self.made + usize::from(mode == Mode::Pass), ..self }
    }
}

/// Numbers of items, by producer; each producer puts its own in order.
const BEFORE: [usize; 3] = [1, 2, 3];
const VICTIMS: [usize; 3] = [10, 11, 12];
const BARGERS: usize = 13;
const MEANWHILE: usize = 14;
/// Each puts one.
const SLEEPERS: usize = 15;
const MAKERS: [usize; 3] = [20, 21, 22];
const ROUSERS: [usize; 2] = [23, 24];
const CHECKERS: [usize; 2] = [25, 26];

/// Counts: from here how often an item was put, from there how often it was got.
const PUT_COUNTS: usize = 0;
const GOT_COUNTS: usize = 32;

struct Play<L: Line> {
    line: L,
    plan: Plan,
    tally: Tally,
    /// The victim's items: those that it is to put, or has got.
    own: RefCell<Vec<L::Item>>,
    /// At the point, the victim's items were in the queue, or had been got.
    committed: Cell<bool>,
    /// At the point, the victim had taken no item yet.
    untouched: Cell<bool>,
    /// The first packet, before the victim began.
    beside: Option<Vec<u8>>,
}

impl<L: Line + 'static> Play<L> {
    fn scene(plan: Plan, line: L) -> Box<dyn Scene> {
        let (committed, untouched) = (Cell::new(false), Cell::new(false));
        let (tally, own, beside) = (Tally::new(), RefCell::default(), None);
        let mut play = Play { line, plan, tally, own, committed, untouched, beside };
        BEFORE[..plan.before].iter().for_each(|number| play.put(*number));
        play.beside = play.line.beside();
        Box::new(play)
    }

    fn put(&self, number: usize) {
        self.line.put(self.line.item(number), None).expect("there is room");
        self.tally.add(PUT_COUNTS + number);
    }

    fn note(&self, item: L::Item) -> Result<usize, Fault> {
        match self.line.number(item).filter(|number| *number < GOT_COUNTS) {
            Some(number) => {
                self.tally.add(GOT_COUNTS + number);
                Ok(number)
            }
            None => Err(Fault::Torn("an item that is not whole".to_owned())),
        }
    }

    fn get(&self) -> Result<usize, Fault> {
        self.get_within(None)?.ok_or(Fault::Lost("a get without an end says that it is empty".to_owned()))
    }

    /// `None`: there was none.
    fn get_within(&self, timeout: Option<Duration>) -> Result<Option<usize>, Fault> {
        match self.line.get(timeout) {
            Ok(item) => self.note(item).map(Some),
            Err(GetError::Timeout) => Ok(None),
            Err(error) => Err(Fault::Torn(format!("get: {error}"))),
        }
    }

    /// Gets all that there is, and one look more.
    fn drain(&self) -> Result<Vec<usize>, Fault> {
        let mut order = Vec::new();
        while self.line.items() > 0 {
            order.push(self.get()?);
        }
        let after = self.get_within(Some(Duration::ZERO))?;
        lost_unless(after.is_none(), || format!("{after:?} from an empty queue"))?;
        Ok(order)
    }

    fn own_numbers(&self) -> &'static [usize] {
        &VICTIMS[..self.plan.puts]
    }

    /// Items got by now.
    fn got(&self) -> u32 {
        (0..GOT_COUNTS).map(|number| self.tally.get(GOT_COUNTS + number)).sum()
    }

    /// Those that were put and not got, of the victim's and of all others.
    fn missing(&self, mode: Mode) -> Result<(usize, usize), Fault> {
        let (mut own, mut others) = (0, 0);
        for number in 0..GOT_COUNTS {
            let got = self.tally.get(GOT_COUNTS + number);
            let is_own = self.own_numbers().contains(&number);
            // A producer that died twice may have put its item without a report.
            let silent = if mode == Mode::Twice && number == BARGERS { got.min(1) } else { 0 };
            let put = if is_own { 1 } else { self.tally.get(PUT_COUNTS + number).max(silent) };
            lost_unless(got <= put, || format!("{number} was put {put} times and got {got} times"))?;
            *(if is_own { &mut own } else { &mut others }) += (put - got) as usize;
        }
        Ok((own, others))
    }
}

impl<L: Line + 'static> Scene for Play<L> {
    fn prepare(&self) {
        if self.plan.naps {
            force_naps();
        }
        self.own.replace(self.own_numbers().iter().map(|number| self.line.item(*number)).collect());
    }

    fn operate(&self) {
        let mut own = self.own.borrow_mut();
        match self.plan {
            // Counted by the reader: the producer does nothing after the commit.
            Plan { puts: 1, .. } => {
                let item = own.pop().expect("it was prepared");
                let _ = self.line.put(item, None);
            }
            Plan { gets: 0, .. } => {
                let _ = self.line.put_many(std::mem::take(&mut *own));
            }
            Plan { gets: 1, .. } => own.extend(self.line.get(None).ok()),
            Plan { gets, .. } => *own = self.line.get_many(gets).unwrap_or_default(),
        }
    }

    fn finish(&self) {
        for item in self.own.take() {
            let _ = self.note(item);
        }
    }

    fn sleepers(&self) -> u32 {
        self.plan.sleepers
    }

    fn sleep(&self) -> Verdict {
        if self.plan.full {
            self.put(SLEEPERS);
            Ok(())
        } else {
            self.get().map(|_| ())
        }
    }

    fn let_go(&self) {
        MAKERS.iter().take(self.plan.made).for_each(|number| self.put(*number));
    }

    fn look(&self) {
        self.committed.set(self.line.items() as u32 + self.got() > self.plan.before as u32);
        // A producer that waited for room has used the room that the victim left, if it left any.
        let come = self.tally.get(PUT_COUNTS + SLEEPERS) as usize;
        // It takes an item's descriptors first, and that is for good.
        let has_packet = self.line.beside() == self.beside;
        self.untouched.set(has_packet && self.line.items() >= self.plan.before + come);
    }

    fn barge(&self, _: &dyn Fn()) -> Verdict {
        if self.plan.puts > 0 {
            self.put(BARGERS);
            Ok(())
        } else {
            self.get().map(|_| ())
        }
    }

    fn meanwhile(&self) -> Verdict {
        match self.line.put(self.line.item(MEANWHILE), Some(PATIENCE)) {
            Ok(()) => self.tally.add(PUT_COUNTS + MEANWHILE),
            Err(error) => lost_unless(matches!(error, PutError::Timeout), || format!("put: {error}"))?,
        }
        self.get_within(Some(PATIENCE)).map(|_| ())
    }

    fn owed(&self) -> bool {
        if self.plan.full { !self.line.is_full() } else { self.line.items() > 0 }
    }

    fn rouse(&self) -> Verdict {
        if self.plan.full {
            (0..self.plan.sleepers).try_for_each(|_| self.get().map(|_| ()))
        } else {
            ROUSERS.iter().for_each(|number| self.put(*number));
            Ok(())
        }
    }

    fn check(&self, fate: Fate) -> Verdict {
        // The packet of a later item would have one that a producer left dropped.
        let packets_may_be_left = self.plan.puts > 0 && self.beside.is_some();
        let first = self.plan.full || packets_may_be_left;
        let mut order = if first { self.drain()? } else { Vec::new() };
        let left = self.line.beside().filter(|packet| packets_may_be_left && !packet.is_empty());
        lost_unless(left.is_none(), || "descriptors are left behind".to_owned())?;
        CHECKERS.iter().for_each(|number| self.put(*number));
        order.extend(self.drain()?);
        // Victim, barger and the one in between put at the same time; but each of them in order.
        let meanwhile = VICTIMS[0]..=SLEEPERS;
        let rank = |number: usize| if meanwhile.contains(&number) { VICTIMS[0] } else { number };
        lost_unless(order.is_sorted_by_key(|number| rank(*number)), || format!("out of order: {order:?}"))?;
        let own: Vec<usize> = order.iter().copied().filter(|number| VICTIMS.contains(number)).collect();
        lost_unless(own.is_sorted(), || format!("the victim's are out of order: {own:?}"))?;
        let (own, others) = self.missing(fate.mode)?;
        let done = fate.lived() || fate.finished;
        let own_got = own < self.plan.puts;
        // Its own, all of them or none, if they were not committed.
        torn_unless(own == 0 || !own_got, || format!("{own} of the victim's {} missing", self.plan.puts))?;
        lost_unless(own == 0 || !done && !self.committed.get(), || "the victim's are missing".to_owned())?;
        // Those that it has taken: where it found them all, again all or none.
        let took = !fate.lived()
            && self.plan.gets > 0
            && (self.plan.before == 0 || !self.untouched.get() || fate.mode == Mode::Barge);
        // And what a second one has taken along.
        let second = usize::from(fate.mode == Mode::Twice && self.plan.gets > 0);
        let most = second + if took { self.plan.gets } else { 0 };
        lost_unless(others <= most, || format!("{others} missing; got {order:?} at last"))?;
        let part = self.plan.before > 0 && others > 0 && others < most && second == 0;
        torn_unless(!part, || format!("it took {others} of {most} along"))
    }
}
