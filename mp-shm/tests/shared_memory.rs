//! Mirrors CPython's `_TestSharedMemory`: P33, P34, names, sizes, owners; blocks shared with CPython itself.
//!
//! Left out: a negative size and use after `close` (they do not compile); `buf` held over a `close` (bytes
//! are copied). What becomes of a killed owner's names, which CPython's tracker sees to, is in killed.rs;
//! `ShareableList` in shareable_list.rs.

use mp_core::sys::fd::pipe;
use mp_core::transfer::Handle;
use mp_core::{JoinError, MemError, Process, StartMethod};
use mp_shm::{ShareableList, SharedMemory, SharedMemoryError};
use mp_testing::shared_memory_exists as exists;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

mp_testing::cases! {
    plain: [
        what_is_no_name_or_size_is_an_error,
        a_taken_name_and_a_missing_one_are_errors,
        a_made_up_name_looks_like_pythons,
        zeros_of_the_size_that_was_asked_for,
        maps_show_the_name,
        only_bytes_within_the_block_are_touched,
        clones_and_openers_see_the_same_bytes,
        the_owners_last_handle_takes_the_name_along,
        closing_leaves_the_name_and_the_end_takes_it,
        a_persistent_name_stays,
        unlinking_is_done_once_and_the_memory_stays,
        a_strangers_block_of_the_same_name_is_left_alone,
        a_forked_copy_takes_no_name_along,
        too_much_memory_is_an_error_and_leaves_no_name,
        an_empty_block_is_an_error,
        the_umask_does_not_matter,
        python_reads_and_writes_the_same_block,
    ],
    every_method: [
        a_child_writes_by_name_and_by_handle,
        what_an_owner_has_stays_while_it_lives,
        a_handle_outlives_the_name,
        a_child_that_made_a_block_takes_its_name_along,
        a_child_that_exits_takes_its_name_along,
        a_child_that_opened_a_block_leaves_its_name,
        a_child_that_was_killed_leaves_what_it_opened,
    ],
}

fn name(of: &str) -> String {
    format!("mp-shm-test-{}-{of}", std::process::id())
}

/// P33
fn what_is_no_name_or_size_is_an_error() {
    let refused = |text: &str| match (SharedMemory::create(text, 1), SharedMemory::open(text)) {
        (Err(SharedMemoryError::Name(one)), Err(SharedMemoryError::Name(two))) => {
            assert_eq!(one, two);
            one
        }
        other => panic!("{text:?}: {other:?}"),
    };
    assert_eq!(refused(""), "the name is empty: give the name of a block");
    assert!(refused("a\0b").contains("zero byte"));
    assert!(refused("a/b").contains("a path"));
    assert!(refused(&"n".repeat(256)).contains("at most 255 bytes"));
    assert!(matches!(SharedMemory::create(&name("none"), 0), Err(SharedMemoryError::NoSize)));
    assert!(matches!(SharedMemory::new(0), Err(SharedMemoryError::NoSize)));
    assert!(!exists(&name("none")));
}

fn a_taken_name_and_a_missing_one_are_errors() {
    let name = name("taken");
    assert!(
        matches!(SharedMemory::open(&name), Err(SharedMemoryError::NotFound(missing)) if missing == name)
    );
    let block = SharedMemory::create(&format!("/{name}"), 8).unwrap();
    assert_eq!(block.name(), name);
    block.write(0, b"original").unwrap();
    assert!(matches!(SharedMemory::create(&name, 8), Err(SharedMemoryError::Exists(taken)) if taken == name));
    let mut bytes = [0; 8];
    SharedMemory::open(&name).unwrap().read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"original");
}

fn a_made_up_name_looks_like_pythons() {
    let (one, two) = (SharedMemory::new(1).unwrap(), SharedMemory::new(1).unwrap());
    assert_ne!(one.name(), two.name());
    for block in [one, two] {
        assert!(block.name().starts_with("psm_") && block.name().len() == 12, "{block:?}");
        assert!(exists(block.name()));
    }
}

fn zeros_of_the_size_that_was_asked_for() {
    for size in [1, 511, 4096, 4097, 3 << 20] {
        let block = SharedMemory::new(size).unwrap();
        assert_eq!(block.len(), size);
        assert_eq!(SharedMemory::open(block.name()).unwrap().len(), size);
        let file = fs::metadata(format!("/dev/shm/{}", block.name())).unwrap();
        assert_eq!((file.len(), file.permissions().mode() & 0o7777), (size as u64, 0o600));
        let mut bytes = vec![1; size];
        block.read(0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|&byte| byte == 0));
    }
}

fn maps_show_the_name() {
    let block = SharedMemory::new(1).unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    assert!(maps.lines().any(|line| line.ends_with(&format!("/dev/shm/{}", block.name()))), "{maps}");
}

fn only_bytes_within_the_block_are_touched() {
    let block = SharedMemory::new(8).unwrap();
    block.write(3, b"abcde").unwrap();
    block.write(8, b"").unwrap();
    for (offset, count) in [(0, 9), (4, 5), (8, 1), (9, 0), (usize::MAX, 2)] {
        let wrong = block.write(offset, &vec![b'X'; count]).unwrap_err();
        assert_eq!((wrong.start, wrong.end, wrong.len), (offset, offset.saturating_add(count), 8));
        assert_eq!(block.read(offset, &mut vec![0; count]), Err(wrong));
    }
    let mut bytes = [9; 8];
    block.read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"\0\0\0abcde");
}

fn clones_and_openers_see_the_same_bytes() {
    let block = SharedMemory::new(100).unwrap();
    let handles = [block.clone(), SharedMemory::open(block.name()).unwrap()];
    for (at, handle) in handles.iter().enumerate() {
        handle.write(at, &[7 + at as u8]).unwrap();
    }
    let mut bytes = [0; 2];
    block.read(0, &mut bytes).unwrap();
    assert_eq!(bytes, [7, 8]);
    assert_eq!(handles[0].as_mut_ptr(), block.as_mut_ptr());
    assert_eq!(block.as_mut_ptr().align_offset(4096), 0);
}

fn the_owners_last_handle_takes_the_name_along() {
    let block = SharedMemory::new(1).unwrap();
    let (name, clone) = (block.name().to_owned(), block.clone());
    let opened = SharedMemory::open(&name).unwrap();
    drop(opened);
    drop(block);
    assert!(exists(&name));
    drop(clone);
    assert!(!exists(&name));
}

fn closing_leaves_the_name_and_the_end_takes_it() {
    let child = Process::new(
        || {
            let block = SharedMemory::new(5).unwrap();
            let name = block.name().to_owned();
            block.write(0, b"there").unwrap();
            block.close();
            let mut bytes = [0; 5];
            SharedMemory::open(&name).unwrap().read(0, &mut bytes).unwrap();
            (name, bytes)
        },
        (),
    );
    let (name, bytes) = child.start().unwrap().join().unwrap();
    assert_eq!(&bytes, b"there");
    assert!(!exists(&name));
}

fn a_persistent_name_stays() {
    let child = Process::new(
        || {
            let block = SharedMemory::new(5).unwrap();
            block.persist();
            block.name().to_owned()
        },
        (),
    );
    let name = child.start().unwrap().join().unwrap();
    let block = SharedMemory::open(&name).unwrap();
    block.unlink().unwrap();
    assert!(!exists(&name));
}

fn unlinking_is_done_once_and_the_memory_stays() {
    let block = SharedMemory::new(5).unwrap();
    let opened = SharedMemory::open(block.name()).unwrap();
    opened.unlink().unwrap();
    assert!(!exists(block.name()));
    assert!(matches!(block.unlink(), Err(SharedMemoryError::NotFound(_))));
    assert!(matches!(SharedMemory::open(block.name()), Err(SharedMemoryError::NotFound(_))));
    block.write(0, b"alive").unwrap();
    let mut bytes = [0; 5];
    opened.read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"alive");
}

fn a_strangers_block_of_the_same_name_is_left_alone() {
    let name = name("again");
    let first = SharedMemory::create(&name, 1).unwrap();
    // By another process: the first owner is not told.
    SharedMemory::open(&name).unwrap().unlink().unwrap();
    let second = SharedMemory::create(&name, 2).unwrap();
    drop(first);
    assert_eq!(SharedMemory::open(&name).unwrap().len(), 2);
    drop(second);
    assert!(!exists(&name));
}

fn a_forked_copy_takes_no_name_along() {
    let mut block = Some(SharedMemory::new(1).unwrap());
    let name = block.as_ref().unwrap().name().to_owned();
    // The child drops its last handle; this process's memory keeps its own.
    let child = Process::fork(|| {
        let copy = block.take().unwrap();
        copy.write(0, &[5]).unwrap();
    });
    child.start().unwrap().join().unwrap();
    assert!(exists(&name));
    let child = Process::fork(|| -> () { std::process::exit(7) });
    assert!(matches!(child.start().unwrap().join(), Err(JoinError::Exited(7))));
    assert!(exists(&name));
    let mut byte = [0];
    block.take().unwrap().read(0, &mut byte).unwrap();
    assert_eq!(byte, [5]);
    assert!(!exists(&name));
}

fn too_much_memory_is_an_error_and_leaves_no_name() {
    let name = name("huge");
    let error = SharedMemory::create(&name, 1 << 46).unwrap_err();
    assert!(
        matches!(error, SharedMemoryError::Memory(MemError::NoMemory { .. } | MemError::Os(_))),
        "{error}"
    );
    assert!(SharedMemory::create(&name, usize::MAX).is_err());
    assert!(!exists(&name));
}

fn an_empty_block_is_an_error() {
    let name = name("empty");
    // What another process sees between the making of a name and of its size.
    File::create_new(format!("/dev/shm/{name}")).unwrap();
    let opened = SharedMemory::open(&name);
    fs::remove_file(format!("/dev/shm/{name}")).unwrap();
    assert!(matches!(opened, Err(SharedMemoryError::Empty(_))), "{opened:?}");
}

fn the_umask_does_not_matter() {
    let child = Process::new(
        || {
            nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o777));
            let block = SharedMemory::new(1).unwrap();
            fs::metadata(format!("/dev/shm/{}", block.name())).unwrap().permissions().mode() & 0o7777
        },
        (),
    );
    assert_eq!(child.method(StartMethod::Fork).start().unwrap().join().unwrap(), 0o600);
}

const PYTHON: &str = r#"
import sys
from multiprocessing import resource_tracker, shared_memory
theirs = shared_memory.SharedMemory(sys.argv[1])
# Without this, CPython takes our name away when it ends.
resource_tracker.unregister(theirs._name, "shared_memory")
assert theirs.size == 5, theirs.size
assert bytes(theirs.buf) == b"hello", bytes(theirs.buf)
theirs.buf[:] = b"HELLO"
theirs.close()
ours = shared_memory.SharedMemory(create=True, size=7)
ours.buf[:] = b"goodbye"
print(ours.name, flush=True)
sys.stdin.readline()
answer = bytes(ours.buf)
ours.close()
ours.unlink()
assert answer == b"GOODBYE", answer
"#;

/// Ignored, for that reason, where there is no `python3`.
fn python_reads_and_writes_the_same_block() {
    let block = SharedMemory::new(5).unwrap();
    block.write(0, b"hello").unwrap();
    let python = Command::new("python3")
        .args(["-c", PYTHON, block.name()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    let Ok(mut python) = python else {
        mp_testing::ignore("there is no python3 here");
    };
    let mut line = String::new();
    BufReader::new(python.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let theirs = SharedMemory::open(line.trim()).unwrap();
    let mut bytes = [0; 7];
    theirs.read(0, &mut bytes).unwrap();
    assert_eq!((theirs.len(), &bytes), (7, b"goodbye"));
    theirs.write(0, b"GOODBYE").unwrap();
    python.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(python.wait().unwrap().success());
    let mut bytes = [0; 5];
    block.read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"HELLO");
    assert!(exists(block.name()) && !exists(theirs.name()));
}

fn write_five(block: SharedMemory, name: String) {
    SharedMemory::open(&name).unwrap().write(0, b"howdy").unwrap();
    block.write(5, b"HELLO").unwrap();
}

/// P33
fn a_child_writes_by_name_and_by_handle() {
    let block = SharedMemory::new(10).unwrap();
    let arguments = (block.clone(), block.name().to_owned());
    Process::new(write_five, arguments).start().unwrap().join().unwrap();
    let mut bytes = [0; 10];
    block.read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"howdyHELLO");
    assert!(exists(block.name()));
}

/// Makes blocks and lists, says their names, and has them until it is told to end.
fn own(say: Handle, told: Handle, orderly: bool) {
    let blocks: Vec<SharedMemory> = (1..=3).map(|size| SharedMemory::new(size).unwrap()).collect();
    let lists: Vec<ShareableList> = (0..2).map(|_| ShareableList::new(0..5).unwrap()).collect();
    let mut say = File::from(say.into_fd().unwrap());
    for name in blocks.iter().map(SharedMemory::name).chain(lists.iter().map(|list| list.shm().name())) {
        writeln!(say, "{name}").unwrap();
    }
    File::from(told.into_fd().unwrap()).read_exact(&mut [0]).unwrap();
    if !orderly {
        // No destructor runs.
        std::process::exit(0);
    }
}

/// A process without a handle that knows the names.
fn change_by_name(names: Vec<String>) -> usize {
    SharedMemory::open(&names[2]).unwrap().write(0, b"abc").unwrap();
    ShareableList::open(&names[3]).unwrap().set(4, "four").unwrap();
    names.iter().filter(|name| SharedMemory::open(name).is_ok()).count()
}

/// P34: a process that owns what others use, as a `SharedMemoryManager` does.
fn what_an_owner_has_stays_while_it_lives() {
    for orderly in [true, false] {
        let ((names, say), (told, tell)) = (pipe().unwrap(), pipe().unwrap());
        let arguments = (Handle::new(say), Handle::new(told), orderly);
        let owner = Process::new(own, arguments).start().unwrap();
        let lines = BufReader::new(File::from(names)).lines().take(5);
        let names: Vec<String> = lines.collect::<Result<_, _>>().unwrap();
        assert_eq!(Process::new(change_by_name, (names.clone(),)).start().unwrap().join().unwrap(), 5);
        assert!(names.iter().all(|name| exists(name)), "the processes that opened them unlinked them");
        let (block, list) = (SharedMemory::open(&names[2]).unwrap(), ShareableList::open(&names[3]).unwrap());

        File::from(tell).write_all(b"!").unwrap();
        assert_eq!((owner.join().is_ok(), owner.exitcode()), (orderly, Some(0)));
        for name in &names {
            assert!(matches!(SharedMemory::open(name), Err(SharedMemoryError::NotFound(_))), "{name}");
        }
        // Existing handles still work.
        let mut bytes = [0; 3];
        block.read(0, &mut bytes).unwrap();
        assert_eq!((&bytes, list.get(4)), (b"abc", Ok("four".into())));
    }
}

fn write_without_name(block: SharedMemory) -> bool {
    let gone = matches!(SharedMemory::open(block.name()), Err(SharedMemoryError::NotFound(_)));
    block.write(0, b"still").unwrap();
    gone
}

fn a_handle_outlives_the_name() {
    let block = SharedMemory::new(5).unwrap();
    block.unlink().unwrap();
    assert!(Process::new(write_without_name, (block.clone(),)).start().unwrap().join().unwrap());
    let mut bytes = [0; 5];
    block.read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"still");
}

fn make_and_return() -> SharedMemory {
    let block = SharedMemory::new(4).unwrap();
    block.write(0, b"mine").unwrap();
    block
}

fn a_child_that_made_a_block_takes_its_name_along() {
    let block = Process::new(make_and_return, ()).start().unwrap().join().unwrap();
    assert!(!exists(block.name()));
    let mut bytes = [0; 4];
    block.read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"mine");
}

fn make_and_exit(name: String) {
    let _block = SharedMemory::create(&name, 4).unwrap();
    // No destructor runs.
    std::process::exit(7);
}

fn a_child_that_exits_takes_its_name_along() {
    let name = name("exits");
    let child = Process::new(make_and_exit, (name.clone(),)).start().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Exited(7))));
    assert!(!exists(&name));
}

fn open_and_end(name: String) -> usize {
    SharedMemory::open(&name).unwrap().len()
}

fn a_child_that_opened_a_block_leaves_its_name() {
    let block = SharedMemory::new(3).unwrap();
    let child = Process::new(open_and_end, (block.name().to_owned(),)).start().unwrap();
    assert_eq!(child.join().unwrap(), 3);
    assert!(exists(block.name()));
}

fn open_and_stay(block: SharedMemory) {
    let _opened = SharedMemory::open(block.name()).unwrap();
    block.write(0, &[1]).unwrap();
    loop {
        std::thread::park();
    }
}

fn a_child_that_was_killed_leaves_what_it_opened() {
    let block = SharedMemory::new(1).unwrap();
    let child = Process::new(open_and_stay, (block.clone(),)).start().unwrap();
    let mut byte = [0];
    while byte == [0] {
        block.read(0, &mut byte).unwrap();
        std::thread::yield_now();
    }
    child.kill().unwrap();
    assert!(child.join().is_err());
    assert!(exists(block.name()));
}
