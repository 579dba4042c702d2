//! Workers that are forked with captured data, and their successors.

use mp_core::sys::poll::pidfd_open;
use mp_core::sys::process::{Ended, become_subreaper, send_signal};
use mp_core::sys::signal::SIGKILL;
use mp_core::{CodecError, StartError, active_children};
use mp_pool::{NewPoolError, Pool, SubmitError, TaskError, with_state};
use mp_testing::{all_gone, descendants, end_of, kill, kill_if_it_lives, parent_in_role, role, stay};
use std::cell::Cell;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::sync::mpsc;

mp_testing::cases! {
    plain: [
        beside_other_threads_it_is_refused,
        a_worker_has_one_state,
    ],
    every_method: [
        a_closure_captures_what_it_needs,
        captured_data_is_each_workers_own,
        dead_workers_have_successors_with_the_data,
        a_successor_is_forked_beside_threads,
        the_end_of_the_copy_breaks_the_pool_where_a_worker_is_missing,
        nothing_outlives_the_pool,
        nothing_outlives_a_killed_parent,
    ]
}

/// What serde cannot write, and what points into this process's memory.
fn words() -> HashMap<&'static str, Box<dyn Fn(u64) -> u64>> {
    let double: Box<dyn Fn(u64) -> u64> = Box::new(|x| 2 * x);
    let seven = 7;
    HashMap::from([("double", double), ("add", Box::new(move |x| x + seven))])
}

fn a_closure_captures_what_it_needs() {
    let words = words();
    let call = move |word: String, x: u64| words.get(word.as_str()).map(|function| function(x));
    let (pool, call) = Pool::builder().processes(2).fork_from_closure(call).unwrap();
    assert_eq!(pool.apply(call, ("double".to_owned(), 21)).unwrap(), Some(42));
    let items = (0..100).map(|x| (if x % 2 == 0 { "add" } else { "none" }.to_owned(), x));
    let values = pool.starmap(call, items).unwrap();
    assert!(values.into_iter().enumerate().all(|(x, value)| value == (x % 2 == 0).then_some(x as u64 + 7)));
    // Other tasks go on beside it, those of other pools too.
    assert_eq!(pool.apply(|x: u64| x + 1, (1,)).unwrap(), 2);
    let other = Pool::new(1).unwrap();
    let refused = other.apply(call, (String::new(), 0));
    assert!(matches!(refused, Err(SubmitError::Arguments(CodecError::WantsState(_)))));
}

fn die(_: &mut Vec<u64>) {
    std::process::abort();
}

fn captured_data_is_each_workers_own() {
    let mut list = vec![1_u64, 2];
    let pool = Pool::builder().processes(1).fork_from(list.clone()).unwrap();
    list.push(100);
    let push = |list: &mut Vec<u64>, x: u64| {
        list.push(x);
        list.clone()
    };
    assert_eq!(pool.apply(with_state(push), (3,)).unwrap(), [1, 2, 3]);
    assert_eq!(pool.apply(with_state(push), (4,)).unwrap(), [1, 2, 3, 4]);
    assert!(matches!(pool.apply(with_state(die), ()), Err(SubmitError::Task(TaskError::WorkerDied { .. }))));
    // As of the moment of the fork.
    assert_eq!(pool.apply(with_state(push), (5,)).unwrap(), [1, 2, 5]);
}

/// How many calls there were before in this worker. (Process ids may come again, so they tell nothing.)
fn calls_before(calls: &Cell<u64>) -> u64 {
    calls.replace(calls.get() + 1)
}

fn dead_workers_have_successors_with_the_data() {
    let (data, calls): (Vec<u64>, _) = ((0..1000).collect(), Cell::new(0));
    let look_up = move |at: usize| (calls_before(&calls), data[at]);
    let (pool, look_up) = Pool::builder().processes(2).fork_from_closure(look_up).unwrap();
    let (mut workers, mut rounds) = (0, (0..400).cycle());
    // A successor may do tasks before it is listed, so a round may kill no worker.
    while workers < 10 {
        let round = rounds.next().unwrap();
        pool.worker_pids().into_iter().for_each(mp_testing::kill);
        let found = pool.map_each(look_up, [round, 2 * round, 999]).unwrap();
        for (at, one) in [round, 2 * round, 999].into_iter().zip(found) {
            // One that was just begun is its worker's.
            if let Ok((before, value)) = one {
                assert_eq!(value, at as u64);
                workers += u64::from(before == 0);
            }
        }
    }
    // Its threads would be in the way of the next fork.
    drop(pool);

    // Each task is its worker's first one.
    let calls = Cell::new(0);
    let count = move |_: u32| calls_before(&calls);
    let (pool, count) = Pool::builder().processes(2).max_tasks_per_child(1).fork_from_closure(count).unwrap();
    assert!((0..20).all(|x| pool.apply(count, (x,)).unwrap() == 0));
}

fn beside_other_threads_it_is_refused() {
    let (end, ended) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || ended.recv().is_err());
    let refused = Pool::builder().processes(1).fork_from(7).map(drop).unwrap_err();
    assert!(matches!(refused, NewPoolError::Start(StartError::Threads { threads: 2 })), "{refused}");
    drop(end);
    assert!(thread.join().unwrap());
    assert_eq!(active_children().len(), 0);
}

fn a_worker_has_one_state() {
    let two = Pool::builder().processes(1).initializer_value(|| 7_u64, ()).fork_from(8_u64);
    assert!(matches!(two, Err(NewPoolError::TwoStates)));
    // An initializer that has no value runs in each worker.
    let pool = Pool::builder().processes(1).initializer(|| std::env::set_current_dir("/proc").unwrap(), ());
    let pool = pool.fork_from(8_u64).unwrap();
    let here = |number: &mut u64| (*number, std::env::current_dir().unwrap());
    assert_eq!(pool.apply(with_state(here), ()).unwrap(), (8, "/proc".into()));
    let refused = pool.apply(with_state(|_: &mut i64| ()), ());
    assert!(matches!(refused, Err(SubmitError::Arguments(CodecError::WantsState("i64")))));
}

fn a_successor_is_forked_beside_threads() {
    let (pool, add) = Pool::builder().processes(1).fork_from_closure(|x: u64| x + 1).unwrap();
    let _others: Vec<_> = (0..3).map(|_| Pool::new(1).unwrap()).collect();
    for round in 0..5 {
        kill_if_it_lives(pool.worker_pids().pop().unwrap_or(0));
        while pool.apply(add, (round,)).is_err() {}
        assert_eq!(pool.apply(add, (round,)).unwrap(), round + 1);
    }
}

/// The process that has captured the data.
fn copy() -> u32 {
    let children = active_children();
    children.iter().find(|child| child.name() == "mp-template").unwrap().pid()
}

fn the_end_of_the_copy_breaks_the_pool_where_a_worker_is_missing() {
    let (pool, add) = Pool::builder().processes(1).fork_from_closure(|x: u64| x + 1).unwrap();
    kill(copy());
    assert_eq!(pool.apply(add, (1,)).unwrap(), 2);
    // The copy had forked one more ahead: it is the last successor.
    let mut ended = String::new();
    while ended.is_empty() {
        pool.worker_pids().into_iter().for_each(|pid| _ = kill_if_it_lives(pid));
        match pool.apply(add, (1,)) {
            Ok(value) => assert_eq!(value, 2),
            Err(SubmitError::Task(TaskError::WorkerDied { .. })) => {}
            Err(error) => ended = error.to_string(),
        }
    }
    assert!(ended.contains("holds the captured data was killed"), "{ended}");
}

fn nothing_outlives_the_pool() {
    let before = descendants(std::process::id()).len();
    for way in 0..3 {
        let (pool, add) = Pool::builder().processes(2).fork_from_closure(|x: u64| x + 1).unwrap();
        let result = pool.map_async(add, 0..100).unwrap();
        if way == 0 {
            pool.close();
            pool.join().unwrap();
            assert_eq!(active_children().len(), 0);
        } else if way == 1 {
            pool.terminate();
            pool.join().unwrap();
        } else {
            drop(pool);
        }
        // A result that is kept keeps no process.
        assert_eq!(active_children().len(), 0, "{way}");
        drop(result);
    }
    assert_eq!(descendants(std::process::id()).len(), before);
}

fn nothing_outlives_a_killed_parent() {
    if role().is_some() {
        let (pool, add) = Pool::builder().processes(2).fork_from_closure(|x: u64| x + 1).unwrap();
        assert_eq!(pool.apply(add, (1,)).unwrap(), 2);
        println!("ready");
        stay();
    }
    become_subreaper().unwrap();
    let mut parent = parent_in_role("parent").spawn().unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let pidfd = pidfd_open(parent.id()).unwrap();
    send_signal(pidfd.as_fd(), SIGKILL).unwrap();
    assert_eq!(end_of(&mut parent), Ended::Signaled(SIGKILL));
    all_gone();
}
