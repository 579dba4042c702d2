//! Segments of the crate `shared_memory`, which many Rust programs use: the same names and bytes, for it and for
//! CPython.
//!
//! That crate unlinks its name when the value that made it is dropped. If its process is killed, the name stays. This
//! crate unlinks its own names, and no others.
#![allow(unsafe_code, reason = "the crate gives its bytes by unsafe functions")]

use mp_core::Process;
use mp_core::sys::process::become_subreaper;
use mp_core::transfer::Handle;
use mp_shm::{SharedMemory, SharedMemoryError};
use mp_testing::{
    keepers, line, read_word, shared_memory_exists as exists, stay, wait_for_end, wait_until_gone, write_word,
};
use shared_memory::{Shmem, ShmemConf};
use std::process::Command;

mp_testing::cases! {
    plain: [
        ours_is_opened_by_the_crate_and_by_python,
        the_crates_is_opened_by_us_and_by_python,
        pythons_is_opened_by_both,
        the_crate_takes_its_own_name_away,
        the_end_of_a_process_leaves_the_crates_name,
    ],
    every_method: [
        each_opens_the_others_in_another_process,
        a_killed_owner_of_both_loses_ours_alone,
    ],
}

fn name(of: &str) -> String {
    format!("mp-shm-crate-{}-{of}", std::process::id())
}

fn create(name: &str, bytes: &[u8]) -> Shmem {
    let mut theirs = ShmemConf::new().os_id(name).size(bytes.len()).create().unwrap();
    write(&mut theirs, bytes);
    theirs
}

fn open(name: &str) -> Shmem {
    ShmemConf::new().os_id(name).open().unwrap()
}

fn write(theirs: &mut Shmem, from: &[u8]) {
    // SAFETY: so many bytes are mapped, and no other thread or process uses them now.
    let bytes = unsafe { theirs.as_slice_mut() };
    bytes[..from.len()].copy_from_slice(from);
}

/// What `theirs` has, which is longer where the crate counts whole pages.
fn read(theirs: &Shmem, length: usize) -> Vec<u8> {
    assert!(theirs.len() >= length);
    // SAFETY: so many bytes are mapped, and all writes to them are done.
    let bytes = unsafe { theirs.as_slice() };
    bytes[..length].to_vec()
}

fn read_ours(ours: &SharedMemory, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    ours.read(0, &mut bytes).unwrap();
    bytes
}

/// Finds `before` under the name, and leaves `after` there.
const CHANGE: &str = "
import sys
from multiprocessing import resource_tracker, shared_memory
block = shared_memory.SharedMemory(sys.argv[1])
# Without this, CPython unlinks the name when it ends.
resource_tracker.unregister(block._name, 'shared_memory')
before, after = (text.encode() for text in sys.argv[2:])
assert bytes(block.buf[:len(before)]) == before, bytes(block.buf)
block.buf[:len(after)] = after
block.close()
";

fn python(script: &str, arguments: &[&str]) {
    let status = Command::new("python3").args(["-c", script]).args(arguments).status();
    let status = status.unwrap_or_else(|_| mp_testing::ignore("there is no python3 here"));
    assert!(status.success());
}

/// CPython finds `Hello`, and both find what it leaves there.
fn python_changes_it(ours: &SharedMemory, theirs: &Shmem) {
    python(CHANGE, &[ours.name(), "Hello", "HELLO"]);
    assert_eq!((read(theirs, 5), read_ours(ours, 5)), (b"HELLO".to_vec(), b"HELLO".to_vec()));
}

fn ours_is_opened_by_the_crate_and_by_python() {
    let ours = SharedMemory::create(&name("ours"), 5).unwrap();
    ours.write(0, b"hello").unwrap();
    let mut theirs = open(ours.name());
    assert_eq!(read(&theirs, 5), b"hello");
    write(&mut theirs, b"Hello");
    assert_eq!(read_ours(&ours, 5), b"Hello");
    python_changes_it(&ours, &theirs);
    // It did not make it, so it leaves the name.
    drop(theirs);
    assert!(exists(ours.name()));
}

fn the_crates_is_opened_by_us_and_by_python() {
    let theirs = create(&name("theirs"), b"hello");
    let ours = SharedMemory::open(theirs.get_os_id()).unwrap();
    assert_eq!((ours.len(), read_ours(&ours, 5)), (5, b"hello".to_vec()));
    ours.write(0, b"Hello").unwrap();
    assert_eq!(read(&theirs, 5), b"Hello");
    python_changes_it(&ours, &theirs);
    // Neither does this crate.
    drop(ours);
    assert!(exists(theirs.get_os_id()));
}

fn pythons_is_opened_by_both() {
    let name = name("pythons");
    python(
        "
import sys
from multiprocessing import resource_tracker, shared_memory
block = shared_memory.SharedMemory(sys.argv[1], create=True, size=5)
resource_tracker.unregister(block._name, 'shared_memory')
block.buf[:] = b'hello'
",
        &[&name],
    );
    let (ours, theirs) = (SharedMemory::open(&name).unwrap(), open(&name));
    assert_eq!(read(&theirs, 5), b"hello");
    ours.write(0, b"Hello").unwrap();
    assert_eq!(read(&theirs, 5), b"Hello");
    python_changes_it(&ours, &theirs);
    ours.unlink().unwrap();
}

fn change_both(theirs: String, ours: String) -> (Vec<u8>, Vec<u8>) {
    let mut here = open(&ours);
    let there = SharedMemory::open(&theirs).unwrap();
    let found = (read_ours(&there, 6), read(&here, 4));
    there.write(0, b"THEIRS").unwrap();
    write(&mut here, b"OURS");
    found
}

fn each_opens_the_others_in_another_process() {
    let theirs = create(&name("theirs"), b"theirs");
    let ours = SharedMemory::create(&name("ours"), 4).unwrap();
    ours.write(0, b"ours").unwrap();
    let names = (theirs.get_os_id().to_owned(), ours.name().to_owned());
    let found = Process::new(change_both, names).start().unwrap().join().unwrap();
    assert_eq!(found, (b"theirs".to_vec(), b"ours".to_vec()));
    assert_eq!((read(&theirs, 6), read_ours(&ours, 4)), (b"THEIRS".to_vec(), b"OURS".to_vec()));
    assert!(exists(theirs.get_os_id()) && exists(ours.name()));
}

fn the_crate_takes_its_own_name_away() {
    let theirs = create(&name("theirs"), b"hello");
    let ours = SharedMemory::open(theirs.get_os_id()).unwrap();
    drop(theirs);
    assert!(matches!(SharedMemory::open(ours.name()), Err(SharedMemoryError::NotFound(_))));
    // The memory stays where it is mapped.
    ours.write(0, b"Hello").unwrap();
    assert_eq!(read_ours(&ours, 5), b"Hello");
}

/// Leaves a segment of the crate's that is never dropped, and a block of this crate.
fn make_both(theirs: String, ours: String) {
    std::mem::forget(create(&theirs, b"theirs"));
    std::mem::forget(SharedMemory::create(&ours, 4).unwrap());
    // And has the crate's open.
    std::mem::forget(SharedMemory::open(&theirs).unwrap());
}

fn make_both_and_stay(theirs: String, ours: String, ready: Handle) {
    make_both(theirs, ours);
    write_word(&ready);
    stay()
}

fn the_end_of_a_process_leaves_the_crates_name() {
    let (theirs, ours) = (name("theirs"), name("ours"));
    Process::new(make_both, (theirs.clone(), ours.clone())).start().unwrap().join().unwrap();
    assert!(exists(&theirs) && !exists(&ours));
    SharedMemory::open(&theirs).unwrap().unlink().unwrap();
}

fn a_killed_owner_of_both_loses_ours_alone() {
    become_subreaper().unwrap();
    let (theirs, ours) = (name("theirs"), name("ours"));
    let (read, write) = line();
    let child = Process::new(make_both_and_stay, (theirs.clone(), ours.clone(), write)).start().unwrap();
    read_word(&read);
    assert!(exists(&theirs) && exists(&ours));
    child.kill().unwrap();
    child.join().unwrap_err();
    wait_until_gone(&ours);
    // The keeper has cleaned up all that was registered, and has ended; so has a sweep by the next process.
    keepers().into_iter().for_each(wait_for_end);
    drop(SharedMemory::new(1).unwrap());
    let opened = SharedMemory::open(&theirs).unwrap();
    assert_eq!(read_ours(&opened, 6), b"theirs");
    opened.unlink().unwrap();
}
