//! W9: what a backlog of a million messages of 64 bytes takes: the proportional share of memory that a process has
//! more of when they are put; and under `.reserved` what the system has given away for it. Each round is a fresh
//! process, which gets them all back in the end.

use super::text;
use super::ways::{Bytes, Channel, Get, Put, Way};
use crate::python::{Shared, ask};
use crate::{Peer, Work};
use mp_core::transfer::Target;
use mp_core::{Process, StartMethod};
use mp_queue::Queue;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::MetadataExt;

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
            in_process("mp.bytes", || of(Bytes::new()?)),
            in_process("crossbeam", || of(Channel::unbounded())),
            Peer::new("CPython", move || ask(&python, &format!("W9.backlog {MESSAGES}"))),
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
        Ok(vec![("", held.share), (".reserved", held.reserved)])
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
        let mebibytes = |field: &str| -> Result<f64, String> {
            let line = rollup.lines().find_map(|line| line.strip_prefix(field));
            let kibibytes = line.ok_or_else(|| format!("no {field} in smaps_rollup"))?.trim_end_matches("kB");
            Ok(kibibytes.trim().parse::<f64>().map_err(text)? / 1024.0)
        };
        Ok(Held { share: mebibytes("Pss:")?, reserved: mebibytes("Pss_Anon:")? + in_memory_files()? })
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
