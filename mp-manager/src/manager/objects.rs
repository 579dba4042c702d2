//! What a manager makes of the library's own kinds, and the names of objects.

use super::Manager;
use crate::client::Reference;
use crate::error::ManagerError;
use crate::packed::{pack_all_for, pack_for};
use crate::protocol::{Reply, Request, Start};
use crate::proxy::{
    ArrayProxy, BarrierProxy, ConditionLock, ConditionProxy, DictProxy, EventProxy, ListProxy, LockProxy,
    NamespaceProxy, PoolProxy, Proxy, QueueProxy, RLockProxy, SemaphoreProxy, SetProxy, ValueProxy,
    unexpected,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Objects of the library's own kinds.
impl Manager {
    /// A new, empty dict. Python: `manager.dict()`.
    pub fn dict<K, V>(&self) -> Result<DictProxy<K, V>, ManagerError> {
        self.create(Start::Empty)
    }

    /// A new, empty list. Python: `manager.list()`.
    pub fn list<T>(&self) -> Result<ListProxy<T>, ManagerError> {
        self.create(Start::Empty)
    }

    /// A new, empty set. Python: `manager.set()`.
    pub fn set<T>(&self) -> Result<SetProxy<T>, ManagerError> {
        self.create(Start::Empty)
    }

    /// A new namespace without attributes. Python: `manager.Namespace()`.
    #[doc(alias = "Namespace")]
    pub fn namespace(&self) -> Result<NamespaceProxy, ManagerError> {
        self.create(Start::Empty)
    }

    /// A new value. Python: `manager.Value(typecode, value)`.
    #[doc(alias = "Value")]
    pub fn value<T: Serialize + DeserializeOwned>(&self, value: T) -> Result<ValueProxy<T>, ManagerError> {
        self.create(Start::Value(pack_for(self.client.server.manager, &value)?))
    }

    /// A new array of these elements, whose number does not change. Python: `manager.Array(typecode, sequence)`.
    #[doc(alias = "Array")]
    pub fn array<T: Serialize + DeserializeOwned>(
        &self,
        elements: impl IntoIterator<Item = T>,
    ) -> Result<ArrayProxy<T>, ManagerError> {
        let (packed, _holders) = pack_all_for(self.client.server.manager, elements)?;
        self.create(Start::Values(packed))
    }

    /// A new, empty queue without a limit. Python: `manager.Queue()`, `manager.JoinableQueue()`.
    #[doc(alias = "JoinableQueue")]
    pub fn queue<T>(&self) -> Result<QueueProxy<T>, ManagerError> {
        self.create(Start::Number(0))
    }

    /// A new, empty queue of at most so many items; 0 means no limit. Python: `manager.Queue(maxsize)`.
    pub fn bounded_queue<T>(&self, most: usize) -> Result<QueueProxy<T>, ManagerError> {
        self.create(Start::Number(most as u64))
    }

    /// A new, free lock. Python: `manager.Lock()`.
    pub fn lock(&self) -> Result<LockProxy, ManagerError> {
        self.create(Start::Empty)
    }

    /// A new, free lock that its holder can acquire again. Python: `manager.RLock()`.
    #[doc(alias = "RLock")]
    pub fn rlock(&self) -> Result<RLockProxy, ManagerError> {
        self.create(Start::Empty)
    }

    /// A new semaphore with so many permits. Python: `manager.Semaphore(n)`.
    pub fn semaphore(&self, permits: u32) -> Result<SemaphoreProxy, ManagerError> {
        self.create(Start::Number(permits.into()))
    }

    /// A new semaphore that never has more permits than now. Python: `manager.BoundedSemaphore(n)`.
    #[doc(alias = "BoundedSemaphore")]
    pub fn bounded_semaphore(&self, permits: u32) -> Result<SemaphoreProxy, ManagerError> {
        self.create(Start::Bounded(permits.into()))
    }

    /// A new condition, with a reentrant lock of its own. Python: `manager.Condition()`.
    pub fn condition(&self) -> Result<ConditionProxy, ManagerError> {
        self.create(Start::Empty)
    }

    /// A new condition over a lock of this manager, which it keeps. Conditions over one lock, and the lock's own
    /// proxies, take turns. Python: `manager.Condition(lock)`.
    ///
    /// # Errors
    /// [`ManagerError::NoSuchObject`]: the lock is another manager's.
    pub fn condition_with_lock(&self, lock: &impl ConditionLock) -> Result<ConditionProxy, ManagerError> {
        let lock = lock.reference();
        if lock.manager() != self.client.server.manager {
            return Err(ManagerError::NoSuchObject);
        }
        self.create(Start::Lock(lock.object()))
    }

    /// A new event that is not set. Python: `manager.Event()`.
    pub fn event(&self) -> Result<EventProxy, ManagerError> {
        self.create(Start::Empty)
    }

    /// A new barrier for so many. Python: `manager.Barrier(parties)`.
    ///
    /// # Errors
    /// [`ManagerError::Codec`]: of no parties.
    pub fn barrier(&self, parties: u32) -> Result<BarrierProxy, ManagerError> {
        if parties == 0 {
            return Err(ManagerError::Codec("a barrier of no parties: give it at least one".to_owned()));
        }
        self.create(Start::Number(parties.into()))
    }

    /// A new pool of so many worker processes, which are the manager's children. Its tasks are not this process's: any
    /// process that has a proxy submits them.
    ///
    /// # Errors
    /// [`ManagerError::PoolEnded`], [`ManagerError::Os`]: of no workers or more than 1,024, or they cannot be started.
    /// [`ManagerError::NoRelative`]: this process has connected by an address.
    ///
    /// Python: `manager.Pool(processes)`.
    #[doc(alias = "Pool")]
    pub fn pool(&self, processes: usize) -> Result<PoolProxy, ManagerError> {
        self.create(Start::Number(processes as u64))
    }

    /// Publishes an object under a name, in the place of what had it; whether there was one. The manager keeps it until
    /// the name is taken away.
    ///
    /// Python: `BaseManager.register(name, callable)` in the server.
    pub fn publish(&self, name: &str, proxy: &impl Proxy) -> Result<bool, ManagerError> {
        self.publication(name, Some(proxy.reference().object()))
    }

    /// Takes a name away; whether there was one.
    pub fn unpublish(&self, name: &str) -> Result<bool, ManagerError> {
        self.publication(name, None)
    }

    fn publication(&self, name: &str, object: Option<u64>) -> Result<bool, ManagerError> {
        match self.client()?.call(Request::Publish { name: name.to_owned(), object })? {
            Reply::Flag(replaced) => Ok(replaced),
            other => Err(unexpected(&other)),
        }
    }

    /// The object that was published under a name. The types of its values are the caller's promise: values of others
    /// are an error when they are read.
    ///
    /// # Errors
    /// [`ManagerError::NoSuchName`]: there is none; [`ManagerError::NoSuchObject`]: it is of another kind.
    ///
    /// Python: a method of a manager that has connected.
    pub fn lookup<P: Proxy>(&self, name: &str) -> Result<P, ManagerError> {
        let request = Request::Lookup { name: name.to_owned(), kind: P::KIND };
        Reference::created(self.client()?, request).map(P::from_reference)
    }
}
