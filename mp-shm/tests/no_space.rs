//! Named memory where there is no more of it: fault row 6. Each case has a `/dev/shm` of its own, with 1 MiB for
//! blocks, in a mount namespace of its own, so that no other process runs out of anything.
//!
//! Memory without a name comes from no file system: `mp-core/tests/memory.rs`.

use mp_core::MemError;
use mp_shm::{Item, ShareableList, SharedMemory, SharedMemoryError};
use mp_testing::{not_here, open_descriptors, shared_memory_names};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getgid, getuid};
use std::fs;

mp_testing::cases! {
    plain: [
        without_room_for_the_record_there_is_no_block,
        a_block_larger_than_all_there_is_is_refused,
        what_was_made_can_be_touched_to_its_last_byte,
        the_last_byte_is_given_and_none_more,
        a_list_without_room_leaves_no_name,
        a_file_system_without_room_for_a_name_says_so,
        many_refusals_leave_nothing,
    ]
}

const ALL: usize = 1 << 20;
/// 1 MiB, and a page for the record of what this process owns.
const SIZE_OF_ALL: &str = "size=1028k";

/// A mount namespace of this process's own, in a user namespace of its own if that takes one.
fn apart() -> nix::Result<()> {
    let (user, group) = (getuid(), getgid());
    if unshare(CloneFlags::CLONE_NEWNS).is_err() {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
        let map = |file: &str, line: String| fs::write(format!("/proc/self/{file}"), line);
        let mapped = map("setgroups", "deny".to_owned())
            .and_then(|()| map("uid_map", format!("{user} {user} 1")))
            .and_then(|()| map("gid_map", format!("{group} {group} 1")));
        mapped.map_err(|_| nix::errno::Errno::EPERM)?;
    }
    let nothing: Option<&str> = None;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
}

fn small_shm(options: &str) {
    let mounted = apart()
        .and_then(|()| mount(Some("small"), "/dev/shm", Some("tmpfs"), MsFlags::empty(), Some(options)));
    if let Err(error) = mounted {
        not_here(&format!("a small /dev/shm of one's own may not be mounted here: {error}"));
    }
    assert!(shared_memory_names().is_empty());
}

/// So that the record is there, which stays as long as the process.
fn with_a_record() {
    SharedMemory::new(1).unwrap();
    assert!(blocks().is_empty());
}

/// The names of blocks.
fn blocks() -> Vec<String> {
    let mut names = shared_memory_names();
    names.retain(|name| !name.starts_with(".mp-owner-"));
    names
}

fn without_room_for_the_record_there_is_no_block() {
    small_shm("size=1m");
    let (asked, available) = match SharedMemory::new(ALL) {
        Err(SharedMemoryError::Memory(MemError::NoMemory { asked, available })) => (asked, available),
        other => panic!("{other:?}"),
    };
    assert!(0 < asked && asked < ALL as u64 && available == 0, "{asked} asked, {available} available");
    assert!(shared_memory_names().is_empty());
    touch_all(&SharedMemory::new(ALL - (4 << 10)).unwrap());
}

fn is_refused(result: Result<SharedMemory, SharedMemoryError>, asked: usize) {
    match result {
        Err(SharedMemoryError::Memory(MemError::NoMemory { asked: told, available })) => {
            assert_eq!(told, asked as u64);
            assert!(available < told, "{available} bytes may be taken, and {asked} were refused");
        }
        other => panic!("{other:?}"),
    }
}

fn a_block_larger_than_all_there_is_is_refused() {
    small_shm(SIZE_OF_ALL);
    with_a_record();
    for size in [ALL + 1, 2 * ALL, 100 * ALL] {
        is_refused(SharedMemory::new(size), size);
        is_refused(SharedMemory::create("large", size), size);
        assert!(blocks().is_empty());
    }
    // The refused one has taken nothing along.
    SharedMemory::create("large", ALL).unwrap();
}

/// Where a page were missing, the touch would end this process by SIGBUS.
fn touch_all(block: &SharedMemory) {
    let ones = vec![1; block.len()];
    block.write(0, &ones).unwrap();
    let mut back = vec![0; block.len()];
    block.read(0, &mut back).unwrap();
    assert_eq!(back, ones);
}

fn what_was_made_can_be_touched_to_its_last_byte() {
    small_shm(SIZE_OF_ALL);
    with_a_record();
    const SIZE: usize = 100 << 10;
    for _ in 0..3 {
        let mut made = Vec::new();
        let refused = loop {
            match SharedMemory::new(SIZE) {
                Ok(block) => made.push(block),
                Err(error) => break error,
            }
        };
        is_refused(Err(refused), SIZE);
        assert_eq!(made.len(), ALL / SIZE);
        made.iter().for_each(touch_all);
        assert_eq!(blocks().len(), made.len());
        drop(made);
        assert!(blocks().is_empty());
    }
}

fn the_last_byte_is_given_and_none_more() {
    small_shm(SIZE_OF_ALL);
    with_a_record();
    let all = SharedMemory::new(ALL).unwrap();
    is_refused(SharedMemory::new(1), 1);
    touch_all(&all);
    drop(all);
    touch_all(&SharedMemory::new(1).unwrap());
}

fn a_list_without_room_leaves_no_name() {
    small_shm(SIZE_OF_ALL);
    with_a_record();
    let large = vec![Item::Bytes(vec![7; 600 << 10]); 2];
    let refused = ShareableList::new(large.clone());
    assert!(matches!(refused, Err(SharedMemoryError::Memory(MemError::NoMemory { .. }))), "{refused:?}");
    assert!(blocks().is_empty());
    let fits = ShareableList::new(large[..1].to_vec()).unwrap();
    assert_eq!(fits.get(0).unwrap(), large[0]);
}

/// A file system counts its names, too.
fn a_file_system_without_room_for_a_name_says_so() {
    small_shm("size=1m,nr_inodes=5");
    let mut made = Vec::new();
    let refused = loop {
        match SharedMemory::new(1) {
            Ok(block) => made.push(block),
            Err(error) => break error,
        }
    };
    // One is the folder, one the record.
    assert_eq!((made.len(), blocks().len()), (3, 3));
    match &refused {
        SharedMemoryError::Memory(MemError::Os(error)) => assert_eq!(error.call, "open(O_TMPFILE)"),
        other => panic!("{other:?}"),
    }
    assert!(refused.to_string().starts_with("open(O_TMPFILE): "), "{refused}");
    made.pop();
    SharedMemory::new(1).unwrap();
}

fn many_refusals_leave_nothing() {
    small_shm(SIZE_OF_ALL);
    with_a_record();
    let before = open_descriptors(std::process::id());
    for _ in 0..500 {
        is_refused(SharedMemory::new(2 * ALL), 2 * ALL);
    }
    assert_eq!(open_descriptors(std::process::id()), before);
    assert!(blocks().is_empty());
    touch_all(&SharedMemory::new(ALL).unwrap());
}
