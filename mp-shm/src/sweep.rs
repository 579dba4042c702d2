//! What processes left that died together with their keeper: found, and taken away, by whoever makes or opens a
//! block next.
//!
//! Registers (`register.rs`) are looked for, and not blocks: what a name looks like says nothing about who made it,
//! and CPython's, and those that users choose, are left alone unless a register of ours says which very file it was.
//! A register that is locked has somebody who lives; one of another user is his to look after.

use crate::register::{PREFIX, clean_up, lock};
use mp_core::sys::shm;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

/// So many names are gone through each time. Where there are more, not every time.
const AT_ONCE: usize = 256;

/// How often sweeping is left out from now on.
static LEFT_OUT: Mutex<usize> = Mutex::new(0);

/// Sweeps; where there are thousands of names, only now and then.
pub(crate) fn sweep_now_and_then() {
    // Another thread is at it, or was when this process was forked.
    let Ok(mut left_out) = LEFT_OUT.try_lock() else { return };
    if *left_out > 0 {
        *left_out -= 1;
        return;
    }
    let mut seen = 0;
    for name in shm::names().into_iter().flatten() {
        seen += 1;
        if name.starts_with(PREFIX) {
            // Whatever fails: it is gone by now, or not ours.
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
    // Its owner, or another sweep, may have taken it away in between.
    if register.metadata()?.nlink() > 0 {
        clean_up(&register, name);
    }
    Ok(())
}
