//! Every public call that waits with a timeout: what it waits for, and how that comes.

#[path = "futures.rs"]
mod futures;
#[path = "joinable.rs"]
mod joinable;
#[path = "listening.rs"]
mod listening;
#[path = "managed.rs"]
mod managed;
#[path = "streams.rs"]
mod streams;
#[path = "threads.rs"]
mod threads;

use mp::{
    AnyChild, Array, Barrier, BoundedSemaphore, Child, Condition, Event, FixedQueue, JoinableQueue, Lock,
    Mutex, OwnedSemaphore, Pool, Process, Queue, RLock, RwLock, Semaphore, TaskError, Value,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What is left of what came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stays {
    /// It is there as soon as it came.
    AtOnce,
    /// It is there once a thread has waited for it.
    OnceWaitedFor,
    /// It is only for threads that wait at that moment.
    No,
}

pub(crate) struct Scene {
    /// Waits at most so long; whether what it waits for was there. By any thread but the one that made the
    /// scene.
    pub(crate) wait: Box<dyn Fn(Duration) -> bool + Send + Sync>,
    /// By the thread that made the scene.
    pub(crate) come: Box<dyn FnOnce()>,
    pub(crate) stays: Stays,
}

impl Scene {
    fn new(wait: impl Fn(Duration) -> bool + Send + Sync + 'static, come: impl FnOnce() + 'static) -> Scene {
        Scene { wait: Box::new(wait), come: Box::new(come), stays: Stays::AtOnce }
    }

    fn stays(self, stays: Stays) -> Scene {
        Scene { stays, ..self }
    }
}

/// (file and function, a scene of it)
type Call = (&'static str, fn() -> Scene);

pub(crate) const CALLS: &[Call] = &[
    ("mp-core/src/process/child.rs::join_timeout", child_join),
    ("mp-core/src/process/any_child.rs::join_timeout", any_child_join),
    ("mp-sync/src/lock.rs::acquire_timeout", lock),
    ("mp-sync/src/rlock.rs::acquire_timeout", rlock),
    ("mp-sync/src/mutex.rs::lock_timeout", mutex),
    ("mp-sync/src/value.rs::lock_timeout", value),
    ("mp-sync/src/synchronized.rs::lock_timeout", synchronized),
    ("mp-sync/src/array.rs::lock_timeout", array),
    ("mp-sync/src/rwlock.rs::read_timeout", rwlock_read),
    ("mp-sync/src/rwlock.rs::write_timeout", rwlock_write),
    ("mp-sync/src/semaphore.rs::acquire_timeout", semaphore),
    ("mp-sync/src/semaphore.rs::acquire_timeout", bounded_semaphore),
    ("mp-sync/src/owned_semaphore.rs::acquire_timeout", owned_semaphore),
    ("mp-sync/src/event.rs::wait_timeout", event),
    ("mp-sync/src/condition.rs::acquire_timeout", condition_acquire),
    ("mp-sync/src/condition.rs::wait_timeout", condition_wait),
    ("mp-sync/src/condition.rs::wait_for_timeout", condition_wait_for),
    ("mp-sync/src/condition.rs::wait_while_timeout", condition_wait_while),
    ("mp-sync/src/barrier.rs::timeout", barrier_builder),
    ("mp-sync/src/barrier.rs::wait_timeout", barrier),
    ("mp-sync/src/barrier.rs::wait_timeout_then", barrier_then),
    ("mp-pipe/src/connection.rs::recv_timeout", recv),
    ("mp-pipe/src/connection.rs::recv_bytes_timeout", recv_bytes),
    ("mp-pipe/src/connection.rs::recv_bytes_into_timeout", recv_bytes_into),
    ("mp-pipe/src/connection.rs::send_timeout", send),
    ("mp-pipe/src/connection.rs::send_bytes_timeout", send_bytes),
    ("mp-pipe/src/connection.rs::flush_timeout", flush),
    ("mp-pipe/src/connection.rs::poll_timeout", connection_poll),
    ("mp-pipe/src/wait.rs::wait_timeout", wait_many),
    ("mp-pipe/src/wait_set.rs::wait_timeout", wait_set),
    ("mp-pipe/src/listener/mod.rs::accept_timeout", listening::accept),
    ("mp-pipe/src/listener/mod.rs::accept_or_refuse_timeout", listening::accept_or_refuse),
    ("mp-pipe/src/challenge.rs::deliver_challenge_timeout", listening::deliver),
    ("mp-pipe/src/challenge.rs::answer_challenge_timeout", listening::answer),
    ("mp-queue/src/get.rs::get_timeout", queue_get),
    ("mp-queue/src/get.rs::get_many_timeout", queue_get_many),
    ("mp-queue/src/put.rs::put_timeout", queue_put),
    ("mp-queue/src/put.rs::put_many_timeout", queue_put_many),
    ("mp-queue/src/bytes.rs::get_bytes_into_timeout", queue_get_bytes),
    ("mp-queue/src/bytes.rs::put_bytes_timeout", queue_put_bytes),
    ("mp-queue/src/fixed.rs::get_timeout", fixed_get),
    ("mp-queue/src/fixed.rs::get_many_into_timeout", fixed_get_many),
    ("mp-queue/src/fixed.rs::put_timeout", fixed_put),
    ("mp-queue/src/fixed.rs::put_many_timeout", fixed_put_many),
    ("mp-queue/src/joinable_calls.rs::get_timeout", joinable::get),
    ("mp-queue/src/joinable_calls.rs::get_many_timeout", joinable::get_many),
    ("mp-queue/src/joinable_calls.rs::get_bytes_into_timeout", joinable::get_bytes),
    ("mp-queue/src/joinable_calls.rs::put_timeout", joinable::put),
    ("mp-queue/src/joinable_calls.rs::put_many_timeout", joinable::put_many),
    ("mp-queue/src/joinable_calls.rs::put_bytes_timeout", joinable::put_bytes),
    ("mp-queue/src/producer.rs::put_many_timeout", joinable::producer_put_many),
    ("mp-queue/src/joinable.rs::get_task_timeout", joinable_get),
    ("mp-queue/src/joinable.rs::join_timeout", joinable_join),
    ("mp-queue/src/producer.rs::put_timeout", producer_put),
    ("mp-pool/src/result.rs::wait_timeout", result_wait),
    ("mp-pool/src/result.rs::get_timeout", result_get),
    ("mp-pool/src/result.rs::wait_timeout", map_result_wait),
    ("mp-pool/src/result.rs::get_timeout", map_result_get),
    ("mp-pool/src/pool.rs::join_timeout", pool_join),
    ("mp-pool/src/imap.rs::next_timeout", imap_next),
    ("mp-pool/src/future.rs::wait_timeout", futures::wait),
    ("mp-pool/src/future.rs::result_timeout", futures::result),
    ("mp-pool/src/futures.rs::wait_timeout", futures::wait_many),
    ("mp-pool/src/futures.rs::next_timeout", futures::next),
    ("mp-pool/src/executor.rs::submit_timeout", futures::submit),
    ("mp-pool/src/tasks.rs::submit_timeout", futures::submit_with_options),
    ("mp-pool/src/executor.rs::shutdown_timeout", futures::shutdown),
    ("mp-manager/src/proxy/lock.rs::acquire_timeout", managed::lock),
    ("mp-manager/src/proxy/semaphore.rs::acquire_timeout", managed::semaphore),
    ("mp-manager/src/proxy/event.rs::wait_timeout", managed::event),
    ("mp-manager/src/proxy/barrier.rs::wait_timeout", managed::barrier),
    ("mp-manager/src/proxy/condition.rs::acquire_timeout", managed::condition_acquire),
    ("mp-manager/src/proxy/condition.rs::wait_timeout", managed::condition_wait),
    ("mp-manager/src/proxy/condition.rs::wait_for_timeout", managed::condition_wait_for),
    ("mp-manager/src/proxy/queue.rs::get_timeout", managed::queue_get),
    ("mp-manager/src/proxy/queue.rs::put_timeout", managed::queue_put),
    ("mp-manager/src/proxy/queue.rs::join_timeout", managed::queue_join),
    ("mp-manager/src/proxy/pool.rs::join_timeout", managed::pool_join),
    ("mp-manager/src/proxy/results.rs::get_timeout", managed::result_get),
    ("mp-manager/src/proxy/results.rs::wait_timeout", managed::result_wait),
    ("mp-manager/src/proxy/results.rs::next_timeout", managed::iterator_next),
    ("mp-pool/src/generate/mod.rs::next_timeout", streams::generated),
    ("mp-pool/src/progress/events.rs::next_timeout", streams::progress),
    ("mp-pool/src/threads/pool.rs::join_timeout", threads::join),
    ("mp-pool/src/threads/imap.rs::next_timeout", threads::next),
    ("mp-pool/src/threads/executor.rs::submit_timeout", threads::submit),
    ("mp-pool/src/threads/tasks.rs::submit_timeout", threads::submit_with_options),
    ("mp-pool/src/threads/result.rs::wait_timeout", threads::apply_wait),
    ("mp-pool/src/threads/result.rs::get_timeout", threads::apply_get),
    ("mp-pool/src/threads/result.rs::wait_timeout", threads::map_wait),
    ("mp-pool/src/threads/result.rs::get_timeout", threads::map_get),
    ("mp-pool/src/threads/generate.rs::next_timeout", threads::generated),
    ("mp-pool/src/threads/executor.rs::shutdown_timeout", threads::shutdown),
    ("mp-pool/src/future.rs::result_timeout", threads::result),
];

/// For the rest of the process's life, so that its guards can be kept anywhere.
fn kept<T>(object: T) -> &'static T {
    Box::leak(Box::new(object))
}

fn until_set(event: Event) {
    event.wait();
}

fn child_join() -> Scene {
    let event = Event::new().unwrap();
    let child: Child<()> = Process::new(until_set, (event.clone(),)).daemon().start().unwrap();
    Scene::new(move |timeout| child.join_timeout(timeout).is_ok(), move || event.set())
        .stays(Stays::OnceWaitedFor)
}

fn any_child_join() -> Scene {
    let event = Event::new().unwrap();
    let child: Child<()> = Process::new(until_set, (event.clone(),)).daemon().start().unwrap();
    let child = AnyChild::from(child);
    Scene::new(move |timeout| child.join_timeout(timeout).is_ok(), move || event.set())
        .stays(Stays::OnceWaitedFor)
}

fn lock() -> Scene {
    let lock = kept(Lock::new().unwrap());
    let guard = lock.acquire().unwrap();
    Scene::new(|timeout| lock.acquire_timeout(timeout).is_ok(), || drop(guard))
}

fn rlock() -> Scene {
    let lock = kept(RLock::new().unwrap());
    let guards = [lock.acquire().unwrap(), lock.acquire().unwrap()];
    Scene::new(|timeout| lock.acquire_timeout(timeout).is_ok(), || drop(guards))
}

fn mutex() -> Scene {
    let mutex = kept(Mutex::new(1_u8).unwrap());
    let guard = mutex.lock().unwrap();
    Scene::new(|timeout| mutex.lock_timeout(timeout).is_ok(), || drop(guard))
}

fn value() -> Scene {
    let value = kept(Value::new([1_u64; 5]).unwrap());
    let guard = value.lock().unwrap();
    Scene::new(|timeout| value.lock_timeout(timeout).is_ok(), || drop(guard))
}

fn synchronized() -> Scene {
    let lock = RLock::new().unwrap();
    let value = kept(Value::with_lock(1_u64, &lock).unwrap());
    let guard = value.lock().unwrap();
    Scene::new(|timeout| value.lock_timeout(timeout).is_ok(), || drop(guard))
}

fn array() -> Scene {
    let array = kept(Array::from_slice(&[0_u16; 3]).unwrap());
    let guard = array.lock().unwrap();
    Scene::new(|timeout| array.lock_timeout(timeout).is_ok(), || drop(guard))
}

fn rwlock_read() -> Scene {
    let lock = kept(RwLock::new(1_u8).unwrap());
    let writer = lock.write().unwrap();
    Scene::new(|timeout| lock.read_timeout(timeout).is_ok(), || drop(writer))
}

fn rwlock_write() -> Scene {
    let lock = kept(RwLock::new(1_u8).unwrap());
    let reader = lock.read().unwrap();
    Scene::new(|timeout| lock.write_timeout(timeout).is_ok(), || drop(reader))
}

fn semaphore() -> Scene {
    let semaphore = kept(Semaphore::new(0).unwrap());
    Scene::new(|timeout| semaphore.acquire_timeout(timeout).is_ok(), || semaphore.release().unwrap())
}

fn bounded_semaphore() -> Scene {
    let semaphore = kept(BoundedSemaphore::new(1).unwrap());
    let permit = semaphore.acquire();
    Scene::new(|timeout| semaphore.acquire_timeout(timeout).is_ok(), || drop(permit))
}

fn owned_semaphore() -> Scene {
    let semaphore = kept(OwnedSemaphore::new(1).unwrap());
    let permit = semaphore.acquire();
    Scene::new(|timeout| semaphore.acquire_timeout(timeout).is_ok(), || drop(permit))
}

fn event() -> Scene {
    let event = kept(Event::new().unwrap());
    Scene::new(|timeout| event.wait_timeout(timeout), || event.set())
}

fn condition_acquire() -> Scene {
    let condition = kept(Condition::new().unwrap());
    let guard = condition.acquire().unwrap();
    Scene::new(|timeout| condition.acquire_timeout(timeout).is_ok(), || drop(guard))
}

fn condition_wait() -> Scene {
    let condition = kept(Condition::new().unwrap());
    Scene::new(
        |timeout| condition.acquire().unwrap().wait_timeout(timeout).is_ok(),
        || condition.acquire().unwrap().notify_one(),
    )
    .stays(Stays::No)
}

fn condition_wait_for() -> Scene {
    let (condition, come) = (kept(Condition::new().unwrap()), kept(AtomicBool::new(false)));
    // ORDERING: Relaxed: read and written with the condition's lock held.
    let is_so = || come.load(Ordering::Relaxed);
    let wait = move |timeout| condition.acquire().unwrap().wait_for_timeout(timeout, is_so).is_ok();
    Scene::new(wait, || {
        let guard = condition.acquire().unwrap();
        // ORDERING: as above.
        come.store(true, Ordering::Relaxed);
        guard.notify_all();
    })
}

fn condition_wait_while() -> Scene {
    let condition = kept(Condition::with_lock(&Mutex::new(0_u8).unwrap()).unwrap());
    let wait = |timeout| condition.acquire().unwrap().wait_while_timeout(timeout, |come| *come == 0).is_ok();
    Scene::new(wait, || {
        let mut guard = condition.acquire().unwrap();
        *guard = 1;
        guard.notify_all();
    })
}

fn barrier_builder() -> Scene {
    let barrier: Arc<OnceLock<Barrier>> = Arc::default();
    let theirs = Arc::clone(&barrier);
    let wait = move |timeout| {
        let made = Barrier::builder(2).timeout(timeout).build().unwrap();
        barrier.set(made.clone()).is_ok() && made.wait().is_ok()
    };
    Scene::new(wait, move || {
        let _ = theirs.get().map(Barrier::wait);
    })
    .stays(Stays::No)
}

fn barrier() -> Scene {
    let barrier = kept(Barrier::new(2).unwrap());
    Scene::new(
        |timeout| barrier.wait_timeout(timeout).is_ok(),
        || {
            let _ = barrier.wait();
        },
    )
    .stays(Stays::No)
}

fn barrier_then() -> Scene {
    let barrier = kept(Barrier::new(2).unwrap());
    Scene::new(
        |timeout| barrier.wait_timeout_then(timeout, || ()).is_ok(),
        || {
            let _ = barrier.wait();
        },
    )
    .stays(Stays::No)
}

fn recv() -> Scene {
    let (receiver, sender) = mp::pipe_simplex().unwrap();
    Scene::new(move |timeout| receiver.recv_timeout(timeout).is_ok(), move || sender.send(&7_u8).unwrap())
}

fn recv_bytes() -> Scene {
    let (receiver, sender) = mp::pipe_simplex::<u8>().unwrap();
    let wait = move |timeout| receiver.recv_bytes_timeout(timeout).is_ok();
    Scene::new(wait, move || sender.send_bytes(b"seven").unwrap())
}

fn send_bytes() -> Scene {
    full(|sender, timeout| sender.send_bytes_timeout(b"seven", timeout).is_ok())
}

fn send() -> Scene {
    full(|sender, timeout| sender.send_timeout(&7, timeout).is_ok())
}

/// A pipe without room.
fn full(wait: fn(&mp::Sender<u8>, Duration) -> bool) -> Scene {
    let (receiver, sender) = mp::pipe_simplex::<u8>().unwrap();
    while sender.try_send(&1).is_ok() {}
    let come = move || {
        while receiver.try_recv().is_ok() {}
        std::mem::forget(receiver);
    };
    Scene::new(move |timeout| wait(&sender, timeout), come)
}

/// A pipe with the rest of a message that is longer than its room.
fn flush() -> Scene {
    let (receiver, sender) = mp::pipe_simplex::<u8>().unwrap();
    let long = vec![1; 1 << 22];
    assert!(matches!(sender.try_send_bytes(&long), Err(mp::SendError::Partial)));
    let come = move || {
        std::thread::spawn(move || receiver.recv_bytes().unwrap());
    };
    Scene::new(move |timeout| sender.flush_timeout(timeout).is_ok(), come).stays(Stays::OnceWaitedFor)
}

fn recv_bytes_into() -> Scene {
    let (receiver, sender) = mp::pipe_simplex::<u8>().unwrap();
    let wait = move |timeout| receiver.recv_bytes_into_timeout(&mut [0; 5], timeout).is_ok();
    Scene::new(wait, move || sender.send_bytes(b"seven").unwrap())
}

fn connection_poll() -> Scene {
    let (receiver, sender) = mp::pipe_simplex().unwrap();
    Scene::new(move |timeout| receiver.poll_timeout(timeout).unwrap(), move || sender.send(&7_u8).unwrap())
}

fn wait_many() -> Scene {
    let (receivers, mut senders): (Vec<_>, Vec<_>) =
        (0..3).map(|_| mp::pipe_simplex::<u8>().unwrap()).unzip();
    let wait = move |timeout| {
        let [a, b, c] = [&receivers[0], &receivers[1], &receivers[2]];
        mp::wait_timeout(&[a, b, c], timeout).is_ok_and(|ready| ready == [1])
    };
    // The others stay open.
    let (last, first) = (senders.pop(), senders.remove(0));
    Scene::new(wait, move || {
        senders[0].send(&7).unwrap();
        std::mem::forget((first, last));
    })
}

fn wait_set() -> Scene {
    let (queue, idle) = (Queue::new().unwrap(), Queue::new().unwrap());
    let mut set = mp::WaitSet::new().unwrap();
    set.add("idle", idle).unwrap();
    set.add("queue", queue.clone()).unwrap();
    let set = std::sync::Mutex::new(set);
    let wait = move |timeout| set.lock().unwrap().wait_timeout(timeout).is_ok_and(|ready| ready == ["queue"]);
    Scene::new(wait, move || queue.put(7_u8).unwrap())
}

fn queue_get() -> Scene {
    let queue = Queue::new().unwrap();
    let theirs = queue.clone();
    Scene::new(move |timeout| queue.get_timeout(timeout).is_ok(), move || theirs.put(7_u8).unwrap())
}

fn queue_put() -> Scene {
    let queue = Queue::bounded(1).unwrap();
    queue.put(1_u8).unwrap();
    let theirs = queue.clone();
    Scene::new(
        move |timeout| queue.put_timeout(2, timeout).is_ok(),
        move || {
            theirs.get().unwrap();
        },
    )
}

fn producer_put() -> Scene {
    let (producer, queue) =
        mp::QueueBuilder::new().max_items(1).build::<(mp::Producer<u8>, Queue<u8>)>().unwrap();
    producer.put(1_u8).unwrap();
    Scene::new(
        move |timeout| producer.put_timeout(2, timeout).is_ok(),
        move || {
            queue.get().unwrap();
        },
    )
}

fn queue_get_many() -> Scene {
    let queue = kept(Queue::new().unwrap());
    Scene::new(|timeout| queue.get_many_timeout(3, timeout).is_ok(), || queue.put(7_u8).unwrap())
}

fn queue_put_many() -> Scene {
    let queue = kept(Queue::bounded(1).unwrap());
    queue.put(1_u8).unwrap();
    let come = || {
        queue.get().unwrap();
    };
    Scene::new(|timeout| queue.put_many_timeout([2], timeout).is_ok(), come)
}

fn queue_get_bytes() -> Scene {
    let queue = kept(Queue::<Vec<u8>>::new().unwrap());
    Scene::new(
        |timeout| queue.get_bytes_into_timeout(&mut Vec::new(), timeout).is_ok(),
        || queue.put_bytes(b"seven").unwrap(),
    )
}

fn queue_put_bytes() -> Scene {
    let queue = kept(Queue::<Vec<u8>>::bounded(1).unwrap());
    queue.put_bytes(b"one").unwrap();
    let come = || {
        queue.get_bytes_into(&mut Vec::new()).unwrap();
    };
    Scene::new(|timeout| queue.put_bytes_timeout(b"two", timeout).is_ok(), come)
}

fn fixed_get() -> Scene {
    let queue = kept(FixedQueue::new().unwrap());
    Scene::new(|timeout| queue.get_timeout(timeout).is_ok(), || queue.put(7_u64).unwrap())
}

fn fixed_get_many() -> Scene {
    let queue = kept(FixedQueue::new().unwrap());
    Scene::new(
        |timeout| queue.get_many_into_timeout(&mut Vec::new(), 3, timeout).is_ok(),
        || queue.put(7_u64).unwrap(),
    )
}

fn fixed_put() -> Scene {
    let queue = kept(FixedQueue::bounded(1).unwrap());
    queue.put(1_u64).unwrap();
    let come = || {
        queue.get().unwrap();
    };
    Scene::new(|timeout| queue.put_timeout(2, timeout).is_ok(), come)
}

fn fixed_put_many() -> Scene {
    let queue = kept(FixedQueue::bounded(1).unwrap());
    queue.put(1_u64).unwrap();
    let come = || {
        queue.get().unwrap();
    };
    Scene::new(|timeout| queue.put_many_timeout(&[2], timeout).is_ok(), come)
}

fn joinable_get() -> Scene {
    let queue = kept(JoinableQueue::new().unwrap());
    Scene::new(|timeout| queue.get_task_timeout(timeout).is_ok(), || queue.put(7_u8).unwrap())
}

fn joinable_join() -> Scene {
    let queue = kept(JoinableQueue::new().unwrap());
    queue.put(7_u8).unwrap();
    let come = || {
        queue.get().unwrap();
        queue.task_done().unwrap();
    };
    Scene::new(|timeout| queue.join_timeout(timeout).is_ok(), come)
}

fn result_wait() -> Scene {
    let (pool, event) = (Pool::new(1).unwrap(), Event::new().unwrap());
    let result = pool.apply_async(until_set, (event.clone(),)).unwrap();
    let wait = move |timeout| {
        let _pool = &pool;
        result.wait_timeout(timeout)
    };
    Scene::new(wait, move || event.set()).stays(Stays::OnceWaitedFor)
}

fn result_get() -> Scene {
    let (pool, event) = (Pool::new(1).unwrap(), Event::new().unwrap());
    let result = pool.apply_async(until_set, (event.clone(),)).unwrap();
    let wait = move |timeout| {
        let _pool = &pool;
        result.get_timeout(timeout).is_ok()
    };
    Scene::new(wait, move || event.set()).stays(Stays::OnceWaitedFor)
}

fn map_result_wait() -> Scene {
    let (pool, event) = (Pool::new(1).unwrap(), Event::new().unwrap());
    let result = pool.map_async(until_set, [event.clone(), event.clone()]).unwrap();
    let wait = move |timeout| {
        let _pool = &pool;
        result.wait_timeout(timeout)
    };
    Scene::new(wait, move || event.set()).stays(Stays::OnceWaitedFor)
}

fn map_result_get() -> Scene {
    let (pool, event) = (Pool::new(1).unwrap(), Event::new().unwrap());
    let result = pool.map_async(until_set, [event.clone(), event.clone()]).unwrap();
    let wait = move |timeout| {
        let _pool = &pool;
        result.get_timeout(timeout).is_ok()
    };
    Scene::new(wait, move || event.set()).stays(Stays::OnceWaitedFor)
}

fn imap_next() -> Scene {
    let (pool, event) = (Pool::new(1).unwrap(), Event::new().unwrap());
    let results = std::sync::Mutex::new(pool.imap(until_set, [event.clone()]).unwrap());
    let wait = move |timeout| {
        let _pool = &pool;
        has_come(results.lock().unwrap().next_timeout(timeout))
    };
    Scene::new(wait, move || event.set()).stays(Stays::OnceWaitedFor)
}

/// Whether a stream of a pool gave a result, or its end.
fn has_come<T>(next: Option<Result<T, TaskError>>) -> bool {
    !matches!(next, Some(Err(TaskError::Timeout)))
}

fn pool_join() -> Scene {
    let (pool, event) = (Pool::new(1).unwrap(), Event::new().unwrap());
    pool.apply_async(until_set, (event.clone(),)).unwrap();
    pool.close();
    Scene::new(move |timeout| pool.join_timeout(timeout).is_ok(), move || event.set())
        .stays(Stays::OnceWaitedFor)
}
