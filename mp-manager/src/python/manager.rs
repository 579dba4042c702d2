//! PythonManager: the connection to a server that speaks CPython's manager protocol.

use super::containers::{PythonDict, PythonList, PythonNamespace, PythonValue};
use super::error::PythonError;
use super::link::{Link, unexpected};
use super::proxy::PythonProxy;
use super::waiting::{PythonEvent, PythonLock, PythonQueue, PythonRLock};
use mp_core::AuthKey;
use mp_pipe::Address;
use mp_pipe::pickle::Value;
use std::sync::Arc;
use std::time::Duration;

/// How long connecting may take, each time, unless it is said otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// A manager that a Python program has started (`SyncManager`), or a [`Manager`](crate::Manager) with a
/// [`python_address`](crate::ManagerBuilder::python_address), used in CPython's own protocol.
///
/// ```no_run
/// use mp_core::AuthKey;
/// use mp_manager::{PythonDict, PythonManager};
///
/// // Python: SyncManager(('127.0.0.1', 50000), authkey=b'a key').start()
/// let manager = PythonManager::connect(("127.0.0.1", 50000), AuthKey::new(*b"a key"))?;
/// let ages: PythonDict<String, u32> = manager.dict()?;
/// ages.insert("Ada".to_owned(), 36)?;
/// assert_eq!(ages.get("Ada".to_owned())?, Some(36));
/// # Ok::<(), mp_manager::PythonError>(())
/// ```
///
/// Each request of the server itself (to make an object, to give one back) takes a connection with a handshake, as in
/// Python: some hundred microseconds. Calls on objects use the calling thread's own connection.
///
/// **A Python server runs what the pickles that it gets name.** Values that came from elsewhere are to be passed on to
/// one only if their sender is trusted like a program.
///
/// Python: `SyncManager(address, authkey=key)` after `connect()`.
#[derive(Clone)]
pub struct PythonManager {
    pub(super) link: Arc<Link>,
}

/// Shows where the server is.
impl std::fmt::Debug for PythonManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PythonManager").field("address", &self.link.address).finish_non_exhaustive()
    }
}

/// Life.
impl PythonManager {
    /// Connects, and asks whether a manager answers. A server of CPython up to 3.11 is reached with the feature `md5`
    /// alone.
    ///
    /// # Errors
    /// [`PythonError::Connect`]: no process listens there, or it has another key; it took more than a minute.
    ///
    /// Python: `BaseManager.connect`.
    pub fn connect(address: impl Into<Address>, key: AuthKey) -> Result<PythonManager, PythonError> {
        PythonManager::connect_timeout(address, key, DEFAULT_TIMEOUT)
    }

    /// Connects, and lets each connection take so long at most.
    ///
    /// # Errors
    /// The errors of [`connect`](PythonManager::connect).
    pub fn connect_timeout(
        address: impl Into<Address>,
        key: AuthKey,
        timeout: Duration,
    ) -> Result<PythonManager, PythonError> {
        let link = Arc::new(Link::new(address.into(), Some(key), timeout));
        link.control("dummy", [], [])?;
        Ok(PythonManager { link })
    }

    /// How many objects the server keeps. Python: `BaseManager._number_of_objects`.
    pub fn number_of_objects(&self) -> Result<u64, PythonError> {
        let count = self.link.control("number_of_objects", [], [])?;
        count.as_int().and_then(|count| u64::try_from(count).ok()).ok_or_else(|| unexpected(count.kind()))
    }

    /// The server's objects, with their references, as text. Python: `BaseManager._debug_info`.
    pub fn debug_info(&self) -> Result<String, PythonError> {
        let text = self.link.control("debug_info", [], [])?;
        text.as_str().map(ToOwned::to_owned).ok_or_else(|| unexpected(text.kind()))
    }

    /// Asks the server to end. Python: `BaseManager.shutdown`.
    pub fn shutdown(self) -> Result<(), PythonError> {
        self.link.control("shutdown", [], []).map(drop)
    }

    /// Publishes an object under a name, so that Python programs that have registered the name get it: at a server of
    /// this library. (In a Python server the program that starts it registers a function.) The server keeps the object
    /// until the name is taken away.
    ///
    /// # Errors
    /// [`PythonError::Refused`]: it is a Python server.
    ///
    /// Python: `BaseManager.register(name, callable)` in the server.
    pub fn publish(&self, name: &str, proxy: &PythonProxy) -> Result<(), PythonError> {
        self.link.control("publish", [name.into(), proxy.id().into()], []).map(drop)
    }

    /// Takes a name away; whether there was one.
    ///
    /// # Errors
    /// [`PythonError::Refused`]: it is a Python server.
    pub fn unpublish(&self, name: &str) -> Result<bool, PythonError> {
        let had = self.link.control("unpublish", [name.into()], [])?;
        had.as_bool().ok_or_else(|| unexpected(had.kind()))
    }
}

/// Objects.
impl PythonManager {
    /// A new object of any type that the server has registered, or the published one of that name.
    ///
    /// # Errors
    /// [`PythonError::Refused`]: there is no such type, or these are not its arguments.
    ///
    /// Python: `getattr(manager, typeid)(*args)`.
    pub fn create(
        &self,
        typeid: &str,
        args: impl IntoIterator<Item = Value>,
    ) -> Result<PythonProxy, PythonError> {
        let args = [typeid.into()].into_iter().chain(args);
        let created = self.link.control("create", args, [])?;
        match created.items() {
            Some([Value::Str(id), exposed]) => Ok(PythonProxy::new(
                Arc::clone(&self.link),
                typeid.to_owned(),
                id.to_string(),
                exposed.clone(),
            )),
            _ => Err(unexpected(created.kind())),
        }
    }

    /// The proxy in a value that came from this server: a nested object.
    ///
    /// # Errors
    /// [`PythonError::WrongType`]: it is no proxy. [`PythonError::Refused`]: the object is gone.
    pub fn proxy_in(&self, value: &Value) -> Result<PythonProxy, PythonError> {
        PythonProxy::adopt(&self.link, value)
    }

    /// A new, empty dict. Python: `manager.dict()`.
    pub fn dict<K, V>(&self) -> Result<PythonDict<K, V>, PythonError> {
        self.create("dict", []).map(PythonDict::from)
    }

    /// A new, empty list. Python: `manager.list()`.
    pub fn list<T>(&self) -> Result<PythonList<T>, PythonError> {
        self.create("list", []).map(PythonList::from)
    }

    /// A new namespace without attributes. Python: `manager.Namespace()`.
    pub fn namespace(&self) -> Result<PythonNamespace, PythonError> {
        self.create("Namespace", []).map(PythonNamespace::from)
    }

    /// A new value. The code says of which type it is, and nothing more. Python: `manager.Value(typecode, value)`.
    pub fn value<T: Into<Value>>(&self, typecode: &str, value: T) -> Result<PythonValue<T>, PythonError> {
        self.create("Value", [typecode.into(), value.into()]).map(PythonValue::from)
    }

    /// A new, empty queue without a limit. Python: `manager.Queue()`.
    pub fn queue<T>(&self) -> Result<PythonQueue<T>, PythonError> {
        self.create("Queue", []).map(PythonQueue::from)
    }

    /// A new, empty queue of at most so many items; 0 means no limit. Python: `manager.Queue(maxsize)`.
    pub fn bounded_queue<T>(&self, most: usize) -> Result<PythonQueue<T>, PythonError> {
        self.create("Queue", [most.into()]).map(PythonQueue::from)
    }

    /// A new, free lock. Python: `manager.Lock()`.
    pub fn lock(&self) -> Result<PythonLock, PythonError> {
        self.create("Lock", []).map(PythonLock::from)
    }

    /// A new, free lock that its holder can acquire again. Python: `manager.RLock()`.
    pub fn rlock(&self) -> Result<PythonRLock, PythonError> {
        self.create("RLock", []).map(PythonRLock::from)
    }

    /// A new event that is not set. Python: `manager.Event()`.
    pub fn event(&self) -> Result<PythonEvent, PythonError> {
        self.create("Event", []).map(PythonEvent::from)
    }
}
