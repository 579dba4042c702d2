//! What a million entries of a managed dict take, beside a `HashMap` of the same packed bytes in this process.

use super::super::measure::text;
use super::super::processes::proportional_share;
use crate::work::{Peer, Work};
use mp_core::transfer::pack;
use mp_manager::Manager;
use std::collections::HashMap;
use std::hint::black_box;

pub(super) const ENTRIES: u64 = 1_000_000;
/// Entries of one call.
const AT_ONCE: u64 = 10_000;

pub(super) fn all() -> Vec<Work> {
    vec![Work {
        metric: "W7.memory".to_owned(),
        unit: "MiB",
        rate: false,
        peers: vec![Peer::new("mp", managed), Peer::new("HashMap", here)],
    }]
}

pub(super) fn entry(number: u64) -> (u64, u64) {
    (number, number)
}

fn managed() -> Result<f64, String> {
    let manager = Manager::start().map_err(text)?;
    let dict = manager.dict::<u64, u64>().map_err(text)?;
    let before = proportional_share(manager.server_pid())?;
    for first in (0..ENTRIES).step_by(AT_ONCE as usize) {
        dict.extend((first..first + AT_ONCE).map(entry)).map_err(text)?;
    }
    assert_eq!(dict.len().map_err(text)? as u64, ENTRIES);
    Ok(proportional_share(manager.server_pid())? - before)
}

pub(super) fn here() -> Result<f64, String> {
    let packed = |number: &u64| pack(number).map(|message| message.bytes.into_boxed_slice()).map_err(text);
    let before = proportional_share(std::process::id())?;
    let entries = (0..ENTRIES).map(entry).map(|(key, value)| Ok((packed(&key)?, packed(&value)?)));
    let map = entries.collect::<Result<HashMap<Box<[u8]>, Box<[u8]>>, String>>()?;
    let after = proportional_share(std::process::id())?;
    black_box(&map);
    Ok(after - before)
}
