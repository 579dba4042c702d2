//! What parent, template and child tell each other.

use super::method::StartMethod;
use super::{StartError, fork};
use crate::error::OsError;
use crate::sys::process::Ended;
use crate::sys::state::State;
use crate::sys::{self, fd};
use crate::transfer::{Code, Handle};
use serde::{Deserialize, Serialize};
use std::env;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};

/// The first parcel that a re-executed program finds on its boot socket.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Boot {
    /// Be this child; its arguments are in the next parcel, and the socket is its outcome socket.
    Run(Job),
    /// Be a template; requests follow.
    Serve,
}

/// What a template is asked, followed by a parcel with the arguments.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) job: Job,
    /// The child's end of its outcome socket; the template keeps a copy to report the exit status.
    pub(super) outcome: Handle,
    pub(super) surroundings: Surroundings,
}

/// One child: who it is and what it calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) who: Who,
    pub(crate) code: Code,
    pub(crate) lifeline: Handle,
}

/// Who a child is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Who {
    pub(crate) name: String,
    /// The numbers that its own children's default names begin with: `1:2` for `Process-1:2`.
    pub(crate) ordinals: Vec<u32>,
    pub(crate) daemon: bool,
    pub(crate) parent_name: String,
    pub(crate) parent_pid: u32,
    /// The default start method of the parent, which the child inherits.
    pub(crate) method: StartMethod,
}

/// What comes to the parent on the outcome socket, in this order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// From the child, before the user's function: it runs; here is its pidfd.
    Hello { pid: u32, pidfd: Handle },
    /// From the template: there is no child.
    Refused { errno: i32 },
    /// From the child: the function returned, and its value is in the next parcel.
    Returned,
    /// From the child: the function panicked.
    Panicked { message: String, location: String },
    /// From the child: the call could not be made, or its value could not be packed.
    Failed { reason: String },
    /// From the template: the child has ended like this.
    Ended(Ended),
}

/// What a child of the template must be given because the template is not its parent: what the parent is like
/// at the moment of `start`, and not when the template began.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Surroundings {
    environment: Vec<(OsString, OsString)>,
    directory: Option<Handle>,
    standard: [Option<Handle>; 3],
    state: State,
}

impl Surroundings {
    pub(super) fn current() -> Result<Surroundings, StartError> {
        let copy = |number| -> Result<Option<Handle>, StartError> {
            let open: Option<BorrowedFd<'_>> = fd::standard(number);
            let copy = open.map(|fd| fd.try_clone_to_owned()).transpose();
            Ok(copy.map_err(|source| OsError { call: "fcntl(F_DUPFD_CLOEXEC)", source })?.map(Handle::new))
        };
        Ok(Surroundings {
            environment: env::vars_os().collect(),
            // A directory that was removed, or may not be searched, cannot be opened: the child stays where the
            // template is.
            directory: fd::current_dir().ok().map(Handle::new),
            standard: [copy(0)?, copy(1)?, copy(2)?],
            state: State::current(),
        })
    }

    /// Puts all this on. In a fresh child of the template, which has one thread.
    pub(super) fn put_on(&self) -> Result<(), OsError> {
        for (number, handle) in (0..).zip(&self.standard) {
            match handle {
                Some(handle) => fd::put_at_standard(handle.as_fd(), number)?,
                None => fd::close_standard(number),
            }
        }
        if let Some(directory) = &self.directory {
            fd::change_dir(directory.as_fd())?;
        }
        fork::set_environment(&self.environment);
        self.state.put_on();
        sys::signal::restore_defaults();
        Ok(())
    }
}
