//! Who takes a name away, and when.
//!
//! ```text
//!  on record ──gets its name──► OWNED by pid and start ──last handle dropped──────────────► unlinked
//!     │                            │    │    │                                                ▲
//!     └─ the name is taken         │    │    └─ close ──► OWNED, unused ──process ends────────┤
//!                                  │    │                                                     │
//!                                  │    └─ persist ──► NOBODY'S        process killed: by the keeper
//!                                  └─ unlink ────────► NOBODY'S
//! ```
//!
//! The owner is a process, by its id and start: a forked copy of a handle is not the owner's, and neither is one in
//! a later process with the same id.
//! A name may have passed to somebody else meanwhile (unlinked by anybody, then made anew). So before it is taken
//! away unasked, it is looked at once more: it must still be the same file.
//!
//! # When a process dies
//! The owner: what it owned is on record (`register.rs`) before it has its name, and until after it has lost it; the
//! keeper (`keeper.rs`), or the next sweep (`sweep.rs`), takes it away.

use crate::error::CreateError;
use crate::name::Name;
use crate::register::{FileId, id_of, unlink_if_same};
use crate::{registration, sweep};
use mp_core::MemError;
use mp_core::finalize;
use mp_core::sys::identity::Identity;
use mp_core::sys::owning_process::OncePerProcess;
use mp_core::sys::shm;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A name that this process made.
pub(crate) struct Ownership {
    name: Name,
    file: FileId,
    /// Where it is on record.
    place: usize,
    state: Mutex<State>,
}

struct State {
    /// `None`: nobody's.
    owner: Option<Identity>,
    /// The name stays although no handle is left here.
    closed: bool,
}

/// What this process owns, for its orderly end.
static OWNED: Mutex<Vec<Arc<Ownership>>> = Mutex::new(Vec::new());

/// Makes a block of zeros, of this process's own.
pub(crate) fn make(name: &Name, size: usize) -> Result<(OwnedFd, Arc<Ownership>), CreateError> {
    sweep::sweep_now_and_then();
    let made = match shm::create_unnamed(size)? {
        Some(file) => Ownership::begin(name, &file).and_then(|ownership| {
            let named = shm::give_name(file.as_fd(), name.with_slash());
            named.inspect_err(|_| ownership.give_up())?;
            Ok((by_its_name(name, ownership.file).unwrap_or(file), ownership))
        }),
        // Killed between these two, it leaves its name behind.
        None => shm::create(name.with_slash(), size).and_then(|file| {
            let ownership = Ownership::begin(name, &file);
            let ownership = ownership.inspect_err(|_| drop(shm::unlink(name.with_slash())))?;
            Ok((file, ownership))
        }),
    };
    made.map_err(|error| match error {
        MemError::Os(error) if error.source.kind() == ErrorKind::AlreadyExists => {
            CreateError::Exists(name.bare().to_owned())
        }
        other => CreateError::Memory(other),
    })
}

/// The same file, opened once more: what was opened without a name is listed without one wherever maps and
/// descriptors of a process are.
fn by_its_name(name: &Name, file: FileId) -> Option<OwnedFd> {
    let found = shm::open(name.with_slash()).ok()?;
    (id_of(&found).ok()? == file).then_some(found)
}

impl Ownership {
    fn begin(name: &Name, file: &OwnedFd) -> Result<Arc<Ownership>, MemError> {
        end_with_this_process();
        let file = id_of(file)?;
        let place = registration::enter(name, file)?;
        let state = Mutex::new(State { owner: Some(Identity::me()), closed: false });
        let ownership = Arc::new(Ownership { name: name.clone(), file, place, state });
        lock(&OWNED).push(Arc::clone(&ownership));
        Ok(ownership)
    }

    /// The name is to stay until the process ends.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
    }

    /// The name is not ours to take away any more.
    pub(crate) fn give_up(self: &Arc<Self>) {
        if self.was_ours() {
            registration::remove(self.place);
        }
        lock(&OWNED).retain(|other| !Arc::ptr_eq(self, other));
    }

    /// The last handle has been dropped.
    pub(crate) fn dropped(self: &Arc<Self>) {
        if !lock(&self.state).closed {
            self.end();
            lock(&OWNED).retain(|other| !Arc::ptr_eq(self, other));
        }
    }

    /// Takes the name away, if it is ours.
    fn end(&self) {
        // What this process may not take away any more (it gave up its rights) stays on record, for the keeper.
        if self.was_ours() && unlink_if_same(self.name.with_slash(), self.file) {
            registration::remove(self.place);
        }
    }

    /// Once, and in the process that made it.
    fn was_ours(&self) -> bool {
        let owner = lock(&self.state).owner.take();
        owner.is_some_and(Identity::is_me)
    }
}

/// Once in each process: a forked child inherits no exit handlers.
fn end_with_this_process() {
    // No `Once`: a child that is forked in the middle of it would wait for its other half for ever.
    static OVER_FORKS: AtomicBool = AtomicBool::new(false);
    // ORDERING: Relaxed: the value is all there is.
    if !OVER_FORKS.swap(true, Ordering::Relaxed) {
        finalize::hold_over_fork(|| Box::new((lock(&OWNED), registration::hold())));
        finalize::register_after_fork(registration::leave_to_the_parent);
    }
    static REGISTERED: OncePerProcess = OncePerProcess::new();
    if REGISTERED.is_first() {
        finalize::at_exit(|| {
            // What is made from here on needs a handler of its own.
            REGISTERED.again();
            let all = std::mem::take(&mut *lock(&OWNED));
            all.iter().for_each(|ownership| ownership.end());
            registration::end();
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
