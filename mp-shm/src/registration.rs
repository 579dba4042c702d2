//! Registration: this process as an owner, with its register and its line to the keeper. Made with its first
//! block.
//!
//! A forked copy of the process has copies of both, which belong to the parent. The child drops them as soon as
//! it notices that it is another process.

use crate::keeper;
use crate::name::Name;
use crate::register::{FileId, Register};
use mp_core::error::MemError;
use mp_core::get_logger;
use mp_core::sys::owning_process::OwningProcess;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The state of an owner.
struct Registration {
    /// Whose it is.
    owner: OwningProcess,
    register: Register,
    /// `None`: no keeper could be found or started.
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

/// In a forked child: drops the copies of the parent's register and line.
pub(crate) fn leave_to_the_parent() {
    drop(ours());
}

/// Held over a fork.
pub(crate) fn hold() -> MutexGuard<'static, impl Sized> {
    OURS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Registers a block that has no name yet, so that its name ends with this process. Returns its slot.
pub(crate) fn enter(name: &Name, file: FileId) -> Result<usize, MemError> {
    let mut ours = ours();
    let registration = match &mut *ours {
        Some(registration) => registration,
        none => none.insert(Registration::begin()?),
    };
    registration.ensure_keeper();
    if let Err(error) = registration.register.show() {
        // The next block tries again with a new register and another name.
        *ours = None;
        return Err(error.into());
    }
    registration.register.enter(name, file)
}

/// Removes the block in this slot: this process no longer owns it.
pub(crate) fn remove(slot: usize) {
    if let Some(registration) = &mut *ours() {
        registration.register.remove(slot);
    }
}

/// At this process's exit, when it owns nothing any more. The keeper sees the exit by itself.
pub(crate) fn end() {
    if let Some(registration) = ours().take() {
        registration.register.end();
    }
}

impl Registration {
    fn begin() -> Result<Registration, MemError> {
        Ok(Registration { owner: OwningProcess::current(), register: Register::begin()?, line: None })
    }

    /// Finds or starts a keeper, if there is none. Without one the block is made nevertheless: the next sweep
    /// does its work.
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
