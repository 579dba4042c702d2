//! The worker's logger: records go to the pool, each with the task that the worker is at.

use super::TaskNumber;
use crate::line::Line;
use log::{LevelFilter, Log, Metadata, Record};
use mp_core::transfer::Part;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, OnceLock, PoisonError};

/// A record on its way.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Logged {
    /// The process that made it.
    pub(super) pid: u32,
    pub(super) task: Option<TaskNumber>,
    /// As a number.
    pub(super) level: u8,
    pub(super) target: String,
    pub(super) message: String,
}

struct Logger {
    line: OnceLock<Line>,
    task: Mutex<Option<TaskNumber>>,
}

static LOGGER: Logger = Logger { line: OnceLock::new(), task: Mutex::new(None) };

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let task = *self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let (target, message) = (record.target().to_owned(), record.args().to_string());
        let logged = Logged { pid: std::process::id(), task, level: record.level() as u8, target, message };
        if let Some(line) = self.line.get() {
            // If it cannot be sent, the pool is gone, and so is this process soon.
            let _ = line.send(&logged, Part::EMPTY);
        }
    }

    fn flush(&self) {}
}

/// Makes this the process's logger, unless it has one.
pub(super) fn install(line: Line, level: LevelFilter) {
    if LOGGER.line.set(line).is_ok() && log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(level);
    }
}

/// The task that begins.
pub(super) fn set_task(task: TaskNumber) {
    *LOGGER.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
}
