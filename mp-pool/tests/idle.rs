//! A pool whose workers leave when they have had nothing to do for a time, and come back when tasks wait.

mod at_work;

use at_work::{Said, at_work, wait_until_there_are};
use mp_core::active_children;
use mp_pool::{NewPoolError, Pool, PoolBuilder, ResizeError, TaskError, worker_index};
use mp_queue::Queue;
use mp_testing::{limited, wait_a_random_moment, while_killing};
use nix::sys::resource::Resource;
use std::collections::HashSet;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        more_cannot_stay_than_there_are,
        threads_of_a_pool_without_workers_sleep,
        no_task_waits_for_the_end_of_a_worker_that_leaves,
        a_worker_that_could_not_be_started_is_started_when_tasks_wait,
        every_item_has_one_end_whichever_worker_is_killed,
    ],
    every_method: [
        idle_workers_leave_and_come_back,
        a_task_is_done_whenever_it_comes,
        each_worker_runs_the_initializer,
        a_closed_pool_finishes_what_waits,
        resize_starts_those_that_have_left,
        workers_that_end_after_a_task_leave_too,
    ]
}

const SOON: Duration = Duration::from_millis(20);

fn builder(processes: usize) -> PoolBuilder {
    Pool::builder().processes(processes).idle_timeout(SOON)
}

fn idle_workers_leave_and_come_back() {
    let pool = builder(3).least_processes(1).build().unwrap();
    for _ in 0..3 {
        wait_until_there_are(&pool, 1);
        assert_eq!(pool.statistics().workers[0].restarts, 0, "the first one stays");
        assert_eq!(at_work(&pool, 3), HashSet::from([0, 1, 2]));
    }
    assert_eq!((pool.processes(), pool.statistics().tasks()), (3, 9));
    assert!(pool.statistics().restarts() >= 6);
    pool.close();
    pool.join().unwrap();
    assert!(active_children().is_empty());
}

/// Also as the last worker leaves.
fn a_task_is_done_whenever_it_comes() {
    let leaves = Duration::from_millis(1);
    let pool = Pool::builder().processes(2).idle_timeout(leaves).build().unwrap();
    for x in 0..25_u64 {
        assert_eq!(pool.apply(|x: u64| x * x, (x,)).unwrap(), x * x);
        wait_a_random_moment(4 * leaves);
    }
    wait_until_there_are(&pool, 0);
    assert_eq!(pool.map(|x: u64| x + 1, 0..1000).unwrap(), (1..=1000).collect::<Vec<_>>());
    wait_until_there_are(&pool, 0);
    assert_eq!(
        pool.imap(|x: u64| x + 1, 0..).unwrap().take(50).map(Result::unwrap).sum::<u64>(),
        50 * 51 / 2
    );
}

fn say(said: Said) -> Said {
    said.put(worker_index()).unwrap();
    said
}

fn each_worker_runs_the_initializer() {
    let said = Said::new().unwrap();
    let pool = builder(2).initializer_value(say, (said.clone(),)).build().unwrap();
    for _ in 0..3 {
        let began: HashSet<_> = (0..2).filter_map(|_| said.get().unwrap()).collect();
        assert_eq!(began, HashSet::from([0, 1]));
        wait_until_there_are(&pool, 0);
        assert_eq!(at_work(&pool, 2), HashSet::from([0, 1]));
    }
}

fn a_closed_pool_finishes_what_waits() {
    let pool = builder(2).build().unwrap();
    wait_until_there_are(&pool, 0);
    let squares = pool.map_async(|x: u64| x * x, 0..100).unwrap();
    pool.close();
    pool.join().unwrap();
    assert_eq!(squares.get().unwrap(), (0..100).map(|x| x * x).collect::<Vec<_>>());
    let idle = builder(2).build().unwrap();
    wait_until_there_are(&idle, 0);
    idle.close();
    idle.join().unwrap();
}

fn resize_starts_those_that_have_left() {
    let pool = builder(2).most_processes(4).least_processes(1).build().unwrap();
    wait_until_there_are(&pool, 1);
    pool.resize(4).unwrap();
    assert_eq!(at_work(&pool, 4), HashSet::from([0, 1, 2, 3]));
    wait_until_there_are(&pool, 1);
    pool.resize(2).unwrap();
    assert_eq!(at_work(&pool, 2), HashSet::from([0, 1]));
    // No more of them come back than are wanted.
    assert_eq!(pool.map(|x: u64| x, 0..1000).unwrap().len(), 1000);
    assert!(pool.statistics().workers.iter().all(|worker| worker.index < 2 || worker.pid.is_none()));
}

fn workers_that_end_after_a_task_leave_too() {
    let pool = builder(2).max_tasks_per_child(1).build().unwrap();
    for _ in 0..2 {
        assert_eq!(at_work(&pool, 2), HashSet::from([0, 1]));
        wait_until_there_are(&pool, 0);
    }
}

/// A worker's state, which says that the worker ends. The end of the second worker takes long.
struct Lingers(Said, Queue<()>);

impl Drop for Lingers {
    fn drop(&mut self) {
        self.0.put(worker_index()).unwrap();
        if worker_index() == Some(1) {
            self.1.get().unwrap();
        }
    }
}

fn no_task_waits_for_the_end_of_a_worker_that_leaves() {
    let (said, gate) = (Said::new().unwrap(), Queue::new().unwrap());
    let pool = builder(2).initializer_value(Lingers, (said.clone(), gate.clone())).build().unwrap();
    let ending: HashSet<_> = (0..2).filter_map(|_| said.get().unwrap()).collect();
    assert_eq!(ending, HashSet::from([0, 1]));
    wait_until_there_are(&pool, 1);
    assert_eq!(pool.apply(worker_index, ()).unwrap(), Some(0));
    gate.put(()).unwrap();
    wait_until_there_are(&pool, 0);
}

fn a_worker_that_could_not_be_started_is_started_when_tasks_wait() {
    let pool = builder(1).build().unwrap();
    wait_until_there_are(&pool, 0);
    let refused = limited(Resource::RLIMIT_NOFILE, 3, || pool.resize(1));
    assert!(matches!(refused, Err(ResizeError::Start(_))), "{refused:?}");
    assert_eq!(pool.apply(|x: u64| x + 1, (7,)).unwrap(), 8);
    assert_eq!(pool.statistics().restarts(), 1, "of one that was started");
}

/// How often the pool's threads have gone to sleep so far.
fn sleeps() -> Vec<(String, String)> {
    let of = |task: std::io::Result<std::fs::DirEntry>| {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.rsplit('\t').next().unwrap().to_owned()
        };
        (field("Name:"), field("voluntary_ctxt_switches:"))
    };
    let mut all: Vec<_> = std::fs::read_dir("/proc/self/task").unwrap().map(of).collect();
    all.retain(|(name, _)| name.starts_with("mp-pool"));
    all.sort();
    all
}

fn threads_of_a_pool_without_workers_sleep() {
    let pool = builder(3).build().unwrap();
    assert_eq!(pool.apply(|x: u64| x, (7,)).unwrap(), 7);
    wait_until_there_are(&pool, 0);
    // The watcher is on its way to its sleep, which may take long where others want its CPU. One that looked now and
    // then would have no second without.
    let slept = (0..20).any(|_| {
        let before = sleeps();
        assert_eq!(before.len(), 2);
        std::thread::sleep(Duration::from_secs(1));
        sleeps() == before
    });
    assert!(slept, "{:?}", sleeps());
}

fn more_cannot_stay_than_there_are() {
    let refused = builder(2).least_processes(3).build();
    assert!(matches!(refused, Err(NewPoolError::LeastProcesses { least: 3, processes: 2 })), "{refused:?}");
    let pool = builder(2).least_processes(2).build().unwrap();
    let pids = pool.worker_pids();
    std::thread::sleep(5 * SOON);
    assert_eq!(pool.worker_pids(), pids);
}

/// `MP_KILLS=5000` sets the number; the default fits the gate.
fn every_item_has_one_end_whichever_worker_is_killed() {
    let (kills, moment) = (mp_testing::kills(60) as usize, Duration::from_millis(3));
    let pool = Pool::builder().processes(4).idle_timeout(Duration::from_millis(1)).build().unwrap();
    let (mut done, mut died) = (0, 0);
    while_killing(
        kills,
        moment,
        || pool.worker_pids(),
        || {
            let each = pool.map_each(|x: u64| x * x, 0..500).unwrap();
            assert_eq!(each.len(), 500);
            for (x, outcome) in (0..).zip(each) {
                match outcome {
                    Ok(square) => done += usize::from(square == x * x),
                    Err(TaskError::WorkerDied { .. }) => died += 1,
                    Err(other) => panic!("{x}: {other:?}"),
                }
            }
            wait_a_random_moment(moment);
        },
    );
    println!("killed {kills}: {done} done, {died} died");
    assert_eq!((done + died) % 500, 0);
    pool.close();
    pool.join().unwrap();
    assert!(active_children().is_empty());
}
