//! ManagerBuilder: managers at an address, for processes that are no relatives.

use crate::client::{Client, Route, ServerHandle, Stream};
use crate::error::{ConnectManagerError, StartManagerError};
use crate::manager::{Initialized, Manager, initializer};
use crate::protocol::{DEFAULT_MEMORY_LIMIT, Reply, Request, new_number};
use crate::server::begin::{Beginning, Initializer, begin};
use crate::server::listening::Place;
use mp_core::AuthKey;
use mp_core::popen::get_helper_method;
use mp_core::transfer::{Callable, Target};
use mp_core::word::Deadline;
use mp_pipe::Address;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

/// How long connecting may take in all, unless it is said otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// A manager at an address. Made by [`Manager::builder`].
///
/// A process that is no relative connects to it by the address, and proves to have the key; so does the server to it.
/// What is sent over TCP is not encrypted. Such a client can do all but make objects of a user's type and pools; what
/// it stores, and the named memory that it makes, have a [limit](ManagerBuilder::memory_limit); between hosts values
/// cannot hold handles.
///
/// A forked copy of a client connects anew at its first call, with the same key. Over TCP the objects of the proxies
/// that it has inherited last as long as its original has them; a call after that is
/// [`ManagerError::NoSuchObject`](crate::ManagerError::NoSuchObject).
///
/// ```no_run
/// use mp_manager::{Manager, QueueProxy};
/// use mp_core::AuthKey;
///
/// let key = AuthKey::new(*b"a key of sixteen bytes or more");
/// let manager = Manager::builder().address(("0.0.0.0", 50000)).authkey(key.clone()).start()?;
/// let jobs: QueueProxy<String> = manager.queue()?;
/// manager.publish("jobs", &jobs)?;
///
/// // Elsewhere:
/// let manager = Manager::builder().address(("manager.example", 50000)).authkey(key).connect()?;
/// let jobs: QueueProxy<String> = manager.lookup("jobs")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `BaseManager(address, authkey)`.
#[derive(Clone)]
#[must_use = "a builder is no manager"]
pub struct ManagerBuilder {
    address: Address,
    key: Option<AuthKey>,
    timeout: Duration,
    /// An error: it cannot be sent.
    initializer: Result<Option<Initializer>, String>,
    python: Option<Address>,
    memory_limit: u64,
}

impl fmt::Debug for ManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ManagerBuilder");
        shown.field("address", &self.address);
        if let Some(python) = &self.python {
            shown.field("python_address", python);
        }
        shown.field("memory_limit", &self.memory_limit).finish_non_exhaustive()
    }
}

impl ManagerBuilder {
    pub(crate) fn new() -> ManagerBuilder {
        ManagerBuilder {
            address: Address::loopback(),
            key: None,
            timeout: DEFAULT_TIMEOUT,
            initializer: Ok(None),
            python: None,
            memory_limit: DEFAULT_MEMORY_LIMIT,
        }
    }

    /// Where the manager is: a path, `"\0name"`, or `(host, port)`, where port 0 is any that is free. Without it: a
    /// free port of this host, which other hosts cannot reach.
    pub fn address(mut self, address: impl Into<Address>) -> Self {
        self.address = address.into();
        self
    }

    /// The key that both sides must prove to have. Without it: this process's own, which its relatives have, too.
    pub fn authkey(mut self, key: AuthKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Where Python programs find the manager, too (feature `pickle`): it speaks CPython's own protocol there, with the
    /// same key, so that `SyncManager(address, authkey=key).connect()` and its proxies use it as one that Python has
    /// started. For port 0 see [`Manager::python_address`]. CPython up to 3.11 can connect with the feature `md5`
    /// alone.
    ///
    /// They make and use `dict`, `list`, `Namespace`, `Value`, `Array`, `Queue`, `JoinableQueue`, `Lock`, `RLock`,
    /// `Semaphore`, `BoundedSemaphore`, `Condition`, `Event` and `Barrier`; a Rust program uses those by
    /// [`PythonManager`](crate::PythonManager). Objects of the other proxies of this crate have Rust's types, and are
    /// not seen there.
    ///
    /// Nothing that a Python program sends is run here: an object of its own classes is kept as it came. What it gets
    /// from another one it runs, as always with pickles, so the key belongs to programs that trust each other.
    ///
    /// When a Python program is killed, its waiting calls are cancelled, and the next one to acquire a lock that it
    /// held gets an `OSError` with `EOWNERDEAD`, once. Its references are given back if it has connected over a local
    /// socket to a kernel from Linux 6.5 on; otherwise its objects stay until the manager ends, as in Python.
    ///
    /// Python: `BaseManager(address, authkey)`.
    #[cfg(feature = "pickle")]
    pub fn python_address(mut self, address: impl Into<Address>) -> Self {
        self.python = Some(address.into());
        self
    }

    /// How many bytes the manager holds for the clients that connect by the address, for all together; 1 GiB without
    /// it. The values and keys that they put into objects count, each with 64 bytes more; their objects, names and
    /// waiting calls; and named memory ([`Manager::shared_memory`]), each block 64 KiB at least. Beyond it they get
    /// [`ManagerError::MemoryLimit`](crate::ManagerError::MemoryLimit), until values are removed and blocks released.
    /// What relatives store does not count, nor what Python programs do. A process that has a connection as a relative
    /// is one also where it connects by the address: see [`connect`](ManagerBuilder::connect).
    ///
    /// Such a client sees and releases the blocks that it has made over its connection; those of one that has ended
    /// stay until a relative releases them.
    ///
    /// Python has no counterpart.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// How long [`connect`](ManagerBuilder::connect) may take in all; a minute without it.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// A function that the server's process calls before it serves: see
    /// [`Manager::start_with_initializer`].
    ///
    /// Python: `BaseManager.start(initializer, initargs)`.
    #[doc(alias = "initargs")]
    pub fn initializer<F, A, Is>(mut self, function: F, arguments: A) -> Self
    where
        F: Target<A, Output: Initialized> + Callable<A, Is>,
        A: Serialize + DeserializeOwned,
    {
        self.initializer = initializer(function, arguments).map(Some);
        self
    }

    /// Starts the server, which also listens at the address. For port 0 see [`Manager::address`].
    ///
    /// # Errors
    /// [`StartManagerError::NotServing`]: the address cannot be had. [`StartManagerError::Initializer`]: the
    /// initializer failed. Otherwise the errors of [`Manager::start`].
    ///
    /// Python: `BaseManager.start`.
    pub fn start(self) -> Result<Manager, StartManagerError> {
        Manager::begun(get_helper_method()?, self.beginning()?)
    }

    /// Serves in this process and thread, until a client asks the manager to shut down. It has no object at first:
    /// clients make and [publish](Manager::publish) them.
    ///
    /// A program that has objects to serve, as one that `register`s functions in Python, starts the server, publishes
    /// them, and waits:
    ///
    /// ```no_run
    /// # use mp_manager::Manager;
    /// # let key = mp_core::AuthKey::new(*b"a key of sixteen bytes or more");
    /// let manager = Manager::builder().address(("0.0.0.0", 50000)).authkey(key).start()?;
    /// manager.publish("get_queue", &manager.queue::<String>()?)?;
    /// loop {
    ///     std::thread::park(); // the server ends with this process
    /// }
    /// # #[allow(unreachable_code)]
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The errors of [`start`](ManagerBuilder::start).
    ///
    /// Python: `BaseManager.get_server().serve_forever()`.
    pub fn serve_forever(self) -> Result<(), StartManagerError> {
        let (mut server, _) = begin(new_number()?, None, self.beginning()?)?;
        Ok(server.run()?)
    }

    fn beginning(self) -> Result<Beginning, StartManagerError> {
        let key = self.key.map(|key| key.as_bytes().to_vec());
        let place =
            Place { address: self.address, python: self.python, key, memory_limit: self.memory_limit };
        let initializer = self.initializer.map_err(StartManagerError::Initializer)?;
        Ok(Beginning { initializer, place: Some(place) })
    }

    /// Connects to a manager that another process serves at the address.
    ///
    /// The drop of what this returns ends the connection, unless proxies are left, and not the manager.
    ///
    /// A process has one connection to a manager. If it has one already, the address and the key are tried, and all
    /// calls go over the connection that is there. So the process that has started the manager, and one that has called
    /// it by a proxy that it was given, are relatives here too: what holds for clients at an address alone, as
    /// [`memory_limit`](ManagerBuilder::memory_limit) does, does not hold for them.
    ///
    /// # Errors
    /// [`ConnectManagerError::Connect`]: no process listens there, it does not have the key, or it took too long.
    ///
    /// Python: `BaseManager.connect`.
    pub fn connect(self) -> Result<Manager, ConnectManagerError> {
        let ManagerBuilder { address, key, timeout, .. } = self;
        let deadline = Deadline::after(timeout);
        let builder = mp_pipe::Client::builder(&address).timeout(timeout);
        let builder = key.iter().fold(builder, |builder, key| builder.authkey(key.clone()));
        let stream: Stream = builder.connect()?;
        let (manager, pid) = greeted(&stream, || deadline.map_or(timeout, Deadline::remaining))?;
        let server = ServerHandle { manager, route: Route::Address(address.clone(), key) };
        let client = Client::on(stream, server).register();
        let client = client.map_err(|error| ConnectManagerError::NotAManager(error.to_string()))?;
        Ok(Manager::connected(client, pid, address))
    }
}

/// The manager's number and its process's. `left` is the time that is left for it.
fn greeted(stream: &Stream, left: impl Fn() -> Duration) -> Result<(u64, u32), ConnectManagerError> {
    let not_one = |reason: String| ConnectManagerError::NotAManager(reason);
    stream.send_timeout(&(1, Request::Hello), left()).map_err(|error| not_one(error.to_string()))?;
    match stream.recv_timeout(left()).map_err(|error| not_one(error.to_string()))? {
        (1, Reply::Hello { manager, pid, .. }) => Ok((manager, pid)),
        (_, other) => Err(not_one(format!("it has answered {}", other.name()))),
    }
}
