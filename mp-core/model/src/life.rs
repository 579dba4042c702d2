//! Model threads: an id, a fuse, a robust list; and the kernel that tidies up behind them.

use crate::owned::RobustList;
use crate::word::Futex;
use loom::sync::atomic::AtomicU32;
use loom::thread::JoinHandle;
use mp_core::word::Ordering;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

/// What stands in for the timed look of a wait without a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    /// Nothing: a lost wake is a deadlock, which loom reports. Shows that a promise needs no timer.
    Never,
    /// A death wakes all who sleep; and who goes to sleep afterwards looks once more first, for each value of each
    /// word. For promises that rest on one look of the timer once somebody has died, and on no timer before.
    AfterDeath,
}

/// When a thread's fuse is lit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lit {
    /// At its start.
    AtOnce,
    /// When it first comes back from a wait: for what may happen to one who has been woken.
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

    pub(crate) fn deaths(&self) -> usize {
        // ORDERING: Relaxed: a count, read when the model is done.
        self.deaths.load(Ordering::Relaxed)
    }
}

/// What all threads of one execution share.
pub(crate) struct World {
    futexes: Mutex<Vec<Arc<Futex>>>,
    /// One bit for each thread id.
    dead: AtomicU32,
    looks: Cell<Looks>,
    ids: Cell<u32>,
}

// loom runs the threads of one execution on one thread of the system, so `Rc` and `Cell` would do for all of it;
// the handle lives in loom's thread-locals and never leaves that thread.
type Shared = std::rc::Rc<World>;

impl World {
    fn new() -> Shared {
        Shared::new(World {
            futexes: Mutex::default(),
            dead: AtomicU32::new(0),
            looks: Cell::new(Looks::Never),
            ids: Cell::new(1),
        })
    }

    fn next_id(&self) -> u32 {
        self.ids.set(self.ids.get() + 1);
        self.ids.get()
    }

    pub(crate) fn register(&self, futex: &Arc<Futex>) {
        self.futexes.lock().expect("one system thread").push(Arc::clone(futex));
    }

    pub(crate) fn is_dead(&self, id: u32) -> bool {
        // ORDERING: SeqCst: the answer comes from the kernel.
        self.dead.load(Ordering::SeqCst) & 1 << id != 0
    }

    fn bury(&self, id: u32) {
        // ORDERING: SeqCst: the kernel's doing.
        self.dead.fetch_or(1 << id, Ordering::SeqCst);
        if self.looks.get() == Looks::AfterDeath {
            let futexes = self.futexes.lock().expect("one system thread").clone();
            futexes.iter().for_each(|futex| futex.wake(u32::MAX));
        }
    }
}

/// What one thread has of its own.
struct Mine {
    world: RefCell<Shared>,
    id: Cell<u32>,
    fuse: Cell<Option<u32>>,
    /// What the fuse will be once this thread has been woken.
    unlit: Cell<Option<u32>>,
    list: RefCell<RobustList>,
    /// What this thread has looked at since somebody died.
    looked: RefCell<Vec<(Arc<Futex>, u32)>>,
}

loom::thread_local! {
    static MINE: Mine = Mine {
        world: RefCell::new(World::new()),
        id: Cell::new(1),
        fuse: Cell::new(None),
        unlit: Cell::new(None),
        list: RefCell::default(),
        looked: RefCell::default(),
    };
}

/// The payload that a killed thread unwinds with.
struct Killed;

pub(crate) fn world() -> Shared {
    MINE.with(|mine| Shared::clone(&mine.world.borrow()))
}

pub(crate) fn id() -> u32 {
    MINE.with(|mine| mine.id.get())
}

pub(crate) fn with_list<R>(change: impl FnOnce(&mut RobustList) -> R) -> R {
    MINE.with(|mine| change(&mut mine.list.borrow_mut()))
}

/// Whether a sleep on this word is a look only.
pub(crate) fn look_now(futex: &Arc<Futex>, expected: u32) -> bool {
    let world = world();
    // ORDERING: SeqCst: the kernel's clock.
    if world.looks.get() == Looks::Never || world.dead.load(Ordering::SeqCst) == 0 {
        return false;
    }
    MINE.with(|mine| {
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
pub(crate) fn step() {
    let left = MINE.with(|mine| mine.fuse.get());
    match left {
        None => {}
        Some(0) => resume_unwind(Box::new(Killed)),
        Some(left) => MINE.with(|mine| mine.fuse.set(Some(left - 1))),
    }
}

/// This thread has come back from a wait.
pub(crate) fn woken() {
    MINE.with(|mine| {
        if let Some(after) = mine.unlit.take() {
            mine.fuse.set(Some(after));
        }
    });
}

/// A point at which a thread may die, for code that touches nothing shared.
pub fn point() {
    step();
}

/// Chooses what stands in for timed looks in this execution. Call it first, from the model's main thread.
pub fn set_looks(looks: Looks) {
    world().looks.set(looks);
}

/// A model thread that was started.
pub struct Life<T>(JoinHandle<Option<T>>);

impl<T> Life<T> {
    /// Waits for its end. `None`: it was killed.
    pub fn join(self) -> Option<T> {
        self.0.join().expect("a panic ends the whole model")
    }
}

/// Starts a model thread that dies when its fuse has burnt. Call it from the model's main thread.
pub fn spawn<T: 'static>(fuse: &Fuse, work: impl FnOnce() -> T + 'static) -> Life<T> {
    let (fuse, world) = (fuse.clone(), world());
    let id = world.next_id();
    Life(loom::thread::spawn(move || {
        MINE.with(|mine| {
            *mine.world.borrow_mut() = world;
            mine.id.set(id);
        });
        live(&fuse, work)
    }))
}

/// Does `work` on the model's main thread, as one who may die in it. `None`: killed. Whatever the thread holds at
/// the end is the dead one's: what runs on is another, with an id of its own.
pub fn live_here<T>(fuse: &Fuse, work: impl FnOnce() -> T) -> Option<T> {
    let outcome = live(fuse, work);
    MINE.with(|mine| {
        let next = mine.world.borrow().next_id();
        mine.id.set(next);
    });
    outcome
}

fn live<T>(fuse: &Fuse, work: impl FnOnce() -> T) -> Option<T> {
    MINE.with(|mine| match fuse.lit {
        Lit::AtOnce => mine.fuse.set(fuse.after),
        Lit::OnceWoken => mine.unlit.set(fuse.after),
    });
    let outcome = catch_unwind(AssertUnwindSafe(work));
    MINE.with(|mine| (mine.fuse.take(), mine.unlit.take()));
    if let Err(panic) = &outcome
        && !panic.is::<Killed>()
    {
        resume_unwind(outcome.err().expect("just seen"));
    }
    // The kernel walks the list of each thread that ends, killed or not.
    with_list(std::mem::take).owner_died(id());
    if outcome.is_err() {
        // ORDERING: Relaxed: a count, read when the model is done.
        fuse.deaths.fetch_add(1, Ordering::Relaxed);
        world().bury(id());
    }
    outcome.ok()
}
