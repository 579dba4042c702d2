//! What tasks write, and their log records, attributed to the task.
//!
//! ```text
//!   worker:  the task prints ─► flush ─► mark: that was this task's      one pipe each for descriptors 1 and 2
//!            which task it is at                                         a page of shared memory
//!            log record, with its task                                   a packet socket
//!                │
//!   pool:    a thread reads what there is ─► the bytes between two marks are one task's ─► the program's callback
//! ```
//!
//! | file         | what                                                                     |
//! |--------------|--------------------------------------------------------------------------|
//! | `mod.rs`     | what the program sees and asks for                                       |
//! | `split.rs`   | from a pipe's bytes and marks to pieces of one task each                 |
//! | `page.rs`    | which task a worker is at, and whether it wrote something                |
//! | `reader.rs`  | the thread that reads                                                    |
//! | `writer.rs`  | a worker's part                                                          |
//! | `records.rs` | the worker's logger                                                      |
//!
//! A mark goes through the pipe itself, so it stands between the bytes of two tasks whenever they are read. It begins
//! with bytes that the pool has drawn at random for that worker, and is so short that the kernel writes it in one
//! piece. A task that wrote nothing has none: its worker asks with one system call whether both pipes are empty, and
//! looks at a word of the page whether text was read meanwhile (`page.rs`). Text that is read before its mark is that
//! of the task which the page names. What a pipe holds is all that waits: a worker that writes faster than the callback
//! takes it waits in its write.
//!
//! # When a process dies
//! A worker: what it has written is in its pipes, which the pool reads to their end; what has no mark was its last
//! task's, which the page names. A task's own child may keep them
//! open; they are read as long as it does.

mod page;
mod reader;
mod records;
mod split;
mod writer;

pub(crate) use reader::Output;
pub(crate) use writer::{Ends, Writer};

use crate::builder::PoolBuilder;
use crate::executor::ProcessPoolExecutor;
use crate::pool::Pool;
use mp_core::{Level, LevelFilter};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// A piece of what a worker has written, or a log record: the argument of [`PoolBuilder::on_output`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskOutput {
    /// The worker's [index](crate::worker_index).
    pub worker: usize,
    /// The worker's process id.
    pub pid: u32,
    /// The task that the worker was at, or was at last. `None`: it had begun none (its initializer, say).
    pub task: Option<TaskNumber>,
    /// What it wrote.
    pub kind: TaskOutputKind,
}

/// Which task it is: the item of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TaskNumber {
    /// The call (`map`, `apply`, `submit` …) among those of this pool, in the order in which they began, from 0.
    pub call: u64,
    /// The item's position in the input of the call, from 0.
    pub item: u64,
}

/// What was written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskOutputKind {
    /// To standard output. All pieces in their order are what was written; a piece may end within a line.
    Stdout(Vec<u8>),
    /// To standard error output, the message of a panic included. Pieces as for standard output.
    Stderr(Vec<u8>),
    /// A record of the crate `log`: see [`PoolBuilder::record_level`].
    Record(TaskRecord),
}

/// A log record of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskRecord {
    /// Its level.
    pub level: Level,
    /// Its target: the module's path, unless it was made with another one.
    pub target: String,
    /// The text.
    pub message: String,
}

/// The program's own code.
pub(crate) type OnOutput = Arc<dyn Fn(TaskOutput) + Send + Sync>;

/// What the builder was told.
#[derive(Clone)]
pub(crate) struct OutputSpec {
    pub(crate) callback: Option<OnOutput>,
    /// Records of this level and worse.
    pub(crate) level: LevelFilter,
}

impl Default for OutputSpec {
    fn default() -> Self {
        OutputSpec { callback: None, level: LevelFilter::Off }
    }
}

impl fmt::Debug for OutputSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputSpec").field("level", &self.level).finish_non_exhaustive()
    }
}

impl PoolBuilder {
    /// Has this called with what each task writes to standard output and standard error output, instead of it going
    /// where this process's goes. Default: workers write where this process writes, and nothing is attributed.
    ///
    /// ```no_run
    /// use mp_pool::{Pool, TaskOutputKind};
    ///
    /// fn work(x: u64) -> u64 {
    ///     println!("{x} begins");
    ///     x * x
    /// }
    ///
    /// let pool = Pool::builder()
    ///     .processes(4)
    ///     .on_output(|output| match (output.task, output.kind) {
    ///         (Some(task), TaskOutputKind::Stdout(bytes)) => {
    ///             println!("item {}: {}", task.item, String::from_utf8_lossy(&bytes).trim_end());
    ///         }
    ///         (task, other) => eprintln!("{task:?}: {other:?}"),
    ///     })
    ///     .build()?;
    /// pool.map(work, 0..10)?;
    /// pool.flush_output(); // all of it was given to the callback
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// All that is written to descriptors 1 and 2 counts, by whatever language and by children of the task, not only
    /// what `println!` writes. Each stream is given in its order; what lies between two streams has none. What a thread
    /// that a task has left behind writes is attributed to the task that the worker is at by then. A task that is tried
    /// again has the output of each try.
    ///
    /// A task that is killed shows what it had written. Text in a buffer of its own process is not written yet: of
    /// `print!` the line that has no end yet, of a C library's `printf` all until it flushes. When a task ends by
    /// itself, both are flushed.
    ///
    /// One thread of the pool's calls it, piece by piece. While it runs, workers that write wait as soon as their pipes
    /// are full (64 KiB each), so memory is bounded, and it must not wait for tasks of this pool: a
    /// [`Pool::join`] there is [`JoinPoolError::InOutput`](crate::JoinPoolError::InOutput). One that panics is called
    /// again for the next piece. After [`Pool::join`] it has had everything.
    ///
    /// Off, it costs nothing. On, a system call for each task that writes nothing, and two more for each that does.
    ///
    /// Python has no counterpart; pytest: `capsys`; Dask: `print` of workers; Ray: `log_to_driver`.
    #[doc(alias = "capture")]
    #[doc(alias = "log_to_driver")]
    pub fn on_output(mut self, callback: impl Fn(TaskOutput) + Send + Sync + 'static) -> Self {
        self.output.callback = Some(Arc::new(callback));
        self
    }

    /// With [`on_output`](PoolBuilder::on_output): log records of this level and worse, made by the crate `log` in a
    /// worker, are given to the callback too, with their task. Default: none.
    ///
    /// In the worker this is the program's logger, unless the initializer has set another one, or the worker was forked
    /// from a process that had one ([`fork_from`](PoolBuilder::fork_from), [`log_to_stderr`](mp_core::log_to_stderr)):
    /// then records go there, and what that one writes is output.
    ///
    /// Python: a `QueueHandler` in each worker and a `QueueListener`.
    #[doc(alias = "QueueHandler")]
    #[doc(alias = "QueueListener")]
    pub fn record_level(mut self, level: LevelFilter) -> Self {
        self.output.level = level;
        self
    }
}

impl Pool {
    /// Waits until the callback of [`on_output`](PoolBuilder::on_output) has had all that was written by tasks that
    /// have ended. Without a callback, in it, and in a copy of the process, it does nothing.
    ///
    /// Python has no counterpart.
    pub fn flush_output(&self) {
        if self.is_owned()
            && let Some(output) = &self.shared().output
        {
            output.flush();
        }
    }
}

impl ProcessPoolExecutor {
    /// Waits for the callback of the output: see [`Pool::flush_output`].
    pub fn flush_output(&self) {
        self.pool().flush_output();
    }
}
