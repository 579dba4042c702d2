//! Each kind of object, from this process and from children. Mirrors CPython's `_TestManager` and the manager half of
//! its tests of locks and queues.

use mp_core::{Child, Process};
use mp_manager::{
    BarrierProxy, ConditionProxy, DictProxy, EventProxy, ListProxy, Manager, ManagerError, NamespaceProxy,
    QueueProxy, SetProxy, ValueProxy,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        lists_have_what_pythons_have,
        dicts_have_what_pythons_have,
        sets_have_what_pythons_have,
        a_namespace_has_attributes_of_any_type,
        values_and_arrays_are_changed_in_one_step,
        numbers_that_do_not_fit_stay,
        a_change_keeps_other_writers_away,
        a_transaction_is_all_or_nothing,
        a_batch_is_one_step,
        queues_wait_and_count_tasks,
        locks_know_their_holder,
        semaphores_have_so_many_permits,
        a_condition_wakes_those_that_have_waited_longest,
        barriers_break_and_become_whole,
        debug_shows_the_contents,
        debug_shows_no_internals,
        objects_have_names,
        another_kind_or_type_is_an_error,
    ],
    every_method: [
        a_child_uses_every_kind,
        nested_proxies_see_each_others_changes,
    ]
}

const SHORT: Duration = Duration::from_millis(20);

fn lists_have_what_pythons_have() {
    let manager = Manager::start().unwrap();
    let list = manager.list().unwrap();
    list.extend([5, 3, 9, 3]).unwrap();
    list.reverse().unwrap();
    assert_eq!(list.to_vec().unwrap(), [3, 9, 3, 5]);
    list.sort().unwrap();
    assert_eq!(list.to_vec().unwrap(), [3, 3, 5, 9]);
    assert_eq!((list.position(&5).unwrap(), list.position(&7).unwrap()), (Some(2), None));
    assert_eq!((list.count(&3).unwrap(), list.contains(&9).unwrap()), (2, true));
    assert!(list.remove_value(&3).unwrap() && !list.remove_value(&7).unwrap());
    assert_eq!(list.get_range(1..).unwrap(), [5, 9]);
    assert_eq!(list.get_range(1..99).unwrap(), [5, 9]);
    assert_eq!(list.get_range(7..9).unwrap(), [] as [i32; 0]);
    assert_eq!(list.splice(..2, [1, 2, 4]).unwrap(), [3, 5]);
    assert_eq!(list.remove_range(1..=2).unwrap(), [2, 4]);
    assert_eq!(list.to_vec().unwrap(), [1, 9]);
    assert_eq!(list.set(0, 10).unwrap(), 1);
    assert_eq!(list.fetch_add(0, -3).unwrap(), 10);
    assert_eq!(list.compare_exchange(0, &7, 8).unwrap(), Ok(7));
    assert_eq!(list.compare_exchange(0, &7, 9).unwrap(), Err(8));
    assert!(matches!(list.fetch_add(2, 1), Err(ManagerError::IndexOutOfRange { index: 2, len: 2 })));
}

fn dicts_have_what_pythons_have() {
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<String, i64>().unwrap();
    dict.extend([("a".to_owned(), 1), ("b".to_owned(), 2), ("c".to_owned(), 3)]).unwrap();
    assert_eq!(dict.get_many(["c", "x", "a"]).unwrap(), [Some(3), None, Some(1)]);
    assert_eq!(dict.remove_last().unwrap(), Some(("c".to_owned(), 3)));
    assert_eq!((dict.fetch_add("a", 10).unwrap(), dict.fetch_add("new", 5).unwrap()), (1, 0));
    assert_eq!(dict.items().unwrap().last(), Some(&("new".to_owned(), 5)));
    assert_eq!(dict.compare_exchange("a", Some(&11), Some(12)).unwrap(), Ok(()));
    assert_eq!(dict.compare_exchange("a", Some(&11), None).unwrap(), Err(Some(12)));
    assert_eq!(dict.compare_exchange("d", None, Some(4)).unwrap(), Ok(()));
    assert_eq!(dict.compare_exchange("d", Some(&4), None).unwrap(), Ok(()));
    assert_eq!(dict.keys().unwrap(), ["a", "b", "new"]);
    let by_bytes = manager.dict::<Vec<u8>, u8>().unwrap();
    by_bytes.insert(vec![1, 2], 3).unwrap();
    assert_eq!(by_bytes.get(&[1, 2][..]).unwrap(), Some(3));
}

fn sets_have_what_pythons_have() {
    let manager = Manager::start().unwrap();
    let set: SetProxy<u32> = manager.set().unwrap();
    assert!(set.insert(1).unwrap() && !set.insert(1).unwrap());
    assert_eq!(set.extend([1, 2, 3, 4, 5]).unwrap(), 4);
    assert!(
        set.contains(&5).unwrap() && set.contains_all([2, 4]).unwrap() && !set.contains_all([2, 9]).unwrap()
    );
    assert_eq!(set.remove_many([1, 9]).unwrap(), 1);
    assert_eq!(set.retain_in([3, 4, 9]).unwrap(), 2);
    assert!(set.remove(&4).unwrap() && !set.remove(&4).unwrap());
    assert_eq!((set.to_vec().unwrap(), set.pop().unwrap(), set.pop().unwrap()), (vec![3], Some(3), None));
    assert!(set.is_empty().unwrap());
}

fn a_namespace_has_attributes_of_any_type() {
    let manager = Manager::start().unwrap();
    let shared = manager.namespace().unwrap();
    shared.set("name", "Ada").unwrap();
    shared.set("age", 36_u32).unwrap();
    assert_eq!(
        (shared.get::<String>("name").unwrap(), shared.get::<u32>("age").unwrap()),
        ("Ada".to_owned(), 36)
    );
    assert_eq!(shared.names().unwrap(), ["name", "age"]);
    shared.remove("name").unwrap();
    for missing in [shared.get::<u8>("name").unwrap_err(), shared.remove("name").unwrap_err()] {
        assert!(missing.to_string().contains("no attribute `name`"), "{missing}");
    }
}

fn values_and_arrays_are_changed_in_one_step() {
    let manager = Manager::start().unwrap();
    let value = manager.value(2.5_f64).unwrap();
    assert_eq!((value.fetch_add(0.5).unwrap(), value.set(7.0).unwrap()), (2.5, 3.0));
    let by = 2.0;
    assert_eq!(value.update(|value| value * by).unwrap(), 14.0);
    assert_eq!(value.compare_exchange(&14.0, 1.0).unwrap(), Ok(14.0));
    assert_eq!(value.compare_exchange(&14.0, 2.0).unwrap(), Err(1.0));
    let array = manager.array([1_u8, 2, 3]).unwrap();
    assert_eq!((array.len().unwrap(), array.get(1).unwrap(), array.set(1, 9).unwrap()), (3, 2, 2));
    array.with(|elements| elements.iter_mut().for_each(|element| *element *= 2)).unwrap();
    assert_eq!((array.to_vec().unwrap(), array.get_range(1..2).unwrap()), (vec![2, 18, 6], vec![18]));
    assert!(matches!(array.get(3), Err(ManagerError::IndexOutOfRange { index: 3, len: 3 })));
}

fn numbers_that_do_not_fit_stay() {
    let manager = Manager::start().unwrap();
    let value = manager.value(250_u8).unwrap();
    assert!(matches!(value.fetch_add(6), Err(ManagerError::Overflow)));
    assert_eq!((value.fetch_add(5).unwrap(), value.get().unwrap()), (250, 255));
}

fn a_change_keeps_other_writers_away() {
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<u8, u32>().unwrap();
    let list = manager.list().unwrap();
    list.push(1).unwrap();
    std::thread::scope(|scope| {
        let changed = dict.update(&1, |before| {
            assert_eq!(before, None);
            // Readers and writers of other keys go on.
            dict.insert(2, 2).unwrap();
            assert_eq!((dict.get(&1).unwrap(), dict.len().unwrap()), (None, 1));
            let other = dict.clone();
            scope.spawn(move || other.insert(1, 7).unwrap());
            // A write that would wait for this very change.
            assert!(matches!(dict.remove(&1), Err(ManagerError::WouldDeadlock)));
            assert!(matches!(dict.clear(), Err(ManagerError::WouldDeadlock)));
            Some(5)
        });
        assert_eq!(changed.unwrap(), Some(5));
    });
    assert_eq!(dict.get(&1).unwrap(), Some(7));
    let changed = list.update(0, |item| {
        assert!(matches!(list.push(2), Err(ManagerError::WouldDeadlock)));
        item + 1
    });
    assert_eq!((changed.unwrap(), list.to_vec().unwrap()), (2, vec![2]));
}

fn a_transaction_is_all_or_nothing() {
    let manager = Manager::start().unwrap();
    let accounts = manager.dict::<String, i64>().unwrap();
    let (from, to) = ("from".to_owned(), "to".to_owned());
    accounts.extend([(from.clone(), 100), (to.clone(), 0)]).unwrap();
    let transfer = |amount: i64| {
        let change = |balances: &mut [Option<i64>]| {
            *balances[0].as_mut().unwrap() -= amount;
            assert!(balances[0].unwrap() >= 0, "a deliberate panic");
            *balances[1].as_mut().unwrap() += amount;
        };
        accounts.with(&[from.clone(), to.clone()], change)
    };
    transfer(70).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| transfer(70))).is_err());
    assert_eq!(accounts.values().unwrap(), [30, 70]);
    let twice = accounts.with(&[from.clone(), from.clone()], |_| ()).unwrap_err();
    assert!(twice.to_string().contains("named twice"), "{twice}");
    let list = manager.list().unwrap();
    list.extend(["b", "a"].map(str::to_owned)).unwrap();
    let removed = list.with(|items| items.pop()).unwrap();
    assert_eq!((removed.as_deref(), list.len().unwrap()), (Some("a"), 1));
}

fn a_batch_is_one_step() {
    let manager = Manager::start().unwrap();
    let stock = manager.dict::<String, u32>().unwrap();
    let mut batch = stock.batch();
    batch.insert("pears".to_owned(), 3).unwrap();
    batch.fetch_add("apples", 5).unwrap();
    batch.fetch_add("apples", 1).unwrap();
    batch.get("pears").unwrap();
    batch.remove("pears").unwrap();
    assert_eq!(batch.run().unwrap(), [None, None, Some(5), Some(3), Some(3)]);
    assert_eq!(stock.items().unwrap(), [("apples".to_owned(), 6)]);
}

fn queues_wait_and_count_tasks() {
    let manager = Manager::start().unwrap();
    let queue: QueueProxy<u32> = manager.bounded_queue(2).unwrap();
    assert!(matches!(queue.try_get(), Err(ManagerError::WouldBlock)));
    assert!(matches!(queue.get_timeout(SHORT), Err(ManagerError::Timeout)));
    queue.put(1).unwrap();
    queue.try_put(2).unwrap();
    assert!(queue.is_full().unwrap() && queue.qsize().unwrap() == 2);
    assert!(matches!(queue.try_put(3), Err(ManagerError::WouldBlock)));
    assert!(matches!(queue.put_timeout(3, SHORT), Err(ManagerError::Timeout)));
    std::thread::scope(|scope| {
        let putter = scope.spawn(|| queue.put(3).unwrap());
        assert_eq!((queue.get().unwrap(), queue.get().unwrap(), queue.get().unwrap()), (1, 2, 3));
        putter.join().unwrap();
        assert!(matches!(queue.try_join(), Err(ManagerError::WouldBlock)));
        assert!(matches!(queue.join_timeout(SHORT), Err(ManagerError::Timeout)));
        let joiner = scope.spawn(|| queue.join().unwrap());
        (0..3).for_each(|_| queue.task_done().unwrap());
        joiner.join().unwrap();
    });
    assert!(matches!(queue.task_done(), Err(ManagerError::OverReleased)));
}

fn locks_know_their_holder() {
    let manager = Manager::start().unwrap();
    let (lock, rlock) = (manager.lock().unwrap(), manager.rlock().unwrap());
    let guard = lock.acquire().unwrap();
    assert!(matches!(lock.acquire(), Err(ManagerError::WouldDeadlock)));
    // Python's `acquire(False)` and `acquire(timeout=...)` answer False.
    assert!(matches!(lock.try_acquire(), Err(ManagerError::WouldBlock)));
    assert!(matches!(lock.acquire_timeout(SHORT), Err(ManagerError::Timeout)));
    let condition = manager.condition_with_lock(&lock).unwrap();
    assert!(matches!(condition.acquire(), Err(ManagerError::WouldDeadlock)));
    assert!(matches!(condition.try_acquire(), Err(ManagerError::WouldBlock)));
    assert!(matches!(condition.acquire_timeout(SHORT), Err(ManagerError::Timeout)));
    let (once, twice) = (rlock.acquire().unwrap(), rlock.acquire().unwrap());
    drop(once);
    let elsewhere =
        || std::thread::scope(|scope| scope.spawn(|| rlock.try_acquire().is_ok()).join().unwrap());
    assert!(!elsewhere());
    drop(twice);
    assert!(elsewhere());
    drop(guard);
    assert!(!lock.locked().unwrap() && !rlock.locked().unwrap());
}

fn semaphores_have_so_many_permits() {
    let manager = Manager::start().unwrap();
    let semaphore = manager.semaphore(1).unwrap();
    let permit = semaphore.acquire().unwrap();
    assert!(matches!(semaphore.try_acquire(), Err(ManagerError::WouldBlock)));
    assert!(matches!(semaphore.acquire_timeout(SHORT), Err(ManagerError::Timeout)));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| semaphore.acquire().unwrap().keep());
        semaphore.release().unwrap();
        waiting.join().unwrap();
    });
    drop(permit);
    semaphore.release_many(2).unwrap();
    assert_eq!(semaphore.get_value().unwrap(), 3);
    let bounded = manager.bounded_semaphore(1).unwrap();
    assert!(matches!(bounded.release(), Err(ManagerError::OverReleased)));
    drop(bounded.acquire().unwrap());
    assert_eq!(bounded.get_value().unwrap(), 1);
}

fn a_condition_wakes_those_that_have_waited_longest() {
    let manager = Manager::start().unwrap();
    let (condition, woken) = (manager.condition().unwrap(), manager.list::<u32>().unwrap());
    let asleep = manager.value(0_u32).unwrap();
    let mut guard = condition.acquire().unwrap();
    assert!(matches!(guard.wait_timeout(SHORT), Err(ManagerError::Timeout)));
    drop(guard);
    std::thread::scope(|scope| {
        for number in 0..3 {
            let (condition, woken, sleepers) = (&condition, &woken, &asleep);
            scope.spawn(move || {
                // Acquired twice: a wait gives both up.
                let _outer = condition.acquire().unwrap();
                let mut guard = condition.acquire().unwrap();
                sleepers.fetch_add(1).unwrap();
                guard.wait().unwrap();
                woken.push(number).unwrap();
            });
            // Once the lock is free again, it sleeps.
            while asleep.get().unwrap() == number {
                std::thread::yield_now();
            }
            drop(condition.acquire().unwrap());
        }
        condition.acquire().unwrap().notify_one().unwrap();
        while woken.len().unwrap() == 0 {
            std::thread::yield_now();
        }
        let guard = condition.acquire().unwrap();
        assert_eq!(woken.to_vec().unwrap(), [0]);
        guard.notify_all().unwrap();
    });
    assert_eq!(woken.len().unwrap(), 3);
}

fn barriers_break_and_become_whole() {
    let manager = Manager::start().unwrap();
    let barrier = manager.barrier(2).unwrap();
    let both = || {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| barrier.wait().unwrap());
            let mut places = [barrier.wait().unwrap(), other.join().unwrap()];
            places.sort_unstable();
            assert_eq!(places, [0, 1]);
        });
    };
    both();
    both();
    assert!(matches!(barrier.wait_timeout(SHORT), Err(ManagerError::Timeout)));
    assert!(barrier.broken().unwrap() && matches!(barrier.wait(), Err(ManagerError::BrokenBarrier)));
    barrier.reset().unwrap();
    both();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| barrier.wait());
        while barrier.n_waiting().unwrap() == 0 {
            std::thread::yield_now();
        }
        barrier.abort().unwrap();
        assert!(matches!(waiting.join().unwrap(), Err(ManagerError::BrokenBarrier)));
    });
    assert_eq!(barrier.parties().unwrap(), 2);
    assert!(manager.barrier(0).is_err());
}

fn debug_shows_the_contents() {
    let manager = Manager::start().unwrap();
    let (dict, list) = (manager.dict::<u8, bool>().unwrap(), manager.list::<u8>().unwrap());
    dict.insert(1, true).unwrap();
    list.extend([1, 2]).unwrap();
    let value = manager.value("text".to_owned()).unwrap();
    assert_eq!(format!("{dict:?} {list:?}"), "DictProxy({1: true}) ListProxy([1, 2])");
    assert_eq!(format!("{value:?} {:?}", manager.event().unwrap()), "ValueProxy(\"text\") EventProxy(false)");
    manager.shutdown();
    let gone = format!("{list:?}");
    assert!(gone.contains("the manager process has ended"), "{gone}");
}

/// One line, of what a user has named or may ask for.
fn debug_shows_no_internals() {
    let manager = Manager::builder().memory_limit(77).start().unwrap();
    let (lock, rlock) = (manager.lock().unwrap(), manager.rlock().unwrap());
    let (semaphore, condition) = (manager.semaphore(1).unwrap(), manager.condition().unwrap());
    let set = manager.set::<u8>().unwrap();
    let keys = set.iterator().unwrap();
    let shown = [
        (format!("{manager:?}"), format!("Manager {{ server_pid: {}, address: Tcp(", manager.server_pid())),
        (format!("{:?}", Manager::builder()), "ManagerBuilder { address: Tcp(".to_owned()),
        (format!("{:?}", lock.acquire().unwrap()), "LockProxyGuard".to_owned()),
        (format!("{:?}", rlock.acquire().unwrap()), "RLockProxyGuard".to_owned()),
        (format!("{:?}", semaphore.acquire().unwrap()), "SemaphorePermit".to_owned()),
        (format!("{:?}", condition.acquire().unwrap()), "ConditionProxyGuard { is_held: true".to_owned()),
        (format!("{:?}", keys.iter()), "RemoteIter".to_owned()),
    ];
    for (shown, begin) in shown {
        assert!(shown.starts_with(&begin) && shown.len() < 120, "{shown}");
        assert!(!shown.contains("Phantom") && !shown.contains("Client"), "{shown}");
    }
}

fn objects_have_names() {
    let manager = Manager::start().unwrap();
    let jobs = manager.queue::<u32>().unwrap();
    assert!(!manager.publish("jobs", &jobs).unwrap());
    jobs.put(1).unwrap();
    drop(jobs);
    let found: QueueProxy<u32> = manager.lookup("jobs").unwrap();
    assert_eq!(found.get().unwrap(), 1);
    assert!(matches!(manager.lookup::<EventProxy>("jobs"), Err(ManagerError::NoSuchObject)));
    assert!(manager.unpublish("jobs").unwrap() && !manager.unpublish("jobs").unwrap());
    let missing = manager.lookup::<EventProxy>("jobs").unwrap_err();
    assert!(missing.to_string().contains("`jobs`"), "{missing}");
    drop(found);
    assert_eq!(manager.number_of_objects().unwrap(), 0);
}

fn another_kind_or_type_is_an_error() {
    let manager = Manager::start().unwrap();
    let list = manager.list::<String>().unwrap();
    list.push("text".to_owned()).unwrap();
    manager.publish("list", &list).unwrap();
    let wrong: ListProxy<(u64, u64, u64)> = manager.lookup("list").unwrap();
    assert!(matches!(wrong.get(0), Err(ManagerError::Codec(_))));
    assert_eq!(list.get(0).unwrap(), "text");
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Everything {
    dict: DictProxy<String, u32>,
    list: ListProxy<String>,
    set: SetProxy<u8>,
    namespace: NamespaceProxy,
    value: ValueProxy<u64>,
    queue: QueueProxy<String>,
    event: EventProxy,
    condition: ConditionProxy,
    barrier: BarrierProxy,
}

fn use_everything(all: Everything, lock: mp_manager::LockProxy, array: mp_manager::ArrayProxy<i32>) {
    let _guard = lock.acquire().unwrap();
    all.dict.fetch_add("n", 2).unwrap();
    all.list.push("child".to_owned()).unwrap();
    all.set.insert(7).unwrap();
    all.namespace.set("from", "child").unwrap();
    all.value.update(|value| value + 1).unwrap();
    array.fetch_add(1, 5).unwrap();
    all.queue.put("item".to_owned()).unwrap();
    all.event.set().unwrap();
    let mut held = all.condition.acquire().unwrap();
    all.barrier.wait().unwrap();
    held.wait().unwrap();
}

fn a_child_uses_every_kind() {
    let manager = Manager::start().unwrap();
    let all = || Everything {
        dict: manager.dict().unwrap(),
        list: manager.list().unwrap(),
        set: manager.set().unwrap(),
        namespace: manager.namespace().unwrap(),
        value: manager.value(1).unwrap(),
        queue: manager.queue().unwrap(),
        event: manager.event().unwrap(),
        condition: manager.condition().unwrap(),
        barrier: manager.barrier(2).unwrap(),
    };
    let here = all();
    let there = Everything {
        dict: here.dict.clone(),
        list: here.list.clone(),
        set: here.set.clone(),
        namespace: here.namespace.clone(),
        value: here.value.clone(),
        queue: here.queue.clone(),
        event: here.event.clone(),
        condition: here.condition.clone(),
        barrier: here.barrier.clone(),
    };
    let (lock, array) = (manager.lock().unwrap(), manager.array([1, 2]).unwrap());
    let child: Child<()> =
        Process::new(use_everything, (there, lock.clone(), array.clone())).start().unwrap();
    here.event.wait().unwrap();
    assert_eq!(here.queue.get().unwrap(), "item");
    here.barrier.wait().unwrap();
    // The child gives the condition's lock up when it waits.
    here.condition.acquire().unwrap().notify_all().unwrap();
    child.join().unwrap();
    drop(lock.acquire().unwrap());
    assert_eq!(
        (here.dict.get("n").unwrap(), here.list.to_vec().unwrap()),
        (Some(2), vec!["child".to_owned()])
    );
    assert_eq!((here.set.to_vec().unwrap(), here.value.get().unwrap()), (vec![7], 2));
    assert_eq!(here.namespace.get::<String>("from").unwrap(), "child");
    assert_eq!(array.to_vec().unwrap(), [1, 7]);
}

fn add_to_inner(outer: DictProxy<String, ListProxy<u32>>) {
    let inner = outer.get("inner").unwrap().unwrap();
    inner.push(2).unwrap();
    // As a value of a value.
    outer.get("inner").unwrap().unwrap().push(3).unwrap();
}

fn nested_proxies_see_each_others_changes() {
    let manager = Manager::start().unwrap();
    let outer = manager.dict::<String, ListProxy<u32>>().unwrap();
    let inner = manager.list::<u32>().unwrap();
    outer.insert("inner".to_owned(), inner.clone()).unwrap();
    inner.push(1).unwrap();
    Process::new(add_to_inner, (outer.clone(),)).start().unwrap().join().unwrap();
    assert_eq!(inner.to_vec().unwrap(), [1, 2, 3]);
    // It outlives the name that it had outside.
    drop(inner);
    assert_eq!(manager.number_of_objects().unwrap(), 2);
    assert_eq!(outer.get("inner").unwrap().unwrap().len().unwrap(), 3);
    drop(outer.remove("inner").unwrap());
    assert_eq!(manager.number_of_objects().unwrap(), 1);
}
