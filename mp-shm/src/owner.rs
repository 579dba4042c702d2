//! Ownership: which process unlinks a name, and when.
//!
//! ```text
//!  registered ──gets its name──► OWNED by pid and start time ──last handle dropped─────────► unlinked
//!     │                            │    │    │                                                ▲
//!     └─ the name is taken         │    │    └─ close ──► OWNED, unused ──process ends────────┤
//!                                  │    │                                                     │
//!                                  │    └─ persist ──► NO OWNER        process killed: by the keeper
//!                                  └─ unlink ────────► NO OWNER
//! ```
//!
//! The owner is a process, named by its id and start time. A forked copy of a handle does not own the name, and
//! neither does a later process with the same id. A name may belong to another file by now (any process may
//! unlink it and make it anew). So before a name is unlinked unasked, its file is compared: it must still be
//! the same file.
//!
//! # When a process dies
//! The owner: each block is in its register (`register.rs`) before it gets its name and until after it has lost
//! it. The keeper (`keeper.rs`), or the next sweep (`sweep.rs`), unlinks the name.

use crate::error::SharedMemoryError;
use crate::name::{Name, TOO_LONG};
use crate::register::{FileId, id_of, unlink_if_same};
use crate::{registration, sweep};
use mp_core::MemError;
use mp_core::finalize::{self, HeldOverFork};
use mp_core::sys::identity::Identity;
use mp_core::sys::owning_process::OncePerProcess;
use mp_core::sys::shm;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A name that this process made.
pub(crate) struct Ownership {
    name: Name,
    file: FileId,
    /// Its slot in the register.
    slot: usize,
    state: Mutex<State>,
}

struct State {
    /// `None`: no process owns the name.
    owner: Option<Identity>,
    /// The name stays although this process has no handle left.
    closed: bool,
}

/// The names that this process owns, for its exit.
static OWNED: Mutex<Vec<Arc<Ownership>>> = Mutex::new(Vec::new());

/// Makes a block of zeros that this process owns.
pub(crate) fn make(name: &Name, size: usize) -> Result<(OwnedFd, Arc<Ownership>), SharedMemoryError> {
    sweep::sweep_now_and_then();
    let made = match shm::create_unnamed(size)? {
        Some(file) => Ownership::begin(name, &file).and_then(|ownership| {
            // The register has the block already: after a death from here on the keeper unlinks the name.
            let named = shm::give_name(file.as_fd(), name.with_slash());
            named.inspect_err(|_| ownership.give_up())?;
            Ok((by_its_name(name, ownership.file).unwrap_or(file), ownership))
        }),
        // A process killed between these two calls leaves the name behind.
        None => shm::create(name.with_slash(), size).and_then(|file| {
            let ownership = Ownership::begin(name, &file);
            let ownership = ownership.inspect_err(|_| drop(shm::unlink(name.with_slash())))?;
            Ok((file, ownership))
        }),
    };
    made.map_err(|error| match error {
        MemError::Os(error) if error.source.kind() == ErrorKind::AlreadyExists => {
            SharedMemoryError::Exists(name.bare().to_owned())
        }
        other => SharedMemoryError::Memory(other),
    })
}

/// The attempts to find a free random name, of four thousand million.
const TRIES: u32 = 100;

/// Makes a block by a random name that is free.
pub(crate) fn with_random_name<T>(
    mut make: impl FnMut(Name) -> Result<T, SharedMemoryError>,
) -> Result<T, SharedMemoryError> {
    let mut tries = 1;
    loop {
        match make(Name::random().map_err(MemError::Os)?) {
            Err(SharedMemoryError::Exists(_)) if tries < TRIES => tries += 1,
            made => return made,
        }
    }
}

/// The file of a block that this user's processes have made.
pub(crate) fn open(name: &Name) -> Result<OwnedFd, SharedMemoryError> {
    let file = shm::open(name.with_slash()).map_err(|error| match error.source.kind() {
        ErrorKind::NotFound => SharedMemoryError::NotFound(name.bare().to_owned()),
        ErrorKind::InvalidInput | ErrorKind::InvalidFilename => SharedMemoryError::Name(TOO_LONG),
        _ => error.into(),
    })?;
    if shm::is_ours(file.as_fd())? {
        Ok(file)
    } else {
        Err(SharedMemoryError::Foreign(name.bare().to_owned()))
    }
}

/// The same file, opened once more by its name: a file that was opened without a name is listed without one
/// among a process's maps and descriptors.
fn by_its_name(name: &Name, file: FileId) -> Option<OwnedFd> {
    let found = shm::open(name.with_slash()).ok()?;
    (id_of(&found).ok()? == file).then_some(found)
}

impl Ownership {
    /// Registers this process as the owner of the name that the file has, or is to get.
    pub(crate) fn begin(name: &Name, file: &OwnedFd) -> Result<Arc<Ownership>, MemError> {
        end_with_this_process();
        let file = id_of(file)?;
        let slot = registration::enter(name, file)?;
        let state = Mutex::new(State { owner: Some(Identity::me()), closed: false });
        let ownership = Arc::new(Ownership { name: name.clone(), file, slot, state });
        lock(&OWNED).push(Arc::clone(&ownership));
        Ok(ownership)
    }

    /// Keeps the name until the process ends.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
    }

    /// Ends the ownership: this process will not unlink the name.
    pub(crate) fn give_up(self: &Arc<Self>) {
        if self.was_ours() {
            registration::remove(self.slot);
        }
        lock(&OWNED).retain(|other| !Arc::ptr_eq(self, other));
    }

    /// The last handle was dropped.
    pub(crate) fn dropped(self: &Arc<Self>) {
        if !lock(&self.state).closed {
            self.end();
            lock(&OWNED).retain(|other| !Arc::ptr_eq(self, other));
        }
    }

    /// Unlinks the name, if this process owns it.
    fn end(&self) {
        // A name that this process may no longer unlink (it gave up its rights) stays registered, for the keeper.
        if self.was_ours() && unlink_if_same(self.name.with_slash(), self.file) {
            registration::remove(self.slot);
        }
    }

    /// Takes the ownership. `true`: once, and only in the process that made the name.
    fn was_ours(&self) -> bool {
        let owner = lock(&self.state).owner.take();
        owner.is_some_and(Identity::is_me)
    }
}

/// Registers the exit handler, once in each process: a forked child inherits no exit handlers.
fn end_with_this_process() {
    static OVER_FORKS: HeldOverFork = HeldOverFork::new(|| Box::new((lock(&OWNED), registration::hold())));
    if OVER_FORKS.register() {
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
