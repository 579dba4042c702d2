//! What a queue takes of the system: its memory goes back when the backlog is drained, and its end is an
//! error that harms no other process; and no call waits longer than its timeout, for room or for a stopped
//! process.

use mp_core::mem::Mapping;
use mp_core::transfer::pack;
use mp_core::{Child, Process};
use mp_queue::{FixedQueue, GetError, NotPutError, PutError, Queue, QueueBuilder};
use mp_sync::Event;
use mp_testing::{At, go_on, kill_at, not_here, parent_in_role, role, stop};
use nix::libc;
use serde::Serialize;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        memory_goes_back_when_the_backlog_is_drained,
        without_memory_a_put_says_so_and_no_process_is_killed,
        timeouts_pass_while_the_holder_of_the_put_lock_is_stopped,
        a_timeout_is_for_all_of_many_together,
        memory_that_a_killed_putter_took_goes_back,
    ]
}

const MIB: usize = 1 << 20;
/// Segments up to 4 MiB are kept when drained, and the page of words in front of them.
const WARM: u64 = 8 * MIB as u64;

type Bytes = Queue<Vec<u8>>;

/// Its memory as a file: what travels to another process is its descriptor.
fn memory(queue: &impl Serialize) -> File {
    let handles = pack(queue).unwrap().handles;
    File::from(handles.first().expect("the memory comes first").as_fd().try_clone_to_owned().unwrap())
}

/// Bytes that the system has given the queue.
fn taken(memory: &File) -> u64 {
    memory.metadata().unwrap().blocks() * 512
}

/// Bytes of shared memory that this process answers for.
fn proportional_share() -> u64 {
    let text = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss_Shmem:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.expect("a line of the kernel's") * 1024
}

fn memory_goes_back_when_the_backlog_is_drained() {
    let queue = QueueBuilder::new().max_bytes(128 * MIB).build::<Bytes>().unwrap();
    let (memory, item) = (memory(&queue), vec![7; MIB]);
    let backlog = 40 * MIB as u64;
    let mut got = Vec::new();
    // More than once, so that segments that were given back come into use again.
    for _ in 0..3 {
        let share = proportional_share();
        (0..40).for_each(|_| queue.put_bytes(&item).unwrap());
        assert!(taken(&memory) >= backlog, "{}", taken(&memory));
        assert!(proportional_share() >= share + backlog - WARM, "{}", proportional_share());
        for _ in 0..40 {
            queue.get_bytes_into(&mut got).unwrap();
            assert!(got == item);
        }
        // The last segment is left when the next item was put and taken.
        queue.put_bytes(b"small").unwrap();
        queue.get_bytes_into(&mut got).unwrap();
        assert_eq!(got, b"small");
        assert!(taken(&memory) <= WARM, "{} bytes are still taken", taken(&memory));
        assert!(proportional_share() <= share + WARM, "{}", proportional_share());
    }
}

/// Killed while it takes the memory of a segment, or with all of it and nothing in it.
fn memory_that_a_killed_putter_took_goes_back() {
    for long in [20 * MIB, 50 * MIB] {
        let queue = QueueBuilder::new().max_bytes(256 * MIB).build::<Bytes>().unwrap();
        let (here, go) = (Event::new().unwrap(), Event::new().unwrap());
        let its = (queue.clone(), here.clone(), go.clone());
        let child = Process::fork(move || {
            let item = vec![5; long];
            its.1.set();
            its.2.wait();
            its.0.put_bytes(&item).unwrap();
        });
        let child = child.start().unwrap();
        here.wait();
        kill_at(child.pid(), At::After(libc::SYS_fallocate), || go.set());
        assert!(child.join().is_err());
        let memory = memory(&queue);
        assert!(taken(&memory) > WARM, "it was killed too early");
        queue.put_bytes(b"small").unwrap();
        assert!(taken(&memory) <= WARM, "{} bytes are still taken", taken(&memory));
        assert_eq!(queue.get().unwrap(), b"small");
        // And it can be had again.
        let item = vec![6; long];
        queue.put_bytes(&item).unwrap();
        queue.put_bytes(b"small").unwrap();
        assert!(queue.get().unwrap() == item);
        assert_eq!(queue.get().unwrap(), b"small");
    }
}

/// A memory control group below our own with this limit; `None` if this process may not make one.
fn group(limit: usize) -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let made = |root: &str, path: &str, file: &str| {
        let name = format!("mp-queue-{}", std::process::id());
        let group = PathBuf::from(format!("{root}{}/{name}", path.trim_end_matches('/')));
        fs::create_dir(&group).ok()?;
        // The file is the kernel's: not there if the group has no say over memory.
        let limited = File::options().write(true).open(group.join(file));
        match limited.and_then(|file| file.write_all_at(limit.to_string().as_bytes(), 0)) {
            Ok(()) => Some(group),
            Err(_) => {
                let _ = fs::remove_dir(&group);
                None
            }
        }
    };
    text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        match (parts.next()?, parts.next()?) {
            ("", path) => made("/sys/fs/cgroup", path, "memory.max"),
            (controllers, path) if controllers.split(',').any(|name| name == "memory") => {
                made("/sys/fs/cgroup/memory", path, "memory.limit_in_bytes")
            }
            _ => None,
        }
    })
}

/// How many of the group's processes the kernel has killed for want of memory.
fn killed_in(group: &Path) -> u64 {
    let read = |file| fs::read_to_string(group.join(file)).unwrap_or_default();
    let text = read("memory.events") + &read("memory.oom_control");
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.expect("the kernel counts them").trim().parse().unwrap()
}

const LIMIT: usize = 320 * MIB;

/// Outside of a group with a limit this would take what others need.
fn without_memory_a_put_says_so_and_no_process_is_killed() {
    if let Some(group) = role() {
        return be_without_memory(Path::new(&group));
    }
    let Some(group) = group(LIMIT) else { not_here("no control group for memory may be made here") };
    let output = parent_in_role(group.to_str().expect("a name of ours")).output().unwrap();
    let killed = killed_in(&group);
    // The kernel may need a moment to see that the group is empty.
    while fs::remove_dir(&group).is_err() {
        std::thread::yield_now();
    }
    assert!(output.status.success(), "{:?}: {}", output.status, String::from_utf8_lossy(&output.stdout));
    assert_eq!(killed, 0);
}

/// Puts until that is refused; gives how many went in, and the reason.
fn fill(queue: Bytes) -> (usize, String) {
    let item = vec![5; MIB];
    (0..).find_map(|count| queue.try_put_bytes(&item).err().map(|why| (count, format!("{why:?}")))).unwrap()
}

fn echo(questions: Queue<u32>, answers: Queue<u32>) {
    questions.iter().for_each(|question| answers.put(question.unwrap() + 1).unwrap());
}

fn be_without_memory(group: &Path) {
    fs::write(group.join("cgroup.procs"), std::process::id().to_string()).unwrap();
    let name = group.file_name().unwrap().to_str().unwrap();
    assert!(fs::read_to_string("/proc/self/cgroup").unwrap().contains(name), "not in the group");
    let (questions, answers) = (Queue::new().unwrap(), Queue::new().unwrap());
    let bystander = Process::new(echo, (questions.clone(), answers.clone())).start().unwrap();
    let make = || QueueBuilder::new().max_bytes(1024 * MIB).build::<Bytes>().unwrap();

    // What is there can be drained, and then there is room: so it is full. Two at once, which get in each
    // other's way.
    let queues = [make(), make()];
    let children = [0, 1].map(|at| Process::new(fill, (queues[at].clone(),)).start().unwrap());
    let (mut buffer, mut all) = (Vec::new(), 0);
    for (queue, child) in queues.iter().zip(children) {
        let (count, why) = child.join().unwrap();
        assert_eq!(why, "Full");
        assert_eq!(queue.qsize(), count);
        all += count;
    }
    assert!(all >= 32, "{all} MiB");
    for queue in &queues {
        while queue.try_get_bytes_into(&mut buffer).is_ok() {
            assert_eq!(buffer.len(), MIB);
        }
        queue.put_bytes(b"small").unwrap();
        queue.get_bytes_into(&mut buffer).unwrap();
    }

    // Nothing is there, so no room will come, and no call waits for it. (Nothing reads these zeros either.)
    let (queue, long) = (make(), vec![0; LIMIT - 80 * MIB]);
    let refusals = [
        queue.try_put_bytes(&long),
        queue.put_bytes(&long),
        queue.put_bytes_timeout(&long, Duration::from_secs(3600)),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, Err(PutError::NoMemory)), "{refusal:?}");
    }
    assert!(taken(&memory(&queue)) <= WARM, "what could not be had in full was kept");
    queue.put_bytes(b"small").unwrap();
    assert_eq!(queue.get().unwrap(), b"small");

    questions.put(41).unwrap();
    assert_eq!(answers.get().unwrap(), 42);
    questions.shutdown();
    bystander.join().unwrap();
}

/// Holds the put lock most of its time: what it copies is long.
fn put_long_items_for_ever(queue: Bytes) {
    let (item, mut into) = (vec![3; 8 * MIB], Vec::new());
    loop {
        queue.put_bytes(&item).unwrap();
        queue.get_bytes_into(&mut into).unwrap();
    }
}

/// The owner's thread id in the put lock, which comes first of the queue's own words: see sys/robust.rs.
fn holder(memory: &File) -> u32 {
    let lane = if cfg!(target_env = "musl") { 4 } else { 0 };
    let mut word = [0; 4];
    memory.read_exact_at(&mut word, Mapping::header_bytes() as u64 + lane).unwrap();
    u32::from_ne_bytes(word) & ((1 << 30) - 1)
}

/// Stops it at a moment at which it holds the put lock and has published nothing.
fn stop_with_the_lock(child: &Child<()>, queue: &Bytes) {
    let memory = memory(queue);
    loop {
        // Stopped again at once, it would come no further than a few instructions each time.
        while holder(&memory) != child.pid() {
            std::thread::yield_now();
        }
        assert!(stop(child));
        if holder(&memory) == child.pid() && queue.empty() {
            return;
        }
        go_on(child);
    }
}

fn is_full<V>(put: Result<(), NotPutError<V>>) -> V {
    let refused = put.expect_err("the lock is held");
    assert!(matches!(refused.reason, PutError::Full | PutError::Timeout), "{refused}");
    refused.into_inner()
}

fn timeouts_pass_while_the_holder_of_the_put_lock_is_stopped() {
    let queue = QueueBuilder::new().max_bytes(64 * MIB).build::<Bytes>().unwrap();
    let child = Process::new(put_long_items_for_ever, (queue.clone(),)).start().unwrap();
    stop_with_the_lock(&child, &queue);
    let timeout = Duration::from_millis(150);
    let many = || (0..200).map(|number| vec![number; 2000]);
    let long = vec![9; 8 * MIB];
    let timed = |put: &dyn Fn()| {
        let began = Instant::now();
        put();
        assert!(began.elapsed() >= timeout, "it did not wait");
    };
    timed(&|| assert_eq!(is_full(queue.put_timeout(vec![1], timeout)), [1]));
    timed(&|| assert!(is_full(queue.put_timeout(long.clone(), timeout)) == long));
    timed(&|| assert_eq!(is_full(queue.put_many_timeout(many(), timeout)).len(), 200));
    timed(&|| assert!(matches!(queue.put_bytes_timeout(&long, timeout), Err(PutError::Timeout))));
    // Calls that do not wait for room do not wait for the stopped process either.
    is_full(queue.try_put(vec![1]));
    is_full(queue.try_put(long.clone()));
    assert_eq!(is_full(queue.try_put_many(many())).len(), 200);
    // It has published nothing, and holds no get lock: consumers go on.
    assert!(matches!(queue.try_get(), Err(GetError::Empty)));
    timed(&|| assert!(matches!(queue.get_timeout(timeout), Err(GetError::Timeout))));
    child.kill().unwrap();
    queue.put_timeout(long.clone(), Duration::from_secs(3600)).unwrap();
    assert!(queue.get().unwrap() == long);
    queue.put_many(many()).unwrap();
    assert!(queue.get_many(200).unwrap().map(Result::unwrap).eq(many()));
}

/// A consumer takes one now and then, so that no single wait lasts as long as the timeout: all of them
/// together do.
fn a_timeout_is_for_all_of_many_together() {
    fn tried(put_many: impl Fn(Duration) -> usize, get: impl Fn() + Sync) {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // ORDERING: Relaxed: when to stop, and no more.
                while !done.load(Ordering::Relaxed) {
                    get();
                    std::thread::park_timeout(Duration::from_millis(10));
                }
            });
            let (began, timeout) = (Instant::now(), Duration::from_millis(300));
            let left = put_many(timeout);
            assert!(began.elapsed() >= timeout && (1..MANY).contains(&left), "{left} are left");
            // ORDERING: as above.
            done.store(true, Ordering::Relaxed);
        });
    }
    /// At a hundred a second, half an hour.
    const MANY: usize = 200_000;
    let queue = Queue::<u64>::bounded(4).unwrap();
    let many = |timeout| is_full(queue.put_many_timeout(0..MANY as u64, timeout)).len();
    tried(many, || assert!(queue.get().unwrap() < MANY as u64));
    let fixed = FixedQueue::<u64>::bounded(4).unwrap();
    let values = vec![7; MANY];
    let many = |timeout| MANY - fixed.put_many_timeout(&values, timeout).unwrap_err().put;
    tried(many, || assert_eq!(fixed.get().unwrap(), 7));
}
