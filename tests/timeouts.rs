//! Timeouts of nothing, and of more than the clock can count, in every call that takes one (fault row 26);
//! and that none of them depends on the wall clock (row 24), which may be set during a wait.
//!
//! A negative timeout cannot be written: a `Duration` has none.

#[path = "timeouts/scenes.rs"]
mod scenes;

use mp::base::sys::fd::pipe;
use mp::base::transfer::Handle;
use mp::{Process, parent_process};
use mp_testing::{Bits, Fate, filter, parent_in_role, role, sources_below};
use scenes::{CALLS, Scene, Stays};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

mp_testing::cases! {
    plain: [
        every_call_with_a_timeout_is_tried,
        no_time_is_one_look,
        a_short_time_is_waited_out,
        more_time_than_there_is_waits_for_what_comes,
        a_parent_is_waited_for,
        no_wait_minds_the_wall_clock,
        a_wait_by_the_wall_clock_is_found_out,
    ]
}

/// From an hour to the most there is: beyond what the system takes for a timeout, what an `Instant` can
/// count, and what fits into milliseconds or nanoseconds of 64 bits.
const HUGE: [Duration; 7] = [
    Duration::from_secs(3600),
    Duration::from_millis(i32::MAX as u64 + 1),
    Duration::from_nanos(u64::MAX),
    Duration::from_millis(u64::MAX),
    Duration::from_secs(i64::MAX as u64),
    Duration::from_secs(u64::MAX),
    Duration::MAX,
];

fn waited(scene: &Scene, timeout: Duration) -> bool {
    let wait = &scene.wait;
    thread::scope(|scope| scope.spawn(|| wait(timeout)).join().unwrap())
}

fn no_time_is_one_look() {
    for (call, make) in CALLS {
        for timeout in [Duration::ZERO, Duration::from_nanos(1)] {
            assert!(!waited(&make(), timeout), "{call}: nothing was there");
        }
        let mut scene = make();
        let come = std::mem::replace(&mut scene.come, Box::new(|| ()));
        if scene.stays == Stays::No {
            continue;
        }
        come();
        if scene.stays == Stays::OnceWaitedFor {
            assert!(waited(&scene, Duration::MAX), "{call}");
        }
        assert!(waited(&scene, Duration::ZERO), "{call}: it was there");
    }
}

fn a_short_time_is_waited_out() {
    for (call, make) in CALLS {
        let (scene, timeout) = (make(), Duration::from_millis(20));
        let began = Instant::now();
        assert!(!waited(&scene, timeout), "{call}");
        assert!(began.elapsed() >= timeout, "{call} came back early");
    }
}

/// The calling thread's number, as `/proc` knows it.
fn own_number() -> String {
    let path = fs::read_link("/proc/thread-self").unwrap();
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Until the thread sleeps, or has ended.
fn until_asleep(number: &str) {
    let state = || {
        let stat = fs::read_to_string(format!("/proc/self/task/{number}/stat")).ok()?;
        stat.rsplit(") ").next()?.chars().next()
    };
    while state().is_some_and(|state| state != 'S') {
        thread::yield_now();
    }
}

/// What comes, comes after the wait has begun: one that took the timeout for a short one would be over by
/// then.
fn comes_in_time(call: &str, scene: Scene, timeout: Duration) {
    let Scene { wait, come, .. } = scene;
    let (tell, number) = mpsc::channel();
    let waiting = thread::spawn(move || {
        tell.send(own_number()).unwrap();
        wait(timeout)
    });
    until_asleep(&number.recv().unwrap());
    assert!(!waiting.is_finished(), "{call} does not wait {timeout:?}");
    come();
    assert!(waiting.join().unwrap(), "{call} waited {timeout:?} in vain");
}

fn more_time_than_there_is_waits_for_what_comes() {
    for (call, make) in CALLS {
        HUGE.into_iter().for_each(|timeout| comes_in_time(call, make(), timeout));
    }
}

fn join_parent(said: Handle) {
    let parent = parent_process().unwrap();
    let mut said = File::from(said.into_fd().unwrap());
    let began = Instant::now();
    assert!(parent.try_join().is_err() && parent.join_timeout(Duration::from_millis(20)).is_err());
    assert!(began.elapsed() >= Duration::from_millis(20));
    let ended = thread::scope(|scope| {
        let (tell, number) = mpsc::channel();
        let parent = &parent;
        let waits = HUGE.map(|timeout| {
            let tell = tell.clone();
            scope.spawn(move || {
                tell.send(own_number()).unwrap();
                parent.join_timeout(timeout).is_ok()
            })
        });
        number.iter().take(HUGE.len()).for_each(|number| until_asleep(&number));
        // The parent ends when it reads this.
        said.write_all(b"!").unwrap();
        waits.map(|wait| wait.join().unwrap())
    });
    assert_eq!(ended, [true; HUGE.len()]);
    said.write_all(b"all have seen the end").unwrap();
}

fn have_a_child(said: Handle) {
    Process::new(join_parent, (said,)).start().unwrap();
    loop {
        thread::park();
    }
}

/// `ParentProcess::join`
fn a_parent_is_waited_for() {
    let (read, write) = pipe().unwrap();
    let parent = Process::new(have_a_child, (Handle::new(write),)).start().unwrap();
    let mut said = File::from(read);
    said.read_exact(&mut [0]).unwrap();
    parent.kill().unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "all have seen the end");
    assert!(parent.join().is_err());
}

/// What would be by the wall clock: a wait on a word until a point of its time (which is what the C library's
/// `sem_timedwait` does, and CPython's locks by it), and a sleep until one.
fn no_wall_clock() {
    const REALTIME: u32 = libc::FUTEX_CLOCK_REALTIME as u32;
    const UNTIL: u32 = libc::TIMER_ABSTIME as u32;
    // A wait without a time, as the C library's for a thread's end, may bear the bit: it means nothing there.
    let with_a_time = Bits::are_not(3, u32::MAX, 0);
    filter(libc::SYS_futex, &[Bits::are(1, REALTIME, REALTIME), with_a_time], Fate::Kills);
    let of_the_wall = Bits::are(0, u32::MAX, libc::CLOCK_REALTIME as u32);
    filter(libc::SYS_clock_nanosleep, &[of_the_wall, Bits::are(1, UNTIL, UNTIL)], Fate::Kills);
}

/// Row 24. All other timeouts are distances from now. (Which clocks are read, no filter sees:
/// a lint, in `clippy.toml`.)
fn no_wait_minds_the_wall_clock() {
    no_wall_clock();
    for (call, make) in CALLS {
        assert!(!waited(&make(), Duration::from_millis(5)), "{call}");
        comes_in_time(call, make(), Duration::from_secs(3600));
    }
}

/// CPython's way: this process does not come back from it.
fn a_wait_by_the_wall_clock_is_found_out() {
    if role().is_some() {
        no_wall_clock();
        println!("filtered");
        wait_as_cpython_does();
        return;
    }
    let output = parent_in_role("waits by the wall clock").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGSYS), "{output:?}");
    assert_eq!(output.stdout, b"filtered\n");
}

#[allow(unsafe_code, reason = "nothing safe waits like this")]
fn wait_as_cpython_does() {
    // SAFETY: all zeros is a semaphore to be initialised, and a time long ago but for the year.
    let (mut semaphore, mut until) = unsafe { std::mem::zeroed::<(libc::sem_t, libc::timespec)>() };
    until.tv_sec = i64::from(i32::MAX);
    // SAFETY: a semaphore on this stack, which no other thread has.
    assert_eq!(unsafe { libc::sem_init(&mut semaphore, 0, 0) }, 0);
    // SAFETY: as above, and a time on this stack.
    unsafe { libc::sem_timedwait(&mut semaphore, &until) };
}

/// The functions of a source file that are public and take a timeout.
fn waiting_functions(text: &str) -> Vec<String> {
    let declared = text.split("pub fn ").skip(1);
    let waits = declared.filter_map(|declared| {
        let signature = &declared[..declared.find(['{', ';'])?];
        let name = declared.split(['(', '<']).next()?.to_owned();
        let takes =
            ["timeout: Duration", "timeout: Option<Duration>"].iter().any(|form| signature.contains(form));
        takes.then_some(name)
    });
    waits.collect()
}

/// A new one is to be put into the table.
fn every_call_with_a_timeout_is_tried() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["mp-core", "mp-sync", "mp-pipe", "mp-shm", "mp-queue", "mp-pool", "mp-manager"] {
        sources.extend(sources_below(&root.join(folder).join("src")));
    }
    let mut calls = Vec::new();
    for path in &sources {
        let file = path.strip_prefix(root).unwrap().display();
        let text = fs::read_to_string(path).unwrap();
        calls.extend(waiting_functions(&text).into_iter().map(|name| format!("{file}::{name}")));
    }
    let elsewhere = [
        // Where a timeout becomes a point in time.
        "mp-core/src/word/deadline.rs::after",
        // Has a case of its own.
        "mp-core/src/process/current.rs::join_timeout",
        // Of a feature that is not on here: calls of bytes with a pickle in them.
        "mp-pipe/src/pickle/over.rs::recv_pickle_timeout",
        "mp-pipe/src/pickle/over.rs::send_pickle_timeout",
        // The same: `mp-manager/tests/python_server.rs` tries them.
        "mp-manager/src/python/manager.rs::connect_timeout",
        "mp-manager/src/python/waiting.rs::acquire_timeout",
        "mp-manager/src/python/waiting.rs::get_timeout",
        "mp-manager/src/python/waiting.rs::put_timeout",
        "mp-manager/src/python/waiting.rs::wait_timeout",
        // A setting, and no call that waits.
        "mp-pool/src/idle.rs::idle_timeout",
    ];
    let mut tried: Vec<&str> = CALLS.iter().map(|(call, _)| *call).chain(elsewhere).collect();
    calls.sort();
    calls.dedup();
    tried.sort();
    tried.dedup();
    assert_eq!(calls, tried);
}
