//! Clients of the Python protocol that do not keep to it harm themselves alone. They are Rust's: no CPython is needed.

use mp_core::process::AuthKey;
use mp_manager::{Manager, PythonManager};
use mp_pipe::pickle::{BigInt, Global, Object, Value, dumps};
use mp_pipe::{Address, Client, ConnectError, Connection, Listener, RecvError};
use mp_testing::Chance;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        what_there_is_not_is_refused,
        what_is_no_request_is_refused,
        a_pickle_runs_nothing_and_takes_bounded_memory,
        a_long_message_that_never_comes_takes_no_memory,
        a_client_that_does_not_read_holds_up_no_other,
        half_open_connections_hold_up_no_other,
        what_is_sent_while_a_call_waits_ends_the_connection,
        without_the_key_nothing_is_learned_and_nothing_held,
        references_are_given_back_once,
        a_proxy_that_is_dropped_waits_for_no_server_that_says_nothing,
        what_multiplies_a_large_element_is_refused,
        whatever_is_asked_the_server_goes_on,
    ]
}

fn key() -> AuthKey {
    AuthKey::new(*b"a key for this test alone")
}

fn started() -> Manager {
    let native = format!("\0mp-manager-hostile-{}", std::process::id());
    let builder = Manager::builder().address(&*native).python_address(Address::loopback());
    builder.authkey(key()).start().unwrap()
}

fn connect(manager: &Manager) -> Connection {
    let address = manager.python_address().unwrap();
    Client::builder(address.clone()).cpython().authkey(key()).connect().unwrap()
}

fn request(object: Value, method: &str, args: Vec<Value>) -> Value {
    Value::tuple([object, method.into(), Value::tuple(args), Value::dict::<Value>([])])
}

/// A reply's kind and what it has.
fn parts(reply: &Value) -> (&str, &Value) {
    match reply.items() {
        Some([kind, payload]) => (kind.as_str().unwrap(), payload),
        _ => panic!("{reply:?}"),
    }
}

fn ask(connection: &Connection, request: &Value) -> Value {
    connection.send_pickle(request).unwrap();
    connection.recv_pickle().unwrap()
}

/// A request of the server, by a connection of its own.
fn control(manager: &Manager, method: &str, args: Vec<Value>) -> Value {
    ask(&connect(manager), &request(Value::None, method, args))
}

fn returned(reply: &Value) -> Value {
    let (kind, payload) = parts(reply);
    assert_eq!(kind, "#RETURN", "{reply:?}");
    payload.clone()
}

fn refused(reply: &Value, with: &str) {
    let (kind, payload) = parts(reply);
    assert_eq!(kind, "#TRACEBACK", "{reply:?}");
    assert!(payload.as_str().unwrap().contains(with), "{reply:?}");
}

fn created(manager: &Manager, typeid: &str) -> Value {
    returned(&control(manager, "create", vec![typeid.into()])).items().unwrap()[0].clone()
}

/// A connection for calls.
fn caller(manager: &Manager) -> Connection {
    let connection = connect(manager);
    returned(&ask(&connection, &request(Value::None, "accept_connection", vec!["test".into()])));
    connection
}

fn objects(manager: &Manager) -> i64 {
    returned(&control(manager, "number_of_objects", vec![])).as_int().unwrap()
}

fn what_there_is_not_is_refused() {
    let manager = started();
    let (list, calls) = (created(&manager, "list"), caller(&manager));
    for method in ["no_such", "__class__", "__init__", "__reduce__", "__getattribute__", "send", "", "create"]
    {
        refused(&ask(&calls, &request(list.clone(), method, vec![])), "not exposed");
    }
    let foreign = format!("{:x}", u64::from_str_radix(list.as_str().unwrap(), 16).unwrap() ^ 1);
    let upper = format!("0{}", list.as_str().unwrap());
    for object in [&*foreign, &*upper, "0", "", "x", "-1", "123456789012345678901234567890"] {
        refused(&ask(&calls, &request(object.into(), "append", vec![1.into()])), "no such object");
        refused(&control(&manager, "incref", vec![object.into()]), "no such object");
        refused(&control(&manager, "get_methods", vec![object.into()]), "no such object");
    }
    refused(&ask(&calls, &request(Value::None, "shutdown", vec![])), "no such object");
    for method in ["__init__", "serve_forever", "handle_request", ""] {
        refused(&control(&manager, method, vec![]), "unrecognized");
    }
    refused(&control(&manager, "create", vec!["Pool".into()]), "KeyError");
    refused(&control(&manager, "create", vec![]), "TypeError");
    refused(&ask(&connect(&manager), &request(list.clone(), "append", vec![])), "before accept_connection");
    returned(&ask(&calls, &request(list.clone(), "append", vec![1.into()])));
    assert_eq!(returned(&ask(&calls, &request(list, "__len__", vec![]))), Value::Int(1));
}

fn what_is_no_request_is_refused() {
    let manager = started();
    let (list, calls) = (created(&manager, "list"), caller(&manager));
    let wrong = [
        Value::None,
        Value::tuple([]),
        Value::tuple([list.clone(), "append".into(), Value::tuple([1.into()])]),
        Value::tuple([list.clone(), 5.into(), Value::tuple([]), Value::dict::<Value>([])]),
        Value::tuple([list.clone(), "append".into(), 5.into(), Value::dict::<Value>([])]),
        Value::tuple([list.clone(), "append".into(), Value::tuple([]), Value::dict([(1, 2.into())])]),
    ];
    for value in &wrong {
        refused(&ask(&calls, value), "a request is");
        refused(&ask(&connect(&manager), value), "a request is");
    }
    for bytes in [&b""[..], b"x", b"\x80\x04", b"\x80\x04.", b"garbage", &[0xff; 100], b"\x80\x09N."] {
        calls.send_bytes(bytes).unwrap();
        let reply = calls.recv_pickle().unwrap();
        assert_eq!(parts(&reply).0, "#ERROR", "{bytes:?}");
        assert!(parts(&reply).1.class().unwrap().is("pickle", "UnpicklingError"));
    }
    assert_eq!(returned(&ask(&calls, &request(list, "__len__", vec![]))), Value::Int(0));
}

fn peak_memory(manager: &Manager) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", manager.server_pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn a_pickle_runs_nothing_and_takes_bounded_memory() {
    let manager = started();
    let (list, calls) = (created(&manager, "list"), caller(&manager));
    let folder = std::env::temp_dir().join(format!("mp-manager-harm-{}", std::process::id()));
    let harm: Value = Object::call("os", "mkdir", [folder.to_str().unwrap().into()]).into();
    returned(&ask(&calls, &request(list.clone(), "append", vec![harm.clone()])));
    assert_eq!(returned(&ask(&calls, &request(list.clone(), "pop", vec![]))), harm);
    let class = Value::from(Global::new("os", "system"));
    assert_eq!(parts(&ask(&calls, &request(list.clone(), "sort", vec![class]))).0, "#ERROR");
    assert!(!folder.exists());

    let before = peak_memory(&manager);
    // Forty lists, each with the one before twice; and a hundred thousand inside of each other.
    let mut laughs = b"\x80\x04]\x94".to_vec();
    (0..40).for_each(|before| laughs.extend([b']', 0x94, b'(', b'h', before, b'h', before, b'e']));
    laughs.push(b'.');
    let deep = [&b"\x80\x04"[..], &[b']'; 100_000], &[b'a'; 99_999], b"."].concat();
    for bytes in [laughs, deep] {
        calls.send_bytes(&bytes).unwrap();
        assert_eq!(parts(&calls.recv_pickle().unwrap()).0, "#ERROR");
    }
    let million = Value::from(BigInt::from(1) << 40);
    let nothing = ask(&calls, &request(list.clone(), "__mul__", vec![i64::MAX.into()]));
    assert_eq!(returned(&nothing), Value::list([]));
    for (method, args) in [
        ("__imul__", vec![million.clone()]),
        ("__mul__", vec![million.clone()]),
        ("extend", vec![Object::call("builtins", "range", [0.into(), million, 1.into()]).into()]),
    ] {
        returned(&ask(&calls, &request(list.clone(), "append", vec![1.into()])));
        let reply = ask(&calls, &request(list.clone(), method, args));
        assert!(
            parts(&reply).1.class().is_some_and(|class| class.is("builtins", "MemoryError")),
            "{reply:?}"
        );
    }
    let grown = peak_memory(&manager) - before;
    assert!(grown < 100 << 20, "{grown}");
}

/// The handshake of a client that goes on by hand.
fn raw(manager: &Manager) -> TcpStream {
    let Some(Address::Tcp(host, port)) = manager.python_address() else { panic!() };
    TcpStream::connect((&**host, *port)).unwrap()
}

fn a_long_message_that_never_comes_takes_no_memory() {
    let manager = started();
    let before = peak_memory(&manager);
    let connections: Vec<Connection> = (0..20).map(|_| connect(&manager)).collect();
    for connection in &connections {
        let mut stream = TcpStream::from(std::os::fd::AsFd::as_fd(connection).try_clone_to_owned().unwrap());
        // As long as is taken, and then silence.
        stream.write_all(&(1_u32 << 30).to_be_bytes()).unwrap();
    }
    assert_eq!(objects(&manager), 0);
    let longer = connect(&manager);
    let mut stream = TcpStream::from(std::os::fd::AsFd::as_fd(&longer).try_clone_to_owned().unwrap());
    stream.write_all(&(i32::MAX).to_be_bytes()).unwrap();
    assert!(matches!(longer.recv_bytes(), Err(RecvError::Closed)));
    let grown = peak_memory(&manager) - before;
    assert!(grown < 64 << 20, "{grown}");
}

fn a_client_that_does_not_read_holds_up_no_other() {
    let manager = started();
    let (list, lazy) = (created(&manager, "list"), caller(&manager));
    let large = Value::bytes(&vec![7; 8 << 20]);
    returned(&ask(&lazy, &request(list.clone(), "append", vec![large.clone()])));
    // More than its socket holds.
    lazy.send_pickle(&request(list.clone(), "__getitem__", vec![0.into()])).unwrap();
    let other = caller(&manager);
    for at in 1..100 {
        returned(&ask(&other, &request(list.clone(), "append", vec![at.into()])));
    }
    assert_eq!(returned(&lazy.recv_pickle().unwrap()), large);
    assert_eq!(returned(&ask(&lazy, &request(list, "__len__", vec![]))), Value::Int(100));
}

fn half_open_connections_hold_up_no_other() {
    let manager = started();
    let silent: Vec<TcpStream> = (0..20).map(|_| raw(&manager)).collect();
    let idle: Vec<Connection> = (0..20).map(|_| connect(&manager)).collect();
    let half: Vec<Connection> = (0..20).map(|_| connect(&manager)).collect();
    let bytes = dumps(&request(Value::None, "dummy", vec![])).unwrap();
    let frame = [&(bytes.len() as u32).to_be_bytes()[..], &bytes].concat();
    let streams = half.iter().map(|half| std::os::fd::AsFd::as_fd(half).try_clone_to_owned().unwrap());
    let mut streams: Vec<TcpStream> = streams.map(TcpStream::from).collect();
    for stream in &mut streams {
        stream.write_all(&frame[..frame.len() / 2]).unwrap();
    }
    let list = created(&manager, "list");
    returned(&ask(&caller(&manager), &request(list, "append", vec![1.into()])));
    // Those that go on, byte by byte, are served.
    for (stream, connection) in streams.iter_mut().zip(&half) {
        for byte in &frame[frame.len() / 2..] {
            stream.write_all(&[*byte]).unwrap();
        }
        returned(&connection.recv_pickle().unwrap());
    }
    drop((silent, idle));
    assert_eq!(objects(&manager), 1);
}

fn what_is_sent_while_a_call_waits_ends_the_connection() {
    let manager = started();
    let (queue, lock) = (created(&manager, "Queue"), created(&manager, "Lock"));
    let (eager, other) = (caller(&manager), caller(&manager));
    returned(&ask(&eager, &request(lock.clone(), "acquire", vec![])));
    eager.send_pickle(&request(queue.clone(), "get", vec![])).unwrap();
    eager.send_pickle(&request(queue.clone(), "get", vec![])).unwrap();
    assert!(matches!(eager.recv_pickle(), Err(RecvError::Closed)));
    // Its lock is free, its wait is over.
    let reply = ask(&other, &request(lock, "acquire", vec![]));
    assert!(parts(&reply).1.class().unwrap().is("builtins", "OSError"), "{reply:?}");
    returned(&ask(&other, &request(queue.clone(), "put", vec![1.into()])));
    assert_eq!(returned(&ask(&other, &request(queue, "get", vec![]))), Value::Int(1));
}

fn without_the_key_nothing_is_learned_and_nothing_held() {
    let manager = started();
    let address = manager.python_address().unwrap().clone();
    let wrong = Client::builder(address).cpython().authkey(AuthKey::new(*b"another key of some bytes"));
    assert!(matches!(wrong.connect::<(), ()>(), Err(ConnectError::Authentication(_))));
    for request in
        [request(Value::None, "create", vec!["list".into()]), request(Value::None, "shutdown", vec![])]
    {
        let mut stream = raw(&manager);
        let bytes = dumps(&request).unwrap();
        stream.write_all(&(bytes.len() as u32).to_be_bytes()).unwrap();
        stream.write_all(&bytes).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut answer = Vec::new();
        // The end may come as a reset.
        let _ = stream.read_to_end(&mut answer);
        // The server's own challenge, and no more than that it was wrong.
        let text = String::from_utf8_lossy(&answer);
        assert!(
            text.contains("#CHALLENGE#") && !text.contains("#RETURN") && !text.contains("list"),
            "{text}"
        );
    }
    assert_eq!(objects(&manager), 0);
}

/// Here the server is the one that does not keep to the protocol.
fn a_proxy_that_is_dropped_waits_for_no_server_that_says_nothing() {
    let builder = Listener::builder().address(Address::loopback()).authkey(key());
    let listener = builder.cpython().bind().unwrap();
    let address = listener.address().clone();
    std::thread::scope(|scope| {
        let server = scope.spawn(move || {
            let answer = |value: Value| {
                let connection: Connection = listener.accept().unwrap();
                connection.recv_pickle().unwrap();
                connection.send_pickle(&Value::tuple(["#RETURN".into(), value])).unwrap();
            };
            answer(Value::None);
            answer(Value::tuple(["1".into(), Value::tuple([])]));
            let silent: Connection = listener.accept().unwrap();
            let given_back = silent.recv_pickle().unwrap();
            (silent, given_back)
        });
        let manager = PythonManager::connect_timeout(address, key(), Duration::from_secs(5)).unwrap();
        drop(manager.list::<u8>().unwrap());
        let (_silent, given_back) = server.join().unwrap();
        assert_eq!(given_back.items().unwrap()[1], "decref".into());
    });
}

/// Shared in memory, it is as small as one of them; shown or searched, it is all of it.
fn what_multiplies_a_large_element_is_refused() {
    let manager = started();
    let connection = caller(&manager);
    let large = [Value::from("x".repeat(1 << 20)), Value::list((0..100_000).map(Value::from))];
    for element in large {
        let list = created(&manager, "list");
        let append = ask(&connection, &request(list.clone(), "append", vec![element]));
        assert_eq!(parts(&append).0, "#RETURN", "{append:?}");
        for method in ["__imul__", "__mul__", "__rmul__"] {
            let refused = ask(&connection, &request(list.clone(), method, vec![(1 << 20).into()]));
            let (kind, raised) = parts(&refused);
            assert!(kind == "#ERROR" && raised.class().unwrap().name.contains("MemoryError"), "{method}");
        }
        // What is within the bounds is done, and the list can be shown.
        let thrice = ask(&connection, &request(list.clone(), "__imul__", vec![3.into()]));
        assert_eq!(parts(&thrice).0, "#RETURN", "{thrice:?}");
        let shown = ask(&connection, &request(list, "__repr__", vec![]));
        assert!(parts(&shown).1.as_str().unwrap().len() > 500_000);
    }
}

fn references_are_given_back_once() {
    let manager = started();
    let list = created(&manager, "list");
    returned(&control(&manager, "incref", vec![list.clone()]));
    returned(&control(&manager, "decref", vec![list.clone()]));
    // A container's own reference is no client's.
    let (outer, calls) = (created(&manager, "list"), caller(&manager));
    let token = Object::with_state(
        "multiprocessing.managers",
        "Token",
        Value::tuple(["list".into(), Value::None, list.clone()]),
    );
    let proxy = Object::call("multiprocessing.managers", "RebuildProxy", [token.into()]);
    returned(&ask(&calls, &request(outer.clone(), "append", vec![proxy.into()])));
    returned(&control(&manager, "decref", vec![list.clone()]));
    refused(&control(&manager, "decref", vec![list.clone()]), "no reference");
    assert_eq!(objects(&manager), 2);
    returned(&control(&manager, "decref", vec![outer]));
    assert_eq!(objects(&manager), 0);
    refused(&control(&manager, "decref", vec![list]), "no such object");
}

/// Requests made at random: of methods that there are, with arguments of every kind, and damaged bytes of them.
fn whatever_is_asked_the_server_goes_on() {
    const METHODS: [&str; 40] = [
        "append",
        "extend",
        "insert",
        "pop",
        "remove",
        "sort",
        "index",
        "count",
        "reverse",
        "clear",
        "copy",
        "__getitem__",
        "__setitem__",
        "__delitem__",
        "__contains__",
        "__len__",
        "__add__",
        "__mul__",
        "__imul__",
        "__reversed__",
        "__iter__",
        "__or__",
        "get",
        "items",
        "keys",
        "popitem",
        "setdefault",
        "update",
        "values",
        "__getattribute__",
        "__setattr__",
        "__delattr__",
        "set",
        "acquire",
        "release",
        "put_nowait",
        "get_nowait",
        "__repr__",
        "#GETVALUE",
        "notify",
    ];
    let rounds: usize = std::env::var("MP_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(3000);
    let seed = std::env::var("MP_FUZZ_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0x19);
    let (manager, mut random) = (started(), Chance::new(seed));
    let types =
        ["list", "dict", "Namespace", "Queue", "Lock", "RLock", "Semaphore", "Event", "Condition", "Barrier"];
    let mut ids: Vec<Value> = Vec::new();
    for typeid in types {
        let args = if typeid == "Barrier" { vec![typeid.into(), 2.into()] } else { vec![typeid.into()] };
        ids.push(returned(&control(&manager, "create", args)).items().unwrap()[0].clone());
    }
    for (typeid, args) in [("Array", Value::list([1.into(), 2.into()])), ("Value", Value::Int(5))] {
        let created = control(&manager, "create", vec![typeid.into(), "i".into(), args]);
        ids.push(returned(&created).items().unwrap()[0].clone());
    }
    let mut calls = caller(&manager);
    let (mut answers, mut damaged) = (0, 0);
    for _ in 0..rounds {
        let object = ids[random.below(ids.len())].clone();
        let method = METHODS[random.below(METHODS.len())];
        // A call that could wait for ever is given no time.
        let args = match method {
            "acquire" | "get" => vec![false.into()],
            _ => (0..random.below(4)).map(|_| value(&mut random, &ids, 3)).collect(),
        };
        let mut bytes = dumps(&request(object, method, args)).unwrap_or_else(|_| b"x".to_vec());
        if random.below(3) == 0 {
            damaged += 1;
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] = random.below(256) as u8;
            }
        }
        // What follows a call that waits ends its connection; a damaged call may be one.
        calls.send_bytes(&bytes).unwrap();
        // The list is emptied now and then, since multiplying makes it long.
        let next = if random.below(16) == 0 { "clear" } else { "__len__" };
        let followed = calls.send_pickle(&request(ids[0].clone(), next, vec![])).is_ok();
        match calls.recv_pickle() {
            Ok(reply) => {
                assert!(parts(&reply).0.starts_with('#'));
                answers += 1;
                if followed {
                    returned(&calls.recv_pickle().unwrap());
                }
            }
            Err(error) => {
                assert!(matches!(error, RecvError::Closed | RecvError::Os(_)), "{error}");
                calls = caller(&manager);
            }
        }
    }
    println!("seed {seed}: {rounds} requests, {damaged} of them damaged, {answers} answers");
    assert!(answers > 0);
    returned(&control(&manager, "dummy", vec![]));
}

fn value(random: &mut Chance, ids: &[Value], depth: usize) -> Value {
    let some =
        |random: &mut Chance| (0..random.below(4)).map(|_| value(random, ids, depth - 1)).collect::<Vec<_>>();
    match random.below(if depth == 0 { 9 } else { 15 }) {
        0 => Value::None,
        1 => Value::Bool(random.below(2) == 0),
        2 => Value::Int(random.below(7) as i64 - 3),
        3 => Value::from(BigInt::from(random.below(usize::MAX)) << random.below(80)),
        4 => [0.5, f64::NAN, f64::INFINITY, -0.0, 1e300][random.below(5)].into(),
        5 => ["", "i", "a", "x\n'\"", "ü"][random.below(5)].into(),
        6 => Value::bytes(b"\x00'"),
        7 => Value::Surrogates((*b"\xed\xa0\x80").into()),
        8 => ids[random.below(ids.len())].clone(),
        9 => Value::list(some(random)),
        10 => Value::tuple(some(random)),
        11 => Value::dict([(value(random, &[Value::None], 0), value(random, ids, depth - 1))]),
        12 => Value::frozenset([value(random, &[Value::None], 0)]),
        13 => {
            let parts: Vec<Value> = (0..3).map(|_| value(random, ids, 0)).collect();
            Object::call("builtins", ["slice", "range", "list"][random.below(3)], parts).into()
        }
        _ => {
            let id = ids[random.below(ids.len())].clone();
            let state = Value::tuple(["list".into(), Value::None, id]);
            Object::with_state("multiprocessing.managers", "Token", state).into()
        }
    }
}
