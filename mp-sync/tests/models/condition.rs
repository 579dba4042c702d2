//! Models of the condition: up to two waiters, and one notifier.

use crate::world::{AtomicU32, Chamber, Fuse, Life, ModelOwned, Room as _, TimedLooks, set_looks, spawn};
use mp_core::word::{Deadline, Ordering, Owned};
use mp_model::{AnyOwned, soon};
use mp_sync::raw::{Acquired, CannotWait, Lend, RawCondition, RawRLock};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// A lock of one step: how real ones are taken is their own models' business, and multiplies the schedules of these.
#[derive(Default)]
struct Token {
    /// 0: no thread.
    holder: Chamber<u32>,
    /// Whether a holder died with it.
    died: AtomicU32,
}

impl Token {
    fn take(&self) {
        self.holder.wait_for(|holder| (*holder == 0).then(|| *holder = ModelOwned::me()));
    }

    /// `false`: the calling thread does not hold it.
    fn give(&self) -> bool {
        let mut mine = false;
        self.holder.ring(|holder| {
            mine = *holder == ModelOwned::me();
            if mine {
                *holder = 0;
            }
            u32::from(mine)
        });
        mine
    }
}

impl Lend for Token {
    fn is_mine(&self) -> bool {
        self.holder.with(|holder| *holder == ModelOwned::me())
    }
    fn lend(&self) -> u32 {
        u32::from(self.give())
    }
    fn take_back(&self, _depth: u32) -> Acquired {
        self.take();
        Acquired::Clean
    }
}

/// Does `work` as a thread whose lock is passed on if it is killed in it.
fn mortal<R>(lock: &Token, work: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|killed| {
        if lock.give() {
            // ORDERING: Relaxed: read when that thread has ended.
            lock.died.store(1, Ordering::Relaxed);
        }
        resume_unwind(killed)
    })
}

/// A lock with its condition; and under the lock, how many wait or have waited. Relaxed: only the lock orders it.
struct Room<O: Owned> {
    lock: Token,
    condition: RawCondition<O, 2>,
    came: AtomicU32,
    /// How many waits have ended.
    out: AtomicU32,
    /// No further wait may begin.
    closed: AtomicU32,
}

fn room<O: AnyOwned>() -> Arc<Room<O>> {
    Arc::new(Room {
        lock: Token::default(),
        condition: RawCondition::default(),
        came: AtomicU32::new(0),
        out: AtomicU32::new(0),
        closed: AtomicU32::new(0),
    })
}

impl<O: Owned> Room<O> {
    /// Waits once; `None`: it was closed. ORDERING: Relaxed: see the type.
    fn wait(&self, until: Option<Deadline>) -> Option<bool> {
        self.lock.take();
        let open = self.closed.load(Ordering::Relaxed) == 0;
        let notified = open.then(|| {
            self.came.store(self.came.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            let waited = self.condition.wait(&self.lock, until).expect("there are two places");
            self.out.store(self.out.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            waited.notified
        });
        assert!(self.lock.give());
        notified
    }

    /// Notifies `count`; gives how many had come.
    fn notify(&self, count: u32) -> u32 {
        self.lock.take();
        let came = self.came.load(Ordering::Relaxed);
        self.condition.notify(count);
        assert!(self.lock.give());
        came
    }

    /// Notifies all, and lets no further wait begin.
    fn close(&self) {
        self.lock.take();
        self.closed.store(1, Ordering::Relaxed);
        self.condition.notify(u32::MAX);
        assert!(self.lock.give());
    }
}

fn waiter<O: AnyOwned>(room: &Arc<Room<O>>, fuse: &Fuse, until: Option<Deadline>) -> Life<Option<bool>> {
    let room = room.clone();
    spawn(fuse, move || room.wait(until))
}

/// Waiters that came before the notification are woken; what was written before it is seen.
pub(crate) fn condition_notify_wakes_a_waiter<O: AnyOwned>() {
    let room = room::<O>();
    let other = waiter(&room, &Fuse::never(), None);
    let came = room.notify(1);
    if came == 0 {
        room.close();
    }
    let notified = other.join().expect("it lives");
    assert!(notified == Some(true) || came == 0);
    assert!(!room.lock.give());
}

/// One notification, one waiter; the other sleeps on. One that comes after it takes nothing of it.
pub(crate) fn condition_each_notification_is_for_one<O: AnyOwned>() {
    let room = room::<O>();
    let others = [(); 2].map(|()| waiter(&room, &Fuse::never(), None));
    let came = room.notify(1);
    room.lock.take();
    assert!(room.out.load(Ordering::Relaxed) <= came.min(1));
    room.closed.store(1, Ordering::Relaxed);
    room.condition.notify(u32::MAX);
    assert!(room.lock.give());
    others.into_iter().for_each(|other| assert!(other.join().is_some()));
    assert_eq!(room.out.load(Ordering::Relaxed), room.came.load(Ordering::Relaxed));
}

/// A waiter whose time is up has either been notified or used up nothing.
pub(crate) fn condition_timeout_uses_up_nothing<O: AnyOwned>() {
    let room = room::<O>();
    let timed = waiter(&room, &Fuse::never(), soon());
    let patient = waiter(&room, &Fuse::never(), None);
    let came = room.notify(1);
    let timed = timed.join().expect("it lives").expect("not closed yet");
    // With both there, the one notification was for one of them.
    if came < 2 || timed {
        room.close();
    }
    assert_ne!(patient.join().expect("it lives"), Some(false));
}

/// A thread that holds the lock several times releases all of it, and gets all of it back.
pub(crate) fn condition_lends_an_rlock_whole<O: AnyOwned>() {
    let shared = Arc::new((RawRLock::<O>::default(), RawCondition::<O, 1>::default(), AtomicU32::new(0)));
    let other = shared.clone();
    let other = spawn(&Fuse::never(), move || {
        let (lock, condition, changed) = &*other;
        assert_eq!(condition.wait(lock, None), Err(CannotWait::NotOwner));
        assert!(lock.acquire(None).is_some() && lock.acquire(None).is_some());
        while changed.load(Ordering::Relaxed) == 0 {
            assert!(condition.wait(lock, None).expect("there is one place").notified);
            assert_eq!(lock.depth(), 2);
        }
        assert!(lock.release() && lock.release());
    });
    let (lock, condition, changed) = &*shared;
    assert!(lock.acquire(None).is_some());
    changed.store(1, Ordering::Relaxed);
    condition.notify(1);
    assert!(lock.release());
    other.join();
    assert!(!lock.is_locked());
}

/// A waiter that dies while it waits costs the other none of its notifications. There is one, and the waiter that comes
/// out with it wakes the rest.
pub(crate) fn condition_dead_waiter<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let room = room::<O>();
    let lives = [fuse.clone(), Fuse::never()].map(|fuse| {
        let room = room.clone();
        spawn(&fuse, move || {
            mortal(&room.lock, || {
                let notified = room.wait(None);
                room.close();
                notified
            })
        })
    });
    if room.notify(1) < 2 {
        room.close();
    }
    let [victim, other] = lives;
    if victim.join().is_none() {
        // A thread that dies with the lock, or without it after its wait, had come out.
        room.lock.take();
        let came_out = room.out.load(Ordering::Relaxed) > 0 || room.lock.died.load(Ordering::Relaxed) > 0;
        assert!(room.lock.give());
        if came_out {
            room.close();
        }
    }
    assert_ne!(other.join().expect("it lives"), Some(false));
}

/// The slot of a dead waiter can be used by the next.
pub(crate) fn condition_place_of_the_dead<O: AnyOwned>(fuse: &Fuse) {
    let shared = Arc::new((Token::default(), RawCondition::<O, 1>::default()));
    let victim = shared.clone();
    let victim = spawn(fuse, move || {
        let (lock, condition) = &*victim;
        mortal(lock, || {
            lock.take();
            let waited = condition.wait(lock, soon());
            assert!(lock.give());
            waited
        })
    });
    victim.join();
    let (lock, condition) = &*shared;
    lock.take();
    assert_eq!(condition.wait(lock, soon()).map(|waited| waited.notified), Ok(false));
    assert!(lock.give());
}

/// A notifier that dies leaves slots as they were, or chosen.
pub(crate) fn condition_dead_notifier<O: AnyOwned>(fuse: &Fuse) {
    set_looks(TimedLooks::AfterDeath);
    let room = room::<O>();
    let other = waiter(&room, &Fuse::never(), None);
    let victim = room.clone();
    let victim = spawn(fuse, move || mortal(&victim.lock, || victim.close()));
    if victim.join().is_none() {
        room.close();
    }
    assert_ne!(other.join().expect("it lives"), Some(false));
}
