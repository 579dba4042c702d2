//! W9: what a backlog of a million messages of 64 bytes takes: the proportional share of memory that a process has
//! more of when they are put. Each round is a fresh process, which gets them all back in the end.

use super::text;
use super::ways::{Channel, Get, Put, Way};
use crate::python::{Shared, ask};
use crate::{Peer, Work};
use mp_core::transfer::Target;
use mp_core::{Process, StartMethod};
use mp_queue::Queue;
use serde_bytes::ByteBuf;

const MESSAGES: u32 = 1_000_000;
const BYTES: usize = 64;

pub(super) fn all(python: &Shared) -> Vec<Work> {
    vec![backlog(python)]
}

fn backlog(python: &Shared) -> Work {
    let python = python.clone();
    Work {
        metric: "W9.backlog".to_owned(),
        unit: "MiB",
        rate: false,
        peers: vec![
            in_process("mp", || of(Queue::<Vec<u8>>::new().map_err(text)?)),
            in_process("mp.bytes", || of(Queue::<ByteBuf>::new().map_err(text)?)),
            in_process("crossbeam", || of(Channel::unbounded())),
            Peer::new("CPython", move || ask(&python, &format!("W9.backlog {MESSAGES}"))),
        ],
    }
}

/// MiB, or why there is no figure.
type Answer = Result<f64, String>;

fn in_process(name: &'static str, hold: impl Target<(), Output = Answer>) -> Peer {
    Peer::new(name, move || {
        let process = Process::new(hold, ()).method(StartMethod::ForkServer);
        process.start().map_err(text)?.join().map_err(text)?
    })
}

fn of<W: Way<End: Put + Get>>(way: W) -> Answer {
    let mut end = way.open();
    // What a first message makes is no part of the backlog.
    end.put(BYTES);
    end.get(BYTES);
    let before = proportional_share()?;
    (0..MESSAGES).for_each(|_| end.put(BYTES));
    let after = proportional_share()?;
    (0..MESSAGES).for_each(|_| end.get(BYTES));
    Ok(after - before)
}

/// The process's memory, what it shares counted in proportion, in MiB.
fn proportional_share() -> Answer {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").map_err(text)?;
    let pss = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss in smaps_rollup")?;
    let kibibytes: f64 = pss.trim_end_matches("kB").trim().parse().map_err(text)?;
    Ok(kibibytes / 1024.0)
}
