//! Spawn: this program, executed again, receives its work.

use super::boot::{Launched, launch};
use super::job::{Boot, Job};
use super::{Reaper, StartError, Started};
use crate::transfer::Message;

pub(crate) fn start(job: Job, arguments: &Message) -> Result<Started, StartError> {
    let Launched { pid, pidfd, socket } = launch(&Boot::Run(job), arguments)?;
    Ok(Started { pid, pidfd, outcome: socket, reaper: Reaper::Us })
}
