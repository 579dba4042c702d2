//! Model threads: an id, a fuse, a robust list; and the kernel that tidies up behind them.

use crate::checker::{Atomic, Primitives};
use crate::owned::RobustList;
use crate::word::Futex;
use mp_core::word::{Ordering, Site};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
use std::sync::{Arc, Mutex};

/// What stands in for the timed look of a wait without a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimedLooks {
    /// Nothing: a lost wake is a deadlock, which loom reports. Shows that a promise needs no timer.
    Never,
    /// A death wakes all sleepers, and a thread that goes to sleep afterwards tries once more first, for each value of
    /// each word; but no long sleeper. For promises that rest on one timed wake-up once a thread has died, and on no
    /// timer before.
    AfterDeath,
    /// Each sleep is a look, as if time flew. For promises that rest on the timer alone; not for loom, which would look
    /// for ever.
    Always,
}

/// When a thread's fuse is lit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lit {
    /// At its start.
    AtOnce,
    /// At its first return from a wait: for what may happen to a woken thread.
    OnceWoken,
}

/// How many accesses a thread lives for, and how often it has died of it (over all schedules).
#[derive(Debug, Clone)]
pub struct Fuse {
    lit: Lit,
    after: Option<u32>,
    deaths: Arc<AtomicUsize>,
}

impl Fuse {
    /// A fuse that burns for `after` accesses; `None` burns for ever.
    pub(crate) fn new(lit: Lit, after: Option<u32>) -> Self {
        Fuse { lit, after, deaths: Arc::default() }
    }

    /// For a thread that lives.
    pub fn never() -> Self {
        Fuse::new(Lit::AtOnce, None)
    }

    /// For a thread that dies at its first access.
    pub fn spent() -> Self {
        Fuse::new(Lit::AtOnce, Some(0))
    }

    pub(crate) fn deaths(&self) -> usize {
        // ORDERING: Relaxed: a count, read when the model is done.
        self.deaths.load(Ordering::Relaxed)
    }
}

/// What all threads of one execution share. What the model is not to see is std's, and no step of it.
pub(crate) struct World<C: Checker> {
    futexes: Mutex<Vec<Arc<Futex<C>>>>,
    /// One bit for each thread id.
    dead: C::Word,
    told: C::Word,
    looks: Mutex<TimedLooks>,
    /// How long a wait may spin.
    spins: AtomicU32,
    /// Whether each wait naps once.
    naps: AtomicBool,
    /// Whether each release that finds a sleeper hands its lock over.
    turns: AtomicBool,
    last_id: AtomicU32,
}

impl<C: Checker> Default for World<C> {
    fn default() -> Self {
        World {
            futexes: Mutex::default(),
            dead: C::Word::default(),
            told: C::Word::default(),
            looks: Mutex::new(TimedLooks::Never),
            spins: AtomicU32::new(0),
            naps: AtomicBool::new(false),
            turns: AtomicBool::new(false),
            last_id: AtomicU32::new(1),
        }
    }
}

impl<C: Checker> World<C> {
    fn next_id(&self) -> u32 {
        // ORDERING: Relaxed: a unique number.
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn looks(&self) -> TimedLooks {
        *self.looks.lock().expect("held for a moment only")
    }

    pub(crate) fn register(&self, futex: &Arc<Futex<C>>) {
        self.futexes.lock().expect("held for a moment only").push(Arc::clone(futex));
    }

    pub(crate) fn is_dead(&self, id: u32) -> bool {
        // ORDERING: SeqCst: the answer comes from the kernel.
        self.dead.load(Ordering::SeqCst) & 1 << id != 0
    }

    fn report_death(&self, id: u32) {
        // ORDERING: SeqCst: the kernel's doing.
        self.dead.fetch_or(1 << id, Ordering::SeqCst);
        if self.looks() == TimedLooks::AfterDeath {
            let futexes = self.futexes.lock().expect("held for a moment only").clone();
            futexes.iter().for_each(|futex| futex.have_looked_at());
        }
    }
}

/// A checker whose threads have something of their own.
pub trait Checker: Primitives {
    /// Shows what the calling thread has of its own.
    fn with_mine<R>(see: impl FnOnce(&Mine<Self>) -> R) -> R;
}

/// What one thread has of its own.
pub struct Mine<C: Checker> {
    world: RefCell<Arc<World<C>>>,
    id: Cell<u32>,
    fuse: Cell<Option<u32>>,
    /// What the fuse will be once this thread has been woken.
    unlit: Cell<Option<u32>>,
    list: RefCell<RobustList<C>>,
    /// What this thread has looked at since a thread died.
    looked: RefCell<Vec<(Arc<Futex<C>>, u32)>>,
    /// How often it has read the clock.
    clock: Cell<u64>,
    /// What it has learned of its waits, all in one place.
    site: Cell<Site>,
    /// Whether it has slept by a deadline.
    dozed: Cell<bool>,
}

impl<C: Checker> Default for Mine<C> {
    fn default() -> Self {
        Mine {
            world: RefCell::default(),
            id: Cell::new(1),
            fuse: Cell::new(None),
            unlit: Cell::new(None),
            list: RefCell::default(),
            looked: RefCell::default(),
            clock: Cell::new(0),
            site: Cell::default(),
            dozed: Cell::default(),
        }
    }
}

/// The payload that a killed thread unwinds with.
struct Killed;

pub(crate) fn world<C: Checker>() -> Arc<World<C>> {
    C::with_mine(|mine| Arc::clone(&mine.world.borrow()))
}

pub(crate) fn id<C: Checker>() -> u32 {
    C::with_mine(|mine| mine.id.get())
}

pub(crate) fn with_list<C: Checker, R>(change: impl FnOnce(&mut RobustList<C>) -> R) -> R {
    C::with_mine(|mine| change(&mut mine.list.borrow_mut()))
}

/// Whether a sleep on this word is a look only.
pub(crate) fn look_now<C: Checker>(futex: &Arc<Futex<C>>, expected: u32) -> bool {
    let world = world::<C>();
    // ORDERING: SeqCst: the kernel's clock.
    if world.looks() == TimedLooks::Never || world.dead.load(Ordering::SeqCst) == 0 {
        return false;
    }
    C::with_mine(|mine| {
        let mut looked = mine.looked.borrow_mut();
        let first = !looked.iter().any(|(other, value)| Arc::ptr_eq(other, futex) && *value == expected);
        if first {
            looked.push((Arc::clone(futex), expected));
        }
        first
    })
}

/// Burns one step of this thread's fuse. At its end the thread unwinds, and again at each later access, should
/// something have caught it on the way.
pub(crate) fn step<C: Checker>() {
    let left = C::with_mine(|mine| mine.fuse.get());
    match left {
        None => {}
        Some(0) => resume_unwind(Box::new(Killed)),
        Some(left) => C::with_mine(|mine| mine.fuse.set(Some(left - 1))),
    }
}

/// This thread has come back from a wait.
pub(crate) fn woken<C: Checker>() {
    C::with_mine(|mine| {
        if let Some(after) = mine.unlit.take() {
            mine.fuse.set(Some(after));
        }
    });
}

/// This thread sleeps by a deadline.
pub(crate) fn doze<C: Checker>() {
    C::with_mine(|mine| mine.dozed.set(true));
}

pub(crate) fn has_dozed<C: Checker>() -> bool {
    C::with_mine(|mine| mine.dozed.get())
}

/// Whether each sleep is a look only.
pub(crate) fn looks_always<C: Checker>() -> bool {
    world::<C>().looks() == TimedLooks::Always
}

pub(crate) fn set_looks<C: Checker>(looks: TimedLooks) {
    *world::<C>().looks.lock().expect("held for a moment only") = looks;
}

/// From now on waits may spin for so long, by the clocks of their threads.
pub(crate) fn set_spins<C: Checker>(spins: u32) {
    // ORDERING: Relaxed: set before the model's threads start.
    world::<C>().spins.store(spins, Ordering::Relaxed);
}

pub(crate) fn spins<C: Checker>() -> u32 {
    // ORDERING: Relaxed: as above.
    world::<C>().spins.load(Ordering::Relaxed)
}

/// From now on each wait naps once, and then spins.
pub(crate) fn set_naps<C: Checker>() {
    // ORDERING: Relaxed: set before the model's threads start.
    world::<C>().naps.store(true, Ordering::Relaxed);
}

/// From now on locks are handed over to sleepers.
pub(crate) fn set_turns<C: Checker>() {
    // ORDERING: Relaxed: set before the model's threads start.
    world::<C>().turns.store(true, Ordering::Relaxed);
}

pub(crate) fn turn<C: Checker>() -> Option<u32> {
    // ORDERING: Relaxed: as above.
    world::<C>().turns.load(Ordering::Relaxed).then_some(0)
}

/// The calling thread's clock goes on at each reading.
pub(crate) fn now<C: Checker>() -> u64 {
    C::with_mine(|mine| {
        mine.clock.set(mine.clock.get() + 1);
        mine.clock.get()
    })
}

pub(crate) fn site<C: Checker>() -> Site {
    // ORDERING: Relaxed: as above.
    if world::<C>().naps.load(Ordering::Relaxed) {
        return Site::that_naps();
    }
    C::with_mine(|mine| mine.site.get())
}

pub(crate) fn learn<C: Checker>(site: Site) {
    C::with_mine(|mine| mine.site.set(site));
}

pub(crate) fn tell<C: Checker>() {
    // ORDERING: SeqCst: the model's own signal.
    world::<C>().told.store(1, Ordering::SeqCst);
}

pub(crate) fn wait_until_told<C: Checker>() {
    // ORDERING: SeqCst: the model's own signal.
    while world::<C>().told.load(Ordering::SeqCst) == 0 {
        C::yield_now();
    }
}

/// A model thread that was started.
pub struct Life<T>(Box<dyn FnOnce() -> Option<T>>);

impl<T> fmt::Debug for Life<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Life")
    }
}

impl<T> Life<T> {
    /// Waits for its end. `None`: it was killed.
    pub fn join(self) -> Option<T> {
        (self.0)()
    }
}

/// What a new thread is to do; `start` starts it.
pub(crate) fn spawn<C: Checker, T, W: FnOnce() -> T>(
    fuse: &Fuse,
    work: W,
    start: impl FnOnce(NewThread<C, W>) -> Box<dyn FnOnce() -> Option<T>>,
) -> Life<T> {
    let world = world::<C>();
    let id = world.next_id();
    Life(start(NewThread { world, id, fuse: fuse.clone(), work }))
}

/// A thread that has not begun.
pub(crate) struct NewThread<C: Checker, W> {
    world: Arc<World<C>>,
    id: u32,
    fuse: Fuse,
    work: W,
}

impl<C: Checker, W> NewThread<C, W> {
    pub(crate) fn live<T>(self) -> Option<T>
    where
        W: FnOnce() -> T,
    {
        C::with_mine(|mine| {
            *mine.world.borrow_mut() = self.world;
            mine.id.set(self.id);
        });
        live::<C, T>(&self.fuse, self.work)
    }
}

pub(crate) fn live_here<C: Checker, T>(fuse: &Fuse, work: impl FnOnce() -> T) -> Option<T> {
    let outcome = live::<C, T>(fuse, work);
    C::with_mine(|mine| {
        let next = mine.world.borrow().next_id();
        mine.id.set(next);
    });
    outcome
}

fn live<C: Checker, T>(fuse: &Fuse, work: impl FnOnce() -> T) -> Option<T> {
    C::with_mine(|mine| match fuse.lit {
        Lit::AtOnce => mine.fuse.set(fuse.after),
        Lit::OnceWoken => mine.unlit.set(fuse.after),
    });
    let outcome = catch_unwind(AssertUnwindSafe(work));
    C::with_mine(|mine| (mine.fuse.take(), mine.unlit.take()));
    if let Err(panic) = &outcome
        && !panic.is::<Killed>()
    {
        resume_unwind(outcome.err().expect("just seen"));
    }
    // The kernel walks the list of each thread that ends, killed or not.
    with_list::<C, _>(std::mem::take).owner_died(id::<C>());
    if outcome.is_err() {
        // ORDERING: Relaxed: a count, read when the model is done.
        fuse.deaths.fetch_add(1, Ordering::Relaxed);
        world::<C>().report_death(id::<C>());
    }
    outcome.ok()
}
