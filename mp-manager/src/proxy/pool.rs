//! PoolProxy: a pool of worker processes in the server.

use super::{AsyncResultProxy, IteratorProxy, MapResultProxy, Proxy, proxy};
use crate::client::Reference;
use crate::error::ManagerError;
use crate::protocol::{Call, Gather, PoolCall, Wait};
use mp_core::transfer::{Callable, Captures, Code, Message, Target, Transferable, pack};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

proxy! {
    /// A pool of worker processes, which are the manager's children. Any process that has a proxy of it submits tasks,
    /// and what they give stays in the manager, under proxies of its own, until it is fetched or those are dropped.
    ///
    /// Functions and arguments are those of [`mp_pool::Pool`]. A process that has connected by an address submits none
    /// ([`ManagerError::NoRelative`]).
    ///
    /// The pool ends, and its workers are killed, with its last proxy and the last result that is still to come; or
    /// when it was [closed](PoolProxy::close) and its tasks are done; or with the manager.
    ///
    /// # When a process dies
    /// A *client*: the tasks that it has submitted go on, and what they give is dropped, unless another process has a
    /// proxy of it. A *worker*: its task is [`ManagerError::WorkerDied`], and another worker takes its place. The
    /// *manager*: its workers are killed.
    ///
    /// Python: what `SyncManager.Pool` returns.
    PoolProxy, Pool
}

/// One task.
impl PoolProxy {
    /// Calls a function in a worker, and waits for what it returns. Python: `pool.apply`.
    ///
    /// # Errors
    /// [`ManagerError::Panicked`], [`ManagerError::WorkerDied`]; [`ManagerError::PoolEnded`]: the pool was closed.
    pub fn apply<F, A, R, Is>(&self, function: F, arguments: A) -> Result<R, ManagerError>
    where
        F: Target<A, Output = R> + Callable<A, Is>,
        A: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.apply_async(function, arguments)?.get()
    }

    /// Has a function called in a worker. Python: `pool.apply_async`.
    ///
    /// # Errors
    /// [`ManagerError::PoolEnded`]: the pool was closed.
    pub fn apply_async<F, A, R, Is>(
        &self,
        function: F,
        arguments: A,
    ) -> Result<AsyncResultProxy<R>, ManagerError>
    where
        F: Target<A, Output = R> + Callable<A, Is>,
        A: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.submit(&function, [arguments], Gather::Together)
    }
}

/// Many tasks.
impl PoolProxy {
    /// Calls a function for each item, and waits for all: what it returns, in the order of the items.
    /// Python: `pool.map`.
    ///
    /// # Errors
    /// Those of [`apply`](PoolProxy::apply), of the first item that failed. All items are tried.
    pub fn map<F, T, R, Is>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
    ) -> Result<Vec<R>, ManagerError>
    where
        F: Target<(T,), Output = R> + Callable<(T,), Is>,
        T: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.map_async(function, items)?.get()
    }

    /// Has a function called for each item. Python: `pool.map_async`.
    ///
    /// # Errors
    /// [`ManagerError::PoolEnded`]: the pool was closed.
    pub fn map_async<F, T, R, Is>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
    ) -> Result<MapResultProxy<R>, ManagerError>
    where
        F: Target<(T,), Output = R> + Callable<(T,), Is>,
        T: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.starmap_async(function, items.into_iter().map(|item| (item,)))
    }

    /// Calls a function with each tuple of arguments, and waits for all. Python: `pool.starmap`.
    ///
    /// # Errors
    /// The errors of [`map`](PoolProxy::map).
    pub fn starmap<F, A, R, Is>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
    ) -> Result<Vec<R>, ManagerError>
    where
        F: Target<A, Output = R> + Callable<A, Is>,
        A: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.starmap_async(function, items)?.get()
    }

    /// Has a function called with each tuple of arguments. Python: `pool.starmap_async`.
    ///
    /// # Errors
    /// [`ManagerError::PoolEnded`]: the pool was closed.
    pub fn starmap_async<F, A, R, Is>(
        &self,
        function: F,
        items: impl IntoIterator<Item = A>,
    ) -> Result<MapResultProxy<R>, ManagerError>
    where
        F: Target<A, Output = R> + Callable<A, Is>,
        A: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.submit(&function, items, Gather::Together)
    }

    /// Has a function called for each item; what it returns comes one by one, in the order of the items. The items are
    /// sent in one message. Python: `pool.imap`.
    ///
    /// # Errors
    /// [`ManagerError::PoolEnded`]: the pool was closed.
    pub fn imap<F, T, R, Is>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
    ) -> Result<IteratorProxy<R>, ManagerError>
    where
        F: Target<(T,), Output = R> + Callable<(T,), Is>,
        T: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.submit(&function, items.into_iter().map(|item| (item,)), Gather::InOrder)
    }

    /// The same in the order in which the tasks end. Python: `pool.imap_unordered`.
    ///
    /// # Errors
    /// The errors of [`imap`](PoolProxy::imap).
    pub fn imap_unordered<F, T, R, Is>(
        &self,
        function: F,
        items: impl IntoIterator<Item = T>,
    ) -> Result<IteratorProxy<R>, ManagerError>
    where
        F: Target<(T,), Output = R> + Callable<(T,), Is>,
        T: Serialize + DeserializeOwned,
        R: Transferable,
    {
        let () = Captures::<F>::NOTHING;
        self.submit(&function, items.into_iter().map(|item| (item,)), Gather::AsTheyCome)
    }

    fn submit<F, A, P: Proxy>(
        &self,
        function: &F,
        items: impl IntoIterator<Item = A>,
        gather: Gather,
    ) -> Result<P, ManagerError>
    where
        F: Target<A, Output: Transferable>,
        A: Serialize + DeserializeOwned,
    {
        let code = Code::of::<F, A>(function)?;
        let tasks = items.into_iter().map(|item| pack(&item)).collect::<Result<Vec<Message>, _>>()?;
        let request =
            self.reference.request(Wait::Forever, Call::Pool(PoolCall::Submit { code, tasks, gather }));
        Reference::created(self.reference.client()?, request).map(P::from_reference)
    }
}

/// Life.
impl PoolProxy {
    /// Takes no more tasks, of any client; those that were taken are done. Python: `pool.close`.
    pub fn close(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::Pool(PoolCall::Close))
    }

    /// Kills the workers. Tasks that are not done end as [`ManagerError::PoolEnded`]. Python: `pool.terminate`.
    pub fn terminate(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::Pool(PoolCall::Terminate))
    }

    /// Waits until the tasks are done and the workers have ended. Python: `pool.join`.
    ///
    /// # Errors
    /// [`ManagerError::PoolRuns`]: it was neither closed nor terminated.
    pub fn join(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::Pool(PoolCall::Join))
    }

    /// Whether they have: [`ManagerError::WouldBlock`] if not.
    ///
    /// # Errors
    /// The errors of [`join`](PoolProxy::join).
    pub fn try_join(&self) -> Result<(), ManagerError> {
        self.reference.done_waiting(Wait::Never, Call::Pool(PoolCall::Join))
    }

    /// Waits for it at most `timeout`, then [`ManagerError::Timeout`].
    ///
    /// # Errors
    /// The errors of [`join`](PoolProxy::join).
    pub fn join_timeout(&self, timeout: Duration) -> Result<(), ManagerError> {
        self.reference.done_waiting(Wait::AtMost(timeout), Call::Pool(PoolCall::Join))
    }

    /// How many workers it has; none once it ends.
    pub fn processes(&self) -> Result<usize, ManagerError> {
        self.reference.count(Call::Pool(PoolCall::Processes))
    }
}

/// Shows how many workers it has: it asks the manager.
impl fmt::Debug for PoolProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::show(f, "PoolProxy", self.processes())
    }
}
