//! Ctrl-C with a pool: the workers ignore it, the pool's threads leave it to the program's, and a waiting call comes
//! back to a program that handles it.
//!
//! # Safety
//! The one invariant: the handler sets a flag and does nothing else.
#![allow(unsafe_code)]

use mp_core::{JoinError, Process};
use mp_pool::{Pool, SubmitError};
use mp_queue::Queue;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, killpg, sigaction};
use nix::unistd::{Pid, dup, dup2_stderr, getpgrp, setpgid};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

mp_testing::cases! {
    plain: [the_pools_threads_hold_back_every_signal],
    every_method: [
        ctrl_c_gives_a_handling_program_control,
        workers_hold_back_what_their_pools_maker_does,
        a_sigterm_to_all_lets_the_tasks_be_finished,
        ctrl_c_says_nothing,
    ]
}

static STOP: AtomicBool = AtomicBool::new(false);

fn stopped() -> bool {
    // ORDERING: Relaxed, here and below: the flag is all there is.
    STOP.load(Ordering::Relaxed)
}

extern "C" fn set_flag(_: i32) {
    // ORDERING: as above.
    STOP.store(true, Ordering::Relaxed);
}

fn handle(signal: Signal, flags: SaFlags) {
    let action = SigAction::new(SigHandler::Handler(set_flag), flags, SigSet::empty());
    // SAFETY: the handler sets a flag.
    unsafe { sigaction(signal, &action) }.unwrap();
}

fn tell_and_stay(began: Queue<u32>) {
    began.put(std::process::id()).unwrap();
    loop {
        std::thread::park();
    }
}

/// As a terminal does: to the whole group, the workers too. With `SA_RESTART` no sleep ends by itself.
fn ctrl_c_gives_a_handling_program_control() {
    let me = Pid::from_raw(0);
    setpgid(me, me).unwrap();
    for flags in [SaFlags::empty(), SaFlags::SA_RESTART] {
        handle(Signal::SIGINT, flags);
        let pool = Pool::new(2).unwrap();
        let began = Queue::new().unwrap();
        let press = |began: Queue<u32>| {
            let worker = began.get().unwrap();
            killpg(getpgrp(), Signal::SIGINT).unwrap();
            worker
        };
        let (interrupted, first) = std::thread::scope(|scope| {
            let presses = scope.spawn(|| press(began.clone()));
            (pool.map_interruptible(tell_and_stay, [began.clone()], stopped), presses.join().unwrap())
        });
        assert!(matches!(interrupted, Err(SubmitError::Interrupted)), "{interrupted:?}");
        // ORDERING: as above.
        STOP.store(false, Ordering::Relaxed);
        let (single, second) = std::thread::scope(|scope| {
            let presses = scope.spawn(|| press(began.clone()));
            let waits = pool.apply_async(tell_and_stay, (began.clone(),)).unwrap();
            (waits.get_interruptible(stopped), presses.join().unwrap())
        });
        assert!(matches!(single, Err(SubmitError::Interrupted)), "{single:?}");
        // ORDERING: as above.
        STOP.store(false, Ordering::Relaxed);
        let workers = pool.worker_pids();
        assert!(workers.contains(&first) && workers.contains(&second), "workers ignore it");
    }
}

fn tell_and_wait(began: Queue<u32>, go: Queue<u64>) -> u64 {
    began.put(std::process::id()).unwrap();
    go.get().unwrap()
}

/// Those that run, and those that wait.
fn a_sigterm_to_all_lets_the_tasks_be_finished() {
    let me = Pid::from_raw(0);
    setpgid(me, me).unwrap();
    handle(Signal::SIGTERM, SaFlags::SA_RESTART);
    let pool = Pool::builder().processes(2).drain_on_sigterm().build().unwrap();
    let (began, go) = (Queue::new().unwrap(), Queue::new().unwrap());
    let tasks = pool.starmap_async(tell_and_wait, (0..6).map(|_| (began.clone(), go.clone()))).unwrap();
    let _ = (began.get().unwrap(), began.get().unwrap());
    killpg(getpgrp(), Signal::SIGTERM).unwrap();
    assert!(matches!(tasks.get_interruptible(stopped), Err(SubmitError::Interrupted)));
    pool.close();
    (0..6).for_each(|x| go.put(x).unwrap());
    pool.join().unwrap();
    let mut values = tasks.get().unwrap();
    values.sort_unstable();
    assert_eq!(values, [0, 1, 2, 3, 4, 5]);
}

fn work_in_a_pool(began: Queue<u32>) {
    let me = Pid::from_raw(0);
    setpgid(me, me).unwrap();
    let pool = Pool::new(2).unwrap();
    let _ = pool.map(tell_and_stay, [began.clone(), began]);
}

/// To a program that does not handle it, and its workers: all end, and write nothing.
fn ctrl_c_says_nothing() {
    let path = std::env::temp_dir().join(format!("mp-pool-quiet-{}", std::process::id()));
    let before = dup(std::io::stderr()).unwrap();
    dup2_stderr(fs::File::create(&path).unwrap()).unwrap();
    let began = Queue::new().unwrap();
    let program = Process::new(work_in_a_pool, (began.clone(),)).start().unwrap();
    let _ = (began.get().unwrap(), began.get().unwrap());
    killpg(Pid::from_raw(program.pid() as i32), Signal::SIGINT).unwrap();
    let ended = program.join();
    dup2_stderr(before).unwrap();
    let said = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(matches!(ended, Err(JoinError::Killed(2))), "{ended:?}");
    assert_eq!(said, "");
}

/// The signals that a thread holds back, as the kernel says: one bit each.
fn held_back(task: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/self/task/{task}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
    u64::from_str_radix(line.trim(), 16).unwrap()
}

/// So a handler runs in a thread of the program's own, whose system call it interrupts.
fn the_pools_threads_hold_back_every_signal() {
    let pool = Pool::new(1).unwrap();
    assert_eq!(pool.apply(|| 1, ()).unwrap(), 1);
    let mut threads = 0;
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let name = task.unwrap().file_name().into_string().unwrap();
        let title = fs::read_to_string(format!("/proc/self/task/{name}/comm")).unwrap();
        if title.starts_with("mp-pool-") {
            threads += 1;
            for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGALRM, Signal::SIGCHLD] {
                assert_ne!(held_back(&name) & 1 << (signal as i32 - 1), 0, "{title}: {signal}");
            }
        }
    }
    assert_eq!(threads, 2);
    assert_eq!(held_back(&std::process::id().to_string()), 0, "and the program's own thread as before");
}

fn own() -> u64 {
    held_back(&std::process::id().to_string())
}

/// Also those that a thread of the pool starts.
fn workers_hold_back_what_their_pools_maker_does() {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGUSR2);
    mask.thread_block().unwrap();
    let pool = Pool::builder().processes(1).max_tasks_per_child(1).build().unwrap();
    let wanted = 1 << (Signal::SIGUSR2 as i32 - 1);
    for _ in 0..4 {
        assert_eq!(pool.apply(own, ()).unwrap(), wanted);
    }
}
