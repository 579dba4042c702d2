//! This process as an owner: its register, and the line to the keeper that watches it. Begun with its first block.
//!
//! A forked copy of the process has copies of both, which are not its own: they are let go of as soon as it is seen
//! that the process is another one.

use crate::keeper;
use crate::name::Name;
use crate::register::{FileId, Register};
use mp_core::error::MemError;
use mp_core::get_logger;
use mp_core::sys::owning_process::OwningProcess;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Registration {
    /// Whose it is.
    owner: OwningProcess,
    register: Register,
    /// `None`: no keeper was to be had.
    line: Option<OwnedFd>,
}

static OURS: Mutex<Option<Registration>> = Mutex::new(None);

fn ours() -> MutexGuard<'static, Option<Registration>> {
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    if ours.as_ref().is_some_and(|registration| !registration.owner.is_current()) {
        *ours = None;
    }
    ours
}

/// In a forked child: the parent's record and line are the parent's.
pub(crate) fn leave_to_the_parent() {
    drop(ours());
}

/// Held over a fork that other threads see.
pub(crate) fn hold() -> MutexGuard<'static, impl Sized> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has a block, which has no name yet, taken away with this process. Gives its place on record.
pub(crate) fn enter(name: &Name, file: FileId) -> Result<usize, MemError> {
    let mut ours = ours();
    let registration = match &mut *ours {
        Some(registration) => registration,
        none => none.insert(Registration::begin()?),
    };
    registration.ensure_keeper();
    if let Err(error) = registration.register.show() {
        // Another one, with another name, next time.
        *ours = None;
        return Err(error.into());
    }
    registration.register.enter(name, file)
}

/// This process does not own the block at this place any more.
pub(crate) fn remove(place: usize) {
    if let Some(registration) = &mut *ours() {
        registration.register.remove(place);
    }
}

/// At this process's end, when it owns nothing any more. The keeper sees that end by itself.
pub(crate) fn end() {
    if let Some(registration) = ours().take() {
        registration.register.end();
    }
}

impl Registration {
    fn begin() -> Result<Registration, MemError> {
        Ok(Registration { owner: OwningProcess::current(), register: Register::begin()?, line: None })
    }

    /// That there is one. Without it the block is made all the same: what it would have done, the next sweep does.
    fn ensure_keeper(&mut self) {
        if self.line.as_ref().is_some_and(|line| !keeper::has_hung_up(line.as_fd())) {
            return;
        }
        self.line = match keeper::watch(&self.register) {
            Ok(line) => Some(line),
            Err(error) => {
                get_logger().warning(&format!(
                    "shared memory stays behind if this process is killed, without a keeper: {error}"
                ));
                None
            }
        };
    }
}
