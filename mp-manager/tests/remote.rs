//! Managers at an address: clients that are no relatives, wrong keys, and what such a client cannot do.

use mp_core::process::AuthKey;
use mp_core::{Process, StartMethod, set_authkey};
use mp_manager::{
    ConnectManagerError, DictProxy, EventProxy, ListProxy, Manager, ManagerError, QueueProxy, shared,
};
use mp_pipe::{Address, ConnectError};
use mp_testing::open_descriptors;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

mp_testing::cases! {
    plain: [
        a_client_with_the_key_uses_every_object,
        a_client_without_the_key_learns_nothing,
        an_address_is_free_again_at_once,
        what_no_manager_answers_is_an_error_in_time,
        references_of_a_remote_client_go_with_it,
        a_remote_client_makes_no_object_by_a_function,
        a_remote_client_starts_no_processes,
        named_memory_of_remote_clients_is_bounded,
        memory_that_cannot_be_made_does_not_count,
        a_remote_client_sees_and_releases_its_own_memory_alone,
        what_remote_clients_store_is_bounded,
        a_relative_that_connects_by_the_address_is_one_still,
        it_serves_until_it_is_asked_to_end,
        an_address_that_cannot_be_had_is_an_error,
        a_dropped_manager_ends_its_connection,
        what_was_passed_on_stays_without_its_manager,
        a_forked_copy_connects_anew_over_tcp,
    ],
    every_method: [a_remote_proxy_travels]
}

fn key() -> AuthKey {
    AuthKey::new(*b"a key for this test alone")
}

fn started(address: impl Into<Address>) -> (Manager, Address) {
    let manager = Manager::builder().address(address).authkey(key()).start().unwrap();
    let address = manager.address().unwrap().clone();
    (manager, address)
}

fn use_remotely(address: Address) -> Result<u32, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let manager =
        Manager::builder().address(address).authkey(key()).connect().map_err(|error| text(&error))?;
    let jobs: QueueProxy<u32> = manager.lookup("jobs").map_err(|error| text(&error))?;
    let done: DictProxy<u32, ListProxy<u32>> = manager.lookup("done").map_err(|error| text(&error))?;
    let list = manager.list().map_err(|error| text(&error))?;
    let job = jobs.get().map_err(|error| text(&error))?;
    list.extend([job, job * 2]).map_err(|error| text(&error))?;
    done.insert(job, list).map_err(|error| text(&error))?;
    Ok(manager.server_pid())
}

fn a_client_with_the_key_uses_every_object() {
    for address in
        [Address::loopback(), Address::from("\0mp-manager-test"), Address::Tcp("localhost".to_owned(), 0)]
    {
        let address = match address {
            Address::Abstract(name) => {
                Address::Abstract([&name[..], &std::process::id().to_le_bytes()].concat())
            }
            other => other,
        };
        let (manager, address) = started(address);
        let (jobs, done) = (manager.queue().unwrap(), manager.dict::<u32, ListProxy<u32>>().unwrap());
        manager.publish("jobs", &jobs).unwrap();
        manager.publish("done", &done).unwrap();
        let child = Process::new(use_remotely, (address,)).start().unwrap();
        jobs.put(21_u32).unwrap();
        assert_eq!(child.join().unwrap(), Ok(manager.server_pid()));
        assert_eq!(done.get(&21).unwrap().unwrap().to_vec().unwrap(), [21, 42]);
    }
}

fn a_client_without_the_key_learns_nothing() {
    let (manager, address) = started(Address::loopback());
    // This process has another key.
    set_authkey(AuthKey::new(*b"the key of another program"));
    for _ in 0..3 {
        let refused = Manager::connect(&address).unwrap_err();
        assert!(
            matches!(refused, ConnectManagerError::Connect(ConnectError::Authentication(_))),
            "{refused:?}"
        );
    }
    let list = manager.list().unwrap();
    list.push(1).unwrap();
    assert_eq!(list.len().unwrap(), 1);
}

fn an_address_is_free_again_at_once() {
    let (manager, address) = started(Address::loopback());
    manager.shutdown();
    let (again, same) = started(&address);
    assert_eq!(same, address);
    assert!(Manager::builder().address(address).authkey(key()).connect().unwrap().list::<u8>().is_ok());
    drop(again);
}

fn what_no_manager_answers_is_an_error_in_time() {
    let short = Duration::from_millis(50);
    let listener = mp_pipe::Listener::builder().address(Address::loopback()).authkey(key()).bind().unwrap();
    let connect = || Manager::builder().address(listener.address()).authkey(key()).timeout(short).connect();
    // It does not accept.
    let refused = connect().unwrap_err();
    assert!(matches!(refused, ConnectManagerError::Connect(ConnectError::Timeout)), "{refused:?}");
    // It accepts and says nothing. On a busy machine it may take longer to accept than a client waits.
    let is_over = AtomicBool::new(false);
    let refused = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut silent: Vec<mp_pipe::Connection> = Vec::new();
            // ORDERING: Relaxed, both: a flag by itself.
            while !is_over.load(Ordering::Relaxed) {
                silent.extend(listener.accept_timeout(short));
            }
        });
        let mut errors = std::iter::repeat_with(|| connect().unwrap_err());
        let is_late = |error: &_| matches!(error, ConnectManagerError::Connect(ConnectError::Timeout));
        let refused = errors.find(|error| !is_late(error));
        is_over.store(true, Ordering::Relaxed);
        refused.unwrap()
    });
    assert!(refused.to_string().contains("no manager of this version"), "{refused}");
    let gone = listener.address().clone();
    drop(listener);
    let refused = Manager::builder().address(gone).authkey(key()).connect().unwrap_err();
    assert!(matches!(refused, ConnectManagerError::Connect(ConnectError::NotListening(_))), "{refused:?}");
}

fn hold_remotely(address: Address, there: mp_sync::Event) {
    let manager = Manager::builder().address(address).authkey(key()).connect().unwrap();
    let _objects: Vec<EventProxy> = (0..10).map(|_| manager.event().unwrap()).collect();
    let lock = manager.lock().unwrap();
    let _guard = lock.acquire().unwrap();
    manager.publish("lock", &lock).unwrap();
    there.set();
    loop {
        std::thread::park();
    }
}

fn references_of_a_remote_client_go_with_it() {
    let (manager, address) = started(Address::loopback());
    let there = mp_sync::Event::new().unwrap();
    let child = Process::new(hold_remotely, (address, there.clone())).start().unwrap();
    there.wait();
    assert_eq!(manager.number_of_objects().unwrap(), 11);
    let lock: mp_manager::LockProxy = manager.lookup("lock").unwrap();
    child.kill().unwrap();
    assert!(matches!(lock.acquire(), Err(ManagerError::OwnerDied)));
    assert_eq!(manager.number_of_objects().unwrap(), 1);
}

#[derive(Debug)]
struct Unit;

#[shared]
impl Unit {
    pub(crate) fn new() -> Unit {
        Unit
    }

    pub(crate) fn get(&self) -> u8 {
        1
    }
}

fn make_remotely(address: Address) -> String {
    let manager = Manager::builder().address(address).authkey(key()).connect().unwrap();
    let refused = manager.construct(Unit::new, ()).unwrap_err();
    assert!(matches!(refused, ManagerError::NoRelative));
    refused.to_string()
}

fn a_remote_client_makes_no_object_by_a_function() {
    let (manager, address) = started(Address::loopback());
    let said = Process::new(make_remotely, (address,)).start().unwrap().join().unwrap();
    assert!(said.contains("connected by an address"), "{said}");
    assert_eq!(manager.construct(Unit::new, ()).unwrap().get().unwrap(), 1);
}

fn start_remotely(address: Address) -> String {
    let manager = Manager::builder().address(address).authkey(key()).connect().unwrap();
    let refused = manager.pool(2).unwrap_err();
    assert!(matches!(refused, ManagerError::NoRelative), "{refused:?}");
    refused.to_string()
}

fn a_remote_client_starts_no_processes() {
    let (manager, address) = started(Address::loopback());
    let said = Process::new(start_remotely, (address,)).start().unwrap().join().unwrap();
    assert!(said.contains("connected by an address"), "{said}");
    assert_eq!(manager.pool(1).unwrap().processes().unwrap(), 1);
}

/// Makes blocks of a page until it is refused; their names.
fn fill_remotely(address: Address) -> Vec<String> {
    let manager = Manager::builder().address(address).authkey(key()).connect().unwrap();
    let mut names = Vec::new();
    loop {
        match manager.shared_memory(4096) {
            Ok(block) => names.push(block.name().to_owned()),
            Err(ManagerError::MemoryLimit { asked: 4096, left }) if left < 64 << 10 => return names,
            other => panic!("{other:?}"),
        }
        assert!(names.len() < 1000, "it is not refused");
    }
}

fn named_memory_of_remote_clients_is_bounded() {
    let manager = Manager::builder().authkey(key()).memory_limit(1 << 20).start().unwrap();
    let fill = || {
        let address = manager.address().unwrap().clone();
        Process::new(fill_remotely, (address,)).start().unwrap().join().unwrap()
    };
    let names = fill();
    assert_eq!(names.len(), 16);
    // They stay, and so count, without the client that has made them.
    assert!(fill().is_empty());
    let own = manager.shared_memory(2 << 20).unwrap();
    assert!(manager.release_memory(own.name()).unwrap());
    assert!(fill().is_empty(), "a relative's block never counted");
    for name in &names[..3] {
        assert!(manager.release_memory(name).unwrap());
    }
    assert_eq!(fill().len(), 3);
}

fn see_and_release(address: Address, of_others: [String; 2]) -> String {
    let manager = Manager::builder().address(address).authkey(key()).connect().unwrap();
    let [own, given] = [(); 2].map(|()| manager.shared_memory(100).unwrap().name().to_owned());
    assert!(of_others.iter().all(|name| !manager.release_memory(name).unwrap()));
    assert_eq!(manager.memory_names().unwrap().len(), 2);
    assert!(manager.release_memory(&own).unwrap());
    assert_eq!(manager.memory_names().unwrap().len(), 1);
    given
}

fn a_remote_client_sees_and_releases_its_own_memory_alone() {
    let (manager, address) = started(Address::loopback());
    let own = manager.shared_memory(100).unwrap();
    let look = |other: &str| {
        let names = [own.name().to_owned(), other.to_owned()];
        Process::new(see_and_release, (address.clone(), names)).start().unwrap().join().unwrap()
    };
    let first = look("of none");
    let second = look(&first);
    assert_eq!(manager.memory_names().unwrap().len(), 3);
    assert!([&first, &second].iter().all(|name| manager.release_memory(name).unwrap()));
}

/// Stores until it is refused; gives how often it was not.
fn stored(mut store: impl FnMut(u32) -> Result<(), ManagerError>) -> u32 {
    for count in 0..10_000 {
        match store(count) {
            Ok(()) => {}
            Err(ManagerError::MemoryLimit { asked, left }) if asked > left => return count,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("it is not refused");
}

fn store_remotely(address: Address) {
    let manager = Manager::builder().address(address).authkey(key()).connect().unwrap();
    let value = || vec![7_u8; 10_000];
    let (dict, list) = (manager.dict::<u32, Vec<u8>>().unwrap(), manager.list::<Vec<u8>>().unwrap());
    let (set, queue) = (manager.set::<Vec<u8>>().unwrap(), manager.queue::<Vec<u8>>().unwrap());
    let count = stored(|key| dict.insert(key, value()).map(drop));
    assert!((20..=26).contains(&count), "{count}");
    // Another kind has no room of its own, and all else goes on.
    assert_eq!(stored(|_| list.push(value())), 0);
    assert_eq!(stored(|_| queue.put(value())), 0);
    assert_eq!(stored(|_| set.insert(value()).map(drop)), 0);
    assert_eq!(stored(|_| manager.value(value()).map(drop)), 0);
    assert_eq!((dict.len().unwrap(), list.len().unwrap()), (count as usize, 0));
    // What goes makes room.
    dict.clear().unwrap();
    let pushed = stored(|_| list.push(value()));
    assert!(pushed.abs_diff(count) <= 1, "{pushed} {count}");
    list.clear().unwrap();
    let put = stored(|_| queue.put(value()));
    assert!(put.abs_diff(count) <= 1, "{put} {count}");
    (0..put).for_each(|_| drop(queue.get().unwrap()));
    let objects = (0..).map_while(|_| manager.list::<u8>().ok()).take(100_000).collect::<Vec<_>>().len();
    assert!((1_000..20_000).contains(&objects), "{objects}");
    let inserted = stored(|key| set.insert([&key.to_le_bytes()[..], &value()].concat()).map(drop));
    assert!(inserted.abs_diff(count) <= 1, "{inserted} {count}");
    let mut batch = dict.batch();
    (0..200).for_each(|key| batch.insert(key, value()).unwrap());
    assert!(matches!(batch.run(), Err(ManagerError::MemoryLimit { .. })));
}

fn what_remote_clients_store_is_bounded() {
    let manager = Manager::builder().authkey(key()).memory_limit(1 << 18).start().unwrap();
    let address = manager.address().unwrap().clone();
    // A relative's values do not count.
    let own = manager.list::<Vec<u8>>().unwrap();
    (0..200).for_each(|_| own.push(vec![1; 10_000]).unwrap());
    let run = || Process::new(store_remotely, (address.clone(),)).start().unwrap().join().unwrap();
    run();
    // What it had goes with it.
    while manager.number_of_objects().unwrap() > 1 {
        std::thread::yield_now();
    }
    run();
}

/// A process has one connection to a manager.
fn a_relative_that_connects_by_the_address_is_one_still() {
    let manager = Manager::builder().authkey(key()).memory_limit(1 << 16).start().unwrap();
    let address = manager.address().unwrap().clone();
    let by_address = Manager::builder().address(address).authkey(key()).connect().unwrap();
    let list = by_address.list::<Vec<u8>>().unwrap();
    list.push(vec![1; 1 << 17]).unwrap();
    assert_eq!(by_address.construct(Unit::new, ()).unwrap().get().unwrap(), 1);
    drop(by_address);
    assert_eq!(list.len().unwrap(), 1);
}

fn make_too_much(address: Address) {
    let manager = Manager::builder().address(address).authkey(key()).connect().unwrap();
    for _ in 0..2 {
        let refused = manager.shared_memory(1 << 50).unwrap_err();
        assert!(matches!(refused, ManagerError::SharedMemory(_)), "{refused:?}");
    }
    let refused = manager.shared_memory((1 << 50) + 1).unwrap_err();
    assert!(matches!(refused, ManagerError::MemoryLimit { .. }), "{refused:?}");
}

fn memory_that_cannot_be_made_does_not_count() {
    let manager = Manager::builder().authkey(key()).memory_limit(1 << 50).start().unwrap();
    let address = manager.address().unwrap().clone();
    Process::new(make_too_much, (address,)).start().unwrap().join().unwrap();
}

fn push_remotely(list: ListProxy<u32>) {
    list.push(5).unwrap();
}

fn pass_on(address: Address) {
    let manager = Manager::connect(address).unwrap();
    let list: ListProxy<u32> = manager.lookup("list").unwrap();
    Process::new(push_remotely, (list,)).start().unwrap().join().unwrap();
}

fn a_remote_proxy_travels() {
    // Relatives have the key.
    let manager = Manager::builder().start().unwrap();
    let list: ListProxy<u32> = manager.list().unwrap();
    manager.publish("list", &list).unwrap();
    let address = manager.address().unwrap().clone();
    Process::new(pass_on, (address,)).start().unwrap().join().unwrap();
    assert_eq!(list.to_vec().unwrap(), [5]);
}

fn push_when_told(list: ListProxy<u32>, go: mp_sync::Event) -> Vec<u32> {
    go.wait();
    list.push(5).unwrap();
    list.to_vec().unwrap()
}

fn pass_on_and_drop(address: Address) -> Vec<u32> {
    let (manager, go) = (Manager::connect(address).unwrap(), mp_sync::Event::new().unwrap());
    let list: ListProxy<u32> = manager.list().unwrap();
    // Arguments that travel: a forked copy would have this process's own proxy.
    let process = Process::new(push_when_told, (list, go.clone())).method(StartMethod::Spawn);
    let child = process.not_daemon().start().unwrap();
    drop(manager);
    go.set();
    child.join().unwrap()
}

fn what_was_passed_on_stays_without_its_manager() {
    let manager = Manager::builder().start().unwrap();
    let address = manager.address().unwrap().clone();
    let child = Process::new(pass_on_and_drop, (address,)).start().unwrap();
    assert_eq!(child.join().unwrap(), [5]);
}

fn push_before_and_after(
    list: ListProxy<u32>,
    pushed: mp_sync::Event,
    dropped: mp_sync::Event,
) -> (Vec<u32>, bool) {
    list.push(6).unwrap();
    let items = list.to_vec().unwrap();
    pushed.set();
    dropped.wait();
    (items, matches!(list.push(7), Err(ManagerError::NoSuchObject)))
}

fn connect_and_fork(address: Address) -> (Vec<u32>, bool) {
    // The key is not this process's own: the copy has it from the connection.
    let manager = Manager::builder().address(address).authkey(key()).connect().unwrap();
    let list: ListProxy<u32> = manager.list().unwrap();
    list.push(5).unwrap();
    let [pushed, dropped] = [(); 2].map(|()| mp_sync::Event::new().unwrap());
    let arguments = (list.clone(), pushed.clone(), dropped.clone());
    let copy = Process::new(push_before_and_after, arguments).method(StartMethod::Fork);
    let copy = copy.not_daemon().start().unwrap();
    pushed.wait();
    assert_eq!(list.to_vec().unwrap(), [5, 6]);
    drop(list);
    while manager.number_of_objects().unwrap() > 0 {}
    dropped.set();
    copy.join().unwrap()
}

fn a_forked_copy_connects_anew_over_tcp() {
    let (_manager, address) = started(Address::loopback());
    let child = Process::new(connect_and_fork, (address,)).start().unwrap();
    assert_eq!(child.join().unwrap(), (vec![5, 6], true));
}

fn connect_and_drop(address: Address) -> [usize; 2] {
    let count = || open_descriptors(std::process::id()).len();
    let before = count();
    let manager = Manager::connect(address).unwrap();
    let list = manager.list::<u32>().unwrap();
    drop(manager);
    list.push(1).unwrap();
    drop(list);
    [before, count()]
}

fn a_dropped_manager_ends_its_connection() {
    let manager = Manager::builder().start().unwrap();
    let address = manager.address().unwrap().clone();
    let [before, after] = Process::new(connect_and_drop, (address,)).start().unwrap().join().unwrap();
    assert_eq!(before, after);
}

fn serve(address: Address) {
    Manager::builder().address(address).authkey(key()).serve_forever().unwrap();
}

fn it_serves_until_it_is_asked_to_end() {
    let folder = mp_testing::Folder::new("manager");
    let address = Address::from(folder.path().join("socket"));
    let child = Process::new(serve, (address.clone(),)).start().unwrap();
    let manager = loop {
        match Manager::builder().address(&address).authkey(key()).connect() {
            Ok(manager) => break manager,
            Err(ConnectManagerError::Connect(ConnectError::NotListening(_))) => std::thread::yield_now(),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(manager.server_pid(), child.pid());
    let list = manager.list().unwrap();
    list.push(1).unwrap();
    manager.shutdown();
    child.join().unwrap();
    assert!(matches!(list.len(), Err(ManagerError::Gone)));
}

fn an_address_that_cannot_be_had_is_an_error() {
    let refused = Manager::builder().address("/nonexistent/folder/socket").start().unwrap_err();
    assert!(refused.to_string().contains("could not begin to serve"), "{refused}");
}
