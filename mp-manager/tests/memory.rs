//! Named memory that lives as long as a manager. CPython: `test_shared_memory_SharedMemoryManager_basics` and its
//! neighbours.

use mp_core::MemError;
use mp_core::Process;
use mp_manager::{Manager, ManagerError};
use mp_pipe::{Connection, pipe};
use mp_shm::{Item, ShareableList, SharedMemory, SharedMemoryError};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::thread;

mp_testing::cases! {
    plain: [
        a_name_is_released_before_the_end,
        a_name_that_is_another_files_by_now_stays,
        a_block_costs_the_server_no_descriptor,
        what_cannot_be_made_is_an_error,
        names_go_with_a_killed_server,
        names_go_with_a_killed_owner,
        a_server_on_a_thread_leaves_no_name,
    ],
    every_method: [
        blocks_and_lists_end_with_the_manager,
    ]
}

fn is_gone(name: &str) -> bool {
    matches!(SharedMemory::open(name), Err(SharedMemoryError::NotFound(_)))
}

fn until_gone(name: &str) {
    while !is_gone(name) {
        thread::yield_now();
    }
}

/// A process that opens them, and ends.
fn read_both(block: String, list: String) -> (String, bool) {
    let mut text = [0; 4];
    SharedMemory::open(&block).unwrap().read(5, &mut text).unwrap();
    (
        String::from_utf8(text.to_vec()).unwrap(),
        ShareableList::open(&list).unwrap().get(1) == Ok("seven".into()),
    )
}

fn blocks_and_lists_end_with_the_manager() {
    let manager = Manager::start().unwrap();
    let block = manager.shared_memory(4096).unwrap();
    block.write(5, b"seen").unwrap();
    let list = manager.shareable_list([Item::from(7), "seven".into()]).unwrap();
    let names = [block.name().to_owned(), list.shm().name().to_owned()];
    let mut sorted = names.to_vec();
    sorted.sort();
    assert_eq!(manager.memory_names().unwrap(), sorted);
    drop(list);
    let child = Process::new(read_both, (names[0].clone(), names[1].clone())).start().unwrap();
    assert_eq!(child.join().unwrap(), ("seen".to_owned(), true));
    manager.shutdown();
    assert!(names.iter().all(|name| is_gone(name)));
    // What is mapped stays so.
    let mut text = [0; 4];
    block.read(5, &mut text).unwrap();
    assert_eq!(&text, b"seen");
}

fn a_name_is_released_before_the_end() {
    let manager = Manager::start().unwrap();
    let blocks = [1, 2].map(|size| manager.shared_memory(size).unwrap());
    assert!(manager.release_memory(blocks[0].name()).unwrap());
    assert!(is_gone(blocks[0].name()) && !is_gone(blocks[1].name()));
    assert!(!manager.release_memory(blocks[0].name()).unwrap());
    assert_eq!(manager.memory_names().unwrap(), [blocks[1].name()]);
}

fn a_name_that_is_another_files_by_now_stays() {
    let manager = Manager::start().unwrap();
    let block = manager.shared_memory(1).unwrap();
    block.unlink().unwrap();
    let other = SharedMemory::create(block.name(), 1).unwrap();
    assert!(manager.release_memory(block.name()).unwrap());
    drop(manager);
    assert!(!is_gone(other.name()));
}

fn a_block_costs_the_server_no_descriptor() {
    let manager = Manager::start().unwrap();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", manager.server_pid())).unwrap().count();
    let first = manager.shared_memory(1).unwrap();
    let before = descriptors();
    let names: Vec<String> = (0..50).map(|_| manager.shared_memory(1).unwrap().name().to_owned()).collect();
    assert_eq!(descriptors(), before);
    drop(manager);
    assert!(names.iter().all(|name| is_gone(name)) && is_gone(first.name()));
}

fn what_cannot_be_made_is_an_error() {
    let manager = Manager::start().unwrap();
    let of = |size| match manager.shared_memory(size) {
        Err(ManagerError::SharedMemory(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(of(0), SharedMemoryError::NoSize));
    assert!(matches!(of(1 << 50), SharedMemoryError::Memory(MemError::NoMemory { .. })));
    let too_large = manager.shared_memory(usize::MAX).unwrap_err();
    assert!(
        matches!(too_large, ManagerError::Os(_))
            && too_large.to_string().to_lowercase().contains("too large"),
        "{too_large}"
    );
    assert!(manager.memory_names().unwrap().is_empty());
}

fn names_go_with_a_killed_server() {
    let manager = Manager::start().unwrap();
    let block = manager.shared_memory(1).unwrap();
    kill(Pid::from_raw(manager.server_pid() as i32), Signal::SIGKILL).unwrap();
    until_gone(block.name());
    assert!(matches!(manager.shared_memory(1), Err(ManagerError::Gone)));
}

fn own_a_manager(told: Connection<String, ()>) {
    let manager = Manager::start().unwrap();
    let block = manager.shared_memory(1).unwrap();
    told.send(&block.name().to_owned()).unwrap();
    loop {
        thread::park();
    }
}

fn names_go_with_a_killed_owner() {
    let (hears, told) = pipe::<(), String>().unwrap();
    let owner = Process::new(own_a_manager, (told,)).start().unwrap();
    let name = hears.recv().unwrap();
    assert!(!is_gone(&name));
    owner.kill().unwrap();
    until_gone(&name);
}

fn a_server_on_a_thread_leaves_no_name() {
    let place = format!("\0mp-manager-memory-{}", std::process::id());
    let server = thread::spawn({
        let builder = Manager::builder().address(&*place);
        move || builder.serve_forever()
    });
    let manager = loop {
        match Manager::connect(&*place) {
            Ok(manager) => break manager,
            Err(_) => thread::yield_now(),
        }
    };
    let block = manager.shared_memory(1).unwrap();
    manager.shutdown();
    server.join().unwrap().unwrap();
    assert!(is_gone(block.name()));
}
