//! W9: what a pool of four takes that has nothing to do: the proportional shares of memory of all its processes and of
//! the one that made it, which are there before or grow; and under `.cpu` what they take of a CPU, in percent.
//!
//! And what a backlog of a million messages of 64 bytes takes: the proportional share of memory that a process has
//! more of when they are put; and under `.reserved` what the system has given away for it. Each round is a fresh
//! process, which gets them all back in the end.

use super::measure::text;
use super::peers::pythons_once;
use super::processes::{cpu_time_of, family, field, proportional_share};
use super::w6::{four_of_ours, four_of_procspawn};
use super::ways::{Bytes, Channel, Get, Put, Way};
use crate::python::Shared;
use crate::work::{Figures, Peer, Work};
use mp_core::transfer::Target;
use mp_core::{Process, StartMethod};
use mp_queue::Queue;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

const MESSAGES: u32 = 1_000_000;
const BYTES: usize = 64;

pub(super) fn all(python: &Shared) -> Vec<Work> {
    vec![idle_pool(python), backlog(python)]
}

/// Until the workers have come to rest, and how long they are watched.
const SETTLING: Duration = Duration::from_millis(300);
const WATCHED: Duration = Duration::from_secs(1);

fn idle_pool(python: &Shared) -> Work {
    Work {
        metric: "W9.idle4".to_owned(),
        unit: "MiB",
        rate: false,
        peers: vec![
            Peer::of_several("mp", || idle(four_of_ours)),
            Peer::of_several("procspawn", || idle(four_of_procspawn)),
            pythons_once(python, "W9.idle4@CPython 1"),
        ],
    }
}

fn idle<T>(start: impl Fn() -> Result<T, String>) -> Result<Figures, String> {
    let held = || family().into_iter().map(proportional_share).sum::<Result<f64, String>>();
    let before = held()?;
    let pool = start()?;
    sleep(SETTLING);
    let share = held()? - before;
    let family = family();
    let taken = || cpu_time_of(family.iter().copied());
    let (began, before) = (Instant::now(), taken()?);
    sleep(WATCHED);
    let cpu = taken()?.saturating_sub(before).as_secs_f64() / began.elapsed().as_secs_f64();
    drop(pool);
    Ok(Figures { figure: share, further: vec![(".cpu", "%", 100.0 * cpu)] })
}

fn backlog(python: &Shared) -> Work {
    Work {
        metric: "W9.backlog".to_owned(),
        unit: "MiB",
        rate: false,
        peers: vec![
            in_process("mp", || of(Queue::<Vec<u8>>::new().map_err(text)?)),
            in_process("mp.bytes", || of(Bytes::new()?)),
            in_process("crossbeam", || of(Channel::unbounded())),
            pythons_once(python, format!("W9.backlog {MESSAGES}")),
        ],
    }
}

/// What a process has, in MiB.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Held {
    /// Its proportional share of what is mapped and touched.
    share: f64,
    /// What the system has given away for it: shared memory counts from when it is reserved, touched or not.
    reserved: f64,
}

type Answer = Result<Held, String>;

fn in_process(name: &'static str, hold: impl Target<(), Output = Answer>) -> Peer {
    Peer::of_several(name, move || {
        let process = Process::new(hold, ()).method(StartMethod::ForkServer);
        let held = process.start().map_err(text)?.join().map_err(text)??;
        Ok(Figures { figure: held.share, further: vec![(".reserved", "MiB", held.reserved)] })
    })
}

fn of<W: Way<End: Put + Get>>(way: W) -> Answer {
    let mut end = way.open();
    // What a first message makes is no part of the backlog.
    end.put(BYTES);
    end.get(BYTES);
    let before = Held::by_this_process()?;
    (0..MESSAGES).for_each(|_| end.put(BYTES));
    let after = Held::by_this_process()?;
    (0..MESSAGES).for_each(|_| end.get(BYTES));
    Ok(Held { share: after.share - before.share, reserved: after.reserved - before.reserved })
}

impl Held {
    fn by_this_process() -> Answer {
        let rollup = fs::read_to_string("/proc/self/smaps_rollup").map_err(text)?;
        let reserved = field(&rollup, "Pss_Anon:")? + in_memory_files()?;
        Ok(Held { share: field(&rollup, "Pss:")?, reserved })
    }
}

/// MiB of memory behind this process's descriptors.
fn in_memory_files() -> Result<f64, String> {
    let mut blocks = 0;
    for descriptor in fs::read_dir("/proc/self/fd").map_err(text)?.map_while(Result::ok) {
        let path = descriptor.path();
        // The one that lists them is gone by now.
        let is_memory = fs::read_link(&path).is_ok_and(|name| name.to_string_lossy().starts_with("/memfd:"));
        if is_memory {
            blocks += fs::metadata(&path).map_err(text)?.blocks();
        }
    }
    Ok(blocks as f64 * 512.0 / f64::from(1 << 20))
}
