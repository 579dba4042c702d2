//! What becomes of a block's name when its creator is killed, or its keeper, or both, or ends in any other way.
//!
//! | the killed process                | the name                                | cases                             |
//! |-----------------------------------|-----------------------------------------|-----------------------------------|
//! | the creator                       | goes: the keeper takes it away          | `a_killed_creator_*`, `*_ends_*`  |
//! | a process that opened it          | stays                                   | `a_killed_attacher_*`             |
//! | the keeper                        | stays; the next block starts another    | `a_killed_keeper_*`               |
//! | the keeper, then the creator      | ends with the next block of any process | `both_killed_*`, `all_killed_*`   |
//! | the creator, but the name is another file's now | stays                     | `a_strangers_name_*`              |
//!
//! What a sweep is to take away is waited for: one of another program can be at it already.
//!
//! The case inherits the keepers, whose parent is the system, so it sees them and their ends; a keeper that has ended
//! has done all that it was to do. `forked.rs` in this folder tries copies of an owner, `keeper.rs` the keeper itself,
//! `kills.rs` random moments.

use mp_core::sys::process::{become_subreaper, exit_now};
use mp_core::transfer::Handle;
use mp_core::{Child, JoinError, Process};
use mp_shm::SharedMemory;
use mp_testing::{
    descendants, keepers, kill, line, no_new_shared_memory, not_here, parent_in_role, read_word, role,
    shared_memory_exists as exists, shared_memory_names, stay, the_keeper, wait_for_end, wait_until_gone,
    write_word,
};
use nix::unistd::{Uid, setresuid};
use std::fs::{self, File};
use std::process::Stdio;

mp_testing::cases! {
    plain: [
        a_strangers_name_is_left_by_the_keeper,
        a_strangers_name_is_left_by_a_sweep,
        a_persistent_name_outlives_its_killed_owner,
        a_closed_name_goes_with_its_killed_owner,
        a_name_that_was_taken_leaves_nothing_on_record,
        a_block_that_looks_like_pythons_is_left_alone,
        what_an_owner_may_not_take_away_any_more_the_keeper_does,
    ],
    every_method: [
        a_killed_creator_takes_its_names_along,
        a_killed_attacher_leaves_the_name,
        an_attacher_lives_on_without_the_name,
        a_creator_that_ends_without_a_word_takes_its_name_along,
        a_creator_that_aborts_takes_its_name_along,
        a_creator_that_panics_takes_its_name_along,
        a_killed_keeper_is_replaced_with_the_next_block,
        both_killed_and_swept_by_the_next_block,
        both_killed_and_swept_by_the_next_to_open_one,
        all_killed_and_swept_by_the_next_block,
    ],
}

fn name(of: &str) -> String {
    format!("mp-shm-killed-{}-{of}", std::process::id())
}

/// Waits until all keepers have ended, since they have no owner to watch any more.
fn keepers_end() {
    keepers().into_iter().for_each(wait_for_end);
}

/// Makes a block of each name, says so, and stays.
fn make_and_stay(names: Vec<String>, ready: Handle) {
    let _blocks: Vec<SharedMemory> =
        names.iter().map(|name| SharedMemory::create(name, 64).unwrap()).collect();
    write_word(&ready);
    stay()
}

/// A child that has made these.
fn creator(names: &[String]) -> Child<()> {
    let (read, write) = line();
    let child = Process::new(make_and_stay, (names.to_vec(), write)).start().unwrap();
    read_word(&read);
    assert!(names.iter().all(|name| exists(name)));
    child
}

fn killed(child: Child<()>) {
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(9))));
}

fn a_killed_creator_takes_its_names_along() {
    become_subreaper().unwrap();
    let before = shared_memory_names();
    let names = ["one", "two", "with space"].map(name);
    let child = creator(&names);
    killed(child);
    keepers_end();
    no_new_shared_memory(&before);
}

/// Opens a block, makes one of its own, says so, and stays.
fn attach_and_stay(block: SharedMemory, own: String, ready: Handle) {
    let _opened = SharedMemory::open(block.name()).unwrap();
    let _own = SharedMemory::create(&own, 1).unwrap();
    write_word(&ready);
    stay()
}

fn a_killed_attacher_leaves_the_name() {
    become_subreaper().unwrap();
    // Of a process with another keeper: the one that watches the attacher ends after it.
    let (shared, own) = (name("shared"), name("own"));
    let owner = creator(std::slice::from_ref(&shared));
    let block = SharedMemory::open(&shared).unwrap();
    let (read, write) = line();
    let child = Process::new(attach_and_stay, (block.clone(), own.clone(), write)).start().unwrap();
    read_word(&read);
    killed(child);
    // The keeper has been at it as soon as this is gone.
    wait_until_gone(&own);
    // It goes through what is on record in turn, and there is nothing behind that one.
    assert!(exists(&shared));
    killed(owner);
    keepers_end();
    assert!(!exists(&shared));
}

fn an_attacher_lives_on_without_the_name() {
    become_subreaper().unwrap();
    let name = name("memory");
    let child = creator(std::slice::from_ref(&name));
    let block = SharedMemory::open(&name).unwrap();
    block.write(60, b"last").unwrap();
    killed(child);
    keepers_end();
    assert!(!exists(&name));
    block.write(0, b"first").unwrap();
    let mut bytes = [0; 64];
    block.read(0, &mut bytes).unwrap();
    assert_eq!((&bytes[..5], &bytes[60..]), (&b"first"[..], &b"last"[..]));
    let clone = Process::new(|block: SharedMemory| block.len(), (block,)).start().unwrap();
    assert_eq!(clone.join().unwrap(), 64);
}

fn make_and(name: &str) -> SharedMemory {
    SharedMemory::create(name, 1).unwrap()
}

fn make_and_end_at_once(name: String) {
    let _block = make_and(&name);
    exit_now(7);
}

fn a_creator_that_ends_without_a_word_takes_its_name_along() {
    become_subreaper().unwrap();
    let name = name("at once");
    let child = Process::new(make_and_end_at_once, (name.clone(),)).start().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Exited(7))));
    keepers_end();
    assert!(!exists(&name));
}

fn make_and_abort(name: String) {
    let _block = make_and(&name);
    std::process::abort();
}

fn a_creator_that_aborts_takes_its_name_along() {
    become_subreaper().unwrap();
    let name = name("aborts");
    let child = Process::new(make_and_abort, (name.clone(),)).start().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(6))));
    keepers_end();
    assert!(!exists(&name));
}

fn make_and_panic(name: String) {
    // Not dropped by the unwinding.
    std::mem::forget(make_and(&name));
    panic!("on purpose");
}

fn a_creator_that_panics_takes_its_name_along() {
    become_subreaper().unwrap();
    let name = name("panics");
    let child = Process::new(make_and_panic, (name.clone(),)).start().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Panicked { .. })));
    keepers_end();
    assert!(!exists(&name));
}

/// Makes a block for each word that it is sent.
fn make_when_told(names: Vec<String>, told: Handle, made: Handle) {
    let _blocks: Vec<SharedMemory> = names
        .iter()
        .map(|name| {
            read_word(&told);
            let block = make_and(name);
            write_word(&made);
            block
        })
        .collect();
    stay()
}

fn a_killed_keeper_is_replaced_with_the_next_block() {
    become_subreaper().unwrap();
    let before = shared_memory_names();
    let names = ["first", "second", "third"].map(name);
    let ((told, tell), (heard, made)) = (line(), line());
    let child = Process::new(make_when_told, (names.to_vec(), told, made)).start().unwrap();
    let make_one = || {
        write_word(&tell);
        read_word(&heard);
        the_keeper()
    };
    let first = make_one();
    kill(first);
    let second = make_one();
    assert_ne!(first, second);
    assert_eq!(make_one(), second);
    assert!(names.iter().all(|name| exists(name)));
    killed(child);
    keepers_end();
    no_new_shared_memory(&before);
}

fn both_killed_and_swept_by_the_next_block() {
    become_subreaper().unwrap();
    let names = ["left", "over"].map(name);
    let child = creator(&names);
    kill(the_keeper());
    killed(child);
    drop(make_and(&name("next")));
    names.iter().for_each(|name| wait_until_gone(name));
}

fn both_killed_and_swept_by_the_next_to_open_one() {
    become_subreaper().unwrap();
    let before = shared_memory_names();
    let name = name("left");
    let child = creator(std::slice::from_ref(&name));
    kill(the_keeper());
    killed(child);
    let _ = SharedMemory::open(&name);
    no_new_shared_memory(&before);
}

/// A child of the same kind, and itself.
fn make_in_both_and_stay(names: [String; 2], ready: Handle) {
    let [here, there] = names;
    let _child = Process::new(make_and_stay, (vec![there], ready.clone())).start().unwrap();
    make_and_stay(vec![here], ready)
}

fn all_killed_and_swept_by_the_next_block() {
    become_subreaper().unwrap();
    let names = ["parent", "child", "brother"].map(name);
    let [here, there, brother] = names.clone();
    let (read, write) = line();
    let parent = Process::new(make_in_both_and_stay, ([here, there], write)).start().unwrap();
    read_word(&read);
    read_word(&read);
    let brother = creator(&[brother]);
    let parents = parent.pid();
    let below: Vec<u32> = descendants(parents).into_iter().map(|(pid, _)| pid).collect();
    // The keepers first: they are to have no time for it.
    keepers().into_iter().for_each(kill);
    killed(parent);
    killed(brother);
    below.into_iter().for_each(kill);
    drop(make_and(&name("next")));
    names.iter().for_each(|name| wait_until_gone(name));
}

/// Takes the name from its owner, and gives it to a file without an owner.
fn give_to_a_stranger(name: &str) -> String {
    let path = format!("/dev/shm/{name}");
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another one's").unwrap();
    path
}

fn a_strangers_name_is_left_by_the_keeper() {
    become_subreaper().unwrap();
    let names = ["theirs", "ours"].map(name);
    let child = creator(&names);
    let path = give_to_a_stranger(&names[0]);
    killed(child);
    keepers_end();
    assert!(!exists(&names[1]));
    assert_eq!(fs::read_to_string(&path).unwrap(), "another one's");
    fs::remove_file(path).unwrap();
}

fn a_strangers_name_is_left_by_a_sweep() {
    become_subreaper().unwrap();
    let names = ["theirs", "ours"].map(name);
    let child = creator(&names);
    kill(the_keeper());
    let path = give_to_a_stranger(&names[0]);
    killed(child);
    drop(make_and(&name("next")));
    wait_until_gone(&names[1]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "another one's");
    fs::remove_file(path).unwrap();
}

fn make_and_leave(name: String, how: u8, ready: Handle) {
    let block = make_and(&name);
    match how {
        b'p' => block.persist(),
        _ => block.close(),
    }
    write_word(&ready);
    stay()
}

fn left(how: u8, name: &str) -> Child<()> {
    let (read, write) = line();
    let child = Process::new(make_and_leave, (name.to_owned(), how, write)).start().unwrap();
    read_word(&read);
    assert!(exists(name));
    child
}

fn a_persistent_name_outlives_its_killed_owner() {
    become_subreaper().unwrap();
    let name = name("persists");
    killed(left(b'p', &name));
    keepers_end();
    assert!(exists(&name));
    SharedMemory::open(&name).unwrap().unlink().unwrap();
}

fn a_closed_name_goes_with_its_killed_owner() {
    become_subreaper().unwrap();
    let name = name("closed");
    killed(left(b'c', &name));
    keepers_end();
    assert!(!exists(&name));
}

fn try_to_make_and_stay(name: String, ready: Handle) {
    assert!(matches!(SharedMemory::create(&name, 1), Err(mp_shm::SharedMemoryError::Exists(_))));
    write_word(&ready);
    stay()
}

fn a_name_that_was_taken_leaves_nothing_on_record() {
    become_subreaper().unwrap();
    let name = name("taken");
    fs::write(format!("/dev/shm/{name}"), "first").unwrap();
    let (read, write) = line();
    let child = Process::new(try_to_make_and_stay, (name.clone(), write)).start().unwrap();
    read_word(&read);
    killed(child);
    keepers_end();
    assert_eq!(fs::read_to_string(format!("/dev/shm/{name}")).unwrap(), "first");
    fs::remove_file(format!("/dev/shm/{name}")).unwrap();
}

fn a_block_that_looks_like_pythons_is_left_alone() {
    let path = format!("/dev/shm/psm_{:08x}", std::process::id());
    File::create_new(&path).unwrap();
    drop(make_and(&name("next")));
    assert!(fs::exists(&path).unwrap());
    fs::remove_file(path).unwrap();
}

/// Its owner gives up its rights, and ends in order.
fn what_an_owner_may_not_take_away_any_more_the_keeper_does() {
    if role().is_some() {
        let block = SharedMemory::new(100).unwrap();
        let nobody = Uid::from_raw(65534);
        if !Uid::effective().is_root() || setresuid(nobody, nobody, nobody).is_err() {
            not_here("only root can give up its rights");
        }
        println!("{}", block.name());
        assert!(block.unlink().is_err());
        return;
    }
    become_subreaper().unwrap();
    let output = parent_in_role("owner").stdin(Stdio::null()).output().unwrap();
    if output.status.code() == Some(77) {
        not_here("only root can give up its rights");
    }
    assert!(output.status.success());
    wait_until_gone(String::from_utf8(output.stdout).unwrap().trim());
    while let Some(keeper) = keepers().first() {
        wait_for_end(*keeper);
    }
}
