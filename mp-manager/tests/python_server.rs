//! Our client and a `SyncManager` that a Python program has started, of every CPython of this machine; and the same
//! with our own server, which needs no CPython. The first are ignored, for that reason, where there is none.

use mp_core::process::AuthKey;
use mp_core::{Process, StartMethod};
use mp_manager::{Manager, PythonDict, PythonError, PythonList, PythonManager, PythonQueue};
use mp_pipe::pickle::{BigInt, Value};
use mp_pipe::{Address, ConnectError};
use mp_shm::SharedMemory;
use mp_testing::{Python, pythons};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        our_server_serves_our_client,
        timeouts_are_cut_to_what_python_takes,
        every_cpython_serves_our_client,
        named_memory_is_unlinked_by_a_server_of_every_cpython,
        exceptions_arrive_with_name_and_arguments,
        what_python_refuses_comes_with_its_traceback,
        a_killed_python_server_is_gone,
        a_wrong_key_is_refused,
        a_forked_copy_gives_no_reference_back,
    ]
}

/// Says where it is, and serves until its input ends.
const SERVER: &str = r#"
import sys
from multiprocessing.managers import SyncManager
class Own:
    def fail(self, *args): raise ZeroDivisionError(*args)
    def deep(self): return {'a': [1, (2.5, None)], 'b': {1 << 70}}
    def unpicklable(self): return lambda: 0
SyncManager.register('Own', Own)
if __name__ == '__main__':
    m = SyncManager(sys.argv[1] if len(sys.argv) > 1 else ('127.0.0.1', 0), authkey=b'a key for this test alone')
    m.start()
    print(m.address if isinstance(m.address, str) else m.address[1], m._process.pid, flush=True)
    sys.stdin.read()
    m.shutdown()
"#;

fn key() -> AuthKey {
    AuthKey::new(*b"a key for this test alone")
}

struct Server {
    python: Child,
    address: Address,
    pid: u32,
}

impl Server {
    fn of(python: &Python, path: Option<&str>) -> Server {
        Server::running(python, SERVER, path)
    }

    fn running(python: &Python, script: &str, path: Option<&str>) -> Server {
        let mut command: Command = python.script(script);
        command.args(path);
        let mut python = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(python.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let (place, pid) = line.trim_end().rsplit_once(' ').unwrap();
        let address = match path {
            Some(_) => Address::from(place),
            None => Address::from(("127.0.0.1", place.parse().unwrap())),
        };
        Server { python, address, pid: pid.parse().unwrap() }
    }

    fn connect(&self) -> PythonManager {
        PythonManager::connect(self.address.clone(), key()).unwrap()
    }

    fn end(mut self) {
        drop(self.python.stdin.take());
        assert!(self.python.wait().unwrap().success());
    }
}

fn uses_every_object(manager: &PythonManager) -> Result<(), PythonError> {
    let ages: PythonDict<String, u32> = manager.dict()?;
    ages.insert("Ada".to_owned(), 36)?;
    ages.insert("Bob".to_owned(), 7)?;
    assert_eq!((ages.get("Ada".to_owned())?, ages.get("Eve".to_owned())?, ages.len()?), (Some(36), None, 2));
    assert_eq!(ages.keys()?.collect::<Result<Vec<_>, _>>()?, ["Ada", "Bob"]);
    assert_eq!(ages.items()?, [("Ada".to_owned(), 36), ("Bob".to_owned(), 7)]);
    assert_eq!(ages.proxy().value::<BTreeMap<String, u8>>()?["Bob"], 7);
    let mut keys = ages.keys()?;
    assert_eq!(keys.next().unwrap()?, "Ada");
    assert_eq!(ages.remove("Bob".to_owned())?, Some(7));
    assert!(matches!(keys.next(), Some(Err(PythonError::Raised(raised))) if raised.name() == "RuntimeError"));
    assert!(keys.next().is_none());
    assert!(ages.contains_key("Ada".to_owned())?);

    let list: PythonList<f64> = manager.list()?;
    list.extend([1.0, 2.5])?;
    list.push(f64::INFINITY)?;
    list.set(0, -1.0)?;
    assert_eq!(
        (list.to_vec()?, list.pop()?, list.get(1)?),
        (vec![-1.0, 2.5, f64::INFINITY], Some(f64::INFINITY), 2.5)
    );

    let namespace = manager.namespace()?;
    namespace.set("big", BigInt::from(1) << 100)?;
    assert_eq!(namespace.get::<BigInt>("big")?, BigInt::from(1) << 100);
    namespace.remove("big")?;
    assert!(
        matches!(namespace.get::<Value>("big"), Err(PythonError::Raised(raised)) if raised.name() == "AttributeError")
    );

    let value = manager.value("i", 5_i64)?;
    value.set(value.get()? + 1)?;
    assert_eq!(value.get()?, 6);

    let queue: PythonQueue<String> = manager.bounded_queue(1)?;
    queue.put("job".to_owned())?;
    assert!(matches!(queue.try_put(String::new()), Err(PythonError::WouldBlock)));
    assert!(matches!(queue.put_timeout(String::new(), Duration::from_millis(1)), Err(PythonError::Timeout)));
    assert_eq!((queue.get()?, queue.qsize()?), ("job".to_owned(), 0));
    queue.task_done()?;
    queue.join()?;
    assert!(matches!(queue.get_timeout(Duration::from_millis(1)), Err(PythonError::Timeout)));
    let waits = std::thread::spawn({
        let queue = queue.clone();
        move || queue.get()
    });
    queue.put("later".to_owned())?;
    assert_eq!(waits.join().unwrap()?, "later");

    let (lock, rlock) = (manager.lock()?, manager.rlock()?);
    let (held, again) = (lock.acquire()?, (rlock.acquire()?, rlock.acquire()?));
    let other = std::thread::spawn({
        let (lock, rlock) = (lock.clone(), rlock.clone());
        move || {
            assert!(matches!(lock.try_acquire(), Err(PythonError::WouldBlock)));
            assert!(matches!(rlock.acquire_timeout(Duration::from_millis(1)), Err(PythonError::Timeout)));
        }
    });
    other.join().unwrap();
    drop((held, again));
    drop(lock.try_acquire()?);

    let event = manager.event()?;
    assert!(matches!(event.wait_timeout(Duration::from_millis(1)), Err(PythonError::Timeout)));
    event.set()?;
    event.wait()?;
    event.clear()?;
    assert!(!event.is_set()?);

    // By the names of its methods, and one inside of another.
    let barrier = manager.create("Barrier", [1.into()])?;
    assert_eq!(barrier.call::<u32>("wait", [])?, 0);
    let outer: PythonList<Value> = manager.list()?;
    outer.push(Value::from(list.proxy()))?;
    let inner: PythonList<f64> = manager.proxy_in(&outer.get(0)?)?.into();
    inner.push(7.0)?;
    drop(inner);
    assert_eq!(list.to_vec()?, [-1.0, 2.5, 7.0]);
    assert_eq!(list.proxy().typeid(), "list");
    assert!(list.proxy().methods().any(|name| name == "append"));
    assert!(manager.debug_info()?.contains(list.proxy().id()));
    drop(list);
    assert_eq!(manager.proxy_in(&outer.get(0)?)?.call::<usize>("__len__", [])?, 3);
    Ok(())
}

fn our_server_serves_our_client() {
    let native = format!("\0mp-manager-python-server-{}", std::process::id());
    let builder = Manager::builder().address(&*native).python_address(Address::loopback());
    let server = builder.authkey(key()).start().unwrap();
    let manager = PythonManager::connect(server.python_address().unwrap().clone(), key()).unwrap();
    uses_every_object(&manager).unwrap();
    assert_eq!(manager.number_of_objects().unwrap(), 0);
    let jobs: PythonQueue<u8> = manager.queue().unwrap();
    manager.publish("jobs", jobs.proxy()).unwrap();
    let found = PythonQueue::<u8>::from(manager.create("jobs", []).unwrap());
    found.put(5).unwrap();
    drop(found);
    assert_eq!(jobs.get().unwrap(), 5);
    drop(jobs);
    assert_eq!(manager.number_of_objects().unwrap(), 1);
    assert!(manager.unpublish("jobs").unwrap() && !manager.unpublish("jobs").unwrap());
    assert_eq!(manager.number_of_objects().unwrap(), 0);
}

/// None at all, and more than Python's clock counts.
fn wait_within_any_time(manager: &PythonManager) {
    const HUGE: [Duration; 3] = [Duration::from_secs(3600), Duration::from_nanos(u64::MAX), Duration::MAX];
    let full: PythonQueue<u8> = manager.bounded_queue(1).unwrap();
    full.put(1).unwrap();
    let (empty, event): (PythonQueue<u8>, _) = (manager.queue().unwrap(), manager.event().unwrap());
    let lock = manager.lock().unwrap();
    let held = lock.acquire().unwrap();
    for none in [Duration::ZERO, Duration::from_nanos(1)] {
        assert!(matches!(empty.get_timeout(none), Err(PythonError::Timeout)));
        assert!(matches!(full.put_timeout(2, none), Err(PythonError::Timeout)));
        assert!(matches!(event.wait_timeout(none), Err(PythonError::Timeout)));
        // A lock is its thread's: this one may have it again.
        let other =
            thread::scope(|scope| scope.spawn(|| lock.acquire_timeout(none).map(drop)).join().unwrap());
        assert!(matches!(other, Err(PythonError::Timeout)), "{other:?}");
    }
    drop(held);
    for huge in HUGE {
        thread::scope(|scope| {
            let got = scope.spawn(|| empty.get_timeout(huge));
            empty.put(7).unwrap();
            assert_eq!(got.join().unwrap().unwrap(), 7);
            let put = scope.spawn(|| full.put_timeout(3, huge));
            full.get().unwrap();
            put.join().unwrap().unwrap();
        });
        drop(lock.acquire_timeout(huge).unwrap());
    }
    event.set().unwrap();
    HUGE.into_iter().for_each(|huge| event.wait_timeout(huge).unwrap());
}

fn timeouts_are_cut_to_what_python_takes() {
    let native = format!("\0mp-manager-python-timeouts-{}", std::process::id());
    let builder = Manager::builder().address(&*native).python_address(Address::loopback());
    let server = builder.authkey(key()).start().unwrap();
    let address = server.python_address().unwrap();
    // One that answers at once is connected to all the same.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let nothing = mute.local_addr().unwrap();
    assert!(PythonManager::connect_timeout(nothing, key(), Duration::ZERO).is_err());
    wait_within_any_time(&PythonManager::connect_timeout(address.clone(), key(), Duration::MAX).unwrap());
    for python in pythons((3, 8)) {
        let server = Server::of(&python, None);
        wait_within_any_time(&server.connect());
        server.end();
    }
}

fn every_cpython_serves_our_client() {
    let path = std::env::temp_dir().join(format!("mp-manager-python-{}", std::process::id()));
    for python in pythons((3, 8)) {
        for path in [None, path.to_str()] {
            let server = Server::of(&python, path);
            let manager = server.connect();
            uses_every_object(&manager).unwrap_or_else(|error| panic!("{python:?}: {error:?}"));
            assert_eq!(manager.number_of_objects().unwrap(), 0, "{python:?}");
            let unknown = manager.publish("x", &manager.create("list", []).unwrap());
            assert!(matches!(unknown, Err(PythonError::Refused { .. })));
            server.end();
        }
    }
}

/// A `SharedMemoryManager`.
const MEMORY_SERVER: &str = r#"
import sys
from multiprocessing.managers import SharedMemoryManager
if __name__ == '__main__':
    m = SharedMemoryManager(('127.0.0.1', 0), authkey=b'a key for this test alone')
    m.start()
    print(m.address[1], m._process.pid, flush=True)
    sys.stdin.read()
    m.shutdown()
"#;

fn named_memory_is_unlinked_by_a_server_of_every_cpython() {
    for python in pythons((3, 8)) {
        let server = Server::running(&python, MEMORY_SERVER, None);
        let manager = server.connect();
        let block = manager.shared_memory(100).unwrap();
        let list = manager.shareable_list([1, 2, 3_i64]).unwrap();
        let mut names = vec![block.name().to_owned(), list.shm().name().to_owned()];
        names.sort();
        let mut found = manager.memory_names().unwrap();
        found.sort();
        assert_eq!(found, names);
        manager.release_memory(list.shm().name()).unwrap();
        assert!(SharedMemory::open(list.shm().name()).is_err());
        let name = block.name().to_owned();
        drop(block);
        assert!(SharedMemory::open(&name).is_ok());
        server.end();
        assert!(SharedMemory::open(&name).is_err());
    }
}

fn exceptions_arrive_with_name_and_arguments() {
    for python in pythons((3, 8)) {
        let server = Server::of(&python, None);
        let manager = server.connect();
        let own = manager.create("Own", []).unwrap();
        let raised = |result: Result<Value, PythonError>| match result {
            Err(PythonError::Raised(raised)) => raised,
            other => panic!("{other:?}"),
        };
        let failed = raised(own.call("fail", ["why".into(), 5.into()]));
        assert_eq!(
            (failed.class(), failed.args()),
            (("builtins", "ZeroDivisionError"), &["why".into(), 5.into()][..])
        );
        assert_eq!(failed.to_string(), "ZeroDivisionError: ('why', 5)");
        let missing = raised(manager.create("dict", []).unwrap().call("__getitem__", ["x".into()]));
        assert_eq!(missing.to_string(), "KeyError: 'x'");
        assert_eq!(raised(own.call("fail", [])).to_string(), "ZeroDivisionError");
        let deep: Value = own.call("deep", []).unwrap();
        assert_eq!(deep.get("b").unwrap().items().unwrap(), [Value::from(BigInt::from(1) << 70)]);
        let wrong = own.call::<String>("deep", []).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "expected alloc::string::String, and the manager sent dict: ask for another type"
        );
        server.end();
    }
}

fn what_python_refuses_comes_with_its_traceback() {
    for python in pythons((3, 8)) {
        let server = Server::of(&python, None);
        let manager = server.connect();
        let own = manager.create("Own", []).unwrap();
        let unknown = own.call::<Value>("no_such_method", []).unwrap_err();
        match &unknown {
            PythonError::Refused { traceback } => {
                assert!(
                    traceback.contains("Traceback") && traceback.contains("no_such_method"),
                    "{traceback}"
                );
            }
            other => panic!("{other:?}"),
        }
        assert!(unknown.to_string().starts_with("the manager refused the request: "), "{unknown}");
        assert!(matches!(own.call::<Value>("unpicklable", []), Err(PythonError::Unserializable { .. })));
        assert!(matches!(manager.create("NoSuchType", []), Err(PythonError::Refused { .. })));
        // And it goes on.
        assert!(matches!(own.call::<Value>("fail", []), Err(PythonError::Raised(_))));
        server.end();
    }
}

fn a_killed_python_server_is_gone() {
    for python in pythons((3, 8)) {
        let server = Server::of(&python, None);
        let manager = server.connect();
        let list: PythonList<u8> = manager.list().unwrap();
        list.push(1).unwrap();
        let waits = std::thread::spawn({
            let event = manager.event().unwrap();
            event.clear().unwrap();
            move || event.wait()
        });
        mp_core::sys::process::send_signal(
            std::os::fd::AsFd::as_fd(&mp_core::sys::poll::pidfd_open(server.pid).unwrap()),
            mp_core::sys::signal::SIGKILL,
        )
        .unwrap();
        assert!(matches!(waits.join().unwrap(), Err(PythonError::Gone | PythonError::Connect(_))));
        assert!(matches!(list.push(2), Err(PythonError::Gone)));
        assert!(matches!(
            manager.number_of_objects(),
            Err(PythonError::Connect(ConnectError::NotListening(_)))
        ));
        server.end();
    }
}

fn a_wrong_key_is_refused() {
    let python = pythons((3, 8)).pop().unwrap();
    let server = Server::of(&python, None);
    let wrong = PythonManager::connect(server.address.clone(), AuthKey::new(*b"another"));
    assert!(matches!(wrong, Err(PythonError::Connect(ConnectError::Authentication(_)))), "{wrong:?}");
    server.end();
}

static KEPT: Mutex<Option<PythonQueue<i64>>> = Mutex::new(None);

fn a_forked_copy_gives_no_reference_back() {
    let native = format!("\0mp-manager-copy-{}", std::process::id());
    let builder = Manager::builder().address(&*native).python_address(Address::loopback());
    let server = builder.authkey(key()).start().unwrap();
    let manager = PythonManager::connect(server.python_address().unwrap().clone(), key()).unwrap();
    let queue: PythonQueue<i64> = manager.queue().unwrap();
    queue.put(6).unwrap();
    // The only one: the copy's is the last of its process.
    *KEPT.lock().unwrap() = Some(queue);
    let child = Process::new(use_the_copy, ()).method(StartMethod::Fork).start().unwrap();
    child.join().unwrap();
    let queue = KEPT.lock().unwrap().take().unwrap();
    assert_eq!((queue.get().unwrap(), queue.get().unwrap()), (6, 7));
    assert_eq!(manager.number_of_objects().unwrap(), 1);
}

/// By a connection of its own: its original's is in the middle of nothing, and stays so.
fn use_the_copy() {
    let copy = KEPT.lock().unwrap().take().unwrap();
    copy.put(7).unwrap();
    drop(copy);
}
