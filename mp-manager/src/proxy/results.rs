//! What a pool in the server gives: results that wait to be fetched, and iterators over them.

use super::{Proxy, proxy};
use crate::client::Reference;
use crate::error::ManagerError;
use crate::protocol::{Call, Request, ResultsCall, Wait};
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

macro_rules! result {
    ($(#[$doc:meta])* $name:ident<$type:ident>, $what:ty, $take:expr) => {
        proxy! {
            $(#[$doc])*
            $name<$type>, Results
        }

        impl<$type> $name<$type> {
            /// Whether every task has ended, well or not. Python: `result.ready()`.
            pub fn ready(&self) -> Result<bool, ManagerError> {
                self.reference.flag(Call::Results(ResultsCall::IsReady))
            }

            /// Whether every task gave a value; `None`: not all have ended. Python: `result.successful()`, which raises
            /// `ValueError` then.
            pub fn successful(&self) -> Result<Option<bool>, ManagerError> {
                match self.reference.flag(Call::Results(ResultsCall::IsSuccessful)) {
                    Err(ManagerError::WouldBlock) => Ok(None),
                    other => other.map(Some),
                }
            }

            /// Waits until every task has ended. Python: `result.wait()`.
            pub fn wait(&self) -> Result<(), ManagerError> {
                self.reference.done(Call::Results(ResultsCall::Wait))
            }

            /// Waits for it at most `timeout`, then [`ManagerError::Timeout`]. Python: `result.wait(timeout)`.
            pub fn wait_timeout(&self, timeout: Duration) -> Result<(), ManagerError> {
                self.reference.done_waiting(Wait::AtMost(timeout), Call::Results(ResultsCall::Wait))
            }
        }

        impl<$type: DeserializeOwned> $name<$type> {
            /// Waits for what the function returned, and copies it: it stays, for others. Python: `result.get()`.
            ///
            /// # Errors
            /// [`ManagerError::Panicked`], [`ManagerError::WorkerDied`], [`ManagerError::PoolEnded`]: what became of
            /// the first task that failed.
            pub fn get(&self) -> Result<$what, ManagerError> {
                self.get_within(Wait::Forever)
            }

            /// Copies it if it is there, else [`ManagerError::WouldBlock`]. Python: `result.get(0)`.
            ///
            /// # Errors
            #[doc = concat!("The errors of [`get`](", stringify!($name), "::get).")]
            pub fn try_get(&self) -> Result<$what, ManagerError> {
                self.get_within(Wait::Never)
            }

            /// Waits for it at most `timeout`, then [`ManagerError::Timeout`]. Python: `result.get(timeout)`.
            ///
            /// # Errors
            #[doc = concat!("The errors of [`get`](", stringify!($name), "::get).")]
            pub fn get_timeout(&self, timeout: Duration) -> Result<$what, ManagerError> {
                self.get_within(Wait::AtMost(timeout))
            }

            fn get_within(&self, wait: Wait) -> Result<$what, ManagerError> {
                let reply = self.reference.call_waiting(wait, Call::Results(ResultsCall::Get))?;
                let take: fn(Vec<$type>) -> Option<$what> = $take;
                take(self.reference.unpack_all(reply)?).ok_or_else(|| {
                    ManagerError::Codec("the result is of several tasks: ask for all".to_owned())
                })
            }
        }

        /// Shows whether it is ready: it asks the manager.
        impl<$type> fmt::Debug for $name<$type> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let ready = self.ready().map(|ready| if ready { "ready" } else { "not ready" });
                super::show(f, stringify!($name), ready)
            }
        }
    };
}

result! {
    /// What a task in the manager's pool returns. Clones, and copies that travel, are of the same one, which stays in
    /// the manager until the last of them is dropped.
    ///
    /// Python: what `apply_async` of a pool in a `SyncManager` returns.
    AsyncResultProxy<R>, R, |values| <[R; 1]>::try_from(values).ok().map(|[value]| value)
}

result! {
    /// What many tasks in the manager's pool return, in the order of their items. Clones, and copies that travel, are
    /// of the same one, which stays in the manager until the last of them is dropped.
    ///
    /// Python: what `map_async` of a pool in a `SyncManager` returns.
    MapResultProxy<R>, Vec<R>, Some
}

proxy! {
    /// An iterator in the manager's process: over what tasks of a pool return, or over the keys of a dict or set as
    /// they were when it was made. Each element goes to one caller, of all processes that have a proxy of it. One that
    /// a killed process has not read goes to the next caller.
    ///
    /// A task that failed is an error at its place, and the iteration goes on behind it.
    ///
    /// Python: `IteratorProxy`.
    IteratorProxy<T>, Iterator
}

impl<T: DeserializeOwned> IteratorProxy<T> {
    /// Takes the next element; waits for it. `None`: there is none left. Python: `next(iterator)`.
    ///
    /// # Errors
    /// What became of the task, if it failed.
    #[allow(clippy::should_implement_trait, reason = "it can fail; `iter` is the iterator")]
    pub fn next(&self) -> Result<Option<T>, ManagerError> {
        self.next_within(Wait::Forever)
    }

    /// Takes it if it is there, else [`ManagerError::WouldBlock`].
    ///
    /// # Errors
    /// The errors of [`next`](IteratorProxy::next).
    pub fn try_next(&self) -> Result<Option<T>, ManagerError> {
        self.next_within(Wait::Never)
    }

    /// Waits for it at most `timeout`, then [`ManagerError::Timeout`]. Python: `iterator.next(timeout)`.
    ///
    /// # Errors
    /// The errors of [`next`](IteratorProxy::next).
    pub fn next_timeout(&self, timeout: Duration) -> Result<Option<T>, ManagerError> {
        self.next_within(Wait::AtMost(timeout))
    }

    fn next_within(&self, wait: Wait) -> Result<Option<T>, ManagerError> {
        let reply = self.reference.call_waiting(wait, Call::Results(ResultsCall::Take(1)))?;
        Ok(self.reference.unpack_all(reply)?.pop())
    }

    /// Takes the elements that are there, `most` of them at most, in one call; waits until there is one. None: there is
    /// none left.
    ///
    /// # Errors
    /// The errors of [`next`](IteratorProxy::next), if the next one is a task that failed.
    pub fn next_many(&self, most: usize) -> Result<Vec<T>, ManagerError> {
        self.reference.values(Call::Results(ResultsCall::Take(most as u64)))
    }

    /// The elements, one call each. It ends behind [`ManagerError::Gone`].
    pub fn iter(&self) -> RemoteIter<'_, T> {
        RemoteIter { proxy: self, is_over: false }
    }
}

impl<T> IteratorProxy<T> {
    /// Ends the iteration, for all processes. Python: `iterator.close()`.
    pub fn close(&self) -> Result<(), ManagerError> {
        self.reference.done(Call::Results(ResultsCall::Close))
    }
}

impl<T> fmt::Debug for IteratorProxy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IteratorProxy")
    }
}

impl<'a, T: DeserializeOwned> IntoIterator for &'a IteratorProxy<T> {
    type Item = Result<T, ManagerError>;
    type IntoIter = RemoteIter<'a, T>;

    fn into_iter(self) -> RemoteIter<'a, T> {
        self.iter()
    }
}

/// The elements of an [`IteratorProxy`].
pub struct RemoteIter<'a, T> {
    proxy: &'a IteratorProxy<T>,
    is_over: bool,
}

impl<T> fmt::Debug for RemoteIter<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoteIter")
    }
}

impl<T: DeserializeOwned> Iterator for RemoteIter<'_, T> {
    type Item = Result<T, ManagerError>;

    fn next(&mut self) -> Option<Result<T, ManagerError>> {
        if self.is_over {
            return None;
        }
        let next = self.proxy.next().transpose();
        self.is_over = matches!(next, None | Some(Err(ManagerError::Gone)));
        next
    }
}

impl Reference {
    /// An iterator over the keys of a dict or set.
    pub(super) fn iterate<T>(&self) -> Result<IteratorProxy<T>, ManagerError> {
        let request = Request::Iterate(self.object());
        Reference::created(self.client()?, request).map(IteratorProxy::from_reference)
    }
}
