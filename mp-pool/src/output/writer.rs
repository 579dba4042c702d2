//! A worker's part: its standard streams are pipes of the pool's, with a mark behind what a task has written.

use super::TaskNumber;
use super::page::{Begun, SharedPage};
use super::records;
use super::split::{MARK, NONE, Nonce, mark, none_mark};
use crate::line::Line;
use mp_core::LevelFilter;
use mp_core::sys::fd::put_at_standard;
use mp_core::sys::poll::{Interest, wait_for};
use mp_core::sys::process::flush_c_output;
use mp_core::sys::silence::Silence;
use mp_core::transfer::Handle;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;

/// What a worker is given.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ends {
    pub(super) pipes: [Handle; 2],
    /// Whether they are empty can be asked there; `None`: it cannot.
    pub(super) silence: Option<Handle>,
    pub(super) page: SharedPage,
    pub(super) nonce: Nonce,
    pub(super) records: Option<Line>,
    /// The worst level that is wanted, as a number.
    pub(super) level: u8,
}

/// A worker's part, once its streams are those pipes.
#[derive(Debug)]
pub(crate) struct Writer {
    /// A task may put another file at the standard numbers.
    pipes: [File; 2],
    silence: Option<Silence>,
    page: SharedPage,
    begun: Begun,
    task: TaskNumber,
    nonce: Nonce,
    records: Option<(Line, LevelFilter)>,
    has_records: bool,
}

impl Ends {
    /// Puts the pipes at the standard numbers.
    pub(crate) fn take(self) -> Result<Writer, String> {
        let Ends { pipes, silence, page, nonce, records, level } = self;
        let failed =
            |error: &dyn std::fmt::Display| format!("a worker's output cannot be redirected: {error}");
        let first = none_mark(&nonce, std::process::id());
        let file = |pipe: Handle| pipe.into_fd().map(File::from).map_err(|error| failed(&error));
        let [out, err] = pipes;
        let pipes = [file(out)?, file(err)?];
        for (number, pipe) in (1..).zip(&pipes) {
            put(pipe, &first);
            put_at_standard(pipe.as_fd(), number).map_err(|error| failed(&error))?;
        }
        let level = LevelFilter::iter().nth(level.into()).unwrap_or(LevelFilter::Off);
        let silence = silence.map(|fd| fd.into_fd().map(Silence::from_fd)).transpose();
        Ok(Writer {
            pipes,
            silence: silence.map_err(|error| failed(&error))?,
            page,
            begun: Begun::default(),
            task: NONE,
            nonce,
            records: records.map(|line| (line, level)),
            has_records: false,
        })
    }
}

impl Writer {
    /// The initializer has run: what it wrote is no task's. Has log records go to the pool, unless the process has a
    /// logger, which the initializer may have set.
    pub(crate) fn with_records(mut self) -> Writer {
        flush();
        let none = none_mark(&self.nonce, std::process::id());
        self.pipes.iter().for_each(|pipe| put(pipe, &none));
        if let Some((line, level)) = self.records.take() {
            records::install(line, level);
            self.has_records = true;
        }
        self
    }

    /// A task begins.
    pub(crate) fn begin(&mut self, task: TaskNumber) {
        self.task = task;
        self.page.begin(&mut self.begun, task);
        if self.has_records {
            records::set_task(task);
        }
    }

    /// The task has ended: what is in buffers is its own. What it has written has its mark then.
    pub(crate) fn end(&mut self) {
        flush();
        let is_silent = self.silence.as_ref().is_some_and(Silence::is_silent);
        if !is_silent || !self.page.was_silent(&self.begun) {
            let mark = mark(&self.nonce, self.task);
            self.pipes.iter().for_each(|pipe| put(pipe, &mark));
        }
    }
}

fn flush() {
    let _ = std::io::stdout().flush();
    flush_c_output();
}

/// Writes a mark, which the kernel takes whole or not at all. A task may have made the pipe non-blocking; and if no
/// process reads it any more, the pool is gone.
fn put(mut pipe: &File, mark: &[u8; MARK]) {
    while let Err(error) = pipe.write_all(mark)
        && error.kind() == ErrorKind::WouldBlock
    {
        let _ = wait_for(pipe.as_fd(), Interest::Write, None);
    }
}
