//! What a pool takes of memory and addresses, and how far it reads its input.

use mp_pool::{Pool, SubmitError, ThreadPool};
use mp_queue::Queue;
use mp_testing::{parent_in_role, role};
use nix::sys::resource::{Resource, setrlimit};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

mp_testing::cases! {
    plain: [
        a_pending_item_takes_a_few_bytes_beside_its_payload,
        an_input_without_end_is_read_as_there_is_room,
        an_ordered_stream_of_threads_keeps_nothing_of_what_it_has_given,
    ],
    every_method: [eight_workers_in_two_gigabytes_of_addresses]
}

fn square(x: u64) -> u64 {
    x * x
}

fn same(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

/// `ulimit -v 2000000`, for the parent and all that it starts.
fn eight_workers_in_two_gigabytes_of_addresses() {
    setrlimit(Resource::RLIMIT_AS, 2_000_000 << 10, 2_000_000 << 10).unwrap();
    let pool = Pool::new(8).unwrap();
    assert!(pool.map(square, 0..10_000).unwrap().into_iter().eq((0..10_000).map(square)));
    for length in [100_000, 1 << 20, 20 << 20] {
        let items = (0..(64 << 20) / length).map(|at| vec![at as u8; length]);
        let results = pool.map(same, items).unwrap();
        assert!((0..).zip(results).all(|(at, bytes)| bytes == vec![at as u8; length]));
    }
    assert_eq!(pool.apply(|| Pool::new(8).unwrap().map(square, 0..3).unwrap(), ()).unwrap(), [0, 1, 4]);
}

/// Bytes of this process's own and of the shared memory that it has open.
fn in_use() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let own: usize = line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() << 10;
    let mut shared = 0;
    for descriptor in fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let path = descriptor.path();
        if fs::read_link(&path).is_ok_and(|name| name.to_string_lossy().starts_with("/memfd:")) {
            shared += fs::metadata(&path).unwrap().blocks() as usize * 512;
        }
    }
    own + shared
}

fn wait_if_first(x: u64, go: Option<Queue<u32>>) -> u64 {
    if let Some(go) = go {
        go.get().unwrap();
    }
    x
}

/// How many items go together.
const WAYS: [(&str, Option<usize>); 3] = [("one", Some(1)), ("hundred", Some(100)), ("default", None)];
/// What an item may take beside its own bytes.
const MOST: usize = 32;

/// `MP_ITEMS` of them. Each way in a process of its own, which has no freed memory to use again.
fn a_pending_item_takes_a_few_bytes_beside_its_payload() {
    let items: u64 = std::env::var("MP_ITEMS").ok().and_then(|text| text.parse().ok()).unwrap_or(500_000);
    let Some(role) = role() else {
        for (way, _) in WAYS {
            let output = parent_in_role(way).stderr(Stdio::inherit()).output().unwrap();
            println!("{}", String::from_utf8_lossy(&output.stdout).trim_end());
            assert!(output.status.success(), "{way}");
        }
        return;
    };
    let (_, chunk_size) = WAYS.into_iter().find(|(way, _)| *way == role).unwrap();
    let pool = Pool::new(1).unwrap();
    let go = Queue::new().unwrap();
    let first = pool.apply_async(wait_if_first, (0, Some(go.clone()))).unwrap();
    let before = in_use();
    let pending = pool.map_in_chunks(square, 0..items, chunk_size).unwrap();
    let each = in_use().saturating_sub(before) as f64 / items as f64;
    // A number below 2^21 takes three at most.
    let payload = 3;
    println!("{role}: {each:.1} bytes for a pending item of at most {payload}");
    assert!(!pending.ready() && !first.ready());
    assert!(0.0 < each && each <= (MOST + payload) as f64, "{each:.1} bytes, in chunks of {chunk_size:?}");
    go.put(1).unwrap();
    assert_eq!(pending.get().unwrap().len() as u64, items);
}

static READ: AtomicUsize = AtomicUsize::new(0);

/// One worker, which waits in the first item: the input is read until the board holds no more, and not a step further.
fn an_input_without_end_is_read_as_there_is_room() {
    const LENGTH: usize = 10_000;
    const MOST: usize = 128 << 20;
    let pool = Pool::new(1).unwrap();
    let go = Queue::new().unwrap();
    let first = pool.apply_async(wait_if_first, (0, Some(go.clone()))).unwrap();
    let input = std::iter::repeat_with(|| {
        // ORDERING: Relaxed, here and below: of one thread.
        READ.fetch_add(1, Ordering::Relaxed);
        vec![7_u8; LENGTH]
    });
    // An end all the same, for a pool that reads without a bound.
    let input = input.take(4 * MOST / LENGTH);
    let before = in_use();
    let mut seen = 0;
    let interrupted = || {
        // Asked every 50 ms while it waits for room: twice in a row nothing was read.
        let read = READ.load(Ordering::Relaxed);
        std::mem::replace(&mut seen, read) == read && read > 0
    };
    let ended = pool.map_interruptible(same, input, interrupted);
    assert!(matches!(ended, Err(SubmitError::Interrupted)), "{ended:?}");
    let (read, taken) = (READ.load(Ordering::Relaxed), in_use() - before);
    println!("read {read} items of {LENGTH} bytes ahead, {} MiB", taken >> 20);
    assert!(read * LENGTH <= MOST && taken <= MOST, "{read} items, {taken} bytes");
    assert!(!first.ready());
    go.put(1).unwrap();
    assert_eq!(first.get(), Ok(0));
}

fn an_ordered_stream_of_threads_keeps_nothing_of_what_it_has_given() {
    const MOST: usize = 1 << 20;
    let pool = ThreadPool::new(1).unwrap();
    let mut stream = pool.imap(square, 0..).unwrap();
    // What is read ahead, and what the allocator keeps, is there after these.
    assert_eq!(stream.by_ref().take(20_000).filter(Result::is_ok).count(), 20_000);
    let before = in_use();
    assert_eq!(stream.by_ref().take(400_000).filter(Result::is_ok).count(), 400_000);
    let grown = in_use().saturating_sub(before);
    println!("{} KiB more after 400,000 results", grown >> 10);
    assert!(grown <= MOST, "{grown} bytes");
}
