//! wait(): waits for the first ready objects of a list (Python: `multiprocessing.connection.wait`).

use crate::error::PollError;
use crate::patience::Patience;
use mp_core::Waitable;
use mp_core::sys::poll::{Interest, Polled};
use mp_core::word::Deadline;
use std::time::Duration;

/// Waits until at least one of several things can be read, and gives the positions of those that can, in order.
///
/// Connections, queues, sentinels of processes and anything else with a descriptor can be waited for together. A
/// connection whose other end is closed is ready, since `recv` would not wait; drop it from the list after its
/// [`RecvError::Closed`](crate::RecvError::Closed). With an empty list it waits for ever.
///
/// Each call checks each object: for hundreds of them, repeatedly, use a [`WaitSet`](crate::WaitSet), which keeps them.
///
/// # Errors
/// An error of the system, if the list is longer than the limit of open files.
///
/// ```
/// use mp_pipe::{PollError, pipe_simplex, try_wait, wait};
/// let (first, _first_sender) = pipe_simplex::<u32>()?;
/// let (second, second_sender) = pipe_simplex::<u32>()?;
/// assert!(matches!(try_wait(&[&first, &second]), Err(PollError::WouldBlock)));
/// second_sender.send(&5)?;
/// assert_eq!(wait(&[&first, &second])?, [1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `multiprocessing.connection.wait(objects)`.
pub fn wait(objects: &[&dyn Waitable]) -> Result<Vec<usize>, PollError> {
    ready(objects, Patience::Forever)
}

/// The positions of those things that can be read now, in order.
///
/// # Errors
/// [`PollError::WouldBlock`]: none can. Else as [`wait`].
///
/// Python: `multiprocessing.connection.wait(objects, 0)`, which gives an empty list.
pub fn try_wait(objects: &[&dyn Waitable]) -> Result<Vec<usize>, PollError> {
    ready(objects, Patience::Never)
}

/// Waits at most this long until at least one of several things can be read, and gives the positions of those that can,
/// in order. [`Duration::MAX`] is without limit.
///
/// # Errors
/// [`PollError::Timeout`]: none could in time. Else as [`wait`].
///
/// Python: `multiprocessing.connection.wait(objects, timeout)`, which gives an empty list.
pub fn wait_timeout(objects: &[&dyn Waitable], timeout: Duration) -> Result<Vec<usize>, PollError> {
    ready(objects, Patience::of(timeout))
}

fn ready(objects: &[&dyn Waitable], patience: Patience) -> Result<Vec<usize>, PollError> {
    let until = patience.deadline();
    // Those that say themselves whether they are ready: few, in most lists.
    let asked: Vec<usize> = (0..objects.len()).filter(|at| objects[*at].is_ready().is_some()).collect();
    let says_yes = |at: usize| objects[at].is_ready() == Some(true);
    let mut polled = Polled::new(objects.iter().map(|object| (object.descriptor(), Interest::Read)));
    loop {
        let sleeps = !asked.iter().any(|at| says_yes(*at));
        let look = if sleeps { (!asked.is_empty()).then_some(LOOK_AGAIN) } else { Some(Duration::ZERO) };
        let mut ready = polled.wait(earlier(until, look.and_then(Deadline::after)))?;
        for &at in &asked {
            match (says_yes(at), ready.binary_search(&at)) {
                (true, Err(place)) => {
                    // The process that should have signalled was killed before it did. Without the resync the next
                    // waits would sleep beside a ready object.
                    if sleeps {
                        objects[at].resync();
                    }
                    ready.insert(place, at);
                }
                (false, Ok(place)) => {
                    objects[at].resync();
                    ready.remove(place);
                }
                (true, Ok(_)) | (false, Err(_)) => {}
            }
        }
        if !ready.is_empty() {
            return Ok(ready);
        }
        if until.is_some_and(Deadline::passed) {
            return Err(late(patience));
        }
    }
}

/// None is ready, and no more time.
pub(crate) fn late(patience: Patience) -> PollError {
    patience.error(PollError::WouldBlock, PollError::Timeout)
}

/// An object that knows itself whether it is ready is asked again after this time: the process that was to signal may
/// have been killed.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The earlier of two points in time, one of which may never come.
pub(crate) fn earlier(one: Option<Deadline>, other: Option<Deadline>) -> Option<Deadline> {
    [one, other].into_iter().flatten().min()
}
