//! The models: 2 or 3 threads, 1 or 2 rounds. Each is generic over its world, so that a faulty one can be put in.

use loom::sync::atomic::AtomicU32;
use mp_core::word::{Deadline, Ordering, Owned, Wake, Word};
use mp_model::{Fuse, Looks, ModelOwned, ModelWord, live_here, point, set_looks, spawn};
use mp_sync::raw::{Acquired, Arrival, Broken, RawBarrier, RawEvent, RawLock};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

/// The id that the harness gives to the first thread that a model starts.
const FIRST: u32 = 2;

/// Some deadline: in the model it passes whenever it likes.
fn soon() -> Option<Deadline> {
    Deadline::after(Duration::ZERO)
}

/// Two numbers that are equal whenever nobody is changing them. Relaxed, so that only the lock orders them: a
/// missing Acquire or Release shows as an old number.
#[derive(Default)]
struct Pair(AtomicU32, AtomicU32);

impl Pair {
    /// ORDERING: Relaxed throughout: see the type.
    fn add_one(&self, how: Acquired) {
        let (first, second) = (self.0.load(Ordering::Relaxed), self.1.load(Ordering::Relaxed));
        assert!(first == second || how == Acquired::OwnerDied, "half a change in a clean lock");
        self.0.store(first + 1, Ordering::Relaxed);
        point();
        self.1.store(first + 1, Ordering::Relaxed);
    }

    fn get(&self) -> u32 {
        self.1.load(Ordering::Relaxed)
    }
}

type Locked<O> = Arc<(RawLock<O>, Pair)>;

fn locked<O: Owned + Default>() -> Locked<O>
where
    O::Word: Default,
{
    Arc::new((RawLock::default(), Pair::default()))
}

fn add_one<O: Owned>(locked: &Locked<O>) {
    let how = locked.0.acquire(None).expect("no deadline");
    inside(locked, how);
}

fn inside<O: Owned>(locked: &Locked<O>, how: Acquired) {
    assert!(locked.0.held_by_me());
    locked.1.add_one(how);
    locked.0.clear_died();
    assert!(locked.0.release());
}

pub(crate) fn lock_excludes_and_hands_on<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let lock = locked::<O>();
    let others = [(); 2].map(|()| {
        let lock = lock.clone();
        spawn(&Fuse::never(), move || add_one(&lock))
    });
    add_one(&lock);
    for other in others {
        other.join().expect("lives");
    }
    assert_eq!(lock.1.get(), 3);
    assert!(!lock.0.is_locked());
}

/// A sleeper whose deadline passes may have used up the wake that another sleeper needed.
pub(crate) fn lock_timeout_passes_the_wake_on<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let lock = Arc::<RawLock<O>>::default();
    assert_eq!(lock.acquire(None), Some(Acquired::Clean));
    let (for_ever, hurried) = (lock.clone(), lock.clone());
    let for_ever = spawn(&Fuse::never(), move || visit(&for_ever));
    let hurried = spawn(&Fuse::never(), move || {
        if hurried.acquire(soon()).is_some() {
            assert!(hurried.release());
        }
    });
    assert!(lock.release());
    barge(&lock);
    for_ever.join().expect("lives");
    hurried.join().expect("lives");
    assert!(!lock.is_locked());
}

pub(crate) fn lock_try_and_owner<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let lock = locked::<O>();
    let other = lock.clone();
    let other = spawn(&Fuse::never(), move || {
        let taken = other.0.try_acquire();
        assert_eq!(taken.is_some(), other.0.held_by_me());
        if let Some(how) = taken {
            assert_eq!(other.0.owner(), Some(FIRST));
            inside(&other, how);
        }
        assert!(!other.0.release(), "given back what was not held");
        taken.is_some()
    });
    add_one(&lock);
    let taken = other.join().expect("lives");
    assert_eq!(lock.1.get(), 1 + u32::from(taken));
    assert_eq!(lock.0.owner(), None);
    assert_eq!(lock.0.try_acquire(), Some(Acquired::Clean));
    assert_eq!(lock.0.try_acquire(), None);
    assert!(lock.0.release());
}

/// As short as a visit can be: three of them and a death make many schedules.
fn visit<O: Owned>(lock: &RawLock<O>) {
    if lock.acquire(None) == Some(Acquired::OwnerDied) {
        lock.clear_died();
    }
    assert!(lock.release());
}

/// Takes the lock only if it is free at that moment, and gives it back.
fn barge<O: Owned>(lock: &RawLock<O>) {
    if lock.try_acquire().is_some() {
        assert!(lock.release());
    }
}

/// Takes the lock and ends with it: the kernel gives it back.
fn keep<O: Owned>(lock: &RawLock<O>) {
    assert!(lock.acquire(None).is_some());
}

/// The victim gives back, one sleeps, and a third barges in before the victim's wake: this is where pthread's
/// robust mutexes lose a wake.
pub(crate) fn lock_dead_releaser_sleeper_barger<O: Owned + Default + 'static>(fuse: &Fuse)
where
    O::Word: Default,
{
    let lock = Arc::<RawLock<O>>::default();
    assert_eq!(lock.acquire(None), Some(Acquired::Clean));
    let (sleeper, barger) = (lock.clone(), lock.clone());
    let sleeper = spawn(&Fuse::never(), move || visit(&sleeper));
    let barger = spawn(&Fuse::never(), move || barge(&barger));
    live_here(fuse, || assert!(lock.release()));
    sleeper.join().expect("lives");
    barger.join().expect("lives");
    assert!(!lock.is_locked());
}

/// Two sleep. The victim is woken and dies before it takes the lock, while the one who woke it has it again.
pub(crate) fn lock_dead_sleeper_sleeper_barger<O: Owned + Default + 'static>(fuse: &Fuse)
where
    O::Word: Default,
{
    let lock = Arc::<RawLock<O>>::default();
    assert_eq!(lock.acquire(None), Some(Acquired::Clean));
    let (victim, sleeper) = (lock.clone(), lock.clone());
    let victim = spawn(fuse, move || keep(&victim));
    let sleeper = spawn(&Fuse::never(), move || keep(&sleeper));
    assert!(lock.release());
    barge(&lock);
    victim.join();
    sleeper.join().expect("lives");
    assert!(!lock.is_locked());
}

/// Three whole visits, and one of them dies anywhere.
pub(crate) fn lock_one_of_three_dies<O: Owned + Default + 'static>(fuse: &Fuse)
where
    O::Word: Default,
{
    let lock = Arc::<RawLock<O>>::default();
    let (victim, sleeper) = (lock.clone(), lock.clone());
    let victim = spawn(fuse, move || visit(&victim));
    let sleeper = spawn(&Fuse::never(), move || visit(&sleeper));
    visit(&lock);
    victim.join();
    sleeper.join().expect("lives");
    assert!(!lock.is_locked());
}

/// Whoever finds half a change is told so, wherever the one before him died.
pub(crate) fn lock_dead_holder_is_reported<O: Owned + Default + 'static>(fuse: &Fuse)
where
    O::Word: Default,
{
    let lock = locked::<O>();
    let victim = lock.clone();
    let victim = spawn(fuse, move || add_one(&victim));
    add_one(&lock);
    victim.join();
    add_one(&lock);
    assert!(lock.1.get() >= 2);
}

pub(crate) fn lock_died_stays_until_cleared<O: Owned + Default + 'static>(fuse: &Fuse)
where
    O::Word: Default,
{
    let lock = locked::<O>();
    let victim = lock.clone();
    let victim = spawn(fuse, move || {
        let _ = victim.0.acquire(None);
        point();
        let held = victim.0.held_by_me();
        victim.0.release();
        held
    });
    let died = victim.join().is_none();
    let first = lock.0.acquire(None).expect("no deadline");
    assert!(died || first == Acquired::Clean);
    assert!(lock.0.release());
    assert_eq!(lock.0.acquire(None), Some(first), "it stays over a release");
    lock.0.clear_died();
    assert!(lock.0.release());
    assert_eq!(lock.0.try_acquire(), Some(Acquired::Clean));
    assert!(lock.0.release());
}

/// Without a list the timed look finds the dead owner.
pub(crate) fn lock_without_a_kernel_list<O: Owned + Default + 'static>(fuse: &Fuse)
where
    O::Word: Default,
{
    set_looks(Looks::AfterDeath);
    let lock = locked::<O>();
    let victim = lock.clone();
    let victim = spawn(fuse, move || add_one(&victim));
    add_one(&lock);
    add_one(&lock);
    victim.join();
    assert!(lock.1.get() >= 2);
}

/// A lock on a system where the kernel keeps no list.
#[derive(Default)]
pub(crate) struct Listless(ModelOwned);

impl Owned for Listless {
    type Word = ModelWord;
    fn word(&self) -> &ModelWord {
        self.0.word()
    }
    fn me() -> u32 {
        ModelOwned::me()
    }
    fn announce(&self) {}
    fn enlist(&self) {}
    fn delist(&self) {}
    fn retract(&self) {}
    fn is_dead(owner: u32) -> bool {
        ModelOwned::is_dead(owner)
    }
}

type Signalled<W> = Arc<(RawEvent<W>, AtomicU32)>;

fn wait_for_data<W: Word>(signalled: &Signalled<W>) -> u32 {
    assert!(signalled.0.wait(None));
    // ORDERING: Relaxed: the event is to order it.
    signalled.1.load(Ordering::Relaxed)
}

pub(crate) fn event_set_wakes_all<W: Word + Default + 'static>() {
    let event: Signalled<W> = Arc::default();
    let waiters = [(); 2].map(|()| {
        let event = event.clone();
        spawn(&Fuse::never(), move || wait_for_data(&event))
    });
    // ORDERING: Relaxed: the event is to order it.
    event.1.store(7, Ordering::Relaxed);
    event.0.set();
    assert!(event.0.is_set());
    assert_eq!(waiters.map(|waiter| waiter.join()), [Some(7); 2]);
}

loom::lazy_static! {
    /// Somebody is about to sleep.
    static ref ABOUT: AtomicU32 = AtomicU32::new(0);
}

/// A word that says so when somebody is about to sleep on it.
#[derive(Default)]
pub(crate) struct Watched<W>(W);

impl<W: Word> Word for Watched<W> {
    fn load(&self, order: Ordering) -> u32 {
        self.0.load(order)
    }
    fn store(&self, value: u32, order: Ordering) {
        self.0.store(value, order);
    }
    fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.0.swap(value, order)
    }
    fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_add(value, order)
    }
    fn fetch_sub(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_sub(value, order)
    }
    fn fetch_or(&self, value: u32, order: Ordering) -> u32 {
        self.0.fetch_or(value, order)
    }
    fn compare_exchange(&self, current: u32, new: u32, ok: Ordering, err: Ordering) -> Result<u32, u32> {
        self.0.compare_exchange(current, new, ok, err)
    }
    fn wait(&self, expected: u32, until: Option<Deadline>) -> Wake {
        // ORDERING: SeqCst: the test's own signal.
        ABOUT.store(1, Ordering::SeqCst);
        self.0.wait(expected, until)
    }
    fn wake(&self, count: u32) {
        self.0.wake(count);
    }
    fn spin(round: u32) -> bool {
        W::spin(round)
    }
    fn fence() {
        W::fence();
    }
}

pub(crate) fn event_set_then_clear_still_counts<W: Word + Default + 'static>() {
    let event: Arc<RawEvent<W>> = Arc::default();
    let waiter = event.clone();
    let waiter = spawn(&Fuse::never(), move || waiter.wait(None));
    // ORDERING: SeqCst: the test's own signal.
    while ABOUT.load(Ordering::SeqCst) == 0 {
        loom::thread::yield_now();
    }
    event.set();
    event.clear();
    assert_eq!(waiter.join(), Some(true));
    assert!(!event.is_set());
}

/// What came before the second of two sets is seen by who waits after it, and by who clears it.
pub(crate) fn event_second_set_publishes_too<W: Word + Default + 'static>() {
    let event: Signalled<W> = Arc::default();
    let second = Arc::new(AtomicU32::new(0));
    let (setter, its) = (event.clone(), second.clone());
    let setter = spawn(&Fuse::never(), move || {
        // ORDERING: Relaxed: the event is to order it.
        its.store(5, Ordering::Relaxed);
        setter.0.set();
    });
    // ORDERING: Relaxed, as above.
    event.1.store(7, Ordering::Relaxed);
    event.0.set();
    event.0.clear();
    if !event.0.wait(soon()) {
        // Not set after the clear: the other set came before it, or has not come yet.
        event.0.clear();
        setter.join();
        event.0.set();
    }
    assert!(event.0.wait(None));
    // ORDERING: Relaxed, as above.
    assert_eq!((event.1.load(Ordering::Relaxed), second.load(Ordering::Relaxed)), (7, 5));
}

/// Two sets, and one who waits, clears and reads: a set that the clear wipes out has still told him.
pub(crate) fn event_clear_sees_what_it_wipes_out<W: Word + Default + 'static>() {
    let event: Signalled<W> = Arc::default();
    let reader = event.clone();
    let reader = spawn(&Fuse::never(), move || {
        while wait_for_data(&reader) != 2 {
            reader.0.clear();
            // ORDERING: Relaxed: the event is to order it.
            if reader.1.load(Ordering::Relaxed) == 2 {
                break;
            }
        }
    });
    for news in [1, 2] {
        // ORDERING: Relaxed: the event is to order it.
        event.1.store(news, Ordering::Relaxed);
        event.0.set();
    }
    reader.join().expect("lives");
}

pub(crate) fn event_timeout<W: Word + Default + 'static>() {
    let event: Signalled<W> = Arc::default();
    let (hurried, for_ever) = (event.clone(), event.clone());
    let hurried = spawn(&Fuse::never(), move || {
        let seen = hurried.0.wait(soon());
        // ORDERING: Relaxed: the event is to order it.
        (seen, hurried.1.load(Ordering::Relaxed))
    });
    let for_ever = spawn(&Fuse::never(), move || wait_for_data(&for_ever));
    // ORDERING: Relaxed: the event is to order it.
    event.1.store(7, Ordering::Relaxed);
    event.0.set();
    assert_eq!(for_ever.join(), Some(7));
    let (seen, data) = hurried.join().expect("lives");
    assert!(!seen || data == 7);
    assert!(event.0.wait(soon()));
}

/// Killed between the flag and the wake: the promise is the timed look's.
pub(crate) fn event_dead_setter<W: Word + Default + 'static>(fuse: &Fuse) {
    set_looks(Looks::AfterDeath);
    let event: Signalled<W> = Arc::default();
    let (victim, waiter) = (event.clone(), event.clone());
    let victim = spawn(fuse, move || victim.0.set());
    let waiter = spawn(&Fuse::never(), move || waiter.0.wait(None));
    event.0.set();
    victim.join();
    assert_eq!(waiter.join(), Some(true));
}

pub(crate) fn event_dead_waiter<W: Word + Default + 'static>(fuse: &Fuse) {
    let event: Signalled<W> = Arc::default();
    let (victim, waiter) = (event.clone(), event.clone());
    let victim = spawn(fuse, move || wait_for_data(&victim));
    let waiter = spawn(&Fuse::never(), move || wait_for_data(&waiter));
    // ORDERING: Relaxed: the event is to order it.
    event.1.store(7, Ordering::Relaxed);
    event.0.set();
    victim.join();
    assert_eq!(waiter.join(), Some(7));
}

type Met<O> = Arc<(RawBarrier<O>, [AtomicU32; 3])>;

fn barrier<O: Owned + Default>(parties: u32) -> Met<O>
where
    O::Word: Default,
{
    let barrier: Met<O> = Arc::default();
    barrier.0.init(parties);
    barrier
}

fn all_live() -> bool {
    true
}

fn first_lives<O: Owned>() -> bool {
    !O::is_dead(FIRST)
}

/// Brings something along, meets, and finds what all of the `parties` brought.
fn meet<O: Owned>(met: &Met<O>, who: usize, parties: usize, round: u32) -> Arrival {
    // ORDERING: Relaxed throughout: the barrier is to order it.
    met.1[who].store(round, Ordering::Relaxed);
    let arrival = met.0.wait(None, all_live).expect("nobody breaks it");
    for brought in &met.1[..parties] {
        assert!(brought.load(Ordering::Relaxed) >= round, "passed before all were there");
    }
    assert_eq!(arrival.leader, arrival.index as usize == parties - 1);
    arrival
}

fn all_different(mut indexes: Vec<u32>) -> bool {
    indexes.sort_unstable();
    indexes.iter().zip(0..).all(|(index, place)| *index == place)
}

/// A fast party is back for the second round while the slow one has not left the first.
pub(crate) fn barrier_two_rounds<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let met = barrier::<O>(2);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || [1, 2].map(|round| meet(&other, 1, 2, round).index));
    let mine = [1, 2].map(|round| meet(&met, 0, 2, round).index);
    let other = other.join().expect("lives");
    assert!(mine.iter().zip(&other).all(|(a, b)| all_different(vec![*a, *b])));
    assert_eq!((met.0.n_waiting(), met.0.is_broken(), met.0.parties()), (0, false, 2));
}

pub(crate) fn barrier_of_three<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let met = barrier::<O>(3);
    let others = [1, 2].map(|who| {
        let met = met.clone();
        spawn(&Fuse::never(), move || meet(&met, who, 3, 1).index)
    });
    let mut indexes = vec![meet(&met, 0, 3, 1).index];
    indexes.extend(others.map(|other| other.join().expect("lives")));
    assert!(all_different(indexes));
}

pub(crate) fn barrier_timeout_breaks_it_for_all<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let met = barrier::<O>(2);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || other.0.wait(soon(), all_live).is_ok());
    let mine = met.0.wait(None, all_live).is_ok();
    assert_eq!(other.join(), Some(mine), "a round passes for all or for none");
    assert_eq!(met.0.is_broken(), !mine);
}

pub(crate) fn barrier_abort_breaks_it_for_all<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let met = barrier::<O>(2);
    let others = [(); 2].map(|()| {
        let met = met.clone();
        spawn(&Fuse::never(), move || met.0.wait(None, all_live).is_ok())
    });
    met.0.abort();
    let [a, b] = others.map(|other| other.join().expect("lives"));
    assert_eq!(a, b, "a round passes for all or for none");
    assert!(met.0.is_broken());
    assert_eq!(met.0.wait(None, all_live), Err(Broken));
}

pub(crate) fn barrier_reset_is_usable_afterwards<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let met = barrier::<O>(2);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || [(); 2].map(|()| other.0.wait(None, all_live).is_ok()));
    while met.0.n_waiting() != 1 {
        loom::thread::yield_now();
    }
    met.0.reset();
    assert!(met.0.wait(None, all_live).is_ok());
    assert_eq!(other.join(), Some([false, true]));
    assert!(!met.0.is_broken());
}

/// Its round broke, and more has happened since.
pub(crate) fn barrier_late_one_knows_its_round_broke<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let met = barrier::<O>(2);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || other.0.wait(None, all_live));
    met.0.abort();
    met.0.reset();
    met.0.abort();
    assert_eq!(other.join(), Some(Err(Broken)));
}

/// The round passed, and then the barrier was broken: who is late to leave has passed all the same.
pub(crate) fn barrier_late_one_knows_its_round_passed<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let met = barrier::<O>(2);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || other.0.wait(None, all_live).is_ok());
    let mine = met.0.wait(None, all_live).is_ok();
    met.0.abort();
    met.0.reset();
    met.0.abort();
    assert_eq!((mine, other.join()), (true, Some(true)));
}

pub(crate) fn barrier_action_comes_before_all<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let met = barrier::<O>(2);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || meet_and_act(&other));
    meet_and_act(&met);
    other.join().expect("lives");
}

fn meet_and_act<O: Owned>(met: &Met<O>) {
    // ORDERING: Relaxed throughout: the barrier is to order it.
    let act = || met.1[0].store(met.1[0].load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    met.0.wait_then(None, all_live, act).expect("nobody breaks it");
    assert_eq!(met.1[0].load(Ordering::Relaxed), 1, "one action, before anybody passes");
}

/// More users than parties: who comes while the action runs is in the next round.
pub(crate) fn barrier_latecomer_waits_for_the_next_round<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let met = barrier::<O>(1);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || meet_alone(&other));
    let mine = meet_alone(&met);
    let alone = Ok(Arrival { index: 0, leader: true });
    assert_eq!((mine, other.join()), (alone, Some(alone)));
}

fn meet_alone<O: Owned>(met: &Met<O>) -> Result<Arrival, Broken> {
    // ORDERING: Relaxed throughout: rounds order their actions.
    met.0.wait_then(None, all_live, || {
        assert_eq!(met.1[0].swap(1, Ordering::Relaxed), 0, "two actions at a time");
        met.1[0].store(0, Ordering::Relaxed);
    })
}

pub(crate) fn barrier_panic_in_the_action_breaks_it<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let met = barrier::<O>(2);
    let others = [(); 2].map(|()| {
        let met = met.clone();
        // Not `panic!`: its message would be printed once for each schedule.
        let fail = || resume_unwind(Box::new("failed"));
        spawn(&Fuse::never(), move || {
            catch_unwind(AssertUnwindSafe(|| met.0.wait_then(None, all_live, fail))).map_err(|_| ())
        })
    });
    let ends = others.map(|other| other.join().expect("lives"));
    assert!(ends.contains(&Err(())) && ends.contains(&Ok(Err(Broken))));
    assert!(met.0.is_broken());
}

/// Wherever a party dies: the others pass together, or all get Broken; and afterwards nobody meets in vain.
pub(crate) fn barrier_dead_party<O: Owned + Default + 'static>(fuse: &Fuse)
where
    O::Word: Default,
{
    set_looks(Looks::AfterDeath);
    let met = barrier::<O>(2);
    let victim = met.clone();
    let victim = spawn(fuse, move || {
        let _ = victim.0.wait(None, all_live);
    });
    let mine = met.0.wait(None, first_lives::<O>);
    let died = victim.join().is_none();
    assert!(died || mine.is_ok());
    if died {
        assert_eq!(met.0.wait(None, first_lives::<O>), Err(Broken));
        assert!(met.0.is_broken());
        met.0.reset();
        assert!(!met.0.is_broken());
    }
}

pub(crate) fn barrier_dead_in_the_action<O: Owned + Default + 'static>(fuse: &Fuse)
where
    O::Word: Default,
{
    set_looks(Looks::AfterDeath);
    let met = barrier::<O>(2);
    let victim = met.clone();
    let victim = spawn(fuse, move || {
        let _ = victim.0.wait_then(None, all_live, point);
    });
    let mine = met.0.wait_then(None, first_lives::<O>, || ());
    let died = victim.join().is_none();
    assert!(died || mine.is_ok());
    assert_eq!(met.0.n_waiting(), 0);
}

/// One who is no party dies inside the lock, of a change half done: the next one makes the barrier whole.
pub(crate) fn barrier_dead_aborter<O: Owned + Default + 'static>(fuse: &Fuse)
where
    O::Word: Default,
{
    set_looks(Looks::AfterDeath);
    let met = barrier::<O>(2);
    let other = met.clone();
    let other = spawn(&Fuse::never(), move || other.0.wait(None, all_live).is_ok());
    let aborted = live_here(fuse, || met.0.abort()).is_some();
    let mine = met.0.wait(None, all_live).is_ok();
    assert_eq!(other.join(), Some(mine), "a round passes for all or for none");
    assert!(!(aborted && mine));
    met.0.reset();
    met.0.init(1);
    assert!(met.0.wait(None, all_live).is_ok());
}
