//! ListenerBuilder: the address, the key, the limits.

use super::Listener;
use super::acceptor::{Acceptor, Terms};
use super::error::BindError;
use super::file::{listen_anywhere, listen_at};
use crate::address::Address;
use crate::handshake::Form;
use crate::key::Key;
use mp_core::AuthKey;
use mp_core::error::OsError;
use mp_core::sys::address::Listening;
use parking_lot::Mutex;
use std::io::ErrorKind;
use std::time::Duration;

/// The kernel's default limit for an accept queue (`net.core.somaxconn`).
const LONGEST_QUEUE: u32 = 4096;

/// Settings of a [`Listener`]. Made by [`Listener::builder`]; every limit has a finite default.
#[derive(Debug, Clone)]
#[must_use = "a builder listens nowhere"]
pub struct ListenerBuilder {
    address: Option<Address>,
    key: Key,
    backlog: u32,
    terms: Terms,
}

impl ListenerBuilder {
    pub(super) fn new() -> ListenerBuilder {
        let terms = Terms {
            key: None,
            form: Form::Own,
            handshake: Duration::from_secs(5),
            most_pending: 128,
            most_open: 1024,
            one_user: true,
        };
        ListenerBuilder { address: None, key: Key::OfThisProcess, backlog: 128, terms }
    }

    /// Where to listen. Without it: a socket in a new directory that only this user can enter.
    ///
    /// Python: `Listener(address)`.
    pub fn address(mut self, address: impl Into<Address>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// The key that a client must prove to have. Without it: this process's own, which the processes of its family
    /// share.
    ///
    /// Python: `Listener(authkey=key)`; without one Python asks for no proof.
    pub fn authkey(mut self, key: AuthKey) -> Self {
        self.key = Key::Given(key);
        self
    }

    /// Asks for no proof: every process that may open the socket's file is admitted. At a path only.
    ///
    /// Python: `Listener(authkey=None)`, the default there.
    pub fn without_authkey(mut self) -> Self {
        self.key = Key::Without;
        self
    }

    /// Uses CPython's handshake instead of this library's own: for peers that are Python programs, 3.12 or later.
    pub fn cpython(mut self) -> Self {
        self.terms.form = Form::CPython;
        self
    }

    /// Uses CPython's handshake, also with Python up to 3.11, which knows only MD5.
    #[cfg(feature = "md5")]
    pub fn cpython_and_md5(mut self) -> Self {
        self.terms.form = Form::CPythonAndMd5;
        self
    }

    /// Admits processes of any user that prove to have the key. Without it: only processes of this process's user.
    /// (Over TCP there is no user to check.) Not at an abstract name.
    ///
    /// The socket's file still belongs to this user (mode 0600).
    pub fn any_user(mut self) -> Self {
        self.terms.one_user = false;
        self
    }

    /// How many connections may wait in the kernel's accept queue: 128 by default, at most 4,096.
    ///
    /// Python: `Listener(backlog=1)`.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// How long a client may take to prove that it has the key: 5 s by default. [`Duration::MAX`] is no limit.
    pub fn handshake_timeout(mut self, time: Duration) -> Self {
        self.terms.handshake = time;
        self
    }

    /// How many unauthenticated clients are kept at most: 128 by default, at least 1. A further one replaces the
    /// oldest.
    pub fn most_pending(mut self, connections: usize) -> Self {
        self.terms.most_pending = connections.max(1);
        self
    }

    /// How many accepted connections this process may have open at a time: 1,024 by default. Further clients are
    /// refused.
    pub fn most_open(mut self, connections: usize) -> Self {
        self.terms.most_open = connections;
        self
    }

    /// Binds and listens.
    ///
    /// # Errors
    /// [`BindError::InUse`] where another socket listens; the others before anything is done. No file is left behind.
    ///
    /// Python: `Listener(...)`.
    pub fn bind(self) -> Result<Listener, BindError> {
        let ListenerBuilder { address, key, backlog, mut terms } = self;
        terms.key = key.resolve()?;
        if terms.key.as_ref().is_some_and(|key| key.as_bytes().is_empty()) {
            return Err(BindError::EmptyKey);
        }
        let backlog = backlog.clamp(1, LONGEST_QUEUE) as i32;
        let Some(address) = address else {
            let (listening, file, path) = listen_anywhere(backlog)?;
            return Listener::open(listening, Address::Path(path), Some(file), terms);
        };
        let reachable_by_all = match address {
            Address::Path(_) => false,
            Address::Abstract(_) => terms.key.is_none() || !terms.one_user,
            Address::Tcp(..) => terms.key.is_none(),
        };
        if reachable_by_all {
            return Err(BindError::Unprotected(address));
        }
        address.check()?;
        let in_use = |error: OsError| match error.source.kind() {
            ErrorKind::AddrInUse => BindError::InUse(address.clone()),
            _ => BindError::Os(error),
        };
        if let Address::Path(path) = &address {
            let (listening, file) = listen_at(path, backlog).map_err(in_use)?;
            return Listener::open(listening, address, Some(file), terms);
        }
        let listening = address.at_first(|place| Listening::at(place, backlog))?.map_err(in_use)?;
        let address = listening.port()?.map_or(address, Address::from);
        Listener::open(listening, address, None, terms)
    }
}

impl Listener {
    fn open(
        listening: Listening,
        address: Address,
        file: Option<std::sync::Arc<super::file::SocketFile>>,
        terms: Terms,
    ) -> Result<Listener, BindError> {
        match Acceptor::new(listening, terms) {
            Ok(acceptor) => Ok(Listener { acceptor, address, file, last_accepted: Mutex::new(None) }),
            Err((error, listening)) => {
                if let Some(file) = file {
                    file.remove();
                }
                drop(listening);
                Err(error.into())
            }
        }
    }
}
