//! LockProxy and RLockProxy: locks in the server.

use super::{Proxy, proxy, shown};
use crate::error::ManagerError;
use crate::protocol::{Call, LockCall, Wait};
use std::marker::PhantomData;
use std::time::Duration;

/// A lock that a condition can be made over: a [`LockProxy`] or an [`RLockProxy`].
///
/// Python: `AcquirerProxy`.
pub trait ConditionLock: Proxy {}

macro_rules! lock {
    ($(#[$doc:meta])* $name:ident, $guard:ident, $kind:ident) => {
        proxy! {
            $(#[$doc])*
            $name, $kind
        }

        impl ConditionLock for $name {}

        impl $name {
            /// Takes the lock; waits for it. Python: `lock.acquire()`.
            ///
            /// # Errors
            /// [`ManagerError::OwnerDied`], once, if its holder's process ended without giving it back: the lock was
            /// not taken but is free; acquire again.
            pub fn acquire(&self) -> Result<$guard<'_>, ManagerError> {
                self.acquire_within(Wait::Forever)
            }

            /// Takes the lock if it is free, else [`ManagerError::WouldBlock`]. Python: `lock.acquire(False)`.
            pub fn try_acquire(&self) -> Result<$guard<'_>, ManagerError> {
                self.acquire_within(Wait::Never)
            }

            /// Takes the lock; waits for it at most `timeout`, then [`ManagerError::Timeout`].
            /// Python: `lock.acquire(timeout=...)`.
            pub fn acquire_timeout(&self, timeout: Duration) -> Result<$guard<'_>, ManagerError> {
                self.acquire_within(Wait::AtMost(timeout))
            }

            fn acquire_within(&self, wait: Wait) -> Result<$guard<'_>, ManagerError> {
                self.reference.done_waiting(wait, Call::Lock(LockCall::Acquire))?;
                Ok($guard { lock: self, own_thread_only: PhantomData })
            }

            /// Whether a client holds it. Python: `lock.locked()`.
            pub fn locked(&self) -> Result<bool, ManagerError> {
                self.reference.flag(Call::Lock(LockCall::Locked))
            }
        }

        shown!($name, proxy => proxy.locked().map(|locked| if locked { "locked" } else { "unlocked" }));

        /// A held lock, released when dropped.
        #[must_use = "if it is not kept, the lock is released at once"]
        pub struct $guard<'a> {
            lock: &'a $name,
            own_thread_only: PhantomData<*const ()>,
        }

        /// It does not ask the manager.
        impl std::fmt::Debug for $guard<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($guard))
            }
        }

        impl Drop for $guard<'_> {
            fn drop(&mut self) {
                // A manager that has ended has no lock to release.
                let _ = self.lock.reference.done(Call::Lock(LockCall::Release));
            }
        }
    };
}

lock! {
    /// A lock in the manager's process, held by a thread of a client. If the client's process ends without giving it
    /// back, the lock is free, and the next one to acquire it is told. A thread that would wait for ever, since it has
    /// the lock or its holder waits for it, gets [`ManagerError::WouldDeadlock`] from [`acquire`](LockProxy::acquire).
    /// For the other two forms it is a lock that is held.
    ///
    /// `mp_sync::Lock` does the same without a server, some hundred times as fast; this one is for objects of which the
    /// manager is the only place.
    ///
    /// Python: what `SyncManager.Lock` returns.
    LockProxy, LockProxyGuard, Lock
}

lock! {
    /// A lock in the manager's process that its holder, a thread of a client, can acquire again; it is free once each
    /// guard is dropped. If the client's process ends without giving it back, the lock is free, and the next one to
    /// acquire it is told.
    ///
    /// Python: what `SyncManager.RLock` returns.
    RLockProxy, RLockProxyGuard, RLock
}
