//! Contexts: conformance case P10, and P09 (a worker type with pipes of its own). CPython refuses objects of one
//! context in processes of another; here they travel.

use mp::{
    Array, Barrier, BoundedSemaphore, Condition, Connection, Context, Event, JoinableQueue, Lock, Process,
    Queue, RLock, RawArray, RawValue, Run, Semaphore, SimpleQueue, StartMethod, Value, get_context, pipe,
};
use serde::{Deserialize, Serialize};

mp_testing::cases! {
    plain: [
        contexts_have_the_names_of_python,
        what_one_context_made_goes_to_processes_of_the_others,
        every_lock_and_value_of_a_context_goes_to_its_processes,
        every_queue_and_pipe_of_a_context_goes_to_its_processes,
        the_workers_of_a_pool_are_started_by_the_method_of_its_context,
        the_server_of_a_manager_is_started_by_the_method_of_its_context,
    ],
    every_method: [
        a_worker_type_answers_until_it_is_told_to_stop,
    ]
}

fn contexts_have_the_names_of_python() {
    let names = mp::get_all_start_methods().map(StartMethod::name);
    assert_eq!(names, ["forkserver", "spawn", "fork"]);
    for name in names {
        let context = get_context(name).unwrap();
        assert_eq!(context.start_method().name(), name);
        let child = context.process(|| mp::get_start_method().map(StartMethod::name).unwrap().to_owned(), ());
        assert_eq!(child.start().unwrap().join().unwrap(), name);
    }
    let unknown = get_context("x").unwrap_err();
    assert!(unknown.to_string().contains("\"x\""), "{unknown}");
}

fn use_them(queue: Queue<u32>, lock: Lock, event: Event, value: Value<u32>, pipe: Connection<u32, u32>) {
    *value.lock().unwrap() += 1;
    drop(lock.acquire().unwrap());
    queue.put(value.get()).unwrap();
    pipe.send(&7).unwrap();
    event.wait();
}

fn what_one_context_made_goes_to_processes_of_the_others() {
    let mut count = 0;
    for maker in StartMethod::ALL.map(Context::new) {
        let (queue, lock, event) = (maker.queue().unwrap(), maker.lock().unwrap(), maker.event().unwrap());
        let value = maker.value(0_u32).unwrap();
        let (ours, theirs) = pipe::<u32, u32>().unwrap();
        for user in StartMethod::ALL.map(Context::new) {
            let things = (queue.clone(), lock.clone(), event.clone(), value.clone(), theirs.clone());
            let child = user.process(use_them, things).start().unwrap();
            assert_eq!(queue.get().unwrap(), value.get());
            assert_eq!(ours.recv().unwrap(), 7);
            event.set();
            child.join().unwrap();
            event.clear();
            count += 1;
        }
        assert_eq!(value.get(), 3);
    }
    assert_eq!(count, 9);
}

type Locks = (RLock, Semaphore, BoundedSemaphore, Condition, Barrier);
type Numbers = (RawValue<i64>, Array<u8>, RawArray<f64>);

fn use_locks_and_numbers((rlock, semaphore, bounded, condition, barrier): Locks, numbers: Numbers) {
    let _held = (rlock.acquire().unwrap(), rlock.acquire().unwrap());
    semaphore.release().unwrap();
    bounded.acquire().keep();
    condition.acquire().unwrap().notify_all();
    barrier.abort();
    numbers.0.set(-1);
    numbers.1.set(1, 7).unwrap();
    numbers.2.set(0, 0.5).unwrap();
}

fn every_lock_and_value_of_a_context_goes_to_its_processes() {
    for context in StartMethod::ALL.map(Context::new) {
        let (rlock, condition) = (context.rlock().unwrap(), context.condition().unwrap());
        let (semaphore, bounded) = (context.semaphore(2).unwrap(), context.bounded_semaphore(2).unwrap());
        let barrier = context.barrier(2).unwrap();
        let numbers = (
            context.raw_value(5).unwrap(),
            context.array(&[1, 2]).unwrap(),
            context.raw_array(&[0.25; 2]).unwrap(),
        );
        let locks = (rlock.clone(), semaphore.clone(), bounded.clone(), condition.clone(), barrier.clone());
        context.process(use_locks_and_numbers, (locks, numbers.clone())).start().unwrap().join().unwrap();
        assert!(!rlock.locked() && !condition.lock().locked() && barrier.broken());
        assert_eq!((semaphore.get_value(), bounded.get_value()), (3, 1));
        assert_eq!(
            (numbers.0.get(), numbers.1.to_vec(), numbers.2.to_vec()),
            (-1, vec![1, 7], vec![0.5, 0.25])
        );
    }
}

type Queues = (JoinableQueue<u32>, SimpleQueue<u32>);
type Ends = (Connection<u32, u32>, mp::Receiver<u32>);

fn add_all((joinable, simple): Queues, (both_ways, one_way): Ends) {
    let task = joinable.get_task().unwrap();
    both_ways
        .send(&(*task + simple.get().unwrap() + both_ways.recv().unwrap() + one_way.recv().unwrap()))
        .unwrap();
}

fn every_queue_and_pipe_of_a_context_goes_to_its_processes() {
    for context in StartMethod::ALL.map(Context::new) {
        let queues = (context.joinable_queue().unwrap(), context.simple_queue().unwrap());
        let (ours, both_ways) = context.pipe::<u32, u32>().unwrap();
        let (one_way, sender) = context.pipe_simplex().unwrap();
        queues.0.put(1).unwrap();
        queues.1.put(20).unwrap();
        ours.send(&300).unwrap();
        sender.send(&4000).unwrap();
        let child = context.process(add_all, (queues.clone(), (both_ways, one_way))).start().unwrap();
        assert_eq!(ours.recv().unwrap(), 4321);
        queues.0.join().unwrap();
        child.join().unwrap();
    }
}

/// A spawned worker is a child of this process, a forked one of its template.
fn the_workers_of_a_pool_are_started_by_the_method_of_its_context() {
    for method in StartMethod::ALL {
        let pool = Context::new(method).pool(2).unwrap();
        let parent = pool.apply(std::os::unix::process::parent_id, ()).unwrap();
        assert_eq!(parent == std::process::id(), method == StartMethod::Spawn, "{method}");
    }
}

fn the_server_of_a_manager_is_started_by_the_method_of_its_context() {
    for method in StartMethod::ALL {
        let manager = Context::new(method).manager().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", manager.server_pid())).unwrap();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
        assert_eq!(parent.trim() == std::process::id().to_string(), method == StartMethod::Spawn, "{method}");
    }
}

/// Turns words into capitals until it is told to stop.
#[derive(Serialize, Deserialize)]
struct Upper {
    pipe: Connection<String, Option<String>>,
}

impl Run for Upper {
    type Output = u32;

    fn run(self) -> u32 {
        let mut done = 0;
        while let Some(word) = self.pipe.recv().unwrap() {
            self.pipe.send(&word.to_uppercase()).unwrap();
            done += 1;
        }
        done
    }
}

/// P09
fn a_worker_type_answers_until_it_is_told_to_stop() {
    let (ours, theirs) = pipe::<Option<String>, String>().unwrap();
    let worker = Process::of(Upper { pipe: theirs }).start().unwrap();
    for word in ["abc", "äöü", ""] {
        ours.send(&Some(word.to_owned())).unwrap();
        assert_eq!(ours.recv().unwrap(), word.to_uppercase());
    }
    ours.send(&None).unwrap();
    assert_eq!(worker.join().unwrap(), 3);
    assert!(worker.name().starts_with("Upper-"));
}
