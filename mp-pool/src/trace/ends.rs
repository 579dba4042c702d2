//! From records to events: what a worker did, what its end ended, and the instants beside that.

use super::file::{Micros, Quoted, TraceFile};
use super::ring::{Record, Rings};
use crate::dispatch::Dispatch;
use crate::error::{NewPoolError, TaskError};
use crate::job::Job;
use crate::supervisor::WorkerSpec;
use mp_core::sys::clock::monotonic_nanos;
use mp_core::sys::owning_process::OwningProcess;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::path::Path;

/// So many calls are known by the name of their function; what runs of an older one is called a task.
const NAMED: usize = 1 << 16;
/// The low bits of an item's position, by which the pool knows it.
const POSITIONS: u64 = crate::call::POSITIONS;

pub(crate) struct Trace {
    pub(crate) rings: Rings,
    file: TraceFile,
    calls: u64,
    /// The functions of the last calls, by their numbers in `names`, and the number of the first of these calls.
    named: (VecDeque<u32>, u64),
    names: Vec<&'static str>,
    numbers: HashMap<&'static str, u32>,
    /// The tasks that the end of the worker that is looked at has ended: the call, the item, how.
    ended: Vec<(u64, u32, String)>,
    /// The process that writes: not a forked copy of it.
    owner: OwningProcess,
}

impl Trace {
    /// Of a pool that is made so, if it is to have one.
    pub(crate) fn of(spec: &WorkerSpec, workers: u32) -> Result<Option<Box<Trace>>, NewPoolError> {
        let create = |path| Trace::create(path, workers.max(spec.board)).map(Box::new);
        spec.trace.as_deref().map(create).transpose()
    }

    fn create(path: &Path, workers: u32) -> Result<Trace, NewPoolError> {
        let file = TraceFile::create(path)
            .map_err(|source| NewPoolError::Trace { path: path.to_owned(), source })?;
        Ok(Trace {
            rings: Rings::create(workers)?,
            file,
            calls: 0,
            named: Default::default(),
            names: vec!["task"],
            numbers: HashMap::new(),
            ended: Vec::new(),
            owner: OwningProcess::current(),
        })
    }

    pub(super) fn error(&self) -> Option<&str> {
        self.file.error.as_deref()
    }

    /// A call of this function begins. It has this number, or a new one.
    pub(super) fn begin_call(&mut self, number: Option<u64>, function: &'static str) -> u64 {
        let number = number.unwrap_or(self.calls);
        let new = self.names.len() as u32;
        let name = *self.numbers.entry(function).or_insert(new);
        if name == new {
            self.names.push(function);
        }
        let (named, first) = &mut self.named;
        // Calls that begin at the same time may come in any order.
        let at = number.saturating_sub(*first) as usize;
        if at >= named.len() {
            named.resize(at + 1, 0);
        }
        named[at] = name;
        while named.len() > NAMED {
            named.pop_front();
            *first += 1;
        }
        self.calls = self.calls.max(number + 1);
        number
    }

    fn name_of(&self, call: u64) -> &'static str {
        let (named, first) = &self.named;
        let name = call.checked_sub(*first).and_then(|at| named.get(at as usize));
        self.names[name.map_or(0, |name| *name as usize)]
    }

    /// Takes the records that are whole.
    pub(crate) fn collect(&mut self) {
        for worker in 0..self.rings.workers {
            self.take(worker, false);
        }
        self.file.look();
    }

    /// Writes the records of a worker. Gives the last one of a dead worker.
    fn take(&mut self, worker: u32, dead: bool) -> Option<Record> {
        let (rings, pid) = (self.rings.clone(), self.rings.pid(worker));
        let mut last = None;
        rings.take(worker, dead, |record| {
            if let Some(whole) = last.replace(record) {
                self.interval(pid, whole, whole.done, whole.ended, None);
            }
        });
        if !dead && let Some(whole) = last.take() {
            self.interval(pid, whole, whole.done, whole.ended, None);
        }
        match rings.take_lost(worker) {
            0 => (),
            lost => self.instant("lost", pid, format_args!("\"tasks\":{lost}")),
        }
        last
    }

    /// So many items from the first one of a record.
    fn interval(&mut self, pid: u32, record: Record, items: u32, until: u64, ended: Option<&str>) {
        if items == 0 {
            return;
        }
        let (name, Record { call, first, began, .. }) = (Quoted(self.name_of(record.call)), record);
        let (at, long) = (Micros(began), Micros(until.saturating_sub(began)));
        let items = if items > 1 { format!(",\"items\":{items}") } else { String::new() };
        let ended = ended.map_or(String::new(), |ended| format!(",\"ended\":{}", Quoted(ended)));
        self.file.add(format_args!(
            "\"name\":{name},\"cat\":\"task\",\"ph\":\"X\",\"ts\":{at},\"dur\":{long},\"pid\":{pid},\"tid\":{pid},\
             \"args\":{{\"call\":{call},\"item\":{first}{items}{ended}}}"
        ));
    }

    fn instant(&mut self, name: &str, pid: u32, arguments: fmt::Arguments<'_>) {
        let now = Micros(monotonic_nanos());
        self.file.add(format_args!(
            "\"name\":\"{name}\",\"cat\":\"pool\",\"ph\":\"i\",\"s\":\"p\",\"ts\":{now},\"pid\":{pid},\"tid\":{pid},\
             \"args\":{{{arguments}}}"
        ));
    }

    /// A worker was started.
    fn started(&mut self, name: &str, pid: u32, again: bool) {
        let worker = Quoted(name);
        for what in ["process_name", "thread_name"] {
            self.file.add(format_args!(
                "\"name\":\"{what}\",\"ph\":\"M\",\"pid\":{pid},\"tid\":{pid},\"args\":{{\"name\":{worker}}}"
            ));
        }
        self.instant(if again { "restart" } else { "start" }, pid, format_args!("\"worker\":{worker}"));
    }

    /// The end of the worker that is looked at has ended a task.
    pub(crate) fn died(&mut self, job: &Job, item: u32, error: &TaskError) {
        if let Some(call) = job.call() {
            self.ended.push((call, item, error.to_string()));
        }
    }

    /// A task is tried again.
    pub(crate) fn retried(&mut self, job: &Job, item: u32, error: &TaskError) {
        let (call, why) = (job.call().unwrap_or_default(), error.to_string());
        let arguments = format_args!("\"call\":{call},\"item\":{item},\"after\":{}", Quoted(&why));
        self.instant("retry", std::process::id(), arguments);
    }

    /// A worker has ended, and what it had was settled.
    pub(crate) fn ended(&mut self, worker: u32, pid: u32, how: &str, dies: bool) {
        let now = monotonic_nanos();
        let last = self.take(worker, true);
        let mut ended = std::mem::take(&mut self.ended);
        if let Some(last) = last {
            let is_at = |items: u32| {
                let position = last.first + u64::from(items);
                move |(call, item, _): &mut (u64, u32, String)| {
                    *call == last.call && u64::from(*item) == position & POSITIONS
                }
            };
            // It had done the item, and was killed before it could say so to the pool.
            let unsaid =
                last.done > 0 && last.begun == last.done && ended.iter_mut().any(is_at(last.done - 1));
            let whole = if unsaid { last.done - 1 } else { last.done };
            self.interval(pid, last, whole, last.ended, None);
            if last.begun > whole {
                let why = ended.extract_if(.., is_at(whole)).next().map_or(how.to_owned(), |(.., why)| why);
                let began = if whole == 0 { last.began } else { last.ended };
                let rest = Record { first: last.first + u64::from(whole), began, ..last };
                self.interval(pid, rest, 1, now, Some(&why));
            }
        }
        // It was killed between what it said to the pool and its record.
        for (call, item, why) in ended {
            let first = u64::from(item);
            let record = Record { call, first, begun: 1, done: 0, began: now, ended: now };
            self.interval(pid, record, 1, now, Some(&why));
        }
        if dies {
            self.instant("death", pid, format_args!("\"how\":{}", Quoted(how)));
        }
        self.file.look();
    }

    pub(super) fn close(&mut self) {
        if self.owner.is_current() {
            self.collect();
            self.file.close();
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("calls", &self.calls).finish_non_exhaustive()
    }
}

impl Dispatch {
    /// The worker of this index was started as this process of this host.
    pub(crate) fn trace_started(&mut self, index: u32, pid: Option<u32>) {
        if let (Some(trace), Some(pid)) = (&mut self.trace, pid) {
            let again = self.counts[index as usize].starts > 1;
            trace.started(&self.latest[index as usize].1, pid, again);
        }
    }

    /// An item was begun, and its worker's end is its end.
    pub(crate) fn trace_died(&mut self, job: &Job, item: u32, error: &TaskError) {
        if let Some(trace) = &mut self.trace {
            trace.died(job, item, error);
        }
    }
}
