//! What a child of the template must be given because the template is not its parent: what the parent is like at
//! the moment of `start`, and not when the template began.
//!
//! A template is executed by its parent and so begins with all that the parent has. The parent notes what that was;
//! from then on it sends only what has changed since, which most programs never do.

use super::fork;
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

/// A process's state that a child takes over, at one moment.
#[derive(Debug)]
pub(super) struct ProcessState {
    environment: Vec<(OsString, OsString)>,
    /// `None`: it cannot be told, and a child stays where the template is.
    directory: Option<fd::Directory>,
    state: State,
    credentials: Credentials,
    watch: Watch,
    confinement: Confinement,
}

impl ProcessState {
    pub(super) fn current() -> OsResult<ProcessState> {
        let (watch, credentials) = (Watch::begin()?, Credentials::current());
        let (confinement, ignored) = watch.look(credentials.is_admin())?;
        Ok(ProcessState {
            environment: env::vars_os().collect(),
            directory: fd::Directory::current(),
            state: State::with_ignored(ignored),
            credentials,
            watch,
            confinement,
        })
    }

    /// This process's state now, if a child of a template that began like this can be as if it were this process's own.
    /// What cannot be compared may be different.
    pub(super) fn followed(&self) -> Option<State> {
        let credentials = Credentials::current();
        let (confinement, ignored) = self.watch.look(credentials.is_admin()).ok()?;
        (credentials == self.credentials && confinement == self.confinement)
            .then(|| State::with_ignored(ignored))
    }

    /// How many processes there may be; as a template is told it.
    pub(super) fn process_limit(&self) -> Limit {
        self.state.process_limit()
    }

    /// What is different now, besides the standard descriptors, which a template does not keep; and how many processes
    /// there may be now. `now`: the state, if it was asked for; else it is as it was. Standard input goes along only to a child that is to read it.
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
            // One that may not be opened cannot be sent.
            directory: moved.then(fd::current_dir).and_then(Result::ok).map(Handle::new),
            environment: (!is_environment(&self.environment)).then(|| env::vars_os().collect()),
            state: (self.state != *state).then(|| state.clone()),
        };
        Ok((changes, limit))
    }
}

/// What a fresh child of the template has to put on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Changes {
    standard: [Option<Handle>; 3],
    directory: Option<Handle>,
    environment: Option<Vec<(OsString, OsString)>>,
    state: Option<State>,
}

impl Changes {
    /// Puts all this on. In a fresh child of the template, which has one thread.
    pub(super) fn put_on(&self) -> OsResult<()> {
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
            fork::set_environment(environment);
        }
        if let Some(state) = &self.state {
            state.put_on();
        }
        Ok(())
    }
}
