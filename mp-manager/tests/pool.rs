//! A pool in the manager, used by its clients, and iterators over what is there. CPython: `WithManagerTestPool`, `iter`
//! of the proxies.

use mp_core::Process;
use mp_core::process::AuthKey;
use mp_manager::{
    AsyncResultProxy, DictProxy, IteratorProxy, ListProxy, Manager, ManagerError, MapResultProxy, PoolProxy,
};
use mp_sync::Event;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        a_pool_has_what_pythons_has,
        results_stay_and_travel,
        what_fails_is_its_own_error,
        a_pool_is_closed_joined_and_terminated,
        the_server_goes_on_while_tasks_run,
        what_a_killed_client_submitted_leaves_nothing,
        a_dropped_pool_ends_its_workers,
        a_pool_lives_until_its_results_have_come,
        workers_end_with_a_killed_server,
        no_task_comes_by_an_address,
        an_iterator_gives_each_element_once,
        an_element_that_a_killed_process_has_not_read_is_the_next_one,
        lists_and_dicts_are_read_in_parts,
    ],
    every_method: [
        children_share_a_pool,
    ]
}

const SHORT: Duration = Duration::from_millis(20);

fn square(x: u64) -> u64 {
    x * x
}

fn sum(a: u64, b: u64) -> u64 {
    a + b
}

fn is_running(pid: u32) -> bool {
    kill(Pid::from_raw(pid as i32), None).is_ok()
}

fn worker() -> u32 {
    std::process::id()
}

fn a_pool_has_what_pythons_has() {
    let manager = Manager::start().unwrap();
    let pool = manager.pool(2).unwrap();
    assert_eq!((pool.processes().unwrap(), format!("{pool:?}")), (2, "PoolProxy(2)".to_owned()));
    assert_eq!(pool.apply(square, (7,)).unwrap(), 49);
    assert_eq!(pool.apply_async(sum, (7, 8)).unwrap().get().unwrap(), 15);
    assert_eq!(pool.map(square, 0..5).unwrap(), [0, 1, 4, 9, 16]);
    assert_eq!(pool.starmap(sum, [(1, 2), (3, 4)]).unwrap(), [3, 7]);
    assert_eq!(pool.map(square, []).unwrap(), [] as [u64; 0]);
    let squares = pool.imap(square, 0..100).unwrap();
    assert!(squares.iter().map(Result::unwrap).eq((0..100).map(square)));
    assert!(squares.next().unwrap().is_none());
    let unordered = pool.imap_unordered(square, 0..100).unwrap();
    let found: BTreeSet<u64> = unordered.iter().map(Result::unwrap).collect();
    assert_eq!(found, (0..100).map(square).collect());
    assert!(pool.imap(square, []).unwrap().next().unwrap().is_none());
    assert!(matches!(manager.pool(0), Err(ManagerError::PoolEnded(_))));
    assert!(matches!(manager.pool(usize::MAX), Err(ManagerError::PoolEnded(_))));
}

fn square_and_pass_on(
    pool: PoolProxy,
    one: AsyncResultProxy<u64>,
) -> (u64, MapResultProxy<u64>, IteratorProxy<u64>) {
    (one.get().unwrap(), pool.map_async(square, [5, 6]).unwrap(), pool.imap(square, [7, 8]).unwrap())
}

fn children_share_a_pool() {
    let manager = Manager::start().unwrap();
    let pool = manager.pool(2).unwrap();
    let one = pool.apply_async(square, (4,)).unwrap();
    let child = Process::new(square_and_pass_on, (pool.clone(), one)).start().unwrap();
    let (one, all, each) = child.join().unwrap();
    assert_eq!((one, all.get().unwrap()), (16, vec![25, 36]));
    assert_eq!(each.iter().collect::<Result<Vec<_>, _>>().unwrap(), [49, 64]);
}

fn results_stay_and_travel() {
    let manager = Manager::start().unwrap();
    let (pool, event) = (manager.pool(1).unwrap(), manager.event().unwrap());
    let list: ListProxy<u64> = manager.list().unwrap();
    let wait_and_push = |event: mp_manager::EventProxy, list: ListProxy<u64>| {
        event.wait().unwrap();
        list.push(3).unwrap();
        list
    };
    let result = pool.apply_async(wait_and_push, (event.clone(), list.clone())).unwrap();
    assert_eq!((result.ready().unwrap(), result.successful().unwrap()), (false, None));
    assert!(matches!(result.try_get(), Err(ManagerError::WouldBlock)));
    assert!(matches!(result.get_timeout(SHORT), Err(ManagerError::Timeout)));
    assert!(matches!(result.wait_timeout(SHORT), Err(ManagerError::Timeout)));
    event.set().unwrap();
    result.wait().unwrap();
    assert_eq!((result.ready().unwrap(), result.successful().unwrap()), (true, Some(true)));
    // Twice: it stays. It is a proxy of this manager's list.
    for _ in 0..2 {
        assert_eq!(result.get().unwrap(), list);
    }
    let objects = manager.number_of_objects().unwrap();
    drop((result, list, event));
    while manager.number_of_objects().unwrap() > objects - 3 {}
}

fn panic_at_three(x: u64) -> u64 {
    assert_ne!(x, 3, "a deliberate panic");
    x
}

fn abort() {
    std::process::abort()
}

fn what_fails_is_its_own_error() {
    let manager = Manager::start().unwrap();
    let pool = manager.pool(2).unwrap();
    let panicked = pool.apply(panic_at_three, (3,)).unwrap_err();
    assert!(
        matches!(&panicked, ManagerError::Panicked { message, location } if message.contains("deliberate") && location.contains("pool.rs")),
        "{panicked}"
    );
    let failed = pool.map_async(panic_at_three, 0..6).unwrap();
    assert!(matches!(failed.get(), Err(ManagerError::Panicked { .. })));
    assert_eq!(failed.successful().unwrap(), Some(false));
    let each = pool.imap(panic_at_three, 0..6).unwrap();
    let each: Vec<_> = each.iter().collect();
    assert!(each.len() == 6 && matches!(each[3], Err(ManagerError::Panicked { .. })));
    assert!(
        each.iter().enumerate().all(|(at, one)| at == 3 || one.as_ref().is_ok_and(|one| *one == at as u64))
    );
    let died = pool.apply(abort, ()).unwrap_err();
    assert!(matches!(died, ManagerError::WorkerDied(_)), "{died}");
    let died = pool.map(|x: u64| if x == 1 { std::process::exit(3) } else { x }, 0..3).unwrap_err();
    assert!(matches!(died, ManagerError::WorkerDied(_)), "{died}");
    assert_eq!(pool.map(square, 0..3).unwrap(), [0, 1, 4]);
}

fn wait_for(event: mp_manager::EventProxy) -> u32 {
    event.wait().unwrap();
    std::process::id()
}

fn a_pool_is_closed_joined_and_terminated() {
    let manager = Manager::start().unwrap();
    let (pool, event) = (manager.pool(1).unwrap(), manager.event().unwrap());
    assert!(matches!(pool.join(), Err(ManagerError::PoolRuns)));
    let waits = pool.apply_async(wait_for, (event.clone(),)).unwrap();
    pool.close().unwrap();
    assert!(matches!(pool.apply(square, (1,)), Err(ManagerError::PoolEnded(_))));
    assert!(matches!(pool.try_join(), Err(ManagerError::WouldBlock)));
    assert!(matches!(pool.join_timeout(SHORT), Err(ManagerError::Timeout)));
    event.set().unwrap();
    pool.join().unwrap();
    pool.try_join().unwrap();
    assert!(!is_running(waits.get().unwrap()));
    let (pool, never) = (manager.pool(1).unwrap(), manager.event().unwrap());
    let waits = pool.apply_async(wait_for, (never,)).unwrap();
    pool.terminate().unwrap();
    pool.join().unwrap();
    assert!(matches!(waits.get(), Err(ManagerError::PoolEnded(_))));
}

fn the_server_goes_on_while_tasks_run() {
    let manager = Manager::start().unwrap();
    let (pool, event) = (manager.pool(1).unwrap(), manager.event().unwrap());
    // Far more than the server has threads: none waits for one of them.
    let results: Vec<_> = (0..100).map(|_| pool.apply_async(wait_for, (event.clone(),)).unwrap()).collect();
    let dict = manager.dict::<u8, u8>().unwrap();
    dict.insert(1, 2).unwrap();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = results.iter().map(|result| scope.spawn(|| result.get().unwrap())).collect();
        assert_eq!(dict.get(&1).unwrap(), Some(2));
        event.set().unwrap();
        let pids: BTreeSet<u32> = waiting.into_iter().map(|waiting| waiting.join().unwrap()).collect();
        assert_eq!(pids.len(), 1);
    });
}

fn submit_and_wait(pool: PoolProxy, event: mp_manager::EventProxy, told: Event) {
    let _each = pool.imap(move |event: mp_manager::EventProxy| event.wait().is_ok(), vec![event.clone(); 9]);
    let one = pool.apply_async(wait_for, (event,)).unwrap();
    told.set();
    let _ = one.get();
}

fn what_a_killed_client_submitted_leaves_nothing() {
    let manager = Manager::start().unwrap();
    let (pool, event) = (manager.pool(2).unwrap(), manager.event().unwrap());
    let objects = manager.number_of_objects().unwrap();
    let told = Event::new().unwrap();
    let child = Process::new(submit_and_wait, (pool.clone(), event.clone(), told.clone())).start().unwrap();
    told.wait();
    assert_eq!(manager.number_of_objects().unwrap(), objects + 2);
    child.kill().unwrap();
    while manager.number_of_objects().unwrap() > objects {}
    event.set().unwrap();
    assert_eq!(pool.map(square, 0..9).unwrap().len(), 9);
    pool.close().unwrap();
    pool.join().unwrap();
}

fn until_dead(pid: u32) {
    while is_running(pid) {
        std::thread::yield_now();
    }
}

fn a_dropped_pool_ends_its_workers() {
    let manager = Manager::start().unwrap();
    let pool = manager.pool(1).unwrap();
    let pid = pool.apply(worker, ()).unwrap();
    assert!(is_running(pid));
    drop(pool);
    until_dead(pid);
    assert_eq!(manager.number_of_objects().unwrap(), 0);
}

fn a_pool_lives_until_its_results_have_come() {
    let manager = Manager::start().unwrap();
    let (pool, event) = (manager.pool(1).unwrap(), manager.event().unwrap());
    let result = pool.apply_async(wait_for, (event.clone(),)).unwrap();
    drop(pool);
    event.set().unwrap();
    until_dead(result.get().unwrap());
    while manager.number_of_objects().unwrap() > 2 {}
}

fn workers_end_with_a_killed_server() {
    let manager = Manager::start().unwrap();
    let (pool, event) = (manager.pool(1).unwrap(), manager.event().unwrap());
    let pid = pool.apply(worker, ()).unwrap();
    let waits = pool.apply_async(wait_for, (event,)).unwrap();
    kill(Pid::from_raw(manager.server_pid() as i32), Signal::SIGKILL).unwrap();
    assert!(matches!(waits.get(), Err(ManagerError::Gone)));
    until_dead(pid);
}

fn no_task_comes_by_an_address() {
    let (place, key) =
        (format!("\0mp-manager-pool-{}", std::process::id()), AuthKey::new(*b"a key of sixteen bytes"));
    let manager = Manager::builder().address(&*place).authkey(key).start().unwrap();
    let pool = manager.pool(1).unwrap();
    manager.publish("pool", &pool).unwrap();
    let squares = pool.imap(square, 0..3).unwrap();
    manager.publish("squares", &squares).unwrap();
    let child = Process::new(use_by_address, (place,)).start().unwrap();
    assert_eq!(child.join().unwrap(), (true, vec![0, 1, 4]));
}

fn use_by_address(place: String) -> (bool, Vec<u64>) {
    let key = AuthKey::new(*b"a key of sixteen bytes");
    let manager = Manager::builder().address(&*place).authkey(key).connect().unwrap();
    let pool: PoolProxy = manager.lookup("pool").unwrap();
    let refused = matches!(pool.apply(square, (1,)), Err(ManagerError::NoRelative));
    let squares: IteratorProxy<u64> = manager.lookup("squares").unwrap();
    (refused, squares.iter().map(Result::unwrap).collect())
}

fn take_all(keys: IteratorProxy<u32>) -> Vec<u32> {
    keys.iter().map(Result::unwrap).collect()
}

fn an_iterator_gives_each_element_once() {
    let manager = Manager::start().unwrap();
    let dict: DictProxy<u32, u8> = manager.dict().unwrap();
    dict.extend((0..300).map(|key| (key, 0))).unwrap();
    let keys = dict.key_iterator().unwrap();
    dict.clear().unwrap();
    assert_eq!(keys.next().unwrap(), Some(0));
    assert_eq!(keys.next_many(3).unwrap(), [1, 2, 3]);
    let children: Vec<_> = (0..2).map(|_| Process::new(take_all, (keys.clone(),)).start().unwrap()).collect();
    let taken: Vec<u32> = children.iter().flat_map(|child| child.join().unwrap()).collect();
    let each: BTreeSet<u32> = taken.iter().copied().collect();
    assert_eq!((taken.len(), each), (296, (4..300).collect()));
    assert!(keys.try_next().unwrap().is_none());
    let set = manager.set::<u8>().unwrap();
    set.extend([1, 2, 3]).unwrap();
    let elements = set.iterator().unwrap();
    assert_eq!(elements.next().unwrap(), Some(1));
    elements.close().unwrap();
    assert!(elements.next().unwrap().is_none());
    let objects = manager.number_of_objects().unwrap();
    drop((keys, elements));
    while manager.number_of_objects().unwrap() > objects - 2 {}
}

fn wait_at(results: IteratorProxy<u32>, began: Event) {
    began.set();
    let _ = results.next();
    loop {
        std::thread::park();
    }
}

fn an_element_that_a_killed_process_has_not_read_is_the_next_one() {
    let manager = Manager::start().unwrap();
    let (pool, event) = (manager.pool(1).unwrap(), manager.event().unwrap());
    let results = pool.imap(wait_for, [event.clone()]).unwrap();
    let began = Event::new().unwrap();
    let child = Process::new(wait_at, (results.clone(), began.clone())).start().unwrap();
    began.wait();
    // It waits, or is about to: killed before there is an element, it takes none along.
    child.kill().unwrap();
    assert!(child.join().is_err());
    event.set().unwrap();
    assert!(results.next().unwrap().is_some() && results.next().unwrap().is_none());
}

fn lists_and_dicts_are_read_in_parts() {
    let manager = Manager::start().unwrap();
    let list: ListProxy<u32> = manager.list().unwrap();
    list.extend(0..200).unwrap();
    let mut items = list.iter();
    assert_eq!(items.next().unwrap().unwrap(), 0);
    list.push(200).unwrap();
    assert!(items.map(Result::unwrap).eq(1..201));
    let dict: DictProxy<u32, ListProxy<u32>> = manager.dict().unwrap();
    dict.extend((0..200).map(|key| (key, list.clone()))).unwrap();
    let mut items = dict.iter().unwrap();
    assert_eq!(items.next().unwrap().unwrap(), (0, list.clone()));
    dict.remove(&150).unwrap();
    dict.insert(200, list.clone()).unwrap();
    let keys: Vec<u32> = items.map(|item| item.unwrap().0).collect();
    assert!(keys.into_iter().eq((1..150).chain(151..200)));
    assert_eq!(manager.dict::<u8, u8>().unwrap().iter().unwrap().count(), 0);
}
