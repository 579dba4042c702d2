//! What counts against a pool: start-up failures in a row. A task's death counts against the task, and a death from
//! outside against nothing.

use mp_core::popen::forkserver::template_pid;
use mp_core::popen::set_forkserver_preload;
use mp_core::transfer::Handle;
use mp_pool::{Pool, SubmitError, TaskError};
use mp_testing::{kill, kill_if_it_lives};
use nix::sys::resource::{Resource, setrlimit};
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::{fs, io::Write};

mp_testing::cases! {
    plain: [
        workers_that_exit_before_a_task_break_the_pool,
        a_worker_that_fails_to_start_once_is_tried_again,
        a_failed_replacement_is_tried_again,
        handles_that_no_worker_can_open_fail_their_task_alone,
        a_hundred_thousand_items_in_one_chunk,
    ],
    every_method: [
        tasks_that_kill_their_worker_take_no_others_along,
        deaths_from_outside_never_break_the_pool,
    ]
}

fn square(x: u64) -> u64 {
    x * x
}

fn leave(code: i32) {
    std::process::exit(code);
}

fn why_broken(pool: &Pool) -> String {
    match pool.apply_async(square, (2,)).map(|result| result.get()) {
        Ok(Err(TaskError::Broken(reason))) | Err(SubmitError::Broken(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// Code 0 is no death of a process, and no worker either.
fn workers_that_exit_before_a_task_break_the_pool() {
    for code in [0, 3] {
        let pool = Pool::builder().processes(2).initializer(leave, (code,)).build().unwrap();
        let reason = why_broken(&pool);
        assert!(reason.contains(&format!("exited with code {code} before its first task")), "{reason}");
    }
}

/// A file of the case's own, named after its process.
fn tally(of: u32) -> PathBuf {
    std::env::temp_dir().join(format!("mp-pool-deaths-{of}"))
}

/// One more: how many there are now.
fn count(of: u32) -> usize {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(tally(of)).unwrap();
    file.write_all(b".").unwrap();
    fs::read(tally(of)).unwrap().len()
}

fn exit_the_first_times(of: u32) {
    if count(of) <= 5 {
        std::process::exit(0);
    }
}

fn a_worker_that_fails_to_start_once_is_tried_again() {
    let me = std::process::id();
    let pool = Pool::builder().processes(1).initializer(exit_the_first_times, (me,)).build().unwrap();
    assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
    fs::remove_file(tally(me)).unwrap();
}

fn fail_the_second_time() {
    assert_ne!(count(parent_id()), 2, "a deliberate panic");
}

/// The second template cannot be made; the third one can.
fn a_failed_replacement_is_tried_again() {
    let me = std::process::id();
    set_forkserver_preload(fail_the_second_time).unwrap();
    let pool = Pool::new(1).unwrap();
    while fs::read(tally(me)).unwrap_or_default().len() < 3 {
        let worker = pool.apply(std::process::id, ()).unwrap();
        template_pid().map(kill_if_it_lives);
        kill(worker);
        assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
    }
    fs::remove_file(tally(me)).unwrap();
}

fn have_few_descriptors() {
    setrlimit(Resource::RLIMIT_NOFILE, 40, 40).unwrap();
}

/// They stay in the worker's line: that worker ends, and the next one has a new line.
fn handles_that_no_worker_can_open_fail_their_task_alone() {
    let pool = Pool::builder().processes(2).initializer(have_few_descriptors, ()).build().unwrap();
    let (end, _other) = mp_core::sys::fd::pipe().unwrap();
    let many: Vec<Handle> = (0..60).map(|_| Handle::new(end.try_clone().unwrap())).collect();
    let before = pool.map_async(square, 0..100).unwrap();
    let refused = pool.apply_async(|handles: Vec<Handle>| handles.len(), (many,)).unwrap();
    let after = pool.map_async(square, 0..100).unwrap();
    match refused.get() {
        Err(TaskError::Failed(reason)) => assert!(reason.contains("handles"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!((before.get().unwrap().len(), after.get().unwrap().len()), (100, 100));
}

/// What a chunk costs grows with its items, and not with their square.
fn a_hundred_thousand_items_in_one_chunk() {
    const ITEMS: u64 = 100_000;
    let pool = Pool::new(1).unwrap();
    let squares = pool.map_in_chunks(square, 0..ITEMS, Some(ITEMS as usize)).unwrap().get().unwrap();
    assert!(squares.into_iter().eq((0..ITEMS).map(square)));
}

fn dies_every_seventh_time(x: u64) -> u64 {
    if x % 7 == 3 {
        std::process::abort();
    }
    x
}

/// 29 of 200 kill their worker, in every kind of chunk.
fn tasks_that_kill_their_worker_take_no_others_along() {
    let pool = Pool::new(2).unwrap();
    for chunk_size in [Some(1), Some(25), None] {
        let each = pool.map_in_chunks(dies_every_seventh_time, 0..200, chunk_size).unwrap().get_each();
        for (x, outcome) in (0..).zip(each) {
            match outcome {
                Ok(value) => assert!(value == x && x % 7 != 3),
                Err(TaskError::WorkerDied { .. }) => assert_eq!(x % 7, 3, "{x} was not the one"),
                Err(other) => panic!("{x}: {other:?}"),
            }
        }
    }
    assert_eq!(pool.apply(square, (3,)).unwrap(), 9);
}

fn deaths_from_outside_never_break_the_pool() {
    let pool = Pool::new(16).unwrap();
    for _ in 0..3 {
        assert_eq!(pool.map(square, 0..50).unwrap().len(), 50);
        for pid in pool.worker_pids() {
            kill_if_it_lives(pid);
        }
    }
    assert_eq!(pool.map(square, 0..50).unwrap().len(), 50);
}
