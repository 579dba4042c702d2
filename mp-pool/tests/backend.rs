//! Pools whose workers are on other hosts, behind a network that loses, delays and doubles packets.
//!
//! The cases of the other test programs that run over the mock, too, are listed there as `mock`.

use mp_core::active_children;
use mp_core::transfer::Handle;
use mp_mock::{Faults, Mock};
use mp_pool::backend::{Backend, Link};
use mp_pool::{NewPoolError, Pool, Retry, SubmitError, TaskError, TaskOptions};
use mp_queue::Queue;
use mp_testing::{Chance, kill_if_it_lives};
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        each_task_is_begun_once_whatever_the_network_does,
        workers_are_killed_over_a_bad_network,
        what_needs_this_host_is_refused,
        a_host_that_is_not_there_breaks_the_pool,
        a_backend_that_panics_breaks_the_pool,
        a_cut_link_costs_what_was_submitted_over_it,
        idle_workers_end_with_their_link,
        the_highest_priority_is_taken_first,
        a_task_that_runs_is_cancelled_alone,
        workers_that_are_idle_for_long_leave,
        tasks_are_tried_again_as_often_as_is_asked,
    ],
}

/// How many seeds are tried: `MP_SEEDS`, or so many, which fit the gate.
fn seeds(without: u64) -> u64 {
    std::env::var("MP_SEEDS").map_or(without, |number| number.parse().expect("MP_SEEDS is a number"))
}

/// Notes that it runs: one byte in a file, and no other task's.
fn note(path: String, x: u64) -> u64 {
    OpenOptions::new().append(true).open(path).and_then(|mut file| file.write_all(&[x as u8])).unwrap();
    x * x
}

/// Up to half of the packets lost; each task runs once, and each has its own value.
fn each_task_is_begun_once_whatever_the_network_does() {
    let folder = mp_testing::Folder::new("mp-backend");
    for number in 0..seeds(6) {
        let seed = mp_mock::seed().wrapping_add(number);
        let mut chance = Chance::new(seed);
        let faults = Faults {
            loss: chance.below(51) as u64,
            doubled: chance.below(51) as u64,
            delay: Duration::from_micros(1 + chance.below(5000) as u64),
            seed,
        };
        let path = folder.path().join(format!("ran-{number}"));
        std::fs::write(&path, []).unwrap();
        let name = path.to_str().unwrap().to_owned();
        let pool = Pool::builder().processes(2).backend(Mock::new(faults)).build().unwrap();
        let chunks = pool.starmap(note, (0..40).map(|x| (name.clone(), x))).unwrap();
        let single: Vec<_> = (40..60)
            .map(|x| pool.apply_async(note, (name.clone(), x)).unwrap())
            .map(|one| one.get())
            .collect();
        assert_eq!(chunks, (0..40).map(|x| x * x).collect::<Vec<u64>>());
        assert_eq!(single, (40..60).map(|x| Ok(x * x)).collect::<Vec<_>>());
        let mut ran = std::fs::read(&path).unwrap();
        ran.sort_unstable();
        assert_eq!(ran, (0..60).collect::<Vec<u8>>());
        pool.close();
        pool.join().unwrap();
        assert!(active_children().is_empty());
    }
}

fn say_pid_and_stay_if(path: String, x: u64) -> u64 {
    note(path.clone(), x);
    if x.is_multiple_of(7) {
        std::fs::write(format!("{path}.pid"), std::process::id().to_string()).unwrap();
        std::process::abort();
    }
    x
}

/// Each task ends as one thing: done, or its worker died; none runs twice.
fn workers_are_killed_over_a_bad_network() {
    let folder = mp_testing::Folder::new("mp-backend");
    for number in 0..seeds(2) {
        let faults = Faults {
            loss: 30,
            doubled: 20,
            delay: Duration::from_millis(2),
            seed: mp_mock::seed().wrapping_add(number),
        };
        let path = folder.path().join(format!("ran-{number}"));
        std::fs::write(&path, []).unwrap();
        let name = path.to_str().unwrap().to_owned();
        let pool = Pool::builder().processes(2).backend(Mock::new(faults)).build().unwrap();
        let results =
            pool.starmap_in_chunks(say_pid_and_stay_if, (0..30).map(|x| (name.clone(), x)), Some(4)).unwrap();
        for (x, result) in (0..).zip(results.get_each()) {
            match result {
                Ok(value) => assert!(value == x && x % 7 != 0, "{x}: {value}"),
                Err(TaskError::WorkerDied { .. }) => assert_eq!(x % 7, 0),
                Err(other) => panic!("{x}: {other}"),
            }
        }
        let mut ran = std::fs::read(&path).unwrap();
        ran.sort_unstable();
        assert_eq!(ran, (0..30).collect::<Vec<u8>>());
    }
}

fn mock() -> Mock {
    Mock::new(Faults::some())
}

fn read_all(handle: Handle) -> u64 {
    let mut text = String::new();
    std::fs::File::from(handle.into_fd().unwrap()).read_to_string(&mut text).unwrap();
    text.len() as u64
}

fn keep(_: Queue<u32>) {}

fn what_needs_this_host_is_refused() {
    let refused = |built: Result<Pool, NewPoolError>| matches!(built, Err(NewPoolError::NeedsThisHost(_)));
    assert!(refused(Pool::builder().processes(1).memory_limit(1 << 30).backend(mock()).build()));
    assert!(refused(Pool::builder().processes(1).cpus([0]).backend(mock()).build()));
    assert!(refused(Pool::builder().processes(1).on_output(|_| ()).backend(mock()).build()));
    assert!(refused(Pool::builder().processes(1).backend(mock()).fork_from(7_u32)));
    let queue = Queue::new().unwrap();
    assert!(refused(Pool::builder().processes(1).initializer(keep, (queue,)).backend(mock()).build()));
    let pool = Pool::builder().processes(1).backend(mock()).build().unwrap();
    let handle = || Handle::new(std::fs::File::open("/dev/null").unwrap().into());
    assert!(matches!(pool.apply(read_all, (handle(),)), Err(SubmitError::Handles)));
    let mut stream = pool.imap(read_all, [handle()]).unwrap();
    assert!(matches!(stream.next(), Some(Err(TaskError::Failed(why))) if why.contains("handle")));
    let back = pool.apply(|| Handle::new(std::fs::File::open("/dev/null").unwrap().into()), ());
    assert!(
        matches!(&back, Err(SubmitError::Task(TaskError::Failed(why))) if why.contains("leave")),
        "{back:?}"
    );
    assert_eq!(pool.apply(|x: u32| x + 1, (7,)).unwrap(), 8);
}

/// There is no host.
struct Nowhere;

impl Backend for Nowhere {
    fn open(&self, _: usize) -> io::Result<Box<dyn Link>> {
        Err(io::Error::new(io::ErrorKind::NotFound, "no host"))
    }
}

/// Links that open, and are cut then.
struct Silent;

impl Link for Silent {
    fn send(&mut self, _: &[u8]) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::BrokenPipe, "cut"))
    }

    fn receive(&mut self, _: Duration) -> io::Result<Option<Vec<u8>>> {
        Err(io::Error::new(io::ErrorKind::BrokenPipe, "cut"))
    }
}

struct Cut;

impl Backend for Cut {
    fn open(&self, _: usize) -> io::Result<Box<dyn Link>> {
        Ok(Box::new(Silent))
    }
}

fn a_host_that_is_not_there_breaks_the_pool() {
    assert!(matches!(Pool::builder().processes(1).backend(Nowhere).build(), Err(NewPoolError::Link(_))));
    let pool = Pool::builder().processes(1).backend(Cut).build().unwrap();
    let broken = match pool.apply_async(|x: u32| x, (2,)) {
        Ok(result) => result.get().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(broken.contains("in a row"), "{broken}");
}

/// A backend is the program's code.
struct Panics {
    after: u32,
    opened: AtomicU32,
}

impl Backend for Panics {
    fn open(&self, worker: usize) -> io::Result<Box<dyn Link>> {
        // ORDERING: Relaxed: a counter of the test's.
        assert!(self.opened.fetch_add(1, Ordering::Relaxed) < self.after, "a deliberate panic");
        Cut.open(worker)
    }
}

fn a_backend_that_panics_breaks_the_pool() {
    let panics = |after| Panics { after, opened: AtomicU32::new(0) };
    for after in [0, 1] {
        let refused = Pool::builder().processes(2).backend(panics(after)).build().map(drop).unwrap_err();
        assert!(format!("{refused}").contains("a deliberate panic"), "{refused}");
    }
    // Those that take the place of the first ones.
    let pool = Pool::builder().processes(2).backend(panics(2)).build().unwrap();
    let broken = match pool.apply_async(|x: u32| x, (2,)) {
        Ok(result) => result.get().unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(broken.contains("in a row"), "{broken}");
}

/// The links of a mock, the first of which can be cut.
struct Cuttable {
    mock: Mock,
    cut: Arc<AtomicBool>,
    links: Mutex<u32>,
}

struct CuttableLink {
    link: Box<dyn Link>,
    /// Of the first link.
    cut: Option<Arc<AtomicBool>>,
}

impl CuttableLink {
    fn check(&self) -> io::Result<()> {
        // ORDERING: Relaxed: a flag that is read again and again.
        match &self.cut {
            Some(cut) if cut.load(Ordering::Relaxed) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "cut")),
            _ => Ok(()),
        }
    }
}

impl Link for CuttableLink {
    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        self.check()?;
        self.link.send(packet)
    }

    fn receive(&mut self, timeout: Duration) -> io::Result<Option<Vec<u8>>> {
        self.check()?;
        self.link.receive(timeout)
    }
}

impl Backend for Cuttable {
    fn open(&self, worker: usize) -> io::Result<Box<dyn Link>> {
        let mut links = self.links.lock().unwrap();
        *links += 1;
        let cut = (*links == 1).then(|| Arc::clone(&self.cut));
        Ok(Box::new(CuttableLink { link: self.mock.open(worker)?, cut }))
    }
}

fn note_and_wait(path: String, x: u64) -> u64 {
    note(path.clone(), x);
    if x < 3 {
        wait_for(&format!("{path}.go"));
    }
    x
}

/// The three items of the chunk may each have been begun; the tasks after it were not, and are done over the next link.
fn a_cut_link_costs_what_was_submitted_over_it() {
    let folder = mp_testing::Folder::new("mp-backend");
    let path = folder.path().join("ran");
    std::fs::write(&path, []).unwrap();
    let name = path.to_str().unwrap().to_owned();
    let cut = Arc::new(AtomicBool::new(false));
    let backend = Cuttable { mock: mock(), cut: Arc::clone(&cut), links: Mutex::new(0) };
    let pool = Pool::builder().processes(1).backend(backend).build().unwrap();
    let results = pool.starmap_in_chunks(note_and_wait, (0..6).map(|x| (name.clone(), x)), Some(3)).unwrap();
    while std::fs::read(&path).unwrap().is_empty() {
        std::thread::yield_now();
    }
    // ORDERING: Relaxed: as above.
    cut.store(true, Ordering::Relaxed);
    let each = results.get_each();
    assert!(
        each[..3].iter().all(|end| matches!(end, Err(TaskError::WorkerDied { how: None, .. }))),
        "{each:?}"
    );
    assert_eq!(each[3..], [Ok(3), Ok(4), Ok(5)]);
    let mut ran = std::fs::read(&path).unwrap();
    ran.sort_unstable();
    assert_eq!(ran, [0, 3, 4, 5]);
}

/// Waits until a file is there.
fn wait_for(path: &str) {
    while !Path::new(path).exists() {
        std::thread::yield_now();
    }
}

fn note_and_wait_for_0(path: String, x: u64) {
    note(path.clone(), x);
    if x == 0 {
        wait_for(&format!("{path}.go"));
    }
}

fn the_highest_priority_is_taken_first() {
    let folder = mp_testing::Folder::new("mp-backend");
    let name = folder.path().join("ran").to_str().unwrap().to_owned();
    std::fs::write(&name, []).unwrap();
    let pool = Pool::builder().processes(1).backend(mock()).build().unwrap();
    let first = pool.apply_async(note_and_wait_for_0, (name.clone(), 0)).unwrap();
    while std::fs::read(&name).unwrap().is_empty() {
        std::thread::yield_now();
    }
    let submit = |x: u64| {
        let ranked = pool.with(TaskOptions::new().priority((x % 3) as i32));
        ranked.apply_async(note_and_wait_for_0, (name.clone(), x)).unwrap()
    };
    let tasks: Vec<_> = (1..10).map(submit).collect();
    std::fs::write(format!("{name}.go"), []).unwrap();
    assert!(first.get().is_ok() && tasks.iter().all(|task| task.get().is_ok()));
    assert_eq!(std::fs::read(&name).unwrap(), [0, 2, 5, 8, 1, 4, 7, 3, 6, 9]);
}

fn a_task_that_runs_is_cancelled_alone() {
    let folder = mp_testing::Folder::new("mp-backend");
    let name = folder.path().join("ran").to_str().unwrap().to_owned();
    std::fs::write(&name, []).unwrap();
    let pool = Pool::builder().processes(1).backend(mock()).build().unwrap();
    for round in 1..=3 {
        let running = pool.apply_async(note_and_wait_for_0, (name.clone(), 0)).unwrap();
        let others: Vec<_> =
            (0..5).map(|x| pool.apply_async(note, (format!("{name}.other"), x)).unwrap()).collect();
        std::fs::write(format!("{name}.other"), []).unwrap();
        while std::fs::read(&name).unwrap().len() < round {
            std::thread::yield_now();
        }
        running.cancel();
        assert_eq!(running.get(), Err(TaskError::Cancelled));
        assert!((0..).zip(others).all(|(x, other)| other.get() == Ok(x * x)));
    }
}

fn workers_that_are_idle_for_long_leave() {
    let idle = Duration::from_millis(30);
    let pool = Pool::builder().processes(2).idle_timeout(idle).backend(mock()).build().unwrap();
    for _ in 0..3 {
        assert_eq!(pool.map(|x: u64| x + 1, 0..10).unwrap().len(), 10);
        while !pool.worker_pids().is_empty() || !active_children().is_empty() {
            std::thread::yield_now();
        }
    }
}

/// The first two tries fail.
fn fails_twice(path: String, x: u64) -> u64 {
    note(path.clone(), x);
    let tries = std::fs::read(&path).unwrap().iter().filter(|one| u64::from(**one) == x).count();
    match tries {
        1 | 2 if x < 5 => panic!("try {tries}"),
        1 | 2 => std::process::abort(),
        _ => x * x,
    }
}

fn tasks_are_tried_again_as_often_as_is_asked() {
    let folder = mp_testing::Folder::new("mp-backend");
    for (times, tries) in [(2, 3), (1, 2)] {
        let name = folder.path().join(format!("ran-{times}")).to_str().unwrap().to_owned();
        std::fs::write(&name, []).unwrap();
        let pool = Pool::builder().processes(2).backend(mock()).build().unwrap();
        let tried = pool.with(TaskOptions::new().retry(Retry::new(times).on_panic()));
        let tasks = (0..10).map(|x| (name.clone(), x));
        let ends: Vec<_> = tasks.map(|task| tried.apply_async(fails_twice, task).unwrap()).collect();
        for (x, end) in (0..).zip(ends) {
            match end.get() {
                Ok(value) => assert!(times == 2 && value == x * x, "{x}: {value}"),
                Err(TaskError::Panicked { .. }) => assert!(times == 1 && x < 5, "{x}"),
                Err(TaskError::WorkerDied { deaths: 2, .. }) => assert!(times == 1 && x >= 5, "{x}"),
                Err(other) => panic!("{x}: {other}"),
            }
        }
        let mut ran = std::fs::read(&name).unwrap();
        ran.sort_unstable();
        assert_eq!(ran, (0..10).flat_map(|x| vec![x; tries]).collect::<Vec<u8>>());
    }
}

fn idle_workers_end_with_their_link() {
    let pool = Pool::builder().processes(2).backend(mock()).build().unwrap();
    assert_eq!(pool.map(|x: u64| x + 1, 0..10).unwrap().len(), 10);
    for _ in 0..3 {
        pool.worker_pids().into_iter().for_each(|pid| {
            kill_if_it_lives(pid);
        });
        assert_eq!(pool.map(|x: u64| x + 1, 0..10).unwrap().len(), 10);
    }
    pool.close();
    pool.join().unwrap();
    assert!(active_children().is_empty());
}
