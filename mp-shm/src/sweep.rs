//! Sweep: unlinks what processes left that died together with their keeper. Done by the next process that makes or
//! opens a block.
//!
//! A sweep searches for registers (`register.rs`), not for blocks: a name does not say which program made it.
//! Blocks of CPython and of users are left alone, unless a register lists their very file. A locked register has a
//! living owner or keeper. Registers of other users are skipped.

use crate::register::{PREFIX, clean_up, lock};
use mp_core::sys::shm;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

/// The number of names that each sweep may read. With more names, some calls skip the sweep.
const AT_ONCE: usize = 256;

/// The number of calls that skip the sweep from now on.
static LEFT_OUT: Mutex<usize> = Mutex::new(0);

/// Sweeps; where there are thousands of names, only now and then.
pub(crate) fn sweep_now_and_then() {
    // Another thread sweeps, or did so when this process was forked.
    let Ok(mut left_out) = LEFT_OUT.try_lock() else { return };
    if *left_out > 0 {
        *left_out -= 1;
        return;
    }
    let mut seen = 0;
    for name in shm::names().into_iter().flatten() {
        seen += 1;
        if name.starts_with(PREFIX) {
            // An error means that it is gone by now, or belongs to another user.
            let _ = sweep_one(&format!("/{name}"));
        }
    }
    *left_out = seen / AT_ONCE;
}

fn sweep_one(name: &str) -> std::io::Result<()> {
    let file = shm::open(name).map_err(|error| error.source)?;
    if !shm::is_ours(file.as_fd()).map_err(|error| error.source)? {
        return Ok(());
    }
    let register = File::from(file);
    lock(&register).map_err(|error| error.source)?;
    // Its owner, or another sweep, may have unlinked it in between.
    if register.metadata()?.nlink() > 0 {
        clean_up(&register, name);
    }
    Ok(())
}
