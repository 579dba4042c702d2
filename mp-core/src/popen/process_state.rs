//! Process state: what a child of the template must get because the template is not its parent. A child has the
//! state of its parent at the moment of `start`, not of the time when the template began.
//!
//! A parent executes its template, so the template begins with the parent's whole state. The parent records
//! that state, and later sends only what has changed since; in most programs nothing does.

use crate::error::{OsError, OsResult};
use crate::sys::confinement::{Confinement, Watch};
use crate::sys::fd;
use crate::sys::process::is_environment;
use crate::sys::state::{Credentials, Limit, State};
use crate::transfer::Handle;
use serde::{Deserialize, Serialize};
use std::env;
use std::ffi::OsString;
use std::os::fd::AsFd;

/// The state that a child takes over from its parent, at one moment.
#[derive(Debug)]
pub(super) struct ProcessState {
    environment: Vec<(OsString, OsString)>,
    /// `None`: it cannot be determined, and a child keeps the template's.
    directory: Option<fd::Directory>,
    state: State,
    credentials: Credentials,
    watch: Watch,
    confinement: Confinement,
}

impl ProcessState {
    pub(super) fn current() -> OsResult<ProcessState> {
        let (watch, credentials) = (Watch::begin()?, Credentials::current());
        let (confinement, ignored) = watch.read(credentials.is_admin())?;
        Ok(ProcessState {
            environment: env::vars_os().collect(),
            directory: fd::Directory::current(),
            state: State::with_ignored(ignored),
            credentials,
            watch,
            confinement,
        })
    }

    /// This process's current state, if a child of a template with this state can get it. What cannot be
    /// compared counts as different.
    pub(super) fn unchanged_state(&self) -> Option<State> {
        let credentials = Credentials::current();
        let (confinement, ignored) = self.watch.read(credentials.is_admin()).ok()?;
        (credentials == self.credentials && confinement == self.confinement)
            .then(|| State::with_ignored(ignored))
    }

    /// The limit of processes, for the template.
    pub(super) fn process_limit(&self) -> Limit {
        self.state.process_limit()
    }

    /// The changes since then, with the standard descriptors, which a template does not keep; and the current
    /// limit of processes. `now` is the state, if it was read; otherwise it is unchanged. Standard input is
    /// only for a child that reads it.
    pub(super) fn changes(&self, now: Option<&State>, with_stdin: bool) -> OsResult<(Changes, Limit)> {
        let copy = |number| -> OsResult<Option<Handle>> {
            let copy = fd::standard(number).map(|fd| fd.try_clone_to_owned()).transpose();
            Ok(copy.map_err(|source| OsError { call: "fcntl(F_DUPFD_CLOEXEC)", source })?.map(Handle::new))
        };
        let state = now.unwrap_or(&self.state);
        let limit = state.process_limit();
        let moved = self.directory != fd::Directory::current();
        let changes = Changes {
            standard: [if with_stdin { copy(0)? } else { None }, copy(1)?, copy(2)?],
            // A directory that cannot be opened cannot be sent.
            directory: moved.then(fd::current_dir).and_then(Result::ok).map(Handle::new),
            environment: (!is_environment(&self.environment)).then(|| env::vars_os().collect()),
            state: (self.state != *state).then(|| state.clone()),
        };
        Ok((changes, limit))
    }
}

/// The changes that a new child of the template applies.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Changes {
    standard: [Option<Handle>; 3],
    directory: Option<Handle>,
    environment: Option<Vec<(OsString, OsString)>>,
    state: Option<State>,
}

impl Changes {
    /// Applies the changes, the environment by `set_environment`. In a new child of the template, which has one
    /// thread.
    pub(super) fn apply(&self, set_environment: fn(&[(OsString, OsString)])) -> OsResult<()> {
        for (number, handle) in (0..).zip(&self.standard) {
            match handle {
                Some(handle) => fd::put_at_standard(handle.as_fd(), number)?,
                None => fd::close_standard(number),
            }
        }
        if let Some(directory) = &self.directory {
            fd::change_dir(directory.as_fd())?;
        }
        if let Some(environment) = &self.environment {
            set_environment(environment);
        }
        if let Some(state) = &self.state {
            state.apply();
        }
        Ok(())
    }
}
