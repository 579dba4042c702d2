//! The keeper: a process that unlinks the names of processes that were killed.
//!
//! ```text
//!  owner                              keeper, one for a family (`mp-keeper` in process lists)
//!    │── starts it, with a Watch ────────►│ binds the family's address
//!    │◄──────────── taken ────────────────┤ waits for pidfds
//!  another owner                          │
//!    │── finds it by its address: Watch ─►│
//!    │◄──────────── taken ────────────────┤
//!    ╳ (killed)              pidfd ──────►│ unlinks what the owner's register lists
//!                                         │ no owner is left: exits
//! ```
//!
//! It watches processes, not blocks: their blocks are in their registers (`register.rs`), whose open files it
//! has. So a block costs no message, and a killed keeper is replaced by sending the same message to another
//! one.
//!
//! A family finds its keeper by an abstract address that contains the family's number, the user and the file
//! system. Two processes may start a keeper at the same time: the one that fails to bind the address hands its
//! owner over to the other, and exits.
//!
//! # When a process dies
//! - *An owner*: the keeper is for that case. The pidfd shows its end, whatever processes have copies of its
//!   descriptors.
//! - *The keeper*: each owner sees the end of its line before it makes its next block, and finds or starts
//!   another keeper. An owner that dies before that leaves an unlocked register, for the next sweep.
//! - *A process in the middle of its request*: the request is dropped, or the process is watched and found
//!   dead.

use crate::register::{Register, clean_up};
use mp_core::OsError;
use mp_core::error::OsResult;
use mp_core::popen::{StartError, service};
use mp_core::process::Family;
use mp_core::sys::poll::{Interest, pidfd_open, poll, wait_for};
use mp_core::sys::socket::{self, Mode};
use mp_core::sys::zombie::is_stopped;
use mp_core::transfer::{Handle, Message, pack, receive_parcel, send_parcel, unpack};
use mp_core::word::Deadline;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

/// Its name in process lists.
const TITLE: &str = "mp-keeper";

/// How long an owner waits for a keeper that does not answer. Then it starts another one; at once if the keeper
/// is stopped.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the owner checks meanwhile whether the keeper is stopped.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The answer to an owner: it is watched from now on.
const TAKEN: &[u8] = b"!";

/// An owner's request to be watched.
#[derive(Debug, Serialize, Deserialize)]
struct Watch {
    pidfd: Handle,
    register: Handle,
    /// The register's name.
    name: String,
    /// The keeper's end of a socket pair; the owner's end shows whether the keeper lives.
    line: Handle,
}

/// Lets a keeper watch this process, whose register this is. Returns the owner's end of the line, which hangs
/// up when the keeper has ended.
pub(crate) fn watch(register: &Register) -> Result<OwnedFd, StartError> {
    let (ours, theirs) = socket::packet_pair()?;
    let metadata = register.file().metadata().map_err(|source| OsError { call: "fstat", source })?;
    let copy = register.file().try_clone();
    let copy = copy.map_err(|source| OsError { call: "fcntl(F_DUPFD_CLOEXEC)", source })?;
    let watch = Watch {
        pidfd: Handle::new(pidfd_open(std::process::id())?),
        register: Handle::new(copy.into()),
        name: register.name().to_owned(),
        line: Handle::new(theirs),
    };
    let family = Family::of_this_process()?;
    let address = format!("{TITLE}-{family}-{}-{:x}", metadata.uid(), metadata.dev());
    if !is_taken_over(&watch, &address) {
        service::start(TITLE, keep, &(watch, address))?;
        // Wait for the answer: before it the next process would not find this keeper, and would start another.
        if !hears_that_it_is_taken(ours.as_fd())? && has_hung_up(ours.as_fd()) {
            return Err(StartError::Died);
        }
    }
    Ok(ours)
}

/// Whether an owner's line has hung up: its keeper has ended.
pub(crate) fn has_hung_up(line: BorrowedFd<'_>) -> bool {
    wait_for(line, Interest::Hangup, Deadline::after(Duration::ZERO)).unwrap_or(true)
}

/// Sends the request to the keeper at an address, if there is one. Returns whether it has accepted.
fn is_taken_over(watch: &Watch, address: &str) -> bool {
    pack(watch).is_ok_and(|message| ask(&message, address).unwrap_or(false))
}

fn ask(watch: &Message, address: &str) -> OsResult<bool> {
    let keeper = socket::connect_abstract(address)?;
    // Any process may have bound the address.
    if !socket::peer_is_ours(keeper.as_fd())? || send_parcel(keeper.as_fd(), watch).is_err() {
        return Ok(false);
    }
    let is_stopped = || socket::peer_pidfd(keeper.as_fd()).is_some_and(|pidfd| is_stopped(pidfd.as_fd()));
    let give_up = Deadline::after(PATIENCE);
    loop {
        if wait_for(keeper.as_fd(), Interest::Read, Deadline::after(POLL_INTERVAL))? {
            return hears_that_it_is_taken(keeper.as_fd());
        }
        if give_up.is_some_and(Deadline::passed) || is_stopped() {
            return Ok(false);
        }
    }
}

fn hears_that_it_is_taken(from: BorrowedFd<'_>) -> OsResult<bool> {
    let mut word = [0; TAKEN.len()];
    Ok(wait_for(from, Interest::Read, Deadline::after(PATIENCE))?
        && socket::receive(from, &mut word, Mode::Now)?.bytes == TAKEN.len())
}

/// Answers an owner. Ignores errors: the owner may have ended.
fn say_that_it_is_taken(to: BorrowedFd<'_>) {
    let _ = socket::send(to, &[TAKEN], &[], Mode::Now);
}

/// The main function of the keeper's process.
fn keep(first: Watch, address: String) {
    let listener = socket::listen_abstract(&address).ok();
    let is_anothers = listener.is_none() && is_taken_over(&first, &address);
    say_that_it_is_taken(first.line.as_fd());
    if is_anothers {
        return;
    }
    let mut keeper = Keeper { listener, callers: Vec::new(), owners: vec![first] };
    while !keeper.owners.is_empty() && keeper.step().is_ok() {}
}

/// The state of the keeper.
struct Keeper {
    /// `None`: another keeper has the address and only the first owner is watched, or too many owners are
    /// watched.
    listener: Option<OwnedFd>,
    /// Connections without a request yet.
    callers: Vec<OwnedFd>,
    owners: Vec<Watch>,
}

impl Keeper {
    /// Waits for events, and handles them.
    fn step(&mut self) -> OsResult<()> {
        let owners = self.owners.iter().map(|owner| owner.pidfd.as_fd());
        let callers = self.callers.iter().chain(&self.listener).map(AsFd::as_fd);
        let all: Vec<_> = owners.chain(callers).map(|fd| (fd, Interest::Read)).collect();
        let ready = poll(&all, None)?;
        let (owners, callers) = (self.owners.len(), self.callers.len());
        let ended = taken_out(&mut self.owners, &ready, 0);
        let heard = taken_out(&mut self.callers, &ready, owners);
        ended.into_iter().for_each(Watch::end);
        self.owners.extend(heard.into_iter().filter_map(take_on));
        if ready.contains(&(owners + callers)) {
            self.accept();
        }
        Ok(())
    }

    fn accept(&mut self) {
        while let Some(listener) = &self.listener {
            match socket::accept(listener.as_fd()) {
                Ok(caller) if socket::peer_is_ours(caller.as_fd()).unwrap_or(false) => {
                    self.callers.push(caller)
                }
                Ok(_) => {}
                Err(error) if socket::would_block(&error) => return,
                // No descriptors are left. Without the address, another keeper serves new owners.
                Err(_) => self.listener = None,
            }
        }
    }
}

/// Removes the ready items of a list; its first item had index `first` among all that were waited for.
fn taken_out<T>(list: &mut Vec<T>, ready: &[usize], first: usize) -> Vec<T> {
    let mut at = first..;
    list.extract_if(.., |_| at.next().is_some_and(|at| ready.contains(&at))).collect()
}

/// Reads a caller's request. A malformed one, or one of a dead caller, is dropped.
fn take_on(caller: OwnedFd) -> Option<Watch> {
    let message = receive_parcel(caller.as_fd(), Mode::Now).ok()?;
    let watch: Watch = unpack(&message.bytes, message.handles).ok()?;
    say_that_it_is_taken(caller.as_fd());
    Some(watch)
}

impl Watch {
    /// Cleans up after the owner's death.
    fn end(self) {
        if let Ok(register) = self.register.into_fd() {
            clean_up(&File::from(register), &self.name);
        }
    }
}
