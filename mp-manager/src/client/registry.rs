//! This process's connections, one for each manager; and what becomes of them in a forked copy.
//!
//! ```text
//!   fork: before   the registry is locked. For each manager the server is told that all objects which this process
//!                  holds are held by the copy too, as long as the copy has its end of a voucher
//!         original the copy's ends are closed; the lock is released
//!         copy     each connection is replaced by an empty descriptor, so that the end of the original is seen by
//!                  the server; a call makes a connection of the copy's own
//! ```

use super::{Client, Route};
use crate::error::ManagerError;
use crate::protocol::{ONE_WAY, Request};
use mp_core::finalize::HeldOverFork;
use mp_core::sys::eventfd::eventfd;
use mp_core::sys::fd::put_over;
use mp_core::sys::owning_process::OwningProcess;
use mp_core::sys::socket::packet_pair;
use mp_core::transfer::Handle;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

#[derive(Debug, Default)]
struct Registry {
    clients: Vec<Weak<Client>>,
    /// Those that no proxy and no manager keeps: of a copy, whose proxies still name the original's; of a proxy that
    /// has come by an address, or has been passed on by one.
    kept: Vec<Arc<Client>>,
    /// Of a copy: what keeps the objects of its inherited proxies.
    vouchers: Vec<OwnedFd>,
}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { clients: Vec::new(), kept: Vec::new(), vouchers: Vec::new() });

fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// This process's client of a manager, or a new one.
pub(super) fn find_or(
    manager: u64,
    connect: impl FnOnce() -> Result<Client, ManagerError>,
) -> Result<Arc<Client>, ManagerError> {
    static OVER_FORKS: HeldOverFork = HeldOverFork::new(|| Box::new(OverFork::begin()));
    OVER_FORKS.register();
    let mut registry = lock();
    if let Some(client) = registry.find(manager) {
        return Ok(client);
    }
    // The lock is held: two threads that connect at once would have two connections.
    let client = Arc::new(connect()?);
    registry.clients.retain(|client| client.strong_count() > 0);
    registry.clients.push(Arc::downgrade(&client));
    Ok(client)
}

impl Registry {
    fn find(&self, manager: u64) -> Option<Arc<Client>> {
        let mut clients = self.clients.iter().filter_map(Weak::upgrade);
        clients.find(|client| client.server.manager == manager && client.is_ours() && !client.was_refused())
    }
}

/// Held over a fork.
struct OverFork {
    original: OwningProcess,
    registry: MutexGuard<'static, Registry>,
    vouchers: Vec<OwnedFd>,
}

/// A server that reads nothing does not hold up a fork for longer.
const PATIENCE: Duration = Duration::from_millis(100);

impl OverFork {
    fn begin() -> OverFork {
        let registry = lock();
        let clients = registry.clients.iter().filter_map(Weak::upgrade);
        let vouchers =
            clients.filter(|client| client.is_ours()).filter_map(|client| client.lend_all()).collect();
        OverFork { original: OwningProcess::current(), registry, vouchers }
    }
}

impl Drop for OverFork {
    fn drop(&mut self) {
        if self.original.is_current() {
            return;
        }
        let registry = &mut *self.registry;
        let inherited = std::mem::take(&mut registry.clients);
        // Copies of the original's: dropping them could do the original's work.
        std::mem::forget(std::mem::take(&mut registry.kept));
        if let Ok(nothing) = eventfd() {
            for client in inherited.iter().filter_map(Weak::upgrade) {
                let _ = put_over(&nothing, client.connection.as_fd());
                std::mem::forget(client);
            }
        }
        registry.vouchers.append(&mut self.vouchers);
    }
}

impl Client {
    /// Keeps the connection where a proxy that uses it does not: one that was inherited by a fork, or has come by an
    /// address.
    pub(super) fn keep_for_proxies(self: &Arc<Self>) {
        if !matches!(self.server.route, Route::Inherited(_)) || !lock().vouchers.is_empty() {
            self.keep();
        }
    }

    /// Keeps the connection as long as this process lives.
    pub(super) fn keep(self: &Arc<Self>) {
        let mut registry = lock();
        if !registry.kept.iter().any(|kept| Arc::ptr_eq(kept, self)) {
            registry.kept.push(Arc::clone(self));
        }
    }

    /// The copy's end of a voucher for all that this process holds.
    fn lend_all(&self) -> Option<OwnedFd> {
        let (copys, theirs) = packet_pair().ok()?;
        let request = (ONE_WAY, Request::LendAll { end: Handle::new(theirs) });
        self.connection.send_timeout(&request, PATIENCE).ok()?;
        Some(copys)
    }
}
