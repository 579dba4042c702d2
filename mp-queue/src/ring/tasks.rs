//! Tasks: records that were taken and are not done yet, and who has them.
//!
//! ```text
//!   put ──► in the ring ── take: got + 1, head = next ──► taken by a process ── task_done: done + 1 ──► done
//!                                                              └── it dies ── reap ──► lost
//!   unfinished = what is in the ring + what living processes have got and not done
//! ```
//!
//! | part             | who writes it                     | means                                               |
//! |------------------|-----------------------------------|-----------------------------------------------------|
//! | `who`            | holder of the get lock            | the process that has the slot; 0: free              |
//! | `got`            | holder of the get lock            | records that the process has taken                  |
//! | `done`           | anyone                            | of these, how many are done; never more than `got`  |
//! | `lost`           | holder of the get lock            | records that went with the dead                     |
//! | `claim`,`expect` | holder of the get lock            | 1 + slot and its `got` as it was; the items that are to have been taken: a claim that has not been committed. The slot after the last: `lost` as it was, for a record that is passed over |
//! | `burial`         | holder of the get lock            | 1 + slot and `lost` as it was: tasks that are being counted as lost |
//! | `joined`         | a task_done that wakes            | those who join sleep on it, see wait.rs             |
//!
//! The first slot is everybody's for whom there is none left: its tasks are counted and never found lost.
//!
//! # Orderings
//! `got` rises before the head (Release) that takes the record out of the ring, so who misses it in the ring (Acquire)
//! finds it here. `done` rises by Release and is read by Acquire: who has joined sees what was done. A task that puts
//! further ones is done after that: a look at all of it counts only if nothing was put meanwhile.
//! # When a process dies
//! With tasks: who joins finds it dead by his timed look, and is told how many are lost. Between its claim and its
//! commit: the next consumer takes the claim back. While it counts what is lost: the next one begins anew. Between `done` and its wake: the timed look.
//! # Tested by
//! ring/model/tasks.rs, tests/joinable.rs

use super::cursor::Cursor;
use super::layout::Slot;
use super::{Memory, Ring, WordOf};
use mp_core::word::{Deadline, Long, Ordering, Word};

/// Who takes tasks, and whether others who did still live.
pub(crate) trait Worker {
    /// This process, never 0.
    fn me(&self) -> u64;
    /// The slot that it had last, or any number.
    fn hint(&self) -> usize;
    /// Keeps that in mind.
    fn keep(&self, slot: usize);
    /// Whether that process is surely dead.
    fn is_dead(&self, who: u64) -> bool;
    /// Without a slot: whether to look who has died, which takes long.
    fn may_look(&self) -> bool;
}

impl<M: Memory> Ring<M> {
    /// Under the get lock: so many records, up to `head`, are about to be the worker's.
    pub(super) fn claim(&self, worker: &impl Worker, head: Cursor, count: u32) {
        let at = self.enrol(worker);
        let tasks = &self.layout().tasks;
        // ORDERING: Relaxed: under the get lock.
        let got = self.0.slots()[at].got.load(Ordering::Relaxed);
        tasks.expect.store(head.items, Ordering::Relaxed);
        // ORDERING: Release: after what it is about, also for who takes the lock from a dead holder.
        tasks.claim.store(note(at, got), Ordering::Release);
        // ORDERING: Release: after the claim. Those who count see it by the head.
        self.0.slots()[at].got.store(got.wrapping_add(count), Ordering::Release);
    }

    /// Under the get lock, after the commit.
    pub(super) fn claimed(&self) {
        // ORDERING: Release: after the head.
        self.layout().tasks.claim.store(0, Ordering::Release);
    }

    /// Under the get lock: takes back what a dead getter claimed and did not take.
    pub(super) fn settle(&self, head: Cursor) {
        let tasks = &self.layout().tasks;
        // ORDERING: Relaxed, here and below: under the get lock.
        let claim = tasks.claim.load(Ordering::Relaxed);
        if claim == 0 {
            return;
        }
        // A claim of no slot, or of one that is not there, was not written by us.
        let slots = self.0.slots();
        let count = noted(claim).and_then(|at| match slots.get(at) {
            None if at == slots.len() => Some(&tasks.lost),
            slot => slot.map(|slot| &slot.got),
        });
        if let Some(count) = count.filter(|_| tasks.expect.load(Ordering::Relaxed) != head.items) {
            count.store(claim as u32, Ordering::Relaxed);
        }
        self.claimed();
    }

    /// Under the get lock: the record in front of `head` is about to be passed over, and lost.
    pub(super) fn claim_lost(&self, head: Cursor) {
        self.finish_accounting();
        let tasks = &self.layout().tasks;
        // ORDERING: as in `claim`.
        let lost = tasks.lost.load(Ordering::Relaxed);
        tasks.expect.store(head.items, Ordering::Relaxed);
        tasks.claim.store(note(self.0.slots().len(), lost), Ordering::Release);
        tasks.lost.store(lost.wrapping_add(1), Ordering::Release);
    }

    /// Under the get lock: the worker's slot.
    fn enrol(&self, worker: &impl Worker) -> usize {
        let slots = self.0.slots();
        // ORDERING: Relaxed: under the get lock.
        let has = |at: usize, who: u64| slots[at].who.load(Ordering::Relaxed) == who;
        let me = worker.me();
        let hint = worker.hint();
        if hint < slots.len() && has(hint, me) {
            return hint;
        }
        let find = |who: u64| (1..slots.len()).find(|&at| has(at, who));
        let found = find(me).or_else(|| find(0)).or_else(|| {
            if worker.may_look() {
                self.account_for_dead(worker);
            }
            find(0)
        });
        let at = found.unwrap_or(EVERYBODY);
        if at != EVERYBODY {
            slots[at].who.store(me, Ordering::Relaxed);
        }
        worker.keep(at);
        at
    }

    /// Under the get lock: counts the tasks of the dead as lost, and frees their slots.
    fn account_for_dead(&self, worker: &impl Worker) {
        let tasks = &self.layout().tasks;
        self.finish_accounting();
        for (at, slot) in self.0.slots().iter().enumerate().skip(1) {
            // ORDERING: Relaxed, here and below: under the get lock.
            let who = slot.who.load(Ordering::Relaxed);
            if who == 0 || !worker.is_dead(who) {
                continue;
            }
            let lost = tasks.lost.load(Ordering::Relaxed);
            // ORDERING: Release, here and below: each after the one before, also for who takes the lock from a dead
            // holder.
            tasks.burial.store(note(at, lost), Ordering::Release);
            slot.finish_all(|unfinished| tasks.lost.store(lost.wrapping_add(unfinished), Ordering::Release));
            tasks.burial.store(0, Ordering::Release);
            // ORDERING: Release: a free slot has nothing unfinished, and is in nobody's burial.
            slot.who.store(0, Ordering::Release);
        }
    }

    /// Under the get lock: what a dead one counted as lost and did not finish is not counted yet.
    fn finish_accounting(&self) {
        let tasks = &self.layout().tasks;
        // ORDERING: Relaxed, here and below: under the get lock.
        let burial = tasks.burial.load(Ordering::Relaxed);
        if burial == 0 {
            return;
        }
        // A burial of no slot, or of one that is not there, was not written by us.
        let slot = noted(burial).and_then(|at| self.0.slots().get(at));
        if slot.is_some_and(|slot| slot.unfinished() > 0) {
            tasks.lost.store(burial as u32, Ordering::Relaxed);
        }
        // ORDERING: Release: after the count.
        tasks.burial.store(0, Ordering::Release);
    }

    /// One task is done: the worker's own, or, if it has none, anybody's. `false`: there is none.
    pub(crate) fn task_done(&self, worker: &impl Worker) -> bool {
        let slots = self.0.slots();
        let hint = worker.hint().min(slots.len() - 1);
        // ORDERING: Relaxed: a slot that is ours stays ours.
        let own = slots[hint].who.load(Ordering::Relaxed) == worker.me() && self.finish_one(hint);
        let done = own || (0..slots.len()).any(|at| self.finish_one(at));
        if done {
            self.after_done();
        }
        done
    }

    /// One of those that the slot's process has taken is done; `false`: none of them is to be done.
    fn finish_one(&self, at: usize) -> bool {
        let slot = &self.0.slots()[at];
        // ORDERING: Acquire, pairs with the Release below: what was done is seen.
        let mut done = slot.done.load(Ordering::Acquire);
        while self.taken_by(at).wrapping_sub(done).cast_signed() > 0 {
            // ORDERING: Release: pairs with the Acquire in `unfinished`.
            match slot.done.compare_exchange(done, done.wrapping_add(1), Ordering::Release, Ordering::Acquire)
            {
                Ok(_) => return true,
                Err(now) => done = now,
            }
        }
        false
    }

    /// As `got`, but for what is claimed and may never be taken: nobody can have done that.
    fn taken_by(&self, at: usize) -> u32 {
        // ORDERING: Acquire, pairs with the Release in `claim`: the claim below is no older.
        let got = self.0.slots()[at].got.load(Ordering::Acquire);
        // ORDERING: Relaxed: see above. A later claim of the slot says that all before it were taken.
        let claim = self.layout().tasks.claim.load(Ordering::Relaxed);
        if noted(claim) == Some(at) { claim as u32 } else { got }
    }

    /// Waits until every task is done, or lost; `false`: the deadline passed first.
    pub(crate) fn join(&self, worker: &impl Worker, until: Option<Deadline>) -> bool {
        let attempt = || {
            if !self.all_done() {
                self.reap(worker);
            }
            self.all_done().then_some(())
        };
        self.repeat(until, &self.layout().tasks.joined, None, || 0, attempt).0.is_some()
    }

    /// How many tasks were lost with those who had them, up to now.
    pub(crate) fn lost(&self) -> u32 {
        // ORDERING: Relaxed: a count, and no more.
        self.layout().tasks.lost.load(Ordering::Relaxed)
    }

    /// Counts the tasks of the dead as lost.
    fn reap(&self, worker: &impl Worker) {
        let slots = self.0.slots();
        // ORDERING: Acquire, pairs with the Release in `account_for_dead` and `claim`.
        let dead = |slot: &Slot<_, _>| {
            let who: u64 = M::Long::load(&slot.who, Ordering::Acquire);
            slot.unfinished() > 0 && who != 0 && worker.is_dead(who)
        };
        if !slots[1..].iter().any(dead) {
            return;
        }
        let Some(_lock) = self.lock_to_get(Deadline::after(super::SHORT)) else {
            return;
        };
        let (_, got) = match self.getting() {
            Ok(getting) => getting,
            Err(_) => return,
        };
        self.settle(got);
        self.account_for_dead(worker);
    }

    /// Whether at some moment during the call there was no task, put or taken, that was not done.
    fn all_done(&self) -> bool {
        for _ in 0..super::TRIES {
            let before = self.put_so_far();
            let done = self.items() == 0 && self.0.slots().iter().all(|slot| slot.unfinished() == 0);
            <WordOf<M>>::fence();
            if !done || self.put_so_far() == before {
                return done;
            }
        }
        false
    }

    pub(super) fn after_done(&self) {
        let joined = &self.layout().tasks.joined;
        <WordOf<M>>::fence();
        // ORDERING: Relaxed: the fence orders it after `done`.
        if joined.asleep.load(Ordering::Relaxed) != 0 && self.all_done() {
            Self::ring(joined, u32::MAX);
        }
    }
}

/// A slot, and in the lower half a count as it was: a claim or a burial. 0 is none.
fn note(at: usize, count: u32) -> u64 {
    (at as u64 + 1) << 32 | u64::from(count)
}

/// The slot that is noted.
fn noted(note: u64) -> Option<usize> {
    ((note >> 32) as usize).checked_sub(1)
}

/// The slot of those for whom there is none.
const EVERYBODY: usize = 0;

impl<W: Word, L> Slot<W, L> {
    pub(super) fn unfinished(&self) -> u32 {
        // ORDERING: Acquire, pairs with the Release in `finish_one`: what was done is seen. `done` first: it is never
        // ahead of `got`.
        let done = self.done.load(Ordering::Acquire);
        // ORDERING: Acquire, pairs with the Release in `claim`.
        self.got.load(Ordering::Acquire).wrapping_sub(done)
    }

    /// Has nothing unfinished; says before the last step how much it was.
    fn finish_all(&self, say: impl Fn(u32)) {
        // ORDERING: Acquire, as above.
        let mut done = self.done.load(Ordering::Acquire);
        loop {
            let got = self.got.load(Ordering::Acquire);
            say(got.wrapping_sub(done));
            // ORDERING: Release: after what was said.
            match self.done.compare_exchange(done, got, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => done = now,
            }
        }
    }
}
