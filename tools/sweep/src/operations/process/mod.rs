//! Process: its start and its join, which the parent does; its life and its end, which are its own; by each start
//! method. And the template's life.
//!
//! Whichever process is killed, none of the family is left in the end: no child, no template, no zombie. A parent
//! hears how its child ended, and has as many descriptors as before. (None of them makes a name that could be
//! left.)
//!
//! What processes do to one another here they do by system calls: none of these steps writes to shared memory. So
//! two points with no system call between them differ in nothing observable, and the points just after each
//! call stand for all.

mod child;
mod parent;

use super::tally::Tally;
use crate::sweep::scene::{Every, Mode, Operation, Scene};
use child::{From, Life};
use mp_core::StartMethod::{Fork, ForkServer, Spawn};
use parent::{Join, Start};
use std::time::Duration;

pub(super) fn operations() -> Vec<Operation> {
    // Not tied to its parent, and with work for ever: the proof that what is left behind is seen.
    let mut untied = long("plain.start", 251, |_| Start::scene(Fork, false));
    untied.limit = Duration::from_millis(300);
    untied.hidden = true;
    vec![
        long("process.start.fork", 5, |_| Start::scene(Fork, true)),
        long("process.start.spawn", 101, |_| Start::scene(Spawn, true)),
        long("process.start.forkserver", 251, |_| Start::scene(ForkServer, true)),
        long("process.join.fork", 1, |_| Join::scene(Fork)),
        long("process.join.spawn", 1, |_| Join::scene(Spawn)),
        long("process.join.forkserver", 1, |_| Join::scene(ForkServer)),
        long("process.life.fork", 1, |_| Life::of_child(Fork, From::ItsBeginning)),
        long("process.life.spawn", 47, |_| Life::of_child(Spawn, From::ItsBeginning)),
        long("process.life.forkserver", 11, |_| Life::of_child(ForkServer, From::ItsBeginning)),
        long("process.exit.fork", 1, |_| Life::of_child(Fork, From::ItsEnd)),
        long("process.exit.spawn", 5, |_| Life::of_child(Spawn, From::ItsEnd)),
        long("process.exit.forkserver", 5, |_| Life::of_child(ForkServer, From::ItsEnd)),
        long("process.template", 101, |_| Life::of_template()),
        untied,
    ]
}

/// One whose points are counted from its last system call. At every so-many-th of them a run takes a minute or so.
fn long(name: &'static str, every: u64, scene: fn(Mode) -> Box<dyn Scene>) -> Operation {
    let mut operation = Operation::new(name, scene);
    operation.by_calls = true;
    operation.every = Every::Point(every);
    // Several processes have to start and to end within it, on a busy machine.
    operation.limit = Duration::from_secs(20);
    // Nothing here is shared with a third party.
    operation.modes = &[Mode::Kill, Mode::Stop];
    operation
}

/// In the tally: the family's number, by which its processes are found,
const FAMILY: usize = 0;
/// and what a child returned, or that it was started.
const VALUE: usize = 1;

/// What children return.
const SEVEN: u32 = 7;

fn known(tally: &Tally, which: usize) -> Option<u32> {
    Some(tally.get(which)).filter(|number| *number != 0)
}

/// A daemon's work.
fn forever() {
    loop {
        std::thread::park();
    }
}
