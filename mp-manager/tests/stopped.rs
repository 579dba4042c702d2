//! A server that is stopped (SIGSTOP): calls with a timeout return, and nothing is lost by it.

use mp_core::Process;
use mp_core::process::AuthKey;
use mp_core::sys::poll::pidfd_open;
use mp_core::transfer::{pack, unpack};
use mp_manager::{ListProxy, LockProxy, Manager, ManagerError, QueueProxy};
use mp_pipe::Address;
use mp_sync::Event;
use mp_testing::{Chance, go_on_process, stop_process};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        each_call_with_a_timeout_returns,
        what_a_getter_has_given_up_is_there_for_the_next_one,
        what_waits_as_the_server_is_stopped_takes_nothing,
        a_lock_that_came_too_late_is_free,
        a_condition_gives_its_lock_up,
        a_proxy_that_the_server_cannot_be_told_of_is_not_packed,
        slots_are_used_again_once_the_server_goes_on,
        long_items_are_not_lost,
        a_client_at_an_address_is_not_held_up,
        nothing_is_lost_whenever_the_server_is_stopped,
    ]
}

const SOON: Duration = Duration::from_millis(1);

/// The server of a manager.
struct Server {
    process: OwnedFd,
    pid: u32,
}

impl Server {
    fn of(manager: &Manager) -> Server {
        Server { process: pidfd_open(manager.server_pid()).unwrap(), pid: manager.server_pid() }
    }

    fn stop(&self) {
        assert!(stop_process(self.pid, self.process.as_fd()));
    }

    fn go_on(&self) {
        go_on_process(self.process.as_fd());
    }
}

fn is_late<T>(result: Result<T, ManagerError>) {
    let result = result.map(drop);
    assert!(matches!(result, Err(ManagerError::Timeout)), "{result:?}");
}

/// It may be done or not.
fn is_unanswered<T>(result: Result<T, ManagerError>) {
    let result = result.map(drop);
    assert!(matches!(result, Err(ManagerError::Unanswered | ManagerError::Timeout)), "{result:?}");
}

fn each_call_with_a_timeout_returns() {
    let manager = Manager::start().unwrap();
    let (queue, results) = (manager.queue::<u8>().unwrap(), manager.set::<u8>().unwrap().iterator().unwrap());
    let (lock, rlock) = (manager.lock().unwrap(), manager.rlock().unwrap());
    let (semaphore, event) = (manager.semaphore(1).unwrap(), manager.event().unwrap());
    let (condition, barrier) = (manager.condition().unwrap(), manager.barrier(1).unwrap());
    event.set().unwrap();
    let server = Server::of(&manager);
    server.stop();
    is_late(queue.get_timeout(SOON));
    is_late(queue.join_timeout(SOON));
    is_late(lock.acquire_timeout(SOON));
    is_late(rlock.acquire_timeout(SOON));
    is_late(semaphore.acquire_timeout(SOON));
    is_late(condition.acquire_timeout(SOON));
    is_late(event.wait_timeout(SOON));
    is_late(results.next_timeout(SOON));
    is_unanswered(barrier.wait_timeout(SOON));
    is_unanswered(queue.put_timeout(1, SOON));
    server.go_on();
    assert!(queue.qsize().unwrap() <= 1 && event.is_set().unwrap());
    assert_eq!(semaphore.get_value().unwrap(), 1);
    assert!(lock.try_acquire().is_ok() && rlock.try_acquire().is_ok() && condition.try_acquire().is_ok());
    assert_eq!(barrier.n_waiting().unwrap(), 0);
    assert_eq!(results.next().unwrap(), None);
}

fn what_a_getter_has_given_up_is_there_for_the_next_one() {
    let manager = Manager::start().unwrap();
    let queue = manager.queue().unwrap();
    (0..5).for_each(|item| queue.put(item).unwrap());
    let server = Server::of(&manager);
    for _ in 0..3 {
        server.stop();
        is_late(queue.get_timeout(SOON));
        server.go_on();
    }
    let items: Vec<u32> = (0..5).map(|_| queue.get().unwrap()).collect();
    assert_eq!(items, [0, 1, 2, 3, 4]);
}

/// The server has the call, which waits, when it is stopped.
fn what_waits_as_the_server_is_stopped_takes_nothing() {
    let manager = Manager::start().unwrap();
    let (queue, server) = (manager.queue().unwrap(), Server::of(&manager));
    for item in 0..3 {
        std::thread::scope(|scope| {
            let getter = scope.spawn(|| queue.get_timeout(Duration::from_millis(50)));
            // The server has seen this, and what came before most often.
            assert!(queue.is_empty().unwrap());
            server.stop();
            is_late(getter.join().unwrap());
        });
        server.go_on();
        queue.put(item).unwrap();
        assert_eq!(queue.get().unwrap(), item);
        // Through a slot, it is taken out again.
        server.stop();
        is_late(queue.put_timeout(7, SOON));
        server.go_on();
        assert!(queue.is_empty().unwrap());
    }
}

fn a_lock_that_came_too_late_is_free() {
    let manager = Manager::start().unwrap();
    let (lock, other) = (manager.lock().unwrap(), manager.rlock().unwrap());
    let server = Server::of(&manager);
    let _held = other.acquire().unwrap();
    std::thread::scope(|scope| {
        server.stop();
        let waiters = [
            scope.spawn(|| lock.acquire_timeout(SOON).map(drop)),
            scope.spawn(|| other.acquire_timeout(SOON).map(drop)),
        ];
        waiters.into_iter().for_each(|waiter| is_late(waiter.join().unwrap()));
        server.go_on();
    });
    drop(lock.acquire().unwrap());
    // Its holder has it once.
    drop(_held);
    std::thread::scope(|scope| scope.spawn(|| drop(other.acquire().unwrap())).join().unwrap());
}

fn a_condition_gives_its_lock_up() {
    let manager = Manager::start().unwrap();
    let (condition, server) = (manager.condition().unwrap(), Server::of(&manager));
    let mut guard = condition.acquire().unwrap();
    server.stop();
    is_unanswered(guard.wait_timeout(SOON));
    server.go_on();
    drop(guard);
    std::thread::scope(|scope| scope.spawn(|| drop(condition.acquire().unwrap())).join().unwrap());
    // Where its lock is only busy it waits for that.
    let mut guard = condition.acquire().unwrap();
    std::thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::channel();
        let condition = &condition;
        scope.spawn(move || {
            let _busy = condition.acquire().unwrap();
            send.send(()).unwrap();
            // Longer than the other one's timeout and what it waits for an answer beside that.
            std::thread::sleep(Duration::from_millis(300));
        });
        while receive.try_recv().is_err() {
            is_late(guard.wait_timeout(Duration::from_millis(20)));
        }
    });
    guard.notify_all().unwrap();
}

/// Of a proxy in flight the server is told, and it reads nothing.
fn a_proxy_that_the_server_cannot_be_told_of_is_not_packed() {
    let manager = Manager::start().unwrap();
    let (list, server) = (manager.list::<u8>().unwrap(), Server::of(&manager));
    server.stop();
    let mut packed = Vec::new();
    let refused = loop {
        match pack(&list) {
            Ok(message) => packed.push(message),
            Err(error) => break error,
        }
    };
    assert!(refused.to_string().contains("did not answer in time"), "{refused}");
    // Neither a proxy that is dropped waits for it, nor what else is packed fails once it goes on.
    drop((list.clone(), packed));
    server.go_on();
    list.push(1).unwrap();
    let message = pack(&list).unwrap();
    drop(list);
    let received: ListProxy<u8> = unpack(&message.bytes, message.handles).unwrap();
    assert_eq!(received.to_vec().unwrap(), [1]);
}

fn slots_are_used_again_once_the_server_goes_on() {
    let manager = Manager::start().unwrap();
    let (queue, server) = (manager.queue::<u8>().unwrap(), Server::of(&manager));
    for _ in 0..2 {
        server.stop();
        // More than a process has slots.
        std::thread::scope(|scope| {
            for _ in 0..80 {
                scope.spawn(|| is_late(queue.get_timeout(SOON)));
            }
        });
        server.go_on();
        queue.put(1).unwrap();
        assert_eq!(queue.get().unwrap(), 1);
    }
}

/// They go over the connection.
fn long_items_are_not_lost() {
    let manager = Manager::start().unwrap();
    let queue: QueueProxy<Vec<u8>> = manager.queue().unwrap();
    let (server, long) = (Server::of(&manager), vec![7; 3 << 20]);
    queue.put(long.clone()).unwrap();
    for _ in 0..3 {
        server.stop();
        is_late(queue.get_timeout(SOON));
        server.go_on();
    }
    assert_eq!(queue.get().unwrap(), long);
    server.stop();
    let put = queue.put_timeout(long.clone(), SOON);
    server.go_on();
    match put {
        Err(ManagerError::Timeout) => assert!(queue.is_empty().unwrap()),
        Err(ManagerError::Unanswered) => assert_eq!(queue.get().unwrap(), long),
        other => panic!("{other:?}"),
    }
}

fn key() -> AuthKey {
    AuthKey::new(*b"a key for this test alone")
}

/// Another process: this one's client is a relative's.
fn call_at_an_address(address: Address, [ready, stopped, late]: [Event; 3]) -> Vec<u32> {
    let remote = Manager::builder().address(address).authkey(key()).connect().unwrap();
    let queue: QueueProxy<u32> = remote.lookup("queue").unwrap();
    let lock: LockProxy = remote.lookup("lock").unwrap();
    (0..4).for_each(|item| queue.put(item).unwrap());
    ready.set();
    stopped.wait();
    is_late(queue.get_timeout(SOON));
    is_late(lock.acquire_timeout(SOON));
    is_unanswered(queue.put_timeout(4, SOON));
    is_late(queue.get_timeout(SOON));
    late.set();
    drop(lock.acquire().unwrap());
    (0..5).map(|_| queue.get().unwrap()).collect()
}

fn a_client_at_an_address_is_not_held_up() {
    let address = format!("\0mp-manager-stopped-{}", std::process::id());
    let manager = Manager::builder().address(address).authkey(key()).start().unwrap();
    let (server, address) = (Server::of(&manager), manager.address().unwrap().clone());
    let (queue, lock) = (manager.queue::<u32>().unwrap(), manager.lock().unwrap());
    manager.publish("queue", &queue).unwrap();
    manager.publish("lock", &lock).unwrap();
    let events = [(); 3].map(|()| Event::new().unwrap());
    let child = Process::new(call_at_an_address, (address, events.clone())).start().unwrap();
    let [ready, stopped, late] = events;
    ready.wait();
    server.stop();
    stopped.set();
    late.wait();
    server.go_on();
    assert_eq!(child.join().unwrap(), [0, 1, 2, 3, 4]);
    drop(lock.acquire().unwrap());
}

/// Producers and consumers with short timeouts, and a server that is stopped for longer than they wait.
fn nothing_is_lost_whenever_the_server_is_stopped() {
    let stops = std::env::var("MP_STOPS").ok().and_then(|text| text.parse().ok()).unwrap_or(12);
    let manager = Manager::start().unwrap();
    let (queue, server) = (manager.queue::<u64>().unwrap(), Server::of(&manager));
    let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let (put, open, got) = <(Mutex<BTreeSet<u64>>, Mutex<BTreeSet<u64>>, Mutex<Vec<u64>>)>::default();
    std::thread::scope(|scope| {
        let produce = || {
            // ORDERING: Relaxed, here and below: a number, a flag.
            while !is_over.load(Ordering::Relaxed) {
                let item = next.fetch_add(1, Ordering::Relaxed);
                match queue.put_timeout(item, SOON) {
                    Ok(()) => drop(put.lock().unwrap().insert(item)),
                    Err(ManagerError::Unanswered) => drop(open.lock().unwrap().insert(item)),
                    Err(error) => assert!(matches!(error, ManagerError::Timeout), "{error}"),
                }
            }
        };
        let consume = || {
            while !is_over.load(Ordering::Relaxed) {
                if let Ok(item) = queue.get_timeout(SOON) {
                    got.lock().unwrap().push(item);
                }
            }
        };
        let threads =
            [scope.spawn(produce), scope.spawn(produce), scope.spawn(consume), scope.spawn(consume)];
        let mut chance = Chance::new(1);
        for _ in 0..stops {
            std::thread::sleep(Duration::from_micros(chance.below(20_000) as u64));
            server.stop();
            std::thread::sleep(Duration::from_millis(chance.below(250) as u64));
            server.go_on();
        }
        is_over.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    let mut got = got.into_inner().unwrap();
    while let Ok(item) = queue.try_get() {
        got.push(item);
    }
    let (all, open) = (got.iter().copied().collect::<BTreeSet<_>>(), open.into_inner().unwrap());
    assert_eq!(all.len(), got.len(), "an item came twice");
    assert_eq!(&all - &open, put.into_inner().unwrap(), "what was put is what came");
}
