//! Manager: the server process, and its objects.

mod custom;
mod initializer;
mod memory;
mod objects;

pub use initializer::Initialized;
#[cfg(feature = "listener")]
pub(crate) use initializer::initializer;

use crate::client::{Client, Reference, Route, ServerHandle};
use crate::error::{ManagerError, StartManagerError};
use crate::protocol::{Kind, Reply, Request, Start};
use crate::proxy::{Proxy, unexpected};
use crate::server::begin::{Beginning, Listening};
use mp_core::popen::get_helper_method;
use mp_core::transfer::Handle;
use mp_core::{Child, JoinError, StartMethod, error::OsResult, get_logger};
use std::fmt;
use std::sync::Arc;
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
    /// [`StartManagerError::Start`]: no process can be started, since a limit was reached, for example.
    /// [`StartManagerError::NotServing`]: its process has no descriptors for a server, for example.
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
        Manager::begun(method.for_helpers(), Beginning::default())
    }

    /// The manager of a server that this process has started.
    #[cfg_attr(not(feature = "listener"), allow(unused_variables, reason = "it listens nowhere"))]
    fn of(
        server: Child<()>,
        number: u64,
        accept_socket: Handle,
        listening: Listening,
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
            address: listening.address,
            #[cfg(feature = "pickle")]
            python: listening.python,
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

    /// Where Python programs find the manager, with the port that the kernel chose (feature `pickle`). `None`: nowhere,
    /// or this process has not started it. See
    /// [`ManagerBuilder::python_address`](crate::ManagerBuilder::python_address).
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
        Reference::created(self.client()?, Request::Create { kind, start })
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

    /// Ends the server: it is asked, then terminated, then killed. One that this process has connected to by an
    /// address, or has inherited by a fork, is only asked.
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

/// Shows which process the server is, and where it can be reached.
impl fmt::Debug for Manager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Manager");
        shown.field("server_pid", &self.pid);
        #[cfg(feature = "listener")]
        if let Some(address) = &self.address {
            shown.field("address", address);
        }
        #[cfg(feature = "pickle")]
        if let Some(address) = &self.python {
            shown.field("python_address", address);
        }
        shown.finish_non_exhaustive()
    }
}

/// A call that signals the server.
type Signal = fn(&Child<()>) -> OsResult<()>;

/// Shuts the server down, and waits for its end: two seconds at most, and for the end of a killed process. A server
/// that may not be signalled, since this process gave up its rights, is not waited for longer.
impl Drop for Manager {
    fn drop(&mut self) {
        if let Some(server) = self.server.as_ref().filter(|_| self.client.is_ours()) {
            self.client.ask_to_shut_down();
            end(server);
        }
    }
}

/// Waits for a server that is about to end, and ends it if it does not.
fn end(server: &Child<()>) {
    // A server that is stopped reads nothing and handles no signal, but it can be killed.
    for end in [Child::terminate as Signal, Child::kill] {
        if !matches!(server.join_timeout(PATIENCE), Err(JoinError::Timeout)) {
            return;
        }
        if let Err(error) = end(server) {
            let pid = server.pid();
            get_logger().warning(&format!("the manager's server (pid {pid}) is not waited for: {error}"));
            return;
        }
    }
    let _ = server.join();
}
