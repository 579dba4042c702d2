//! "Cannot see" is not "dead": processes that can learn little or nothing about the others take no task of a
//! living worker for lost, and find those of a dead one wherever the kernel tells.

use mp_core::{Child, Process};
use mp_queue::{JoinableQueue, TasksError};
use mp_sync::Event;
use mp_testing::{Sees, blind};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        tasks_of_a_living_worker_are_not_lost,
        tasks_of_a_dead_worker_are_lost_wherever_the_kernel_tells,
    ]
}

/// Longer than the time between two looks of one that waits.
const LOOKED: Duration = Duration::from_millis(1200);

/// A queue with one task, and a worker that has it.
fn queue_and_worker(end: &Event) -> (JoinableQueue<u32>, Child<()>) {
    let (queue, taken) = (JoinableQueue::new().unwrap(), Event::new().unwrap());
    queue.put(7).unwrap();
    let work = || {
        let task = queue.get_task().unwrap();
        taken.set();
        end.wait();
        drop(task);
    };
    let worker = Process::fork(work).start().unwrap();
    taken.wait();
    (queue, worker)
}

fn tasks_of_a_living_worker_are_not_lost() {
    let end = Event::new().unwrap();
    let (queue, worker) = queue_and_worker(&end);
    let look = || queue.join_timeout(LOOKED) == Err(TasksError::Timeout);
    let looks: Vec<_> = blind().iter().map(|environment| environment.look(look)).collect();
    for (environment, child) in blind().iter().zip(looks) {
        assert!(child.join().unwrap(), "{}", environment.name);
    }
    end.set();
    queue.join().unwrap();
    worker.join().unwrap();
}

fn tasks_of_a_dead_worker_are_lost_wherever_the_kernel_tells() {
    let never = Event::new().unwrap();
    for environment in blind().iter().filter(|environment| environment.sees != Sees::Nothing) {
        let (queue, worker) = queue_and_worker(&never);
        let joined = environment.look(|| queue.join() == Err(TasksError::Lost { items: 1 }));
        worker.kill().unwrap();
        let reaped = environment.sees == Sees::Reaped && worker.join().is_err();
        assert!(joined.join().unwrap(), "{}", environment.name);
        assert!(reaped || worker.join().is_err());
    }
}
