//! Queues under the limits of a process: address space, locked memory, the length of files; and what a core
//! dump of one has to read.
//!
//! Each case is a process of its own, so that a limit, or memory that is locked, is its own, too.

use mp_core::{MemError, Process};
use mp_queue::{CreateError, GetError, PutError, Queue, QueueBuilder};
use mp_sync::Lock;
use mp_testing::{limited, not_here};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::Resource;
use std::fs;

mp_testing::cases! {
    plain: [
        a_queue_costs_the_addresses_that_it_uses,
        a_hundred_queues_fit_where_one_would_not_at_its_ceiling,
        a_put_without_addresses_is_an_error_that_names_the_limit,
        a_get_without_addresses_is_an_error_and_the_item_stays,
        locked_memory_is_what_is_used,
        a_limit_on_file_sizes_lowers_the_default_ceiling,
        items_are_left_out_of_core_dumps,
    ]
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

type Bytes = Queue<Vec<u8>>;

/// A number of the kernel's about this process, in bytes.
fn status(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_suffix(" kB"));
    line.expect("a line of the kernel's").trim().parse::<u64>().unwrap() * KIB
}

fn addresses() -> u64 {
    status("VmSize:")
}

fn with_addresses<R>(more: u64, work: impl FnOnce() -> R) -> R {
    limited(Resource::RLIMIT_AS, addresses() + more, work)
}

/// For a process that is not this one.
fn put_long(queue: Bytes) {
    queue.put_bytes(&vec![1; LONG]).unwrap();
}

fn get_small(queue: Bytes) {
    let before = addresses();
    assert_eq!(queue.get().unwrap(), b"small");
    assert!(addresses() - before <= 512 * KIB, "{} KiB", (addresses() - before) / KIB);
}

fn a_queue_costs_the_addresses_that_it_uses() {
    let before = addresses();
    let queue = QueueBuilder::new().max_bytes(1 << 30).build::<Bytes>().unwrap();
    assert!(addresses() - before <= 64 * KIB, "{} KiB for a new queue", (addresses() - before) / KIB);
    queue.put_bytes(b"small").unwrap();
    assert!(addresses() - before <= 512 * KIB, "{} KiB for a small item", (addresses() - before) / KIB);
    Process::new(get_small, (queue,)).start().unwrap().join().unwrap();
}

fn a_hundred_queues_fit_where_one_would_not_at_its_ceiling() {
    with_addresses(100 * MIB, || {
        let queues: Vec<Bytes> =
            (0..100).map(|_| QueueBuilder::new().max_bytes(1 << 30).build::<Bytes>().unwrap()).collect();
        for (number, queue) in queues.iter().enumerate() {
            queue.put(vec![number as u8; 1000]).unwrap();
        }
        for (number, queue) in queues.iter().enumerate() {
            assert_eq!(queue.get().unwrap(), [number as u8; 1000]);
        }
    });
}

const LONG: usize = 16 << 20;

fn a_put_without_addresses_is_an_error_that_names_the_limit() {
    // The segment is there, since another process has put into it, and this one cannot reach it.
    let queue = QueueBuilder::new().max_bytes(1 << 30).build::<Bytes>().unwrap();
    Process::new(put_long, (queue.clone(),)).start().unwrap().join().unwrap();
    let refused = with_addresses(MIB, || queue.put_bytes(b"small")).unwrap_err();
    assert!(matches!(refused, PutError::Os(_)), "{refused:?}");
    assert!(refused.to_string().contains("RLIMIT_AS"), "{refused}");
    // It would have to be made.
    let fresh = QueueBuilder::new().max_bytes(1 << 30).build::<Bytes>().unwrap();
    let long = vec![1; LONG];
    let refused = with_addresses(MIB, || fresh.put_bytes(&long)).unwrap_err();
    assert!(matches!(refused, PutError::NoMemory), "{refused:?}");
    assert!(refused.to_string().contains("RLIMIT_AS"), "{refused}");
    // Nothing of either is left behind.
    fresh.put_bytes(b"small").unwrap();
    assert_eq!((fresh.get().unwrap(), queue.qsize()), (b"small".to_vec(), 1));
    queue.put_bytes(b"small").unwrap();
    assert_eq!(queue.get().unwrap().len(), LONG);
    assert_eq!(queue.get().unwrap(), b"small");
}

fn a_get_without_addresses_is_an_error_and_the_item_stays() {
    let queue = QueueBuilder::new().max_bytes(1 << 30).build::<Bytes>().unwrap();
    Process::new(put_long, (queue.clone(),)).start().unwrap().join().unwrap();
    for _ in 0..3 {
        let refused = with_addresses(MIB, || queue.get()).unwrap_err();
        assert!(matches!(&refused, GetError::Os(error) if error.call == "mmap"), "{refused:?}");
        assert!(refused.to_string().contains("RLIMIT_AS"), "{refused}");
        assert_eq!(queue.qsize(), 1);
    }
    assert_eq!(queue.get().unwrap().len(), LONG);
}

fn locked_memory_is_what_is_used() {
    if mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE).is_err() {
        not_here("this user may not lock all of this program's memory");
    }
    let before = status("VmLck:");
    let queues: Vec<Bytes> =
        (0..4).map(|_| QueueBuilder::new().max_bytes(1 << 30).build::<Bytes>().unwrap()).collect();
    for queue in &queues {
        queue.put_bytes(b"small").unwrap();
        assert_eq!(queue.get().unwrap(), b"small");
    }
    let grown = status("VmLck:").saturating_sub(before);
    assert!(grown <= 4 * MIB, "{} KiB are locked for four queues", grown / KIB);
    // Memory that is locked is given back, too.
    queues[0].put_bytes(&vec![1; LONG]).unwrap();
    assert_eq!(queues[0].get().unwrap().len(), LONG);
    queues[0].put_bytes(b"small").unwrap();
    assert_eq!(queues[0].get().unwrap(), b"small");
}

fn a_limit_on_file_sizes_lowers_the_default_ceiling() {
    limited(Resource::RLIMIT_FSIZE, 4 * MIB, || {
        let queue = Bytes::new().unwrap();
        queue.put_bytes(&vec![1; 1 << 20]).unwrap();
        assert_eq!(queue.get().unwrap().len(), 1 << 20);
        let refused = queue.put_bytes(&vec![1; 8 << 20]).unwrap_err();
        assert!(matches!(refused, PutError::TooLarge { .. }), "{refused:?}");
        drop(Lock::new().unwrap().acquire().unwrap());
        // A ceiling that was asked for is not lowered.
        let refused = QueueBuilder::new().max_bytes(64 << 20).build::<Bytes>().unwrap_err();
        assert!(matches!(refused, CreateError::Memory(MemError::Os(_))), "{refused:?}");
        assert!(refused.to_string().contains("RLIMIT_FSIZE"), "{refused}");
    });
    limited(Resource::RLIMIT_FSIZE, 8 * KIB, || {
        let refused = Bytes::new().unwrap_err();
        assert!(refused.to_string().contains("RLIMIT_FSIZE"), "{refused}");
    });
}

/// Lengths of this process's mappings of queues that go into a core dump, and of those that do not.
fn in_core_and_not() -> (u64, u64) {
    let text = fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut both, mut length, mut ours) = ((0, 0), 0, false);
    for line in text.lines() {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some((from, to)) = name.split_once('-') {
            let address = |text| u64::from_str_radix(text, 16).unwrap();
            (length, ours) = (address(to) - address(from), line.contains("memfd:mp-queue"));
        } else if name == "VmFlags:" && ours {
            let part = if rest.split(' ').any(|flag| flag == "dd") { &mut both.1 } else { &mut both.0 };
            *part += length;
        }
    }
    both
}

/// A process is dead for others only when the kernel has written its core, page by page of what goes into
/// that.
fn items_are_left_out_of_core_dumps() {
    let queue = QueueBuilder::new().max_bytes(1 << 30).build::<Bytes>().unwrap();
    queue.put_bytes(&vec![1; LONG]).unwrap();
    queue.put_bytes(b"small").unwrap();
    let (dumped, left_out) = in_core_and_not();
    assert!(dumped > 0 && dumped <= 64 * KIB, "{} KiB go into a core", dumped / KIB);
    assert!(left_out >= LONG as u64, "{} KiB are left out", left_out / KIB);
    assert_eq!(queue.get().unwrap().len(), LONG);
    drop(queue);
    assert_eq!(in_core_and_not(), (0, 0));
}
