//! W5: starting and joining a child that does nothing, from a small parent, by each start method.

use super::rate;
use crate::python::{Shared, ask};
use crate::{Peer, Work};
use mp_core::{Process, StartMethod};
use std::process::{Command, Stdio};
use std::time::Instant;

const TIMES: u64 = 200;

/// How many of CPython's fit into a like time.
fn python_times(method: StartMethod) -> u64 {
    match method {
        StartMethod::Fork => 50,
        StartMethod::ForkServer => 10,
        StartMethod::Spawn => 3,
    }
}

fn ours(method: StartMethod) -> Result<f64, String> {
    let began = Instant::now();
    for _ in 0..TIMES {
        let child = Process::new(|| (), ()).method(method).start().map_err(|error| error.to_string())?;
        child.join().map_err(|error| error.to_string())?;
    }
    Ok(rate(TIMES, began))
}

/// The standard library starting a program that does nothing.
fn std_process() -> Result<f64, String> {
    let began = Instant::now();
    for _ in 0..TIMES {
        let mut command = Command::new("/bin/true");
        command.stdin(Stdio::null()).status().map_err(|error| error.to_string())?;
    }
    Ok(rate(TIMES, began))
}

pub(crate) fn start_and_join(python: &Shared) -> Vec<Work> {
    [StartMethod::Fork, StartMethod::ForkServer, StartMethod::Spawn].map(|method| of(method, python)).into()
}

fn of(method: StartMethod, python: &Shared) -> Work {
    let python = python.clone();
    let request = format!("W5.{method}.small {}", python_times(method));
    Work {
        metric: format!("W5.{method}.small"),
        unit: "processes/s",
        rate: true,
        peers: vec![
            Peer::new("mp", move || ours(method)),
            Peer::new("CPython", move || ask(&python, &request)),
            Peer::new("std-process", std_process),
        ],
    }
}
