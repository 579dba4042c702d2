//! A trace: which worker ran which task when, as a file for Chrome's and Perfetto's viewers.
//!
//! ```text
//!   worker:  a task begins, ends: its record in the worker's ring     (ring.rs, shared memory)
//!   caller:  collects results ─► takes the records that are whole ─► lines of the file    (file.rs)
//!   watcher: a worker has ended ─► its last record, and which task that ended              (ends.rs)
//! ```
//!
//! Without a trace no task is numbered, no clock is read, and a worker asks twice for each task whether there is one.
//!
//! A ring has a bounded number of records, and so has what waits to be written. Tasks of one call that follow each
//! other and take less than 50 microseconds together share a record. A worker never waits: what finds no room is
//! counted, and is not in the file.
//!
//! # When a process dies
//! A worker: the pool reads what stands in its ring. The record of the task that it was at ends when the pool sees the
//! death. The pool's process: the file ends where it was written last, without the bracket that closes it, which both
//! viewers take.
//! # Tested by
//! `mp-pool/tests/trace.rs`

mod ends;
mod file;
mod ring;

pub(crate) use ends::Trace;
pub(crate) use ring::{Rings, Tracer};

use crate::builder::PoolBuilder;
use crate::output::Output;
use crate::supervisor::Shared;
use std::path::PathBuf;

impl PoolBuilder {
    /// Writes to this file which worker runs which task when: an array of events of Chrome's trace format, for
    /// `chrome://tracing` and <https://ui.perfetto.dev>. A file that is there is overwritten.
    ///
    /// Each worker is a process of its own there, with its pid and its name. A task is an interval (`"ph": "X"`) with
    /// the name of its function; its arguments are `call`, the number of the call among those of the pool, and `item`,
    /// the position in the call's input, both from 0. Tasks of one call that follow each other and take less than 50
    /// microseconds together are one interval, with the number of them as `items`. An interval that a death ended has
    /// how as `ended`. A task that [yields](crate::Pool::generate) is one interval, with its waits for the consumer.
    /// Instants are `start`, `restart`, `death` and `retry`. A worker that the end of the pool finds idle may exit
    /// before it is killed; that is no `death`.
    ///
    /// ```no_run
    /// let pool = mp_pool::Pool::builder().processes(4).trace("trace.json").build()?;
    /// pool.map(|x: u64| x * x, 0..1000)?;
    /// pool.close();
    /// pool.join()?; // the file is whole
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The file is whole when the pool was joined or dropped. If this process is killed, it ends with the last events
    /// that were written. What can be written no more (a full disk) is left out, and ends the trace: see
    /// [`Pool::trace_error`](crate::Pool::trace_error).
    ///
    /// A pool of [threads](crate::ThreadPool) has no trace.
    ///
    /// Python has no counterpart; compare `viztracer`.
    ///
    /// # Errors
    /// Of [`build`](PoolBuilder::build): [`NewPoolError::Trace`](crate::NewPoolError::Trace), if the file cannot be
    /// made.
    #[doc(alias = "viztracer")]
    #[doc(alias = "perfetto")]
    pub fn trace(mut self, path: impl Into<PathBuf>) -> Self {
        self.trace = Some(path.into());
        self
    }
}

impl crate::Pool {
    /// Why the [trace](PoolBuilder::trace) ended before the pool; `None`: it has not.
    pub fn trace_error(&self) -> Option<String> {
        if !self.is_owned() {
            return None;
        }
        self.shared().dispatch().trace.as_ref()?.error().map(str::to_owned)
    }
}

impl Shared {
    /// The number of a call that begins, if tasks are numbered.
    pub(crate) fn number_call(&self, function: &'static str) -> Option<u64> {
        let number = self.output.as_ref().map(Output::next_call);
        if self.spec.trace.is_none() {
            return number;
        }
        let mut dispatch = self.dispatch();
        dispatch.trace.as_mut().map(|trace| trace.begin_call(number, function)).or(number)
    }

    /// The last worker has ended: the file is whole.
    pub(crate) fn close_trace(&self) {
        if let Some(trace) = &mut self.dispatch().trace {
            trace.close();
        }
    }
}
