//! Spawn: a fresh program that is handed its work.

use super::boot::{launch, reap_failed};
use super::job::{Boot, Job};
use super::{Reaper, StartError, Started};
use crate::sys::poll::pidfd_open;
use crate::transfer::Message;

pub(crate) fn start(job: Job, arguments: &Message) -> Result<Started, StartError> {
    let (pid, outcome) = launch(&Boot::Run(job), arguments)?;
    // Our own child, not reaped yet, so the number is still its own.
    match pidfd_open(pid) {
        Ok(pidfd) => Ok(Started { pid, pidfd, outcome, reaper: Reaper::Us }),
        Err(error) => {
            drop(outcome);
            reap_failed(pid);
            Err(error.into())
        }
    }
}
