//! A worker's part: its standard streams are pipes of the pool's, with a mark where a task begins.

use super::TaskNumber;
use super::records;
use super::split::{MARK, Nonce, first_mark, mark};
use crate::line::Line;
use mp_core::LevelFilter;
use mp_core::sys::fd::put_at_standard;
use mp_core::sys::poll::{Interest, wait_for};
use mp_core::sys::process::flush_c_output;
use mp_core::transfer::Handle;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;

/// What a worker is given.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ends {
    pub(super) pipes: [Handle; 2],
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
    nonce: Nonce,
    records: Option<(Line, LevelFilter)>,
}

impl Ends {
    /// Puts the pipes at the standard numbers.
    pub(crate) fn take(self) -> Result<Writer, String> {
        let Ends { pipes, nonce, records, level } = self;
        let failed =
            |error: &dyn std::fmt::Display| format!("a worker's output cannot be redirected: {error}");
        let first = first_mark(&nonce, std::process::id());
        let file = |pipe: Handle| pipe.into_fd().map(File::from).map_err(|error| failed(&error));
        let [out, err] = pipes;
        let pipes = [file(out)?, file(err)?];
        for (number, pipe) in (1..).zip(&pipes) {
            put(pipe, &first);
            put_at_standard(pipe.as_fd(), number).map_err(|error| failed(&error))?;
        }
        let level = LevelFilter::iter().nth(level.into()).unwrap_or(LevelFilter::Off);
        Ok(Writer { pipes, nonce, records: records.map(|line| (line, level)) })
    }
}

impl Writer {
    /// Has log records go to the pool, unless the process has a logger: called when the initializer has run, which may
    /// have set one.
    pub(crate) fn with_records(mut self) -> Writer {
        if let Some((line, level)) = self.records.take() {
            records::install(line, level);
        }
        self
    }

    /// A task begins.
    pub(crate) fn begin(&self, task: TaskNumber) {
        let mark = mark(&self.nonce, task);
        self.pipes.iter().for_each(|pipe| put(pipe, &mark));
        records::set_task(task);
    }

    /// The task has ended: what is in buffers is its own.
    pub(crate) fn end(&self) {
        let _ = std::io::stdout().flush();
        flush_c_output();
    }
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
