//! Mirrors what there is of CPython's `_TestManager` for dict, list and lock; and what its manager does not survive.
//!
//! Left out: CPython's own protocol.

use mp_core::sys::fd::pipe;
use mp_core::sys::poll::pidfd_open;
use mp_core::sys::signal::SIGKILL;
use mp_core::transfer::Handle;
use mp_core::{Child, JoinError, Process, active_children};
use mp_manager::{DictProxy, ListProxy, LockProxy, Manager, ManagerError, ValueProxy};
use mp_sync::{Barrier, Event};
use mp_testing::stop_process;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        list_operations,
        dict_operations,
        a_change_that_panics_changes_nothing_and_holds_nothing_up,
        a_change_of_what_is_of_another_type_is_given_up,
        one_of_those_that_would_wait_for_each_other_is_told,
        a_proxy_of_a_gone_manager_says_so,
        a_killed_manager_is_gone_for_every_process,
        objects_go_with_their_last_proxy,
        a_value_may_hold_a_handle,
        threads_have_connections_of_their_own,
        the_manager_leaves_no_thread_here,
        a_forked_copy_can_ask_the_server_to_end,
        a_stopped_server_is_killed,
    ],
    every_method: [
        ten_children_fill_a_dict,
        updates_are_lost_without_a_lock_and_kept_with_one,
        proxies_travel_on,
        a_lock_of_a_killed_client_is_free,
        a_killed_waiter_gets_no_lock,
        the_server_dies_with_a_killed_owner,
    ]
}

fn double_into(dict: DictProxy<u32, u32>, number: u32) {
    dict.insert(number, 2 * number).unwrap();
}

fn join_all<R: serde::de::DeserializeOwned>(children: &[Child<R>]) -> Vec<R> {
    children.iter().map(|child| child.join().unwrap()).collect()
}

fn ten_children_fill_a_dict() {
    let manager = Manager::start().unwrap();
    let dict = manager.dict().unwrap();
    let start = |number| Process::new(double_into, (dict.clone(), number)).start().unwrap();
    join_all(&(0..10).map(start).collect::<Vec<_>>());
    let mut items: Vec<(u32, u32)> = dict.items().unwrap();
    items.sort_unstable();
    assert_eq!(items, (0..10).map(|number| (number, 2 * number)).collect::<Vec<_>>());
}

fn read_then_write(dict: DictProxy<String, u32>, all_have_read: Barrier) {
    let number = dict.get("n").unwrap().unwrap();
    all_have_read.wait().unwrap();
    dict.insert("n".to_owned(), number + 1).unwrap();
}

fn read_and_write_locked(dict: DictProxy<String, u32>, lock: LockProxy) {
    let _guard = lock.acquire().unwrap();
    let number = dict.get("n").unwrap().unwrap();
    dict.insert("n".to_owned(), number + 1).unwrap();
}

fn count(dict: DictProxy<String, u32>) {
    dict.update("n", |number: Option<u32>| Some(number.unwrap_or(0) + 1)).unwrap();
}

fn updates_are_lost_without_a_lock_and_kept_with_one() {
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<String, u32>().unwrap();
    let reset = || dict.insert("n".to_owned(), 0).unwrap();
    let number = || dict.get("n").unwrap().unwrap();

    reset();
    let barrier = Barrier::new(10).unwrap();
    let start = |_| Process::new(read_then_write, (dict.clone(), barrier.clone())).start().unwrap();
    join_all(&(0..10).map(start).collect::<Vec<_>>());
    assert_eq!(number(), 1);

    reset();
    let lock = manager.lock().unwrap();
    let start = |_| Process::new(read_and_write_locked, (dict.clone(), lock.clone())).start().unwrap();
    join_all(&(0..10).map(start).collect::<Vec<_>>());
    assert_eq!(number(), 10);

    reset();
    let start = |_| Process::new(count, (dict.clone(),)).start().unwrap();
    join_all(&(0..10).map(start).collect::<Vec<_>>());
    assert_eq!(number(), 10);
}

fn pass_on(list: ListProxy<String>) {
    list.push("child".to_owned()).unwrap();
    Process::new(push_last, (list,)).start().unwrap().join().unwrap();
}

fn push_last(list: ListProxy<String>) {
    list.push("grandchild".to_owned()).unwrap();
}

fn proxies_travel_on() {
    let manager = Manager::start().unwrap();
    let list = manager.list().unwrap();
    Process::new(pass_on, (list.clone(),)).start().unwrap().join().unwrap();
    assert_eq!(list.to_vec().unwrap(), ["child", "grandchild"]);
}

fn list_operations() {
    let manager = Manager::start().unwrap();
    let list = manager.list::<i32>().unwrap();
    assert!(list.is_empty().unwrap());
    list.push(1).unwrap();
    list.extend([2, 3, 4]).unwrap();
    list.insert(0, 0).unwrap();
    list.insert(100, 5).unwrap();
    assert_eq!(list.to_vec().unwrap(), [0, 1, 2, 3, 4, 5]);
    assert_eq!((list.get(2).unwrap(), list.len().unwrap()), (2, 6));
    list.set(2, 20).unwrap();
    assert_eq!((list.remove(2).unwrap(), list.pop().unwrap()), (20, Some(5)));
    assert!(matches!(list.get(4), Err(ManagerError::IndexOutOfRange { index: 4, len: 4 })));
    assert!(matches!(list.remove(9), Err(ManagerError::IndexOutOfRange { .. })));
    assert_eq!(list.update(3, |x: i32| x * 100).unwrap(), 400);
    list.clear().unwrap();
    assert_eq!(list.pop().unwrap(), None);
}

fn dict_operations() {
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<String, Vec<u8>>().unwrap();
    let key = |text: &str| text.to_owned();
    assert_eq!(dict.insert(key("b"), vec![2]).unwrap(), None);
    assert_eq!(dict.insert(key("b"), vec![3]).unwrap(), Some(vec![2]));
    dict.extend([(key("a"), vec![1]), (key("c"), vec![0; 100_000])]).unwrap();
    assert_eq!(dict.keys().unwrap(), ["b", "a", "c"]);
    assert_eq!(dict.get("c").unwrap().unwrap().len(), 100_000);
    assert_eq!(dict.get("d").unwrap(), None);
    assert_eq!(dict.get_or_insert(key("d"), vec![4]).unwrap(), [4]);
    assert_eq!(dict.get_or_insert(key("d"), vec![5]).unwrap(), [4]);
    assert!(dict.contains_key("a").unwrap() && dict.remove("a").unwrap() == Some(vec![1]));
    assert!(!dict.contains_key("a").unwrap() && dict.remove("a").unwrap().is_none());
    assert_eq!((dict.len().unwrap(), dict.values().unwrap().len()), (3, 3));
    assert_eq!(dict.update("b", |_: Option<Vec<u8>>| None).unwrap(), None);
    assert_eq!(dict.len().unwrap(), 2);
    dict.clear().unwrap();
    assert!(dict.is_empty().unwrap());
}

fn a_change_that_panics_changes_nothing_and_holds_nothing_up() {
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<u8, u32>().unwrap();
    let by = 3;
    assert_eq!(dict.update(&1, |before| Some(before.unwrap_or(0) + by)).unwrap(), Some(3));
    let change = || dict.update(&1, |_: Option<u32>| panic!("a deliberate panic"));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(change)).is_err());
    assert_eq!(dict.get(&1).unwrap(), Some(3));
    assert_eq!(dict.insert(1, 4).unwrap(), Some(3));
}

type Held<'a> = &'a (dyn Fn(&mut dyn FnMut()) + Sync);
type Asked<'a> = &'a (dyn Fn() -> Result<(), ManagerError> + Sync);

/// Each thread has what the one before it asks for. Gives what each was told.
fn in_a_circle(threads: &[(Held<'_>, Asked<'_>)]) -> Vec<Result<(), ManagerError>> {
    let all_have_it = std::sync::Barrier::new(threads.len());
    std::thread::scope(|scope| {
        let start = |at: usize| {
            let (hold, ask, all_have_it) = (threads[at].0, threads[(at + 1) % threads.len()].1, &all_have_it);
            scope.spawn(move || {
                let mut told = Ok(());
                hold(&mut || {
                    all_have_it.wait();
                    told = ask();
                });
                told
            })
        };
        let running: Vec<_> = (0..threads.len()).map(start).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn one_of_those_that_would_wait_for_each_other_is_told() {
    let manager = Manager::start().unwrap();
    let (dict, list) = (manager.dict::<u32, u32>().unwrap(), manager.list::<u32>().unwrap());
    let (value, lock) = (manager.value(1_u32).unwrap(), manager.rlock().unwrap());
    let change = |key: u32| {
        let dict = dict.clone();
        move |then: &mut dyn FnMut()| {
            let changed = dict.update(&key, |before| {
                then();
                Some(before.unwrap_or(0) + 1)
            });
            changed.unwrap();
        }
    };
    let write = |key: u32| {
        let dict = dict.clone();
        move || dict.update(&key, |before| before).map(drop)
    };
    let changes = [change(1), change(2), change(3)];
    let writes = [write(1), write(2), write(3)];
    let in_list = |then: &mut dyn FnMut()| list.with(|_| then()).unwrap();
    let in_value = |then: &mut dyn FnMut()| {
        value.update(|old| (then(), old).1).unwrap();
    };
    let in_lock = |then: &mut dyn FnMut()| {
        let _held = lock.acquire().unwrap();
        then();
    };
    let (push, set) = (|| list.push(1), || value.set(5).map(drop));
    let acquire = || lock.acquire().map(drop);
    let circles: [&[(Held<'_>, Asked<'_>)]; 4] = [
        &[(&changes[0], &writes[0]), (&changes[1], &writes[1])],
        &[(&changes[0], &writes[0]), (&changes[1], &writes[1]), (&changes[2], &writes[2])],
        &[(&changes[0], &writes[0]), (&in_list, &push), (&in_value, &set), (&in_lock, &acquire)],
        &[(&in_lock, &acquire), (&changes[2], &writes[2])],
    ];
    for circle in circles {
        let told = in_a_circle(circle);
        let is_told = |end: &&Result<(), ManagerError>| matches!(end, Err(ManagerError::WouldDeadlock));
        assert_eq!(told.iter().filter(is_told).count(), 1, "{told:?}");
        assert_eq!(told.iter().filter(|end| end.is_ok()).count(), circle.len() - 1, "{told:?}");
    }
    // Each update of the loops above is there once: none was given up.
    assert_eq!(dict.get_many(&[1, 2, 3]).unwrap(), [Some(3), Some(2), Some(2)]);
    // Those that wait for a time wait for it, and one that waits for what is free in the end is no circle.
    let soon = || lock.acquire_timeout(Duration::from_millis(10)).map(drop);
    let told = in_a_circle(&[(&changes[0], &writes[0]), (&in_lock, &soon)]);
    assert!(matches!(&told[..], [Err(ManagerError::Timeout), Ok(())]), "{told:?}");
    // A condition's lock is one.
    let condition = manager.condition().unwrap();
    let in_condition = |then: &mut dyn FnMut()| {
        let _held = condition.acquire().unwrap();
        then();
    };
    let enter = || condition.acquire().map(drop);
    let told = in_a_circle(&[(&in_condition, &enter), (&in_lock, &acquire)]);
    assert!(matches!(
        &told[..],
        [Err(ManagerError::WouldDeadlock), Ok(())] | [Ok(()), Err(ManagerError::WouldDeadlock)]
    ));
}

fn a_change_of_what_is_of_another_type_is_given_up() {
    let manager = Manager::start().unwrap();
    let (value, list, dict) =
        (manager.value(7_u32).unwrap(), manager.list().unwrap(), manager.dict().unwrap());
    list.push(7_u32).unwrap();
    dict.insert(1_u8, 7_u32).unwrap();
    manager.publish("value", &value).unwrap();
    manager.publish("list", &list).unwrap();
    manager.publish("dict", &dict).unwrap();
    let of_texts: ListProxy<String> = manager.lookup("list").unwrap();
    let errors = [
        manager.lookup::<ValueProxy<String>>("value").unwrap().update(|text| text).map(drop),
        of_texts.update(0, |text| text).map(drop),
        of_texts.with(|_| ()),
        manager.lookup::<DictProxy<u8, String>>("dict").unwrap().update(&1, |text| text).map(drop),
    ];
    assert!(errors.iter().all(|error| matches!(error, Err(ManagerError::Codec(_)))), "{errors:?}");
    // A change that is still begun would be refused to this thread.
    assert_eq!((value.set(8).unwrap(), list.set(0, 8).unwrap()), (7, 7));
    assert_eq!(dict.insert(1, 8).unwrap(), Some(7));
}

fn a_proxy_of_a_gone_manager_says_so() {
    let manager = Manager::start().unwrap();
    let (dict, list) = (manager.dict::<u8, u8>().unwrap(), manager.list::<u8>().unwrap());
    manager.shutdown();
    assert!(active_children().is_empty());
    assert!(matches!(dict.get(&1), Err(ManagerError::Gone)));
    assert!(matches!(dict.get(&1), Err(ManagerError::Gone)));
    assert!(matches!(list.push(1), Err(ManagerError::Gone)));
}

fn ask_for_ever(list: ListProxy<u8>, asked: Event) -> bool {
    loop {
        match list.len() {
            Ok(_) => asked.set(),
            Err(ManagerError::Gone) => return true,
            Err(_) => return false,
        }
    }
}

fn kill(pid: u32) {
    let pidfd = mp_core::sys::poll::pidfd_open(pid).unwrap();
    mp_core::sys::process::send_signal(pidfd.as_fd(), SIGKILL).unwrap();
}

fn a_killed_manager_is_gone_for_every_process() {
    let manager = Manager::start().unwrap();
    let (list, asked) = (manager.list().unwrap(), Event::new().unwrap());
    let child = Process::new(ask_for_ever, (list.clone(), asked.clone())).start().unwrap();
    asked.wait();
    kill(manager.server_pid());
    assert!(child.join().unwrap());
    assert!(matches!(list.len(), Err(ManagerError::Gone)));
}

/// Until the server has seen it: its thread for references is another than the one that answers.
fn until_objects(manager: &Manager, count: u64) {
    while manager.number_of_objects().unwrap() != count {
        std::thread::yield_now();
    }
}

fn hold(list: ListProxy<u8>, there: Event) {
    there.set();
    let _list = list;
    loop {
        std::thread::park();
    }
}

fn objects_go_with_their_last_proxy() {
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<u8, u8>().unwrap();
    let copy = dict.clone();
    let (list, there) = (manager.list().unwrap(), Event::new().unwrap());
    until_objects(&manager, 2);
    drop(dict);
    copy.insert(1, 1).unwrap();
    drop(copy);
    until_objects(&manager, 1);
    let child = Process::new(hold, (list, there.clone())).start().unwrap();
    there.wait();
    assert_eq!(manager.number_of_objects().unwrap(), 1);
    child.kill().unwrap();
    until_objects(&manager, 0);
}

fn a_value_may_hold_a_handle() {
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<u8, Handle>().unwrap();
    let (read, write) = pipe().unwrap();
    dict.insert(1, Handle::new(write)).unwrap();
    let back = dict.remove(&1).unwrap().unwrap();
    File::from(back.into_fd().unwrap()).write_all(b"through").unwrap();
    let mut text = String::new();
    File::from(read).read_to_string(&mut text).unwrap();
    assert_eq!(text, "through");
}

fn threads_have_connections_of_their_own() {
    let manager = Manager::start().unwrap();
    let (list, lock) = (manager.list::<u32>().unwrap(), manager.lock().unwrap());
    std::thread::scope(|scope| {
        let guard = lock.acquire().unwrap();
        let waiting = scope.spawn(|| lock.acquire().map(drop).is_ok());
        // The other thread's wait does not hold up this one's calls.
        (0..100).for_each(|number| list.push(number).unwrap());
        assert!(scope.spawn(|| matches!(lock.try_acquire(), Err(ManagerError::WouldBlock))).join().unwrap());
        drop(guard);
        assert!(waiting.join().unwrap());
    });
    assert!(!lock.locked().unwrap());
    assert_eq!(list.len().unwrap(), 100);
}

fn the_manager_leaves_no_thread_here() {
    let manager = Manager::start().unwrap();
    let list = manager.list::<u8>().unwrap();
    list.push(1).unwrap();
    let here = list.clone();
    let child = Process::fork(move || here.to_vec().unwrap()).start().unwrap();
    assert_eq!(child.join().unwrap(), [1]);
    assert_eq!(list.to_vec().unwrap(), [1]);
}

fn a_forked_copy_can_ask_the_server_to_end() {
    let manager = Manager::start().unwrap();
    let list = manager.list::<u8>().unwrap();
    let shared = Arc::new(Mutex::new(Some(manager)));
    let copys = Arc::clone(&shared);
    let child = Process::fork(move || copys.lock().unwrap().take().into_iter().for_each(Manager::shutdown))
        .start()
        .unwrap();
    child.join().unwrap();
    // It ends when it has read that.
    while list.push(1).is_ok() {}
    assert!(matches!(list.len(), Err(ManagerError::Gone)));
    drop(shared);
}

fn take_and_stay(lock: LockProxy, taken: Event) {
    let _guard = lock.acquire().unwrap();
    taken.set();
    loop {
        std::thread::park();
    }
}

fn a_lock_of_a_killed_client_is_free() {
    let manager = Manager::start().unwrap();
    let (lock, taken) = (manager.lock().unwrap(), Event::new().unwrap());
    let child = Process::new(take_and_stay, (lock.clone(), taken.clone())).start().unwrap();
    taken.wait();
    assert!(matches!(lock.try_acquire(), Err(ManagerError::WouldBlock)));
    assert!(matches!(lock.acquire_timeout(Duration::from_millis(20)), Err(ManagerError::Timeout)));
    child.kill().unwrap();
    assert!(matches!(lock.acquire(), Err(ManagerError::OwnerDied)));
    drop(lock.acquire().unwrap());
}

fn a_killed_waiter_gets_no_lock() {
    let manager = Manager::start().unwrap();
    let (lock, about_to) = (manager.lock().unwrap(), Event::new().unwrap());
    let guard = lock.acquire().unwrap();
    let child = Process::new(wait_for_it, (lock.clone(), about_to.clone())).start().unwrap();
    about_to.wait();
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(9))));
    drop(guard);
    for _ in 0..10 {
        match lock.acquire() {
            Ok(guard) => drop(guard),
            // It came to hold the lock for the moment between our release and its kill being seen.
            Err(ManagerError::OwnerDied) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

fn wait_for_it(lock: LockProxy, about_to: Event) {
    about_to.set();
    let _guard = lock.acquire();
    loop {
        std::thread::park();
    }
}

fn own_a_manager(pid: Handle) {
    let manager = Manager::start().unwrap();
    File::from(pid.into_fd().unwrap()).write_all(&manager.server_pid().to_le_bytes()).unwrap();
    loop {
        std::thread::park();
    }
}

fn the_server_dies_with_a_killed_owner() {
    let (read, write) = pipe().unwrap();
    let owner = Process::new(own_a_manager, (Handle::new(write),)).start().unwrap();
    let mut pid = [0; 4];
    File::from(read).read_exact(&mut pid).unwrap();
    let server = mp_core::sys::poll::pidfd_open(u32::from_le_bytes(pid)).unwrap();
    owner.kill().unwrap();
    let interest = mp_core::sys::poll::Interest::Read;
    assert!(mp_core::sys::poll::wait_for(server.as_fd(), interest, None).unwrap());
}

fn a_stopped_server_is_killed() {
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<u32, u32>().unwrap();
    dict.insert(1, 2).unwrap();
    let server = pidfd_open(manager.server_pid()).unwrap();
    assert!(stop_process(manager.server_pid(), server.as_fd()));
    drop(manager);
    assert!(matches!(dict.get(&1), Err(ManagerError::Gone)));
}
