//! What a pool's results say, as they come off the board.

use super::event::What;
use super::work::Work;
use crate::error::TaskError;
use crate::job::{Piece, Settled};
use crate::pipeline::Outcome;
use crate::record;
use mp_core::sys::process::Ended;

impl Work {
    /// These items have ended.
    #[cold]
    pub(crate) fn settled(&self, piece: &Piece) {
        self.settled_as(u64::from(piece.first), u64::from(piece.items), &piece.outcome);
    }

    fn settled_as(&self, first: u64, count: u64, outcome: &Settled) {
        let finished = || What::Finished(Outcome::Done);
        match outcome {
            Settled::Lending(settled, _) => self.settled_as(first, count, settled),
            Settled::Short(_) | Settled::Value(_) => self.items(first, count, finished()),
            Settled::Failed(error) => self.items(first, count, What::Failed(error.into())),
            // No end of an item.
            Settled::Yielded(_) => {}
            Settled::Lent(lent) if lent.is_value() => self.items(first, count, finished()),
            Settled::Lent(lent) => {
                let error = lent.value::<()>().err().unwrap_or(TaskError::Terminated);
                self.items(first, count, What::Failed((&error).into()));
            }
            Settled::Records(bytes, worker) => {
                let (mut rest, mut next) = (bytes.as_slice(), first);
                for at in first..first + count {
                    let error = match record::take_outcome(&mut rest) {
                        Some(record::Outcome::Value(_)) => continue,
                        Some(record::Outcome::Failure(failure)) => failure.in_worker(worker),
                        None => TaskError::Value("what its worker wrote is damaged".to_owned()),
                    };
                    self.items(next, at - next, finished());
                    self.items(at, 1, What::Failed((&error).into()));
                    next = at + 1;
                }
                self.items(next, first + count - next, finished());
            }
        }
    }

    /// An item was never begun.
    pub(crate) fn failed(&self, item: u32, error: &TaskError) {
        self.items(u64::from(item), 1, What::Failed(error.into()));
    }

    /// An item ended so, and is tried again.
    pub(crate) fn retried(&self, item: u32, error: &TaskError) {
        self.items(u64::from(item), 1, What::Retried(error.into()));
    }
}

/// What a worker's end is in the words of a progress.
pub(crate) fn end_of_worker(how: Option<Ended>) -> Outcome {
    match how {
        Some(Ended::Exited(code)) => Outcome::Exited(code),
        Some(Ended::Signaled(signal)) => Outcome::Killed(signal),
        None => Outcome::Failed("its worker ended".to_owned()),
    }
}

/// The same end, without what the values of a pool's tasks are known by.
impl From<&TaskError> for Outcome {
    fn from(error: &TaskError) -> Outcome {
        match error {
            TaskError::Panicked { message, location, .. } => {
                Outcome::Panicked { message: message.clone(), location: location.clone() }
            }
            TaskError::WorkerDied { how, .. } => end_of_worker(*how),
            TaskError::DeadlineExceeded { .. } => Outcome::TimedOut,
            TaskError::Cancelled => Outcome::Cancelled,
            other => Outcome::Failed(other.to_string()),
        }
    }
}
