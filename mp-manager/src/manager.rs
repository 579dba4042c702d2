//! Manager: the server process, and its objects.

use crate::client::{Client, Reference, Route, ServerHandle};
use crate::error::{ManagerError, StartManagerError};
use crate::packed::pack_for;
use crate::protocol::{Kind, Reply, Request, Start, new_number};
use crate::proxy::{
    ArrayProxy, BarrierProxy, ConditionProxy, DictProxy, EventProxy, ListProxy, LockProxy, NamespaceProxy,
    Proxy, QueueProxy, RLockProxy, SemaphoreProxy, SetProxy, ValueProxy, unexpected,
};
use crate::restart::Restart;
use crate::server;
use crate::shared::{ObjectProxy, Shared, Value};
use mp_core::popen::get_helper_method;
use mp_core::sys::socket::packet_pair;
use mp_core::transfer::{Callable, Captures, Code, Handle, Target, pack};
use mp_core::{Child, JoinError, Process, StartMethod, error::OsResult, get_logger};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::{Arc, RwLock};
use std::time::Duration;

/// A server process that holds objects for its clients.
///
/// ```no_run
/// let manager = mp_manager::Manager::start()?;
/// let ages = manager.dict::<String, u32>()?;
/// ages.insert("Ada".to_owned(), 36)?;
/// ages.fetch_add("Ada", 1)?;
/// assert_eq!(ages.get("Ada")?, Some(37));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Its drop shuts the server down: remaining proxies return [`ManagerError::Gone`]. The server is a daemon, so it ends
/// with this process, whatever ends it. A template forks it, or it is spawned if that is the default method.
///
/// Objects cost no descriptor, here and there, and a client no thread; a process has one connection to each manager
/// that it calls. An object lives as long as a proxy of it, in any process or on the way to one, or a value in the
/// manager that holds one. What a killed process held is given back: see each object.
///
/// Python: `multiprocessing.Manager`.
#[derive(Debug)]
pub struct Manager {
    /// None if it has connected by an address.
    server: Option<Child<()>>,
    pid: u32,
    #[cfg(feature = "listener")]
    address: Option<mp_pipe::Address>,
    #[cfg(feature = "pickle")]
    python: Option<mp_pipe::Address>,
    /// Keeps the connection while no proxy does. A forked copy has the original's: it only names the server, and the
    /// copy does not shut that down.
    client: Arc<Client>,
}

/// How long a server may take to end after the request, and again after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(1);

/// Life.
impl Manager {
    /// Starts the server. Python: `Manager()`.
    ///
    /// # Errors
    /// No process can be started: a limit was reached, for example.
    pub fn start() -> Result<Manager, StartManagerError> {
        Manager::start_by(get_helper_method()?)
    }

    /// Starts the server by this start method. [`Fork`](StartMethod::Fork) is taken as
    /// [`ForkServer`](StartMethod::ForkServer), since it is refused beside other threads.
    ///
    /// Python: `get_context(method).Manager()`.
    ///
    /// # Errors
    /// As [`start`](Manager::start).
    pub fn start_by(method: StartMethod) -> Result<Manager, StartManagerError> {
        let (inside, outside) = packet_pair()?;
        let number = new_number()?;
        let process = Process::new(server::serve, (number, Handle::new(inside))).name("Manager").daemon();
        let server = process.method(method.for_helpers()).start()?;
        Manager::of(server, number, Handle::new(outside))
    }

    /// The manager of a server that this process has started.
    pub(crate) fn of(
        server: Child<()>,
        number: u64,
        accept_socket: Handle,
    ) -> Result<Manager, StartManagerError> {
        let route = ServerHandle { manager: number, route: Route::Inherited(accept_socket) };
        let client = Client::of(&route).map_err(|error| match error {
            ManagerError::Os(error) => StartManagerError::Os(error),
            other => StartManagerError::NotServing(other.to_string()),
        })?;
        let pid = server.pid();
        Ok(Manager {
            server: Some(server),
            pid,
            #[cfg(feature = "listener")]
            address: listening(&client),
            #[cfg(feature = "pickle")]
            python: None,
            client,
        })
    }

    /// A manager at an address, which other processes than relatives can reach; or the connection to one.
    #[cfg(feature = "listener")]
    pub fn builder() -> crate::ManagerBuilder {
        crate::ManagerBuilder::new()
    }

    /// Connects to a manager at an address, with this process's own key.
    ///
    /// # Errors
    /// The errors of [`ManagerBuilder::connect`](crate::ManagerBuilder::connect).
    ///
    /// Python: `BaseManager(address).connect()`.
    #[cfg(feature = "listener")]
    pub fn connect(address: impl Into<mp_pipe::Address>) -> Result<Manager, crate::ConnectManagerError> {
        Manager::builder().address(address).connect()
    }

    /// A manager that this process has connected to.
    #[cfg(feature = "listener")]
    pub(crate) fn connected(client: Arc<Client>, pid: u32, address: mp_pipe::Address) -> Manager {
        Manager {
            server: None,
            pid,
            address: Some(address),
            #[cfg(feature = "pickle")]
            python: None,
            client,
        }
    }

    /// Where the manager can be reached: with the port that the kernel chose. `None`: by relatives alone.
    ///
    /// Python: `BaseManager.address`.
    #[cfg(feature = "listener")]
    pub fn address(&self) -> Option<&mp_pipe::Address> {
        self.address.as_ref()
    }

    #[cfg(feature = "pickle")]
    pub(crate) fn with_python(mut self, address: Option<mp_pipe::Address>) -> Manager {
        self.python = address;
        self
    }

    /// Where Python programs find the manager, with the port that the kernel chose (feature `pickle`). `None`: nowhere, or
    /// this process has not started it. See [`ManagerBuilder::python_address`](crate::ManagerBuilder::python_address).
    ///
    /// Python: `BaseManager.address`.
    #[cfg(feature = "pickle")]
    pub fn python_address(&self) -> Option<&mp_pipe::Address> {
        self.python.as_ref()
    }

    fn client(&self) -> Result<Arc<Client>, ManagerError> {
        if self.client.is_ours() { Ok(Arc::clone(&self.client)) } else { Client::of(&self.client.server) }
    }

    fn create<P: Proxy>(&self, start: Start) -> Result<P, ManagerError> {
        self.object(P::KIND, start).map(P::from_reference)
    }

    fn object(&self, kind: Kind, start: Start) -> Result<Reference, ManagerError> {
        let client = self.client()?;
        match client.call(Request::Create { kind, start })? {
            Reply::Created(object) => Ok(Reference::new(client, object)),
            other => Err(unexpected(&other)),
        }
    }

    /// How many objects the server keeps. One whose last proxy was just dropped in another process may be counted for a
    /// moment more.
    ///
    /// Python: `BaseManager._number_of_objects`.
    pub fn number_of_objects(&self) -> Result<u64, ManagerError> {
        match self.client()?.call(Request::Count)? {
            Reply::Count(count) => Ok(count),
            other => Err(unexpected(&other)),
        }
    }

    /// The server's process id; of a manager that has connected by an address: as the server sees it.
    pub fn server_pid(&self) -> u32 {
        self.pid
    }

    /// Ends the server: it is asked, then terminated, then killed. One that this process has connected to by an address,
    /// or has inherited by a fork, is only asked.
    ///
    /// Python: `BaseManager.shutdown`.
    pub fn shutdown(self) {
        if (self.server.is_none() || !self.client.is_ours())
            && let Ok(client) = self.client()
        {
            client.ask_to_shut_down();
        }
        // What else there is to do is done by drop.
    }
}

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
        let pack = |element| pack_for(self.client.server.manager, &element);
        self.create(Start::Values(elements.into_iter().map(pack).collect::<Result<_, _>>()?))
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
        let client = self.client()?;
        match client.call(Request::Lookup { name: name.to_owned(), kind: P::KIND })? {
            Reply::Created(object) => Ok(P::from_reference(Reference::new(client, object))),
            other => Err(unexpected(&other)),
        }
    }
}

/// Objects of a user's type.
impl Manager {
    /// Moves a value into the manager, and gives the proxy by which it is called. Its methods run in the manager's
    /// process: one that aborts ends the manager with every object, and a slow one holds up its own object alone. See
    /// [`supervised`](Manager::supervised) for a process of its own.
    ///
    /// Python: an object of a registered class.
    pub fn object_of<T>(&self, value: T) -> Result<T::Proxy, ManagerError>
    where
        T: Shared + Serialize + DeserializeOwned,
    {
        self.construct(|value: T| value, (value,))
    }

    /// Makes a value in the manager by a function, which is called there with `arguments`: the value need not be able
    /// to travel. Otherwise as [`object_of`](Manager::object_of).
    ///
    /// # Errors
    /// [`ManagerError::Panicked`]: the function panicked, and there is no object. [`ManagerError::Os`]: the manager
    /// cannot start a thread.
    pub fn construct<T, F, A, Is>(&self, constructor: F, arguments: A) -> Result<T::Proxy, ManagerError>
    where
        T: Shared,
        F: Target<A, Output = T> + Callable<A, Is>,
        A: Serialize + DeserializeOwned,
    {
        self.build(constructor, arguments, None)
    }

    /// Makes a value by a function in a process of its own, which the manager starts and supervises: an actor. A method
    /// that aborts, or is killed, ends that process alone; its caller gets [`ManagerError::ObjectDied`], and the object
    /// is made again as `restart` says. Calls come one after the other. A call costs two hand-overs more than one of an
    /// object in the manager.
    ///
    /// # Errors
    /// As of [`construct`](Manager::construct), and of starting a process.
    pub fn supervised<T, F, A, Is>(
        &self,
        constructor: F,
        arguments: A,
        restart: Restart,
    ) -> Result<T::Proxy, ManagerError>
    where
        T: Shared,
        F: Target<A, Output = T> + Callable<A, Is>,
        A: Serialize + DeserializeOwned,
    {
        self.build(constructor, arguments, Some(restart))
    }

    fn build<T, F, A, Is>(
        &self,
        constructor: F,
        arguments: A,
        restart: Option<Restart>,
    ) -> Result<T::Proxy, ManagerError>
    where
        T: Shared,
        F: Target<A, Output = T> + Callable<A, Is>,
        A: Serialize + DeserializeOwned,
    {
        let () = Captures::<F>::NOTHING;
        // Of no size, as the constructor is: only its type travels.
        let make =
            move |arguments: A| server::stash(Box::new(Value(RwLock::new(constructor.call(arguments)))));
        let code = Code::of::<_, (A,)>(&make)?;
        let arguments = pack(&(arguments,))?;
        let reference = self.object(Kind::Custom, Start::Custom { code, arguments, restart })?;
        Ok(ObjectProxy::new(reference).into())
    }
}

/// Where the server listens, if it does. If it has ended, the first call says so.
#[cfg(feature = "listener")]
fn listening(client: &Client) -> Option<mp_pipe::Address> {
    match client.call(Request::Hello) {
        Ok(Reply::Hello { listening, .. }) => listening,
        _ => None,
    }
}

/// A call that signals the server.
type Signal = fn(&Child<()>) -> OsResult<()>;

/// Shuts the server down, and waits for its end: two seconds at most, and for the end of a killed process. A server
/// that may not be signalled, since this process gave up its rights, is not waited for longer.
impl Drop for Manager {
    fn drop(&mut self) {
        let Some(server) = self.server.as_ref().filter(|_| self.client.is_ours()) else { return };
        self.client.ask_to_shut_down();
        // A server that is stopped reads nothing and handles no signal, but it can be killed.
        for end in [Child::terminate as Signal, Child::kill] {
            if !matches!(server.join_timeout(PATIENCE), Err(JoinError::Timeout)) {
                return;
            }
            if let Err(error) = end(server) {
                let pid = self.pid;
                get_logger().warning(&format!("the manager's server (pid {pid}) is not waited for: {error}"));
                return;
            }
        }
        let _ = server.join();
    }
}
