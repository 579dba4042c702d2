//! Where `/dev/shm` takes no files without a name (`O_TMPFILE`): blocks and registers are made under their names from
//! the first. A filter on system calls makes any system such a one; it is inherited by children and keepers.

use mp_core::sys::process::become_subreaper;
use mp_core::sys::shm::create_unnamed;
use mp_core::transfer::Handle;
use mp_core::{Child, Process};
use mp_shm::{SharedMemory, SharedMemoryError};
use mp_testing::{
    Bits, Fate, filter, keepers, kill, line, no_new_shared_memory, read_word, shared_memory_exists as exists,
    shared_memory_names, stay, wait_for_end, wait_until_gone, write_word,
};

mp_testing::cases! {
    plain: [
        the_filter_works,
        a_taken_name_is_an_error,
        a_killed_creator_takes_its_name_along,
        both_killed_and_swept_by_the_next_block,
    ]
}

/// The bit of `O_TMPFILE` that no other flag has.
const TMPFILE: u32 = (libc::O_TMPFILE & !libc::O_DIRECTORY) as u32;

fn refuse_unnamed_files() {
    filter(libc::SYS_openat, &[Bits::are_not(2, TMPFILE, 0)], Fate::Fails(libc::EOPNOTSUPP));
}

fn name(of: &str) -> String {
    format!("mp-shm-older-{}-{of}", std::process::id())
}

fn the_filter_works() {
    assert!(create_unnamed(1).unwrap().is_some());
    refuse_unnamed_files();
    assert!(create_unnamed(1).unwrap().is_none());
}

fn a_taken_name_is_an_error() {
    refuse_unnamed_files();
    let block = SharedMemory::create(&name("taken"), 3).unwrap();
    assert!(matches!(SharedMemory::create(&name("taken"), 4), Err(SharedMemoryError::Exists(_))));
    assert_eq!(SharedMemory::open(&name("taken")).unwrap().len(), 3);
    assert!(SharedMemory::create(&name("huge"), 1 << 46).is_err());
    drop(block);
    assert!(!exists(&name("taken")) && !exists(&name("huge")));
}

fn make_and_stay(name: String, ready: Handle) {
    let _block = SharedMemory::create(&name, 1).unwrap();
    write_word(&ready);
    stay()
}

fn creator(name: &str) -> Child<()> {
    let (read, write) = line();
    let child = Process::new(make_and_stay, (name.to_owned(), write)).start().unwrap();
    read_word(&read);
    child
}

fn killed(child: Child<()>) {
    child.kill().unwrap();
    assert!(child.join().is_err());
}

fn a_killed_creator_takes_its_name_along() {
    become_subreaper().unwrap();
    refuse_unnamed_files();
    let before = shared_memory_names();
    killed(creator(&name("one")));
    keepers().into_iter().for_each(wait_for_end);
    no_new_shared_memory(&before);
}

fn both_killed_and_swept_by_the_next_block() {
    become_subreaper().unwrap();
    refuse_unnamed_files();
    let child = creator(&name("left"));
    keepers().into_iter().for_each(kill);
    killed(child);
    drop(SharedMemory::create(&name("next"), 1).unwrap());
    wait_until_gone(&name("left"));
}
