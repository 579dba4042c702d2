//! wait(): which of these are ready (Python: `multiprocessing.connection.wait`).

use mp_core::Waitable;
use mp_core::error::OsResult;
use mp_core::sys::poll::{Interest, poll};
use mp_core::word::Deadline;
use std::time::Duration;

/// Waits until at least one of several things can be read, and gives the positions of those that can, in order;
/// none when the time is over.
///
/// Connections, queues, sentinels of processes and anything else with a descriptor can be waited for together. A
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
pub fn wait(objects: &[&dyn Waitable], timeout: Option<Duration>) -> OsResult<Vec<usize>> {
    let until = timeout.and_then(Deadline::after);
    let list: Vec<_> = objects.iter().map(|object| (object.descriptor(), Interest::Read)).collect();
    let says_yes = |at: &usize| objects[*at].is_ready() == Some(true);
    loop {
        let mut ready: Vec<usize> = (0..objects.len()).filter(says_yes).collect();
        let ask_again = objects.iter().any(|object| object.is_ready().is_some());
        let look = if ready.is_empty() { ask_again.then_some(LOOK_AGAIN) } else { Some(Duration::ZERO) };
        let asked_until = look.and_then(Deadline::after);
        let readable = poll(&list, earlier(until, asked_until))?;
        let slept = ready.is_empty();
        for (at, object) in objects.iter().enumerate() {
            match (object.is_ready(), readable.binary_search(&at).is_ok()) {
                (None, true) => ready.push(at),
                (Some(true), readable) => {
                    // Who was to wake us did not come to it.
                    if slept && !readable {
                        object.settle();
                    }
                    ready.push(at);
                }
                (Some(false), true) => object.settle(),
                (_, false) => {}
            }
        }
        ready.sort_unstable();
        ready.dedup();
        if !ready.is_empty() || until.is_some_and(Deadline::passed) {
            return Ok(ready);
        }
    }
}

/// One that says itself whether it is ready is asked again after this time: who was to wake us may have been killed.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

fn earlier(one: Option<Deadline>, other: Option<Deadline>) -> Option<Deadline> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if one.remaining() < other.remaining() { one } else { other }),
        (one, other) => one.or(other),
    }
}
