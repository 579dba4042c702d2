//! The keeper: a process that takes away the names of processes that were killed.
//!
//! ```text
//!  owner                              keeper, one for a family (`mp-keeper` in process lists)
//!    │── starts it, with a Watch ────────►│ takes the family's address
//!    │◄──────────── taken ────────────────┤ waits for pidfds
//!  another owner                          │
//!    │── finds it by its address: Watch ─►│
//!    │◄──────────── taken ────────────────┤
//!    ╳ (killed)              pidfd ──────►│ works off what its register says
//!                                         │ no owner is left: ends
//! ```
//!
//! It is told of processes and not of blocks: what they own is in their registers (`register.rs`), of which it has
//! the open files. So a block costs no message, and a keeper that was killed is replaced by telling another one the
//! same once more.
//!
//! The family's keeper is found by an abstract address that the family's number, the user and the file system are
//! part of. Two processes may start one at the same time: who comes too late to have the address hands its owner
//! over to the one that has it, and ends.
//!
//! # When a process dies
//! An owner: that is what it is for. Its end shows on the pidfd, whoever has copies of its descriptors.
//! The keeper: each owner sees the end of its line before it makes its next block, and finds or starts another
//! keeper. An owner that dies before leaves an unlocked register, for the next sweep.
//! One that asks to be watched, in the middle of it: it is dropped, or watched and seen to be dead.

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

/// What it is called in process lists.
const TITLE: &str = "mp-keeper";

/// How long an owner waits for a keeper that is there and does not answer. Then it starts one of its own; at once if the
/// keeper is stopped.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is asked meanwhile whether the keeper is stopped.
const LOOK: Duration = Duration::from_millis(20);

/// The word that says that an owner is watched from now on.
const TAKEN: &[u8] = b"!";

/// An owner, as a keeper is told of it.
#[derive(Debug, Serialize, Deserialize)]
struct Watch {
    pidfd: Handle,
    register: Handle,
    /// The register's.
    name: String,
    /// Of the owner's end of it, one can see whether the keeper lives.
    line: Handle,
}

/// Has this process, whose register this is, watched from now on. Gives its end of the line: it hangs up when nobody
/// watches any more.
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
        // Before that, the next process would not find it, and start another.
        if !hears_that_it_is_taken(ours.as_fd())? && has_hung_up(ours.as_fd()) {
            return Err(StartError::Died);
        }
    }
    Ok(ours)
}

/// Whether an owner's line has hung up.
pub(crate) fn has_hung_up(line: BorrowedFd<'_>) -> bool {
    wait_for(line, Interest::Hangup, Deadline::after(Duration::ZERO)).unwrap_or(true)
}

/// Asks the keeper at an address, if there is one, to watch; whether it has said that it does.
fn is_taken_over(watch: &Watch, address: &str) -> bool {
    pack(watch).is_ok_and(|message| ask(&message, address).unwrap_or(false))
}

fn ask(watch: &Message, address: &str) -> OsResult<bool> {
    let keeper = socket::connect_abstract(address)?;
    // Anybody may have taken the address.
    if !socket::peer_is_ours(keeper.as_fd())? || send_parcel(keeper.as_fd(), watch).is_err() {
        return Ok(false);
    }
    let is_stopped = || socket::peer_pidfd(keeper.as_fd()).is_some_and(|pidfd| is_stopped(pidfd.as_fd()));
    let give_up = Deadline::after(PATIENCE);
    loop {
        if wait_for(keeper.as_fd(), Interest::Read, Deadline::after(LOOK))? {
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

/// Whether or not anybody hears it.
fn say_that_it_is_taken(to: BorrowedFd<'_>) {
    let _ = socket::send(to, &[TAKEN], &[], Mode::Now);
}

/// The keeper's whole life, in a process of its own.
fn keep(first: Watch, address: String) {
    let listener = socket::listen_abstract(&address).ok();
    let is_anothers = listener.is_none() && is_taken_over(&first, &address);
    say_that_it_is_taken(first.line.as_fd());
    if is_anothers {
        return;
    }
    let mut keeper = Keeper { listener, callers: Vec::new(), owners: vec![first] };
    while !keeper.owners.is_empty() && keeper.look().is_ok() {}
}

struct Keeper {
    /// `None`: the address is another one's, and only the first owner is watched; or too many are.
    listener: Option<OwnedFd>,
    /// Those who have connected and have not said what they want.
    callers: Vec<OwnedFd>,
    owners: Vec<Watch>,
}

impl Keeper {
    /// Waits until something happens, and deals with it.
    fn look(&mut self) -> OsResult<()> {
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
                // No descriptors are left. Without the address, another keeper takes those who come.
                Err(_) => self.listener = None,
            }
        }
    }
}

/// Takes out of a list what is ready; its first item was at position `first` of what was waited for.
fn taken_out<T>(list: &mut Vec<T>, ready: &[usize], first: usize) -> Vec<T> {
    let mut at = first..;
    list.extract_if(.., |_| at.next().is_some_and(|at| ready.contains(&at))).collect()
}

/// The owner that a caller tells of; one that makes no sense, or is gone, is let go.
fn take_on(caller: OwnedFd) -> Option<Watch> {
    let message = receive_parcel(caller.as_fd(), Mode::Now).ok()?;
    let watch: Watch = unpack(&message.bytes, message.handles).ok()?;
    say_that_it_is_taken(caller.as_fd());
    Some(watch)
}

impl Watch {
    /// The owner is dead.
    fn end(self) {
        if let Ok(register) = self.register.into_fd() {
            clean_up(&File::from(register), &self.name);
        }
    }
}
