//! How long objects live, whose end frees what, and what an object and a client cost.

use mp_core::finalize;
use mp_core::sys::futex::{FutexWord, can_wait_for_two};
use mp_core::sys::poll::pidfd_open;
use mp_core::sys::process::{gettid, send_signal};
use mp_core::sys::signal::SIGKILL;
use mp_core::word::Machine;
use mp_core::{JoinError, Process, StartMethod};
use mp_manager::{
    BarrierProxy, ConditionProxy, DictProxy, EventProxy, ListProxy, LockProxy, Manager, ManagerError,
    QueueProxy, ValueProxy,
};
use mp_pipe::{Connection, RecvError, pipe};
use mp_sync::Event;
use mp_testing::{Fate, filter, limited, open_descriptors};
use nix::sys::resource::Resource;
use std::cell::OnceCell;
use std::os::fd::AsFd;

mp_testing::cases! {
    plain: [
        an_object_costs_no_descriptor,
        a_client_costs_no_thread,
        a_reply_without_descriptors_for_its_handles_fails_its_call_alone,
        a_request_without_descriptors_for_its_handles_fails_alone,
        a_client_that_is_not_taken_in_may_come_again,
        what_a_dead_manager_leaves_says_so_to_all_that_wait,
        a_killed_server_wakes_those_that_wait,
        a_killed_server_is_noticed_where_two_words_cannot_be_waited_for,
        a_message_in_flight_keeps_its_objects,
        a_forked_copy_keeps_what_it_has_inherited,
        a_forked_copy_does_not_hide_its_parents_end,
        a_dropped_batch_of_proxies_is_given_back,
        proxies_that_only_a_call_has_keep_their_objects,
        what_is_taken_out_is_its_receivers,
        the_descriptor_in_an_item_is_its_getters_alone,
        a_proxy_is_used_while_its_thread_ends,
    ],
    every_method: [
        a_killed_client_gives_everything_back,
        a_killed_getter_takes_nothing,
        a_killed_getter_loses_its_tasks,
        a_killed_waiter_breaks_the_barrier,
        a_killed_changer_has_changed_nothing,
        a_killed_holder_of_a_condition_is_told_of,
        a_killed_sender_does_not_take_what_is_in_flight,
        a_proxy_is_used_by_an_exit_handler,
    ]
}

/// How many objects: 100,000 in a long run.
fn many() -> usize {
    std::env::var("MP_OBJECTS").ok().and_then(|text| text.parse().ok()).unwrap_or(5_000)
}

fn an_object_costs_no_descriptor() {
    let manager = limited(Resource::RLIMIT_NOFILE, 128, Manager::start).unwrap();
    // The first call attaches the shared memory of the calls.
    assert!(manager.list::<u8>().unwrap().is_empty().unwrap());
    let before = open_descriptors(std::process::id()).len();
    let objects: Vec<ListProxy<usize>> =
        limited(Resource::RLIMIT_NOFILE, 128, || (0..many()).map(|_| manager.list().unwrap()).collect());
    objects.iter().zip(0..).for_each(|(list, number)| list.push(number).unwrap());
    assert_eq!(objects[many() - 1].to_vec().unwrap(), [many() - 1]);
    assert_eq!(manager.number_of_objects().unwrap(), many() as u64);
    assert_eq!(open_descriptors(std::process::id()).len(), before);
    let theirs = std::fs::read_dir(format!("/proc/{}/fd", manager.server_pid())).unwrap().count();
    assert!(theirs < 32, "{theirs}");
    drop(objects);
    assert_eq!(manager.number_of_objects().unwrap(), 0);
}

fn threads_of(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count()
}

fn a_client_costs_no_thread() {
    let manager = Manager::start().unwrap();
    let (barrier, count) = (manager.barrier(101).unwrap(), manager.value(0_u32).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                count.fetch_add(1).unwrap();
                barrier.wait().unwrap();
            });
        }
        while barrier.n_waiting().unwrap() < 100 {
            std::thread::yield_now();
        }
        assert_eq!(threads_of(manager.server_pid()), 1);
        barrier.wait().unwrap();
    });
    assert_eq!(count.get().unwrap(), 100);
}

fn a_reply_without_descriptors_for_its_handles_fails_its_call_alone() {
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<u8, Vec<mp_pipe::Connection<u8, u8>>>().unwrap();
    let ends: Vec<_> = (0..60).map(|_| pipe::<u8, u8>().unwrap().0).collect();
    dict.insert(1, ends).unwrap();
    let few = open_descriptors(std::process::id()).len() as u64 + 4;
    let refused = limited(Resource::RLIMIT_NOFILE, few, || dict.get(&1)).unwrap_err();
    assert!(refused.to_string().contains("handles"), "{refused}");
    // The connection goes on.
    assert!(manager.list::<u8>().unwrap().is_empty().unwrap());
    assert_eq!(dict.get(&1).unwrap().unwrap().len(), 60);
}

fn is_want_of_descriptors<T>(result: Result<T, ManagerError>) -> bool {
    matches!(result, Err(ManagerError::NoDescriptors))
}

fn a_request_without_descriptors_for_its_handles_fails_alone() {
    let manager = limited(Resource::RLIMIT_NOFILE, 32, Manager::start).unwrap();
    let queue = manager.queue::<Connection<u8, u8>>().unwrap();
    let dict = manager.dict::<u8, Connection<u8, u8>>().unwrap();
    let list = manager.list::<Connection<u8, u8>>().unwrap();
    let (item, other) = pipe::<u8, u8>().unwrap();
    let put = (0..32).take_while(|_| queue.put(item.clone()).is_ok()).count();
    assert!(0 < put && put < 32, "{put}");
    assert!(is_want_of_descriptors(queue.put(item.clone())));
    assert!(is_want_of_descriptors(dict.insert(1, item.clone())));
    assert!(is_want_of_descriptors(list.push(item.clone())));
    assert!(is_want_of_descriptors(manager.value(item.clone())));
    assert!(is_want_of_descriptors(list.extend([item.clone(), item.clone()])));
    // All else goes on.
    assert_eq!((queue.qsize().unwrap(), dict.len().unwrap(), list.len().unwrap()), (put, 0, 0));
    manager.list::<u8>().unwrap().push(1).unwrap();
    let (memory, pool) = (manager.shared_memory(100).map(drop), manager.pool(2).map(drop));
    assert!(memory.is_err() && pool.is_err(), "{memory:?} {pool:?}");
    let got = queue.get().unwrap();
    got.send(&7).unwrap();
    assert_eq!(other.recv().unwrap(), 7);
    queue.put(item).unwrap();
    (0..put).for_each(|_| drop(queue.get().unwrap()));
    manager.shared_memory(100).unwrap();
}

fn push_twice(list: ListProxy<u32>, [refused, freed]: [Event; 2]) {
    let first = list.push(1).map_err(|error| error.to_string());
    refused.set();
    freed.wait();
    assert!(
        first.as_ref().is_err_and(|error| error.contains("the manager process has no descriptors left")),
        "{first:?}"
    );
    list.push(2).unwrap();
}

fn a_client_that_is_not_taken_in_may_come_again() {
    let manager = limited(Resource::RLIMIT_NOFILE, 32, Manager::start).unwrap();
    let (queue, list) = (manager.queue::<Connection<u8, u8>>().unwrap(), manager.list().unwrap());
    while queue.put(pipe().unwrap().0).is_ok() {}
    let events = [(); 2].map(|()| Event::new().unwrap());
    let child = Process::new(push_twice, (list.clone(), events.clone())).method(StartMethod::Fork);
    let (child, [refused, freed]) = (child.start().unwrap(), events);
    refused.wait();
    (0..4).for_each(|_| drop(queue.get().unwrap()));
    freed.set();
    child.join().unwrap();
    assert_eq!(list.to_vec().unwrap(), [2]);
}

fn kill(pid: u32) {
    send_signal(pidfd_open(pid).unwrap().as_fd(), SIGKILL).unwrap();
}

fn what_a_dead_manager_leaves_says_so_to_all_that_wait() {
    let manager = Manager::start().unwrap();
    let (queue, event) = (manager.queue::<u8>().unwrap(), manager.event().unwrap());
    let (lock, barrier) = (manager.lock().unwrap(), manager.barrier(2).unwrap());
    let guard = lock.acquire().unwrap();
    std::thread::scope(|scope| {
        let waiting = [
            scope.spawn(|| queue.get().unwrap_err()),
            scope.spawn(|| event.wait().unwrap_err()),
            scope.spawn(|| lock.acquire().map(drop).unwrap_err()),
            scope.spawn(|| barrier.wait().unwrap_err()),
        ];
        while barrier.n_waiting().unwrap() == 0 {
            std::thread::yield_now();
        }
        kill(manager.server_pid());
        for thread in waiting {
            let error = thread.join().unwrap();
            assert!(error.to_string().contains("the manager process has ended"), "{error}");
        }
    });
    drop(guard);
    assert!(matches!(manager.list::<u8>(), Err(ManagerError::Gone)));
}

/// Until a thread of this process sleeps and goes on sleeping.
fn until_asleep(thread: u32) {
    let status = || std::fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
    loop {
        let before = status();
        (0..1_000).for_each(|_| std::thread::yield_now());
        if before.contains("State:\tS") && status() == before {
            return;
        }
    }
}

/// Sleepers look by themselves at the multiples of half a second on the machine's clock. This counts them.
fn look() -> u64 {
    FutexWord::now() / 500_000_000
}

fn is_noticed_before_the_next_look() -> bool {
    let manager = Manager::start().unwrap();
    let queue = manager.queue::<u8>().unwrap();
    std::thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::channel();
        for _ in 0..3 {
            let (send, queue) = (send.clone(), &queue);
            scope.spawn(move || {
                send.send(gettid()).unwrap();
                assert!(matches!(queue.get(), Err(ManagerError::Gone)));
            });
        }
        receive.iter().take(3).for_each(until_asleep);
        let (before, server) = (look(), pidfd_open(manager.server_pid()).unwrap());
        send_signal(server.as_fd(), SIGKILL).unwrap();
        before
    }) == look()
}

/// A wait that ends by itself ends in the next half second.
fn a_killed_server_wakes_those_that_wait() {
    let mut noticed = 0;
    while can_wait_for_two() && noticed < 3 {
        noticed += u32::from(is_noticed_before_the_next_look());
    }
}

/// As before Linux 5.16.
fn a_killed_server_is_noticed_where_two_words_cannot_be_waited_for() {
    filter(libc::SYS_futex_waitv, &[], Fate::Fails(libc::ENOSYS));
    is_noticed_before_the_next_look();
    assert!(!can_wait_for_two());
}

/// What another process gave back is seen when the server has read it.
fn until_objects(manager: &Manager, count: u64) {
    while manager.number_of_objects().unwrap() != count {
        std::thread::yield_now();
    }
}

fn a_message_in_flight_keeps_its_objects() {
    let manager = Manager::start().unwrap();
    let (here, there) = pipe::<Vec<ListProxy<u8>>, Vec<ListProxy<u8>>>().unwrap();
    let lists: Vec<ListProxy<u8>> = (0..3).map(|_| manager.list().unwrap()).collect();
    assert!(lists[1].is_empty().unwrap());
    let before = open_descriptors(std::process::id()).len();
    here.send(&lists).unwrap();
    lists[0].push(7).unwrap();
    drop(lists);
    assert_eq!(manager.number_of_objects().unwrap(), 3);
    let lists = there.recv().unwrap();
    assert_eq!((lists[0].to_vec().unwrap(), open_descriptors(std::process::id()).len()), (vec![7], before));
    // One that is never received.
    here.send(&lists).unwrap();
    drop(lists);
    assert_eq!(manager.number_of_objects().unwrap(), 3);
    drop((here, there));
    until_objects(&manager, 0);
}

fn push_when_told(list: ListProxy<u8>, go: Event) -> usize {
    go.wait();
    list.push(1).unwrap();
    list.len().unwrap()
}

fn a_forked_copy_keeps_what_it_has_inherited() {
    let manager = Manager::start().unwrap();
    let (list, go) = (manager.list().unwrap(), Event::new().unwrap());
    let process = Process::new(push_when_told, (list, go.clone())).method(StartMethod::Fork);
    let child = process.start().unwrap();
    // The proxy here went with the arguments.
    assert_eq!(manager.number_of_objects().unwrap(), 1);
    go.set();
    assert_eq!(child.join().unwrap(), 1);
    until_objects(&manager, 0);
}

fn stay_until(end: Event) {
    end.wait();
}

fn hold_and_fork(lock: LockProxy, held: Event, end: Event) {
    let guard = lock.acquire().unwrap();
    let copy = Process::new(stay_until, (end,)).not_daemon().method(StartMethod::Fork).start().unwrap();
    held.set();
    copy.join().unwrap();
    drop(guard);
}

fn a_forked_copy_does_not_hide_its_parents_end() {
    let manager = Manager::start().unwrap();
    let (lock, held, end) = (manager.lock().unwrap(), Event::new().unwrap(), Event::new().unwrap());
    let holder = Process::new(hold_and_fork, (lock.clone(), held.clone(), end.clone())).start().unwrap();
    held.wait();
    holder.kill().unwrap();
    assert!(matches!(lock.acquire(), Err(ManagerError::OwnerDied)));
    end.set();
    drop(lock.acquire().unwrap());
}

fn a_dropped_batch_of_proxies_is_given_back() {
    let manager = Manager::start().unwrap();
    let outer = manager.dict::<u32, Vec<EventProxy>>().unwrap();
    for key in 0..50 {
        outer.insert(key, vec![manager.event().unwrap(), manager.event().unwrap()]).unwrap();
    }
    assert_eq!(manager.number_of_objects().unwrap(), 101);
    let all = outer.values().unwrap();
    outer.clear().unwrap();
    assert_eq!(manager.number_of_objects().unwrap(), 101);
    assert!(!all[49][1].is_set().unwrap());
    drop(all);
    assert_eq!(manager.number_of_objects().unwrap(), 1);
}

/// Each call stores proxies that the caller has no other handle of.
fn proxies_that_only_a_call_has_keep_their_objects() {
    let manager = Manager::start().unwrap();
    let value = |number: u32| manager.value(number).unwrap();
    let numbers = |proxies: Vec<ValueProxy<u32>>| -> Vec<u32> {
        proxies.iter().map(|proxy| proxy.get().unwrap()).collect()
    };

    let list = manager.list().unwrap();
    list.extend([value(1), value(2), value(3)]).unwrap();
    assert_eq!(numbers(list.to_vec().unwrap()), [1, 2, 3]);
    assert_eq!(numbers(list.splice(1..2, (4..6).map(value)).unwrap()), [2]);
    list.with(|items| items.insert(0, value(0))).unwrap();
    list.update(1, |_| value(7)).unwrap();
    assert_eq!(numbers(list.to_vec().unwrap()), [0, 7, 4, 5, 3]);

    let dict = manager.dict().unwrap();
    dict.extend([("a", value(1)), ("b", value(2))].map(|(key, value)| (key.to_owned(), value))).unwrap();
    let mut batch = dict.batch();
    batch.insert("c".to_owned(), value(3)).unwrap();
    batch.insert("d".to_owned(), value(4)).unwrap();
    batch.run().unwrap();
    dict.update("a", |_| Some(value(9))).unwrap();
    assert_eq!(numbers(dict.values().unwrap()), [9, 2, 3, 4]);

    let array = manager.array((0..3).map(value)).unwrap();
    array.update(1, |_| value(8)).unwrap();
    array.with(|elements| elements[2] = value(9)).unwrap();
    assert_eq!(numbers(array.to_vec().unwrap()), [0, 8, 9]);

    // What is stored is all that there is.
    drop((list, dict, array));
    assert_eq!(manager.number_of_objects().unwrap(), 0);
}

fn hold_everything(list: ListProxy<u8>, dict: DictProxy<u8, ListProxy<u8>>, there: Event) {
    let _copies = (list.clone(), list, dict.get(&1).unwrap());
    there.set();
    loop {
        std::thread::park();
    }
}

fn a_killed_client_gives_everything_back() {
    let manager = Manager::start().unwrap();
    let (list, dict) = (manager.list().unwrap(), manager.dict().unwrap());
    dict.insert(1, manager.list().unwrap()).unwrap();
    let there = Event::new().unwrap();
    let child = Process::new(hold_everything, (list, dict.clone(), there.clone())).start().unwrap();
    there.wait();
    dict.clear().unwrap();
    assert_eq!(manager.number_of_objects().unwrap(), 3);
    child.kill().unwrap();
    until_objects(&manager, 1);
}

fn get_for_ever(queue: QueueProxy<u32>, began: Event) {
    began.set();
    let _ = queue.get();
    loop {
        std::thread::park();
    }
}

fn a_killed_getter_takes_nothing() {
    let manager = Manager::start().unwrap();
    let queue = manager.queue().unwrap();
    for number in 0..5 {
        let began = Event::new().unwrap();
        let child = Process::new(get_for_ever, (queue.clone(), began.clone())).start().unwrap();
        began.wait();
        child.kill().unwrap();
        assert!(matches!(child.join(), Err(JoinError::Killed(9))));
        queue.put(number).unwrap();
        assert_eq!(queue.get().unwrap(), number);
    }
}

fn get_two(queue: QueueProxy<u32>, has_got: Event) {
    let _items = [queue.get().unwrap(), queue.get().unwrap()];
    queue.task_done().unwrap();
    has_got.set();
    loop {
        std::thread::park();
    }
}

fn join_elsewhere(queue: QueueProxy<u32>) -> Option<u64> {
    match queue.join() {
        Err(ManagerError::TasksLost { items }) => Some(items),
        other => {
            other.unwrap();
            None
        }
    }
}

fn a_killed_getter_loses_its_tasks() {
    let manager = Manager::start().unwrap();
    let queue = manager.queue().unwrap();
    (0..3).for_each(|item| queue.put(item).unwrap());
    let has_got = Event::new().unwrap();
    let getter = Process::new(get_two, (queue.clone(), has_got.clone())).start().unwrap();
    let joiner = Process::new(join_elsewhere, (queue.clone(),)).start().unwrap();
    has_got.wait();
    getter.kill().unwrap();
    assert!(matches!(getter.join(), Err(JoinError::Killed(9))));
    // Of the three, one is done, one is lost, and one is not got yet.
    assert!(matches!(queue.try_join(), Err(ManagerError::WouldBlock)));
    assert_eq!(queue.get().unwrap(), 2);
    queue.task_done().unwrap();
    assert!(matches!(queue.join(), Err(ManagerError::TasksLost { items: 1 })));
    queue.join().unwrap();
    assert_eq!(joiner.join().unwrap(), Some(1));
    assert!(matches!(queue.task_done(), Err(ManagerError::OverReleased)));
}

fn wait_at(barrier: BarrierProxy) {
    let _ = barrier.wait();
}

fn a_killed_waiter_breaks_the_barrier() {
    let manager = Manager::start().unwrap();
    let barrier = manager.barrier(3).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| barrier.wait());
        let child = Process::new(wait_at, (barrier.clone(),)).method(StartMethod::Spawn).start().unwrap();
        while barrier.n_waiting().unwrap() < 2 {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        assert!(matches!(waiting.join().unwrap(), Err(ManagerError::BrokenBarrier)));
    });
}

fn change_for_ever(value: ValueProxy<u32>, dict: DictProxy<u8, u32>, began: Event) {
    let _ = value.update(|_| {
        let _ = dict.update(&1, |_| {
            began.set();
            loop {
                std::thread::park();
            }
        });
        8
    });
}

fn a_killed_changer_has_changed_nothing() {
    let manager = Manager::start().unwrap();
    let (value, dict) = (manager.value(7).unwrap(), manager.dict::<u8, u32>().unwrap());
    dict.insert(1, 1).unwrap();
    let began = Event::new().unwrap();
    let child = Process::new(change_for_ever, (value.clone(), dict.clone(), began.clone())).start().unwrap();
    began.wait();
    assert_eq!((value.get().unwrap(), dict.get(&1).unwrap()), (7, Some(1)));
    child.kill().unwrap();
    // They wait for the end of the changer, if it is not seen yet.
    assert_eq!((value.set(9).unwrap(), dict.insert(1, 2).unwrap()), (7, Some(1)));
}

fn hold_condition(condition: ConditionProxy, held: Event) {
    let _guard = condition.acquire().unwrap();
    held.set();
    loop {
        std::thread::park();
    }
}

fn a_killed_holder_of_a_condition_is_told_of() {
    let manager = Manager::start().unwrap();
    let (condition, held) = (manager.condition().unwrap(), Event::new().unwrap());
    let child = Process::new(hold_condition, (condition.clone(), held.clone())).start().unwrap();
    held.wait();
    child.kill().unwrap();
    assert!(matches!(condition.acquire(), Err(ManagerError::OwnerDied)));
    condition.acquire().unwrap().notify_all().unwrap();
}

type Lists = Connection<ListProxy<u8>, ListProxy<u8>>;

fn send_on(list: ListProxy<u8>, to: Lists, sent: Event) {
    list.push(3).unwrap();
    to.send(&list).unwrap();
    sent.set();
    loop {
        std::thread::park();
    }
}

fn a_killed_sender_does_not_take_what_is_in_flight() {
    let manager = Manager::start().unwrap();
    let (here, there): (Lists, Lists) = pipe().unwrap();
    let sent = Event::new().unwrap();
    let child = Process::new(send_on, (manager.list().unwrap(), there, sent.clone())).start().unwrap();
    sent.wait();
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(9))));
    assert_eq!(here.recv().unwrap().to_vec().unwrap(), [3]);
    until_objects(&manager, 0);
}

/// The container had the only reference to each.
fn what_is_taken_out_is_its_receivers() {
    let manager = Manager::start().unwrap();
    let queue: QueueProxy<ListProxy<u32>> = manager.queue().unwrap();
    let list: ListProxy<ListProxy<u32>> = manager.list().unwrap();
    let dict: DictProxy<u32, ListProxy<u32>> = manager.dict().unwrap();
    queue.put(manager.list().unwrap()).unwrap();
    list.push(manager.list().unwrap()).unwrap();
    dict.insert(1, manager.list().unwrap()).unwrap();
    dict.insert(2, manager.list().unwrap()).unwrap();
    let replaced = dict.insert(2, manager.list().unwrap()).unwrap();
    let taken = [queue.get().ok(), list.pop().unwrap(), dict.remove(&1).unwrap(), replaced];
    for inner in &taken {
        inner.as_ref().unwrap().push(7).unwrap();
    }
    assert_eq!(manager.number_of_objects().unwrap(), 3 + 4 + 1);
    drop(taken);
    assert_eq!(manager.number_of_objects().unwrap(), 4);
}

fn the_descriptor_in_an_item_is_its_getters_alone() {
    let manager = Manager::start().unwrap();
    let queue: QueueProxy<Connection<u8, u8>> = manager.queue().unwrap();
    let (here, there) = pipe::<u8, u8>().unwrap();
    queue.put(there).unwrap();
    // No call comes after this one.
    drop(queue.get().unwrap());
    assert!(matches!(here.recv(), Err(RecvError::Closed)));
}

/// Uses its proxy when it is dropped.
struct AtTheEnd(DictProxy<String, u32>);

impl Drop for AtTheEnd {
    fn drop(&mut self) {
        self.0.insert("dropped".to_owned(), self.0.get("made").unwrap().unwrap()).unwrap();
    }
}

/// A thread's locals are dropped in no order that the program chooses.
fn a_proxy_is_used_while_its_thread_ends() {
    thread_local! {
        static LAST: OnceCell<AtTheEnd> = const { OnceCell::new() };
    }
    let manager = Manager::start().unwrap();
    let dict = manager.dict().unwrap();
    let of_thread = dict.clone();
    let thread = std::thread::spawn(move || {
        let last = AtTheEnd(of_thread);
        // Registered first, it is dropped after all that the calls below register.
        LAST.with(|slot| slot.set(last).map_err(drop).unwrap());
        LAST.with(|slot| slot.get().unwrap().0.insert("made".to_owned(), 7).unwrap());
    });
    thread.join().unwrap();
    assert_eq!(dict.get("dropped").unwrap(), Some(7));
}

/// The handlers of a process's exit run when its main thread's locals are gone.
fn a_proxy_is_used_by_an_exit_handler() {
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<String, u32>().unwrap();
    let work = |dict: DictProxy<String, u32>| {
        dict.insert("made".to_owned(), 8).unwrap();
        let last = AtTheEnd(dict);
        finalize::at_exit(|| drop(last));
    };
    let child = Process::new(work, (dict.clone(),)).start().unwrap();
    child.join().unwrap();
    assert_eq!((child.exitcode(), dict.get("dropped").unwrap()), (Some(0), Some(8)));
}
