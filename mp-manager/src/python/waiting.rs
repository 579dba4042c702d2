//! Typed proxies of a server's queues, locks and events.

use super::containers::typed;
use super::convert::FromPython;
use super::error::PythonError;
use mp_pipe::pickle::Value;
use std::marker::PhantomData;
use std::time::Duration;

/// How long a call waits, as Python's two arguments have it.
#[derive(Clone, Copy)]
enum Wait {
    Forever,
    Never,
    AtMost(Duration),
}

impl Wait {
    /// `(block, timeout)`, or `(blocking, timeout)`.
    fn args(self) -> Vec<Value> {
        match self {
            Wait::Forever => vec![true.into()],
            Wait::Never => vec![false.into()],
            // Python's locks take no more, and it is thirty years.
            Wait::AtMost(time) => vec![true.into(), time.as_secs_f64().min(1e9).into()],
        }
    }

    fn too_late(self) -> PythonError {
        if matches!(self, Wait::Never) { PythonError::WouldBlock } else { PythonError::Timeout }
    }
}

typed! {
    /// A queue in the server. Its items can be of any type there: one that is not a `T` is taken, and is an error.
    ///
    /// Python: what `SyncManager.Queue` returns.
    PythonQueue<T>
}

impl<T: Into<Value> + FromPython> PythonQueue<T> {
    /// Puts an item; waits while the queue is full. Python: `q.put(item)`.
    pub fn put(&self, item: T) -> Result<(), PythonError> {
        self.put_within(item, Wait::Forever)
    }

    /// Puts an item if there is room now, else [`PythonError::WouldBlock`]. Python: `q.put_nowait(item)`.
    pub fn try_put(&self, item: T) -> Result<(), PythonError> {
        self.put_within(item, Wait::Never)
    }

    /// Puts an item; waits for room at most so long, then [`PythonError::Timeout`]. Python: `q.put(item, timeout=...)`.
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PythonError> {
        self.put_within(item, Wait::AtMost(timeout))
    }

    fn put_within(&self, item: T, wait: Wait) -> Result<(), PythonError> {
        let args = [item.into()].into_iter().chain(wait.args());
        self.proxy.call("put", args).map_err(|error| late(error, "Full", wait))
    }

    /// Takes the next item; waits for it. Python: `q.get()`.
    pub fn get(&self) -> Result<T, PythonError> {
        self.get_within(Wait::Forever)
    }

    /// Takes the next item if there is one, else [`PythonError::WouldBlock`]. Python: `q.get_nowait()`.
    pub fn try_get(&self) -> Result<T, PythonError> {
        self.get_within(Wait::Never)
    }

    /// Takes the next item; waits for it at most so long, then [`PythonError::Timeout`]. Python: `q.get(timeout=...)`.
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, PythonError> {
        self.get_within(Wait::AtMost(timeout))
    }

    fn get_within(&self, wait: Wait) -> Result<T, PythonError> {
        self.proxy.call("get", wait.args()).map_err(|error| late(error, "Empty", wait))
    }
}

/// An exception that says that the time is over.
fn late(error: PythonError, name: &str, wait: Wait) -> PythonError {
    match error {
        PythonError::Raised(raised) if raised.name() == name => wait.too_late(),
        other => other,
    }
}

impl<T> PythonQueue<T> {
    /// How many items there are. Python: `q.qsize()`.
    pub fn qsize(&self) -> Result<usize, PythonError> {
        self.proxy.call("qsize", [])
    }

    /// Says that the task of an item is done. Python: `q.task_done()`.
    ///
    /// # Errors
    /// [`PythonError::Raised`]: `ValueError`, if more are done than were put.
    pub fn task_done(&self) -> Result<(), PythonError> {
        self.proxy.call("task_done", [])
    }

    /// Waits until the tasks of all items are done. Python has no other form. Python: `q.join()`.
    pub fn join(&self) -> Result<(), PythonError> {
        self.proxy.call("join", [])
    }
}

macro_rules! lock {
    ($(#[$doc:meta])* $name:ident, $guard:ident) => {
        typed! {
            $(#[$doc])*
            $name
        }

        impl $name {
            /// Takes the lock; waits for it. Python: `lock.acquire()`.
            ///
            /// # Errors
            /// [`PythonError::Raised`]: at a server of this library an `OSError` with `EOWNERDEAD`, once, if the
            /// holder's connection ended: the lock was not taken but is free; acquire again. At a Python server it
            /// stays locked for ever.
            pub fn acquire(&self) -> Result<$guard<'_>, PythonError> {
                self.acquire_within(Wait::Forever)
            }

            /// Takes the lock if it is free, else [`PythonError::WouldBlock`]. Python: `lock.acquire(False)`.
            pub fn try_acquire(&self) -> Result<$guard<'_>, PythonError> {
                self.acquire_within(Wait::Never)
            }

            /// Takes the lock; waits for it at most so long, then [`PythonError::Timeout`].
            /// Python: `lock.acquire(timeout=...)`.
            pub fn acquire_timeout(&self, timeout: Duration) -> Result<$guard<'_>, PythonError> {
                self.acquire_within(Wait::AtMost(timeout))
            }

            fn acquire_within(&self, wait: Wait) -> Result<$guard<'_>, PythonError> {
                if !self.proxy.call::<bool>("acquire", wait.args())? {
                    return Err(wait.too_late());
                }
                Ok($guard { lock: self, own_thread_only: PhantomData })
            }
        }

        /// A held lock, released when dropped.
        #[must_use = "if it is not kept, the lock is released at once"]
        pub struct $guard<'a> {
            lock: &'a $name,
            own_thread_only: PhantomData<*const ()>,
        }

        impl std::fmt::Debug for $guard<'_> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({:?})", stringify!($guard), self.lock.proxy)
            }
        }

        impl Drop for $guard<'_> {
            fn drop(&mut self) {
                // A server that has ended has no lock to release.
                let _ = self.lock.proxy.call::<()>("release", []);
            }
        }
    };
}

lock! {
    /// A lock in the server. Python: what `SyncManager.Lock` returns.
    PythonLock, PythonLockGuard
}

lock! {
    /// A lock in the server that its holder, a thread, can acquire again. Python: what `SyncManager.RLock` returns.
    PythonRLock, PythonRLockGuard
}

typed! {
    /// An event in the server. Python: `EventProxy`.
    PythonEvent
}

impl PythonEvent {
    /// Whether it is set. Python: `e.is_set()`.
    pub fn is_set(&self) -> Result<bool, PythonError> {
        self.proxy.call("is_set", [])
    }

    /// Sets it. Python: `e.set()`.
    pub fn set(&self) -> Result<(), PythonError> {
        self.proxy.call("set", [])
    }

    /// Takes it back. Python: `e.clear()`.
    pub fn clear(&self) -> Result<(), PythonError> {
        self.proxy.call("clear", [])
    }

    /// Waits until it is set. Python: `e.wait()`.
    pub fn wait(&self) -> Result<(), PythonError> {
        self.proxy.call::<bool>("wait", []).map(drop)
    }

    /// Waits at most so long; [`PythonError::Timeout`] if it is not set by then. Python: `e.wait(timeout)`.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<(), PythonError> {
        let seconds = timeout.as_secs_f64().min(1e9);
        if self.proxy.call("wait", [seconds.into()])? { Ok(()) } else { Err(PythonError::Timeout) }
    }
}
