//! Manager: the server process, and its objects.

use crate::client::ServerHandle;
use crate::error::{ManagerError, StartManagerError};
use crate::protocol::{Kind, Reply, Request};
use crate::proxy::{DictProxy, ListProxy, LockProxy, Reference, unexpected};
use crate::server;
use mp_core::popen::get_helper_method;
use mp_core::sys::owning_process::OwningProcess;
use mp_core::sys::process::random_bytes;
use mp_core::sys::socket::packet_pair;
use mp_core::transfer::Handle;
use mp_core::{Child, JoinError, Process, error::OsResult, get_logger};
use std::time::Duration;

/// A server process that holds objects for its clients.
///
/// ```no_run
/// let manager = mp_manager::Manager::start()?;
/// let ages = manager.dict::<String, u32>()?;
/// ages.insert("Ada".to_owned(), 36)?;
/// ages.update("Ada".to_owned(), |age: Option<u32>| age.map(|age| age + 1))?;
/// assert_eq!(ages.get("Ada".to_owned())?, Some(37));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Its drop shuts the server down: remaining proxies return [`ManagerError::Gone`]. The server is a daemon, so it ends with
/// this process, whatever ends it. A template forks it, or it is spawned if that is the default method.
///
/// Python: `multiprocessing.Manager`.
#[derive(Debug)]
pub struct Manager {
    server: Child<()>,
    handle: ServerHandle,
    /// The process that may shut it down: not a forked copy.
    owner: OwningProcess,
}

/// How long a server may take to end after the request, and again after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(1);

impl Manager {
    /// Starts the server. Python: `Manager()`.
    pub fn start() -> Result<Manager, StartManagerError> {
        let (inside, outside) = packet_pair()?;
        let mut random = [0; 8];
        random_bytes(&mut random)?;
        let process = Process::new(server::serve, (Handle::new(inside),)).name("Manager").daemon();
        let server = process.method(get_helper_method()?).start()?;
        let handle = ServerHandle::new(Handle::new(outside), u64::from_le_bytes(random));
        Ok(Manager { server, handle, owner: OwningProcess::current() })
    }

    /// A new, empty dict. Python: `manager.dict()`.
    pub fn dict<K, V>(&self) -> Result<DictProxy<K, V>, ManagerError> {
        Ok(DictProxy::new(self.create(Kind::Dict)?))
    }

    /// A new, empty list. Python: `manager.list()`.
    pub fn list<T>(&self) -> Result<ListProxy<T>, ManagerError> {
        Ok(ListProxy::new(self.create(Kind::List)?))
    }

    /// A new, free lock. Python: `manager.Lock()`.
    pub fn lock(&self) -> Result<LockProxy, ManagerError> {
        Ok(LockProxy::new(self.create(Kind::Lock)?))
    }

    fn create(&self, kind: Kind) -> Result<Reference, ManagerError> {
        let (held, theirs) = packet_pair()?;
        match self.handle.call(&Request::Create { kind, held: Handle::new(theirs) })? {
            Reply::Created(object) => Ok(Reference::new(self.handle.clone(), object, Handle::new(held))),
            other => Err(unexpected(&other)),
        }
    }

    /// How many objects the server keeps: those that some proxy, in any process, still holds. One whose last proxy
    /// was just dropped may be counted for a moment more.
    ///
    /// Python: `BaseManager._number_of_objects`.
    pub fn number_of_objects(&self) -> Result<u64, ManagerError> {
        match self.handle.call(&Request::Count)? {
            Reply::Count(count) => Ok(count),
            other => Err(unexpected(&other)),
        }
    }

    /// The server's process id.
    pub fn server_pid(&self) -> u32 {
        self.server.pid()
    }

    /// Ends the server: it is asked, then terminated, then killed.
    ///
    /// Python: `BaseManager.shutdown`.
    pub fn shutdown(self) {
        // What there is to do is done by drop.
    }
}

/// A call that signals the server.
type Signal = fn(&Child<()>) -> OsResult<()>;

/// Shuts the server down, and waits for its end: two seconds at most, and for the end of a killed process. A server that
/// may not be signalled, since this process gave up its rights, is not waited for longer.
impl Drop for Manager {
    fn drop(&mut self) {
        if !self.owner.is_current() {
            return;
        }
        self.handle.ask_to_shut_down();
        // A server that is stopped reads nothing and handles no signal, but it can be killed.
        for end in [Child::terminate as Signal, Child::kill] {
            if !matches!(self.server.join_timeout(PATIENCE), Err(JoinError::Timeout)) {
                return;
            }
            if let Err(error) = end(&self.server) {
                let pid = self.server.pid();
                get_logger().warning(&format!("the manager's server (pid {pid}) is not waited for: {error}"));
                return;
            }
        }
        let _ = self.server.join();
    }
}
