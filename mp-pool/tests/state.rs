//! What a worker has for itself: the value of its initializer, its index, its CPU and its niceness.

use mp_core::CodecError;
use mp_core::StartMethod;
use mp_mock::{builder, new_pool};
use mp_pool::{NewPoolError, SubmitError, TaskError, ThreadPool, with_state, worker_index};
use mp_queue::Queue;
use mp_testing::kill_if_it_lives;
use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Barrier};

mp_testing::cases! {
    plain: [
        cpus_that_there_are_not_are_refused,
        threads_have_indices,
        no_process_but_a_worker_has_an_index,
    ],
    every_method: [
        each_worker_keeps_the_value_of_its_initializer,
        the_successor_of_a_dead_worker_makes_its_own_value,
        a_task_for_another_state_is_refused,
        a_panicking_initializer_breaks_the_pool,
        a_panicking_task_leaves_the_value_as_it_is,
        a_value_is_dropped_where_its_worker_ends_by_itself,
        an_index_goes_to_the_successor,
        workers_run_where_they_are_told,
    ],
    mock: [
        no_process_but_a_worker_has_an_index,
        each_worker_keeps_the_value_of_its_initializer,
        the_successor_of_a_dead_worker_makes_its_own_value,
        a_task_for_another_state_is_refused,
        a_panicking_initializer_breaks_the_pool,
        a_panicking_task_leaves_the_value_as_it_is,
    ],
}

/// What serde cannot write: it never leaves its worker.
struct Counter {
    step: u64,
    calls: u64,
    _file: std::fs::File,
}

fn begin(step: u64) -> Counter {
    Counter { step, calls: 0, _file: std::fs::File::open("/dev/null").unwrap() }
}

/// The worker, its number of calls, and a value.
type Counted = (u32, u64, u64);

fn count(counter: &mut Counter, x: u64) -> Counted {
    counter.calls += 1;
    (std::process::id(), counter.calls, x + counter.step)
}

fn count_two(counter: &mut Counter, x: u64, y: u64) -> Counted {
    count(counter, x * y)
}

/// Whether each worker has counted its own tasks, and all of them.
fn check_counts(counted: &[Counted]) {
    let mut calls: HashMap<u32, Vec<u64>> = HashMap::new();
    counted.iter().for_each(|(pid, call, _)| calls.entry(*pid).or_default().push(*call));
    for numbers in calls.values_mut() {
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{numbers:?}");
    }
}

fn each_worker_keeps_the_value_of_its_initializer() {
    let pool = builder().processes(2).initializer_value(begin, (10,)).build().unwrap();
    let mut counted = pool.map(with_state(count), 0..50).unwrap();
    assert!(counted.iter().map(|(_, _, value)| *value).eq(10..60));
    counted.extend(pool.imap(with_state(count), 0..20).unwrap().map(Result::unwrap));
    counted.extend(pool.starmap(with_state(count_two), (0..20).map(|x| (x, 2))).unwrap());
    let closure = |counter: &mut Counter, x: u64| count(counter, x);
    counted.push(pool.apply(with_state(closure), (5,)).unwrap());
    check_counts(&counted);
    // Tasks without a state go on beside them.
    assert_eq!(pool.apply(|x: u64| x + 1, (1,)).unwrap(), 2);

    let builder = builder().processes(2).initializer_value(begin, (10,));
    let executor = builder.build_executor().unwrap();
    let futures: Vec<_> = (0..20).map(|x| executor.submit(with_state(count), (x,)).unwrap()).collect();
    let counted: Vec<Counted> = futures.into_iter().map(|future| future.result().unwrap()).collect();
    check_counts(&counted);
}

fn abort_at_3(counter: &mut Counter, x: u64) -> Counted {
    if x == 3 {
        std::process::abort();
    }
    count(counter, x)
}

fn the_successor_of_a_dead_worker_makes_its_own_value() {
    let pool = builder().processes(1).initializer_value(begin, (0,)).build().unwrap();
    let one = |x| pool.apply(with_state(abort_at_3), (x,));
    let (_, calls, _) = one(1).unwrap();
    assert_eq!((calls, one(2).unwrap().1), (1, 2));
    assert!(matches!(one(3), Err(SubmitError::Task(TaskError::WorkerDied { .. }))));
    // (Process ids may come again, so they tell nothing.)
    let (_, calls, _) = one(4).unwrap();
    assert_eq!(calls, 1);
}

fn a_task_for_another_state_is_refused() {
    let counting = builder().processes(1).initializer_value(begin, (0,)).build().unwrap();
    let numbers = builder().processes(1).initializer_value(|| 7_u64, ()).build().unwrap();
    // Setting another initializer takes the value away.
    let none = builder().processes(1).initializer_value(begin, (0,)).initializer(|| (), ());
    let none = none.build().unwrap();
    for pool in [&numbers, &none] {
        let refused = pool.map(with_state(count), 0..3).unwrap_err();
        let SubmitError::Arguments(CodecError::WantsState(wanted)) = refused else { panic!("{refused}") };
        assert!(wanted.ends_with("Counter"), "{wanted}");
    }
    let task = |number: &mut u64, x: u64| *number + x;
    assert_eq!(numbers.apply(with_state(task), (1,)).unwrap(), 8);
    assert!(matches!(
        counting.apply_async(with_state(task), (1,)),
        Err(SubmitError::Arguments(CodecError::WantsState(_)))
    ));
    assert!(matches!(
        none.imap(with_state(task), 0..3),
        Err(SubmitError::Arguments(CodecError::WantsState(_)))
    ));
    let child = mp_core::Process::new(with_state(task), (1,)).method(StartMethod::Spawn).start();
    assert!(child.is_err_and(|error| error.to_string().contains("`u64`")));
}

fn a_panicking_initializer_breaks_the_pool() {
    fn refuse(_: u64) -> Counter {
        panic!("no counter here")
    }
    let pool = builder().processes(2).initializer_value(refuse, (0,)).build().unwrap();
    let broken = pool.map(with_state(count), 0..3).unwrap_err();
    assert!(broken.to_string().contains("no counter here"), "{broken}");
}

fn a_panicking_task_leaves_the_value_as_it_is() {
    let pool = builder().processes(1).initializer_value(|| vec![1_u64], ()).build().unwrap();
    let push_and_panic = |list: &mut Vec<u64>, x: u64| {
        list.push(x);
        assert!(x > 100, "after a change");
    };
    let each = pool.map_each(with_state(push_and_panic), [2, 200]).unwrap();
    assert!(matches!(each[..], [Err(TaskError::Panicked { .. }), Ok(())]), "{each:?}");
    assert_eq!(pool.apply(with_state(|list: &mut Vec<u64>| list.clone()), ()).unwrap(), [1, 2, 200]);
}

struct SaysItsEnd(Queue<u32>);

impl Drop for SaysItsEnd {
    fn drop(&mut self) {
        self.0.put(std::process::id()).unwrap();
    }
}

fn a_value_is_dropped_where_its_worker_ends_by_itself() {
    let said = Queue::new().unwrap();
    let pool = builder().processes(2).initializer_value(SaysItsEnd, (said.clone(),)).build().unwrap();
    let pids = pool.worker_pids();
    pool.close();
    pool.join().unwrap();
    let ended = [said.get().unwrap(), said.get().unwrap()];
    assert_eq!(ended.into_iter().collect::<HashSet<_>>(), pids.into_iter().collect());

    let pool = builder().processes(1).max_tasks_per_child(1);
    let pool = pool.initializer_value(SaysItsEnd, (said.clone(),)).build().unwrap();
    let worked = pool.apply(with_state(|_: &mut SaysItsEnd| std::process::id()), ()).unwrap();
    assert_eq!(said.get().unwrap(), worked);
}

fn say_index_and_wait(said: Queue<(u32, Option<usize>)>, gate: Queue<()>) {
    said.put((std::process::id(), worker_index())).unwrap();
    gate.get().unwrap();
}

fn an_index_goes_to_the_successor() {
    let (said, gate) = (Queue::new().unwrap(), Queue::new().unwrap());
    let pool = new_pool(3).unwrap();
    let begin = || pool.apply_async(say_index_and_wait, (said.clone(), gate.clone())).unwrap();
    let first: Vec<_> = (0..3).map(|_| begin()).collect();
    let workers: HashMap<u32, Option<usize>> = (0..3).map(|_| said.get().unwrap()).collect();
    let indices: HashSet<_> = workers.values().flatten().copied().collect();
    assert_eq!(indices, HashSet::from([0, 1, 2]));
    // All are busy: the next task is its successor's.
    let (killed, index) = workers.into_iter().next().unwrap();
    kill_if_it_lives(killed);
    let next = begin();
    let (_, its_index) = said.get().unwrap();
    assert_eq!(its_index, index);
    (0..3).for_each(|_| gate.put(()).unwrap());
    next.get().unwrap();
    assert_eq!(first.iter().filter(|result| result.get().is_ok()).count(), 2);
}

fn cpus() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).unwrap();
    (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap()).collect()
}

fn niceness() -> i64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().parse().unwrap()
}

fn workers_run_where_they_are_told() {
    let (said, gate) = (Queue::new().unwrap(), Queue::new().unwrap());
    let mine = cpus();
    let before = niceness();
    let pool = builder().processes(3).cpus(mine.iter().copied().take(2)).nice(3).build().unwrap();
    let say = |said: Queue<(usize, Vec<usize>, i64)>, gate: Queue<()>| {
        said.put((worker_index().unwrap(), cpus(), niceness())).unwrap();
        gate.get().unwrap();
    };
    let tasks: Vec<_> =
        (0..3).map(|_| pool.apply_async(say, (said.clone(), gate.clone())).unwrap()).collect();
    for _ in 0..3 {
        let (index, cpus, nice) = said.get().unwrap();
        assert_eq!(cpus, [mine[index % mine.len().min(2)]], "{index}");
        assert_eq!(nice, (before + 3).min(19));
    }
    (0..3).for_each(|_| gate.put(()).unwrap());
    tasks.iter().for_each(|task| task.get().unwrap());
    assert_eq!((cpus(), niceness()), (mine, before));
}

fn cpus_that_there_are_not_are_refused() {
    let build = |cpus: &[usize]| builder().processes(1).cpus(cpus.iter().copied()).build();
    assert!(matches!(build(&[]), Err(NewPoolError::NoCpus)));
    for cpu in [9_999_999, usize::MAX] {
        assert!(matches!(build(&[cpus()[0], cpu]), Err(NewPoolError::Cpu(it)) if it == cpu));
    }
}

fn threads_have_indices() {
    let (pool, all_there) = (ThreadPool::new(3).unwrap(), Arc::new(Barrier::new(3)));
    let index = move |_: u32| {
        all_there.wait();
        worker_index()
    };
    let indices: HashSet<_> = pool.map(index, 0..3).unwrap().into_iter().flatten().collect();
    assert_eq!(indices, HashSet::from([0, 1, 2]));
}

fn no_process_but_a_worker_has_an_index() {
    assert_eq!(worker_index(), None);
    let of_a_child = || mp_core::Process::fork(worker_index).start().unwrap().join().unwrap();
    let pool = new_pool(1).unwrap();
    assert_eq!(pool.apply(move || (worker_index(), of_a_child()), ()).unwrap(), (Some(0), None));
    assert_eq!(mp_core::Process::new(worker_index, ()).start().unwrap().join().unwrap(), None);
}
