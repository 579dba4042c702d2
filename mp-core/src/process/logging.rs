//! What the library does, on the `log` facade (Python: `multiprocessing.get_logger`, `log_to_stderr`).
//!
//! Records have the target [`TARGET`] and Python's levels: `info` for lives of processes, `debug` for the rest. A
//! program with a logger of its own sees them there, in its own process: a child never comes to the line of `main`
//! that set the logger. [`log_to_stderr`] is inherited.
//!
//! | Python     | here    |
//! |------------|---------|
//! | SUBDEBUG   | `Trace` |
//! | DEBUG      | `Debug` |
//! | INFO       | `Info`  |
//! | SUBWARNING, WARNING | `Warn` |
//! | ERROR      | `Error` |

use super::current::current_process;
use crate::error::AlreadySetError;
use crate::sys::process::write_stderr;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::sync::atomic::{AtomicBool, Ordering};

/// The name of the logger. Python: the same.
pub const TARGET: &str = "multiprocessing";

/// Writes `[LEVEL/NAME] message` to the standard error output, whole lines at once.
struct ToStderr;

impl Log for ToStderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET && metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let (level, process) = (python_name(record.level()), current_process());
            let line = format!("[{level}/{}] {}\n", process.name(), record.args());
            write_stderr(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

fn python_name(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARNING",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
        Level::Trace => "SUBDEBUG",
    }
}

/// Whether the process's logger is [`ToStderr`].
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// The program has a logger already, so this one cannot be installed; records go there.
const TAKEN: AlreadySetError = AlreadySetError(
    "this program has set a logger already: set it up to show records with the target `multiprocessing`",
);

/// The library's logger.
///
/// Python: what `get_logger` returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logger(());

impl Logger {
    /// From now on only records of this level and worse are made, by this process and by children that it starts
    /// from now on. Like all of the `log` facade, it counts for the whole process. Python: `Logger.setLevel`.
    pub fn set_level(self, level: LevelFilter) {
        log::set_max_level(level);
    }

    /// Python: `Logger.level`.
    pub fn level(self) -> LevelFilter {
        log::max_level()
    }

    /// Makes a record of the program's own beside the library's. Python: `Logger.log`.
    pub fn log(self, level: Level, message: &str) {
        log::log!(target: TARGET, level, "{message}");
    }

    /// Python: `Logger.info`.
    pub fn info(self, message: &str) {
        self.log(Level::Info, message);
    }

    /// Python: `Logger.warning`.
    pub fn warning(self, message: &str) {
        self.log(Level::Warn, message);
    }
}

/// The library's logger. Nothing is shown until [`log_to_stderr`] is called, or the program has a logger.
///
/// Python: `multiprocessing.get_logger`.
pub fn get_logger() -> Logger {
    Logger(())
}

/// Shows the library's records of `level` and worse on the standard error output, as `[INFO/Process-1] message`, of
/// this process and of those that it starts from now on.
///
/// ```
/// use mp_core::LevelFilter;
/// let logger = mp_core::log_to_stderr(LevelFilter::Info)?;
/// logger.info("as Python says it"); // [INFO/MainProcess] as Python says it
/// # Ok::<(), mp_core::AlreadySetError>(())
/// ```
///
/// Python: `multiprocessing.log_to_stderr(level)`.
pub fn log_to_stderr(level: LevelFilter) -> Result<Logger, AlreadySetError> {
    // ORDERING: Relaxed, here and below: it tells of a logger that `log` publishes itself.
    if !INSTALLED.load(Ordering::Relaxed) {
        log::set_logger(&ToStderr).map_err(|_| TAKEN)?;
        INSTALLED.store(true, Ordering::Relaxed);
    }
    log::set_max_level(level);
    Ok(Logger(()))
}

/// The level to show in children; `None` if nothing was to be shown.
pub(super) fn to_inherit() -> Option<usize> {
    // ORDERING: as above.
    INSTALLED.load(Ordering::Relaxed).then(|| log::max_level() as usize)
}

/// In a child: as the parent has it.
pub(super) fn inherit(level: usize) {
    let level = LevelFilter::iter().nth(level).unwrap_or(LevelFilter::Off);
    // A constructor of the program's may have set a logger: then that one is asked.
    let _ = log_to_stderr(level);
}
