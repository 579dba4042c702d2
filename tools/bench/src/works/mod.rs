//! The works, by the names that later runs are compared under.

mod busy;
mod by_hand;
mod cpus;
mod crowd;
pub(crate) mod host;
#[cfg(feature = "iceoryx2")]
mod iceoryx;
mod idle;
mod ipc;
mod measure;
mod peers;
mod plain;
mod processes;
mod pthread;
mod w1;
mod w10;
mod w11;
mod w2;
mod w3;
mod w4;
mod w5;
mod w6;
mod w7;
mod w8;
mod w9;
mod waits;
mod ways;

use crate::python::{PEER, Python, STARTS};
use crate::work::Work;

pub(crate) fn all() -> Vec<Work> {
    let python = Python::start(PEER);
    let mut works = w1::all(&python);
    works.extend(w2::all(&python));
    works.extend(host::all());
    works.extend(w3::all());
    works.extend(waits::all(&python));
    works.extend(idle::all(&python));
    works.extend(w4::all(&python));
    works.extend(busy::all(&python));
    works.extend(w6::all(&python));
    works.extend(w7::all(&python));
    works.extend(w8::all(&python));
    works.extend(w9::all(&python));
    works.extend(w10::all(&python));
    works.extend(w11::all(&python));
    works
}

pub(crate) fn starts() -> Vec<Work> {
    w5::start_and_join(&Python::start(STARTS))
}
