//! Barrier: threads of any processes wait until all have arrived.

use crate::cell::BarrierCell;
use crate::error::BrokenBarrierError;
use crate::membership::Membership;
use crate::raw::{Arrival, Broken};
use mp_core::CreateError;
use mp_core::mem::SharedRef;
use mp_core::process::TARGET;
use mp_core::transfer::{CallError, Callable, Captures, Code, Message, Target, pack_value};
use mp_core::word::Deadline;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A barrier: a fixed number of parties, threads of any processes, wait until all of them have arrived.
///
/// ```
/// let barrier = mp_sync::Barrier::new(2)?;
/// std::thread::scope(|scope| {
///     let other = scope.spawn(|| barrier.wait().unwrap().index());
///     let mine = barrier.wait().unwrap().index();
///     assert_eq!(mine + other.join().unwrap(), 1); // 0 and 1, in some order
/// });
/// # Ok::<(), mp_core::CreateError>(())
/// ```
///
/// # When a process dies
/// | how a process that takes part ends                           | what the others see                         |
/// |--------------------------------------------------------------|---------------------------------------------|
/// | killed by a signal, aborted, `_exit`                         | [`BrokenBarrierError`], within a second          |
/// | in any way, while one of its threads waits                   | [`BrokenBarrierError`], within a second          |
/// | it drops its last handle; it returns, panics or calls `exit` | nothing: parties that wait for it wait on   |
///
/// A process takes part if it made the barrier, received it (in an argument, a result or a message), or has
/// waited at it. A child of `Fork` receives nothing: it has copies of its parent's objects, and takes part
/// from its first wait on. A process that is killed before it takes part breaks nothing: set a timeout for
/// that case. A process counts as alive if the system does not say whether it lives. The first 128 processes
/// are watched; further ones take part unwatched.
///
/// [`reset`](Barrier::reset) forgets dead processes.
///
/// Python: `multiprocessing.Barrier`. There the others wait for ever.
#[derive(Clone)]
pub struct Barrier {
    membership: Arc<Membership>,
    /// Sent with each handle, since any party may be the last one.
    action: Option<Arc<Action>>,
}

/// The action that the last party of each round calls: a function, and its packed arguments.
#[derive(Debug, Serialize, Deserialize)]
struct Action {
    code: Code,
    arguments: Message,
}

impl Action {
    fn call(&self) -> Result<(), CallError> {
        let Message { bytes, handles } = self.arguments.clone();
        self.code.call(&bytes, handles).map(drop)
    }
}

/// The options of a new barrier.
#[derive(Debug)]
#[must_use = "call build to make the barrier"]
pub struct BarrierBuilder {
    parties: u32,
    timeout: Option<Duration>,
    action: Result<Option<Arc<Action>>, CreateError>,
}

impl BarrierBuilder {
    /// Sets a function that is called once in each round, by the party that arrives last, before any party
    /// passes. It is sent with the barrier: the process that is last calls it.
    ///
    /// If it panics, the barrier breaks for all parties and the panic continues in the caller. If the process
    /// dies in it, the barrier breaks. Like the function of a process it captures nothing. For a function
    /// with arguments use [`action_with`](BarrierBuilder::action_with).
    ///
    /// Python: `Barrier(parties, action)`.
    pub fn action<F, Kind>(self, function: F) -> Self
    where
        F: Target<(), Output = ()> + Callable<(), Kind>,
    {
        let () = Captures::<F>::NOTHING;
        self.action_with(function, ())
    }

    /// Sets an action with arguments: values, and handles of shared objects. Otherwise it is like
    /// [`action`](BarrierBuilder::action). Each call gets the arguments that were given here. If a process
    /// cannot decode them (for example because it has no descriptor left), the barrier breaks.
    ///
    /// ```no_run
    /// use mp_sync::{Barrier, Value};
    ///
    /// let passes = Value::new(0_u32)?;
    /// let count = |passes: Value<u32>| passes.update(|count| *count += 1);
    /// let barrier = Barrier::builder(1).action_with(count, (passes.clone(),)).build()?;
    /// barrier.wait()?;
    /// barrier.wait()?;
    /// assert_eq!(passes.get(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Python: `Barrier(parties, functools.partial(action, ...))`.
    pub fn action_with<F, A, Kind>(mut self, function: F, arguments: A) -> Self
    where
        F: Target<A, Output = ()> + Callable<A, Kind>,
        A: Serialize + DeserializeOwned,
    {
        let () = Captures::<F>::NOTHING;
        let code = Code::of::<F, A>(&function).map_err(CreateError::from);
        self.action =
            code.and_then(|code| Ok(Some(Arc::new(Action { code, arguments: pack_value(&arguments)? }))));
        self
    }

    /// Sets how long [`Barrier::wait`] waits before it breaks the barrier. Default: for ever.
    /// Python: `Barrier(timeout=...)`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Makes the barrier.
    ///
    /// # Errors
    /// The errors of [`Barrier::new`], or the action cannot be sent to another process.
    pub fn build(self) -> Result<Barrier, CreateError> {
        if self.parties == 0 {
            return Err(CreateError::Argument(
                "a barrier of no parties could never open: give at least one party".to_owned(),
            ));
        }
        let action = self.action?;
        let shared = SharedRef::<BarrierCell>::create("mp-barrier")?;
        shared.barrier.init(self.parties);
        let nanos =
            self.timeout.map_or(0, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX).max(1));
        // ORDERING: Relaxed: it is not shared yet.
        shared.timeout.store(nanos, Ordering::Relaxed);
        Ok(Barrier { membership: Membership::of(shared), action })
    }
}

/// The result of a barrier's wait: the party's index.
///
/// Python: the number that `Barrier.wait` returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarrierWaitResult(Arrival);

impl BarrierWaitResult {
    /// 0 to parties - 1, each once.
    pub fn index(&self) -> u32 {
        self.0.index
    }

    /// Whether this party arrived last: one in each round, like `std::sync::BarrierWaitResult::is_leader`.
    pub fn is_leader(&self) -> bool {
        self.0.leader
    }
}

impl Barrier {
    /// Makes a barrier for `parties` parties. Python: `Barrier(parties)`.
    ///
    /// # Errors
    /// Zero parties (Python allows them), or no memory or no descriptor for the shared object.
    pub fn new(parties: u32) -> Result<Barrier, CreateError> {
        Barrier::builder(parties).build()
    }

    /// A builder, for a default timeout or an action. Python: `Barrier(parties, action, timeout)`.
    pub fn builder(parties: u32) -> BarrierBuilder {
        BarrierBuilder { parties, timeout: None, action: Ok(None) }
    }

    fn cell(&self) -> &BarrierCell {
        self.membership.cell()
    }

    /// Waits until all parties have arrived. Python: `Barrier.wait`.
    ///
    /// # Errors
    /// [`BrokenBarrierError`] if a party timed out, was killed, called [`abort`](Barrier::abort) or
    /// [`reset`](Barrier::reset), or panicked in its action, or if this party waited for the default timeout.
    pub fn wait(&self) -> Result<BarrierWaitResult, BrokenBarrierError> {
        self.meet(self.default_deadline())
    }

    /// Waits until all parties have arrived; breaks the barrier after `timeout`. Python:
    /// `Barrier.wait(timeout)`.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, BrokenBarrierError> {
        self.meet(Deadline::after(timeout))
    }

    /// Waits until all parties have arrived; the last one runs its `action` before any party passes, after
    /// the barrier's own action. If it panics, the barrier breaks. The action may borrow, and is for this
    /// call only: for one in each round use [`BarrierBuilder::action`].
    ///
    /// Python has only the barrier's own action.
    pub fn wait_then(&self, action: impl FnOnce()) -> Result<BarrierWaitResult, BrokenBarrierError> {
        self.meet_then(self.default_deadline(), action)
    }

    /// Waits at most `timeout`; the last party to arrive runs its `action`: see
    /// [`wait_timeout`](Barrier::wait_timeout) and [`wait_then`](Barrier::wait_then).
    pub fn wait_timeout_then(
        &self,
        timeout: Duration,
        action: impl FnOnce(),
    ) -> Result<BarrierWaitResult, BrokenBarrierError> {
        self.meet_then(Deadline::after(timeout), action)
    }

    /// Breaks the barrier: parties that wait or arrive get [`BrokenBarrierError`], until a reset. Python:
    /// `Barrier.abort`.
    pub fn abort(&self) {
        self.cell().barrier.abort();
    }

    /// Makes the barrier usable again, without dead processes. Parties that wait get [`BrokenBarrierError`].
    ///
    /// Python: `Barrier.reset`.
    pub fn reset(&self) {
        if !self.membership.none_died() {
            // Broken first: otherwise a party could wait for ever for a process that is forgotten.
            self.abort();
            self.membership.forget_the_dead();
        }
        self.cell().barrier.reset();
    }

    /// The number of parties. Python: `Barrier.parties`.
    pub fn parties(&self) -> u32 {
        self.cell().barrier.parties()
    }

    /// The number of parties that wait now. Python: `Barrier.n_waiting`.
    pub fn n_waiting(&self) -> u32 {
        self.cell().barrier.n_waiting()
    }

    /// Whether it is broken. Python: `Barrier.broken`.
    #[doc(alias = "is_broken")]
    pub fn broken(&self) -> bool {
        self.cell().barrier.is_broken()
    }

    fn default_deadline(&self) -> Option<Deadline> {
        // ORDERING: Relaxed: written once, before it was shared.
        match self.cell().timeout.load(Ordering::Relaxed) {
            0 => None,
            nanos => Deadline::after(Duration::from_nanos(nanos)),
        }
    }

    fn meet(&self, until: Option<Deadline>) -> Result<BarrierWaitResult, BrokenBarrierError> {
        if self.action.is_some() {
            return self.meet_then(until, || {});
        }
        let _waiting = self.membership.wait();
        result(self.cell().barrier.wait(until, || self.membership.none_died()), until)
    }

    fn meet_then(
        &self,
        until: Option<Deadline>,
        action: impl FnOnce(),
    ) -> Result<BarrierWaitResult, BrokenBarrierError> {
        let _waiting = self.membership.wait();
        let alive = || self.membership.none_died();
        let met = self.cell().barrier.wait_then(until, alive, || match self.call_action() {
            Ok(()) => action(),
            // The round is still open, so this breaks it for all of its parties, the caller too.
            Err(error) => {
                log::error!(target: TARGET, "cannot call the action of a barrier: {error}");
                self.abort();
            }
        });
        result(met, until)
    }

    fn call_action(&self) -> Result<(), CallError> {
        self.action.as_ref().map_or(Ok(()), |action| action.call())
    }
}

fn result(
    met: Result<Arrival, Broken>,
    until: Option<Deadline>,
) -> Result<BarrierWaitResult, BrokenBarrierError> {
    met.map(BarrierWaitResult).map_err(|Broken| {
        let late = until.is_some_and(Deadline::passed);
        if late { BrokenBarrierError::Timeout } else { BrokenBarrierError::Broken }
    })
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Barrier");
        debug.field("parties", &self.parties()).field("n_waiting", &self.n_waiting());
        debug.field("broken", &self.broken()).finish()
    }
}

/// Within a transfer only.
impl Serialize for Barrier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.membership.shared(), self.action.as_deref()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Barrier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (shared, action) = <(SharedRef<BarrierCell>, Option<Action>)>::deserialize(deserializer)?;
        Ok(Barrier { membership: Membership::of(shared), action: action.map(Arc::new) })
    }
}
