//! StartMethod: how a process is started, and the default.

use super::StartError;
use crate::error::AlreadySetError;
use crate::sys::privilege;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

/// A start method.
///
/// Python: the strings of `multiprocessing.get_all_start_methods()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StartMethod {
    /// A clean template process forks the child: always safe, at a cost that does not grow with this process.
    ForkServer,
    /// This program is executed again for each child.
    Spawn,
    /// The child is a copy of this process. Refused while this process has other threads.
    Fork,
}

impl StartMethod {
    /// All of them, the default one first.
    pub const ALL: [StartMethod; 3] = [StartMethod::ForkServer, StartMethod::Spawn, StartMethod::Fork];

    /// Python's name for it.
    pub fn name(self) -> &'static str {
        match self {
            StartMethod::ForkServer => "forkserver",
            StartMethod::Spawn => "spawn",
            StartMethod::Fork => "fork",
        }
    }

    /// The method for processes that serve this one, where this one is wanted: `ForkServer` replaces `Fork`, which
    /// would be refused as soon as there are threads.
    #[doc(hidden)]
    pub fn for_helpers(self) -> StartMethod {
        match self {
            StartMethod::Spawn => StartMethod::Spawn,
            StartMethod::ForkServer | StartMethod::Fork => StartMethod::ForkServer,
        }
    }
}

impl fmt::Display for StartMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for StartMethod {
    type Err = StartError;
    fn from_str(name: &str) -> Result<Self, StartError> {
        let found = StartMethod::ALL.into_iter().find(|method| method.name() == name);
        found.ok_or_else(|| StartError::UnknownMethod(name.to_owned()))
    }
}

/// All start methods, the default one first.
///
/// Python: `get_all_start_methods`.
pub fn get_all_start_methods() -> [StartMethod; 3] {
    StartMethod::ALL
}

const ALREADY_SET: AlreadySetError =
    AlreadySetError("the start method was set already: use force_start_method to replace it");

const UNSET: u8 = 0;
static DEFAULT: AtomicU8 = AtomicU8::new(UNSET);

fn code(method: StartMethod) -> u8 {
    match method {
        StartMethod::ForkServer => 1,
        StartMethod::Spawn => 2,
        StartMethod::Fork => 3,
    }
}

/// The variable that names the default method, if none was set.
pub(super) const VARIABLE: &str = "MP_START_METHOD";

/// Sets this process's default method, once; its children inherit it.
///
/// Python: `set_start_method`.
pub fn set_start_method(method: StartMethod) -> Result<(), AlreadySetError> {
    // ORDERING: Relaxed: no other data depends on the value.
    let set = DEFAULT.compare_exchange(UNSET, code(method), Ordering::Relaxed, Ordering::Relaxed);
    set.map(drop).map_err(|_| ALREADY_SET)
}

/// Sets the default method, whether it was set before or not.
///
/// Python: `set_start_method(method, force=True)`.
#[inline]
pub fn force_start_method(method: StartMethod) {
    // ORDERING: Relaxed: no other data depends on the value.
    DEFAULT.store(code(method), Ordering::Relaxed);
}

/// The default method: the one that was set, otherwise the environment's `MP_START_METHOD`, otherwise
/// `ForkServer`. A privileged program (set-uid, set-gid, file capabilities) ignores the environment.
///
/// Python: `get_start_method`.
pub fn get_start_method() -> Result<StartMethod, StartError> {
    // ORDERING: Relaxed: no other data depends on the value.
    let set = DEFAULT.load(Ordering::Relaxed);
    if let Some(method) = StartMethod::ALL.into_iter().find(|method| code(*method) == set) {
        return Ok(method);
    }
    match privilege::variable(VARIABLE).and_then(|name| name.into_string().ok()) {
        Some(name) => name.parse(),
        None => Ok(StartMethod::ForkServer),
    }
}

/// The method for processes that serve this one (a pool's workers, a manager): the default one, by
/// [`for_helpers`](StartMethod::for_helpers).
#[doc(hidden)]
pub fn get_helper_method() -> Result<StartMethod, StartError> {
    Ok(get_start_method()?.for_helpers())
}
