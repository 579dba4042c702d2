//! Models of the lock that many may hold to read.

use super::soon;
use loom::sync::atomic::AtomicU32;
use mp_core::word::{Ordering, Owned};
use mp_model::{Fuse, Looks, point, set_looks, spawn};
use mp_sync::raw::{Acquired, RawRwLock};
use std::sync::Arc;

/// Two numbers that are equal whenever nobody writes. Relaxed, so that only the lock orders them.
struct Pair<O: Owned> {
    lock: RawRwLock<O, 2>,
    first: AtomicU32,
    second: AtomicU32,
}

fn pair<O: Owned + Default>() -> Arc<Pair<O>>
where
    O::Word: Default,
{
    Arc::new(Pair { lock: RawRwLock::default(), first: AtomicU32::new(0), second: AtomicU32::new(0) })
}

impl<O: Owned> Pair<O> {
    /// ORDERING: Relaxed throughout: see the type.
    fn write(&self) -> Acquired {
        let found = self.lock.write(None).expect("no deadline");
        let first = self.first.load(Ordering::Relaxed);
        assert!(found == Acquired::OwnerDied || first == self.second.load(Ordering::Relaxed));
        self.first.store(first + 1, Ordering::Relaxed);
        point();
        self.second.store(first + 1, Ordering::Relaxed);
        self.lock.clear_died();
        assert!(self.lock.release());
        found
    }

    fn read(&self) -> (u32, Acquired) {
        let (place, found) = self.lock.read(None).expect("no deadline");
        let (first, second) = (self.first.load(Ordering::Relaxed), self.second.load(Ordering::Relaxed));
        assert!(found == Acquired::OwnerDied || first == second, "read in the midst of a write");
        assert!(self.lock.leave(place));
        (first, found)
    }
}

/// One writes and one reads.
pub(crate) fn rwlock_readers_see_whole_writes<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let pair = pair::<O>();
    let other = pair.clone();
    let other = spawn(&Fuse::never(), move || other.write());
    assert!(pair.read().0 <= 1);
    assert_eq!(other.join(), Some(Acquired::Clean));
    assert_eq!(pair.read(), (1, Acquired::Clean));
    assert!(!pair.lock.release() && !pair.lock.leave(0) && !pair.lock.leave(7));
}

/// Two write.
pub(crate) fn rwlock_writers_exclude_each_other<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let pair = pair::<O>();
    let other = pair.clone();
    let other = spawn(&Fuse::never(), move || other.write());
    assert_eq!(pair.write(), Acquired::Clean);
    other.join();
    assert_eq!(pair.read(), (2, Acquired::Clean));
}

/// Readers do not wait for each other; a writer whose time is up leaves no trace.
pub(crate) fn rwlock_readers_share_and_writers_give_up<O: Owned + Default + 'static>()
where
    O::Word: Default,
{
    let pair = pair::<O>();
    let (place, _) = pair.lock.read(None).expect("nobody writes");
    let others = [true, false].map(|writes| {
        let other = pair.clone();
        spawn(&Fuse::never(), move || {
            if writes {
                assert_eq!(other.lock.write(soon()), None);
            } else {
                assert_eq!(other.read(), (0, Acquired::Clean));
            }
        })
    });
    others.into_iter().for_each(|other| assert!(other.join().is_some()));
    assert!(pair.lock.leave(place));
    assert_eq!(pair.write(), Acquired::Clean);
}

/// A writer that dies is told to the next, and a reader.
pub(crate) fn rwlock_dead_writer<O: Owned + Default + 'static>(fuse: &Fuse)
where
    O::Word: Default,
{
    set_looks(Looks::AfterDeath);
    let pair = pair::<O>();
    let victim = pair.clone();
    let victim = spawn(fuse, move || victim.write());
    // Told to both, since a reader cannot clear it; or to neither, if it died elsewhere or not yet.
    let (read, written) = (pair.read().1, pair.write());
    assert!(read == Acquired::Clean || written == Acquired::OwnerDied);
    victim.join();
}

/// A reader that dies keeps nobody out, and has damaged nothing.
pub(crate) fn rwlock_dead_reader<O: Owned + Default + 'static>(fuse: &Fuse)
where
    O::Word: Default,
{
    set_looks(Looks::AfterDeath);
    let pair = pair::<O>();
    let victim = pair.clone();
    let victim = spawn(fuse, move || victim.read());
    assert_eq!(pair.write(), Acquired::Clean);
    victim.join();
}
