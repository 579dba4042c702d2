//! wait(): which of these are ready (Python: `multiprocessing.connection.wait`).

use mp_core::error::OsResult;
use mp_core::sys::poll::{Interest, poll};
use mp_core::word::Deadline;
use std::os::fd::AsFd;
use std::time::Duration;

/// Waits until at least one of several things can be read, and gives the positions of those that can, in order;
/// none when the time is over.
///
/// Connections, sentinels of processes and anything else with a descriptor can be waited for together. A
/// connection whose other end is closed is ready, since `recv` would not wait; drop it from the list after its
/// [`RecvError::Closed`](crate::RecvError::Closed). `Some(Duration::ZERO)` only looks; `None` waits for ever.
///
/// # Errors
/// The system's, where the list is longer than the limit of open files.
///
/// ```
/// use std::time::Duration;
/// let (first, _first_sender) = mp_pipe::pipe_simplex::<u32>()?;
/// let (second, second_sender) = mp_pipe::pipe_simplex::<u32>()?;
/// assert!(mp_pipe::wait(&[&first, &second], Some(Duration::ZERO))?.is_empty());
/// second_sender.send(&5)?;
/// assert_eq!(mp_pipe::wait(&[&first, &second], None)?, [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `multiprocessing.connection.wait`.
pub fn wait(objects: &[&dyn AsFd], timeout: Option<Duration>) -> OsResult<Vec<usize>> {
    let list: Vec<_> = objects.iter().map(|object| (object.as_fd(), Interest::Read)).collect();
    poll(&list, timeout.and_then(Deadline::after))
}
