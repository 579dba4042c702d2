//! The register: a file in `/dev/shm` that lists the blocks of one process, for as long as the process owns
//! any.
//!
//! ```text
//!  /dev/shm/.mp-owner-0123456789abcdef     locked (flock) by its owner, and by the keeper that watches it
//!    slot 0   what this is
//!    slot n   "DEVICE INODE NAME", or nothing          512 bytes each, written by one call
//! ```
//!
//! A block is entered before it has its name, and removed after it has lost it. So a file with that name that
//! is not the listed file belongs to another process. Blocks carry no mark of their own, since CPython must
//! find exactly what it would make itself.
//!
//! # When a process dies
//! The lock belongs to the open file, which the owner and the keeper share. While either lives, the file is
//! locked, and no other process touches it. The keeper cleans up after a killed owner. An unlocked register
//! means that both are dead: the next sweep (`sweep.rs`) cleans up. A slot is written within one page of
//! memory, so a kill does not cut it. A register is locked, and a keeper has it, before it has its name.

use crate::name::Name;
use mp_core::error::{MemError, OsError, OsResult};
use mp_core::sys::process::random_bytes;
use mp_core::sys::{memory, shm};
use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

/// The prefix of register names. Names of blocks do not begin so unless a program chooses it.
pub(crate) const PREFIX: &str = ".mp-owner-";

const SLOT: usize = 512;
const MAGIC: &[u8] = b"mp-rs: the shared memory that a process owns\n";

/// A file's device and inode.
pub(crate) type FileId = (u64, u64);

/// The device and inode of an open file.
pub(crate) fn id_of(file: &impl AsFd) -> OsResult<FileId> {
    let (device, inode, _) = memory::file_identity(file.as_fd())?;
    Ok((device, inode))
}

/// The register of this process.
#[derive(Debug)]
pub(crate) struct Register {
    file: File,
    /// With its slash.
    name: String,
    /// Whether the file has its name.
    shown: bool,
    /// Slots that were removed.
    free: Vec<usize>,
    /// The first slot that was never used.
    next: usize,
    /// The number of blocks in it.
    entries: usize,
}

impl Register {
    /// Makes an empty register without a name: a keeper must have it first.
    pub(crate) fn begin() -> Result<Register, MemError> {
        let mut bytes = [0; 8];
        random_bytes(&mut bytes)?;
        let name = format!("/{PREFIX}{:016x}", u64::from_ne_bytes(bytes));
        let (file, shown) = match shm::create_unnamed(0)? {
            Some(file) => (File::from(file), false),
            // Here a file has its name from the start. If its owner is killed before the next write, the file is
            // empty, and no sweep takes it for a register.
            None => (File::from(shm::create(&name, 0)?), true),
        };
        // A sweep may have found it, and hold the lock for a moment.
        while lock(&file).is_err_and(|error| error.source.kind() == ErrorKind::WouldBlock) {
            std::thread::yield_now();
        }
        let register = Register { file, name, shown, free: Vec::new(), next: 1, entries: 0 };
        if let Err(error) = shm::write_at(register.file.as_fd(), &slot(MAGIC), 0) {
            register.end();
            return Err(error);
        }
        Ok(register)
    }

    /// Gives the register its name, so that sweeps find it.
    pub(crate) fn show(&mut self) -> OsResult<()> {
        if !self.shown {
            shm::give_name(self.file.as_fd(), &self.name)?;
            self.shown = true;
        }
        Ok(())
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Enters a block; returns its slot.
    pub(crate) fn enter(&mut self, block: &Name, file: FileId) -> Result<usize, MemError> {
        let number = self.free.last().copied().unwrap_or(self.next);
        let (device, inode) = file;
        let text = format!("{device:x} {inode:x} {}", block.bare());
        shm::write_at(self.file.as_fd(), &slot(text.as_bytes()), offset(number))?;
        if self.free.pop().is_none() {
            self.next += 1;
        }
        self.entries += 1;
        Ok(number)
    }

    /// Removes a block.
    pub(crate) fn remove(&mut self, number: usize) {
        self.entries -= 1;
        // If the write fails, the entry names a file that is gone, or that shall stay: only the slot is lost.
        if shm::write_at(self.file.as_fd(), &slot(b""), offset(number)).is_ok() {
            self.free.push(number);
        }
    }

    /// Unlinks the register if it is empty. Blocks that are left in it are those that this process may not
    /// unlink; the keeper does.
    pub(crate) fn end(self) {
        if self.shown && self.entries == 0 {
            // The error has no receiver; a sweep unlinks the file after this process has ended.
            let _ = shm::unlink(&self.name);
        }
    }
}

fn offset(number: usize) -> u64 {
    (number * SLOT) as u64
}

fn slot(text: &[u8]) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..text.len()].copy_from_slice(text);
    slot
}

/// Locks the file, if it is not locked.
pub(crate) fn lock(file: &File) -> OsResult<()> {
    file.try_lock().map_err(|error| OsError { call: "flock", source: error.into() })
}

/// Unlinks the blocks of a dead process, and its register.
pub(crate) fn clean_up(register: &File, name: &str) {
    if !is_register(register) {
        return;
    }
    let mut number = 1;
    let mut slot = [0; SLOT];
    while register.read_exact_at(&mut slot, offset(number)).is_ok() {
        if let Some((block, file)) = parse(&slot) {
            unlink_if_same(block.with_slash(), file);
        }
        number += 1;
    }
    if let Ok(file) = id_of(register) {
        unlink_if_same(name, file);
    }
}

fn is_register(file: &File) -> bool {
    let mut first = [0; SLOT];
    file.read_exact_at(&mut first, 0).is_ok() && first == slot(MAGIC)
}

fn parse(slot: &[u8]) -> Option<(Name, FileId)> {
    let text = std::str::from_utf8(slot.split(|&byte| byte == 0).next()?).ok()?;
    let (device, rest) = text.split_once(' ')?;
    let (inode, name) = rest.split_once(' ')?;
    let number = |digits| u64::from_str_radix(digits, 16).ok();
    Some((Name::new(name).ok()?, (number(device)?, number(inode)?)))
}

/// Unlinks a name if it still belongs to this file. `false`: it does, and this process may not unlink it.
pub(crate) fn unlink_if_same(name: &str, file: FileId) -> bool {
    let is_its = || shm::file_of(name).is_ok_and(|found| found == file);
    // Another process may unlink it first.
    !is_its() || shm::unlink(name).is_ok() || !is_its()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn what_was_entered_is_read_again_whatever_its_name() {
        for text in ["a", "two words", " ", "line\nfeed", "Grüße", &"n".repeat(255), &"ß".repeat(127)] {
            let entry = format!("{:x} {:x} {text}", u64::MAX, 5);
            let expected = (name(text), (u64::MAX, 5));
            assert_eq!(parse(&slot(entry.as_bytes())), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_no_entry() {
        let texts: [&[u8]; 7] = [b"", b"1", b"1 2", b"1 2 ", b"x 2 name", b"1 2 a/b", b"1 2 \xFF"];
        for text in texts {
            assert_eq!(parse(&slot(text)), None, "{text:?}");
        }
    }

    #[test]
    fn slots_are_used_again() {
        let mut register = Register::begin().unwrap();
        let slots = [1, 2, 3].map(|at| register.enter(&name("n"), (1, at)).unwrap());
        assert_eq!(slots, [1, 2, 3]);
        register.remove(2);
        assert_eq!(register.enter(&name("n"), (1, 4)).unwrap(), 2);
        assert_eq!(register.enter(&name("n"), (1, 5)).unwrap(), 4);
        register.end();
    }
}
