//! Process: a process before its start, and the start.

use super::authkey;
use super::child::{Child, Record};
use super::current::current_process;
use super::family::Family;
use super::logging::{self, TARGET};
use super::table::Starting;
use crate::error::CodecError;
use crate::finalize;
use crate::popen::job::{ChildIdentity, Inherited, Job};
use crate::popen::{
    CopyTemplate, ForkIsSafe, StartError, StartMethod, Started, boot, fork, forkserver, get_helper_method,
    get_start_method, lifeline, orphans, raw_fork, spawn,
};
use crate::transfer::{
    __rust_begin_short_backtrace, CallError, Callable, Captures, Code, Message, Target, Transferable,
    pack_value,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A process that has not been started: a function, its arguments, and its settings.
///
/// The function is a `fn` item or a closure that captures nothing; its arguments are a tuple. Arguments and result
/// are serde types and handles: queues, locks, connections, shared values.
///
/// ```no_run
/// use mp_core::Process;
///
/// fn greet(name: String, times: u32) -> String {
///     format!("hello {name}! ").repeat(times as usize)
/// }
///
/// let child = Process::new(greet, ("world".to_owned(), 2)).name("greeter").start()?;
/// assert_eq!(child.join()?, "hello world! hello world! ");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `multiprocessing.Process(target, args=..., name=..., daemon=...)`.
#[derive(Debug)]
#[must_use = "a process runs when it is started"]
pub struct Process<F, A> {
    function: F,
    arguments: A,
    settings: Settings,
}

#[derive(Debug)]
struct Settings {
    name: Option<String>,
    kind: &'static str,
    daemon: Option<bool>,
    has_stdin: bool,
    method: Option<StartMethod>,
    ordinals: Vec<u32>,
}

impl Settings {
    fn new(kind: &'static str) -> Settings {
        // Numbered when it is made and not when it starts; a name of its own uses a number up too.
        let ordinals = current_process().next_ordinals();
        Settings { name: None, kind, daemon: None, has_stdin: false, method: None, ordinals }
    }

    fn into_identity(self, method: StartMethod) -> Result<ChildIdentity, StartError> {
        // First: what is made below would be this process's own, and not what its parent gives it.
        boot::check_stage()?;
        raw_fork::forget_original_if_copy();
        let current = current_process();
        let family = Family::of_this_process()?;
        // Before the child is told which process adopts its orphans.
        orphans::prepare();
        let inherited = if method == StartMethod::Fork {
            // It has all this in its memory, once it is there.
            authkey::prepare()?;
            None
        } else {
            let authkey = current.authkey()?.into_inherited();
            Some(Inherited { authkey, family, adopter: orphans::adopter(), log_level: logging::to_inherit() })
        };
        let numbers: Vec<String> = self.ordinals.iter().map(u32::to_string).collect();
        Ok(ChildIdentity {
            name: self.name.unwrap_or_else(|| format!("{}-{}", self.kind, numbers.join(":"))),
            ordinals: self.ordinals,
            daemon: self.daemon.unwrap_or(current.daemon()) || current.daemon(),
            has_stdin: self.has_stdin,
            parent_name: current.name().to_owned(),
            parent_pid: current.pid(),
            method,
            inherited,
        })
    }
}

impl<F, A> Process<F, A>
where
    F: Target<A>,
    F::Output: Transferable,
    A: Serialize + DeserializeOwned,
{
    /// Makes a process that will call `function` with `arguments`.
    ///
    /// A function that captures variables cannot be built, since it could not be called elsewhere:
    ///
    /// ```compile_fail
    /// let local = 3;
    /// mp_core::Process::new(move || local, ()).start().unwrap();
    /// ```
    ///
    /// `cargo check` tells so only of a closure that borrows, or that owns what is not `Copy`. One exception: a
    /// captured value of no size that is `Copy` and `Send` cannot be told from nothing, and is made anew in the child.
    /// A type whose values stand for something in this process is therefore not to be `Send`.
    ///
    /// Python: `Process(target=function, args=arguments)`.
    pub fn new<Kind>(function: F, arguments: A) -> Self
    where
        F: Callable<A, Kind>,
    {
        let () = Captures::<F>::NOTHING;
        Process { function, arguments, settings: Settings::new("Process") }
    }

    /// Sets its name, for messages and process lists (which show 15 bytes of it). Default: `Process-1`, and
    /// `Process-1:2` for the second child of the first. Python: `Process(name=...)`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// It is killed when this process ends, in whatever way; one that becomes another program (`exec`) is killed at an
    /// orderly end of this process, and may outlive its SIGKILL. Without this call and
    /// [`not_daemon`](Process::not_daemon): as this process itself is; the children of a daemon are daemons.
    ///
    /// Python: `Process(daemon=True)`.
    pub fn daemon(mut self) -> Self {
        self.settings.daemon = Some(true);
        self
    }

    /// This process's end waits for it, and a kill of this process leaves it running. A daemon's children are daemons
    /// all the same.
    ///
    /// Python: `Process(daemon=False)`.
    pub fn not_daemon(mut self) -> Self {
        self.settings.daemon = Some(false);
        self
    }

    /// Gives it this process's standard input. Without this a child reads an empty one (`/dev/null`), as in Python:
    /// two processes that read one input each get a part of it, and the first reader takes more than it needs.
    ///
    /// This process must not read ahead then: data in std's buffer is not passed on.
    ///
    /// Python has no counterpart: `sys.stdin = open(0)` in the child.
    pub fn inherit_stdin(mut self) -> Self {
        self.settings.has_stdin = true;
        self
    }

    /// Sets its start method, which is also the default in it. Default: [`get_start_method`].
    ///
    /// Python: `get_context(method).Process`.
    pub fn method(mut self, method: StartMethod) -> Self {
        self.settings.method = Some(method);
        self
    }

    /// Starts it, and returns once it exists.
    ///
    /// Two errors that Python reports at run time do not compile (P05): a second start,
    ///
    /// ```compile_fail,E0382
    /// let process = mp_core::Process::new(|| (), ());
    /// let first = process.start();
    /// let second = process.start();
    /// ```
    /// and a join before the start.
    ///
    /// ```compile_fail,E0599
    /// mp_core::Process::new(|| (), ()).join();
    /// ```
    ///
    /// # Errors
    /// [`StartError`]. Nothing was started then, and nothing is left open.
    ///
    /// Python: `Process.start`.
    pub fn start(self) -> Result<Child<F::Output>, StartError> {
        let method = self.settings.method.map_or_else(get_start_method, Ok)?;
        let identity = self.settings.into_identity(method)?;
        let (function, arguments) = (self.function, self.arguments);
        if method == StartMethod::Fork {
            let work = move || {
                pack_value(&__rust_begin_short_backtrace(|| function.call(arguments))).map_err(not_sent)
            };
            return registered(&identity.clone(), || fork::start(identity, None, work));
        }
        let code = Code::of::<F, A>(&function)?;
        let packed: Message = pack_value(&arguments)?;
        let job = Job { identity, code, lifeline: lifeline::for_child()? };
        registered(&job.identity.clone(), move || match method {
            StartMethod::Spawn => spawn::start(job, &packed),
            _ => forkserver::start(job, &packed),
        })
    }
}

impl<F, A> Process<F, A>
where
    F: Target<A>,
    F::Output: Transferable,
    A: Serialize + DeserializeOwned,
{
    /// Starts it as a child of a copy of this process. Its start method is the default in it alone.
    #[doc(hidden)]
    pub fn start_from(self, copy: &CopyTemplate) -> Result<Child<F::Output>, StartError> {
        let method =
            self.settings.method.map_or_else(get_helper_method, |method| Ok(method.for_helpers()))?;
        let identity = self.settings.into_identity(method)?;
        let (code, packed) = (Code::of::<F, A>(&self.function)?, pack_value(&self.arguments)?);
        let job = Job { identity, code, lifeline: lifeline::for_child()? };
        registered(&job.identity.clone(), || copy.start(&job, &packed))
    }
}

/// Says that a result cannot be sent.
fn not_sent(error: CodecError) -> String {
    CallError::Output(error).to_string()
}

/// Starts a child and enters it into the table.
fn registered<R>(
    identity: &ChildIdentity,
    start: impl FnOnce() -> Result<Started, StartError>,
) -> Result<Child<R>, StartError> {
    finalize::install();
    let starting = Starting::begin()?;
    orphans::reap();
    let record = Arc::new(Record::new(identity, start()?));
    log::debug!(target: TARGET, "started {}, pid {}", record.name(), record.pid());
    starting.add(Arc::clone(&record));
    Ok(Child::new(record))
}

/// Work as a type: the counterpart of a Python subclass of `Process` that overrides `run`.
///
/// ```no_run
/// use mp_core::{Process, Run};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Counter { upto: u32 }
///
/// impl Run for Counter {
///     type Output = u32;
///     fn run(self) -> u32 { (1..=self.upto).sum() }
/// }
///
/// let child = Process::of(Counter { upto: 4 }).start()?; // named Counter-1
/// assert_eq!(child.join()?, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: a subclass of `Process` with a `run` method.
pub trait Run: Serialize + DeserializeOwned + 'static {
    /// The value that `run` returns to the parent.
    type Output: Serialize + DeserializeOwned;
    /// Runs in the child, which has a copy: the parent does not see changes of `self`.
    fn run(self) -> Self::Output;
}

fn run<T: Run>(work: T) -> T::Output {
    work.run()
}

impl Process<(), ()> {
    /// Makes a process that will run `work`. Its default name is the type's name with a number.
    ///
    /// Python: an instance of a subclass of `Process`.
    pub fn of<T: Run>(work: T) -> Process<impl Target<(T,), Output = T::Output>, (T,)> {
        let full = std::any::type_name::<T>();
        let kind = full.split('<').next().and_then(|path| path.rsplit("::").next()).unwrap_or(full);
        Process { function: run::<T>, arguments: (work,), settings: Settings::new(kind) }
    }

    /// Makes a process that is a copy of this one and runs `work`, a closure that may capture anything. This is the
    /// only way to pass values that cannot be serialised, and memory that is copied only when it is written.
    ///
    /// The parent does not see what the child writes. It works only while this process has one thread and holds no
    /// guard of data in shared memory: the closure could contain a reference from the guard, but not its lock.
    ///
    /// ```no_run
    /// # use mp_core::{Process, StartError};
    /// # fn under_a_guard() {
    /// // With a guard of a `Value`, `Array`, `Mutex` or `RwLock` alive:
    /// assert!(matches!(Process::fork(|| ()).start(), Err(StartError::Borrowed { guards: 1 })));
    /// # }
    /// ```
    ///
    /// Python: `get_context("fork").Process(target=work)`.
    pub fn fork<C, R>(work: C) -> ForkProcess<C>
    where
        C: FnOnce() -> R,
        R: Transferable,
    {
        ForkProcess { work, settings: Settings::new("Process"), vouched: None }
    }
}

/// A closure that will run in a copy of this process: see [`Process::fork`].
#[derive(Debug)]
#[must_use = "a process runs when it is started"]
pub struct ForkProcess<C> {
    work: C,
    settings: Settings,
    vouched: Option<ForkIsSafe>,
}

impl<C> ForkProcess<C> {
    /// Sets its name: see [`Process::name`].
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// It is killed when this process ends: [`Process::daemon`].
    pub fn daemon(mut self) -> Self {
        self.settings.daemon = Some(true);
        self
    }

    /// This process's end waits for it, and a kill of this process leaves it running. A daemon's children are daemons
    /// all the same.
    ///
    /// Python: `Process(daemon=False)`.
    pub fn not_daemon(mut self) -> Self {
        self.settings.daemon = Some(false);
        self
    }

    /// Gives it this process's standard input: see [`Process::inherit_stdin`]. Data in std's buffer of standard
    /// input is in the copy in any case: a copy that reads `std::io::stdin()` reads that first.
    pub fn inherit_stdin(mut self) -> Self {
        self.settings.has_stdin = true;
        self
    }

    /// Allows the fork beside other threads, on the caller's promise that they hold no lock that the child needs.
    pub fn despite_threads(mut self, vouched: ForkIsSafe) -> Self {
        self.vouched = Some(vouched);
        self
    }

    /// Starts it, by a fork.
    ///
    /// # Errors
    /// [`StartError::Threads`] while other threads run, unless [`despite_threads`](ForkProcess::despite_threads)
    /// was called; [`StartError::Borrowed`] while the calling thread has a guard of data in shared memory; an
    /// error of the system.
    pub fn start<R>(self) -> Result<Child<R>, StartError>
    where
        C: FnOnce() -> R,
        R: Transferable,
    {
        let identity = self.settings.into_identity(StartMethod::Fork)?;
        let (work, vouched) = (self.work, self.vouched);
        let work = move || pack_value(&__rust_begin_short_backtrace(work)).map_err(not_sent);
        registered(&identity.clone(), || fork::start(identity, vouched, work))
    }
}
