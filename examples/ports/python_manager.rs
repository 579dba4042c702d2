//! A manager that programs of two languages use: a Rust server with a Python client, and the other way round. Beside
//! `python_manager.py`, which has both sides in Python.

use mp::managers::{PythonDict, PythonQueue};
use mp::{Address, AuthKey, Manager, PythonError, PythonManager};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

const KEY: &str = "a key of sixteen bytes or more";

/// What a Python program does with our server, by its own `SyncManager`.
const CLIENT: &str = "
import sys
from multiprocessing.managers import SyncManager
class Ours(SyncManager): pass
Ours.register('jobs')
m = Ours(('127.0.0.1', int(sys.argv[1])), authkey=sys.argv[2].encode()); m.connect()
jobs = m.jobs()
for name in ('Ada', 'Bob'): jobs.put(name)
";

/// Serves until its input ends.
const SERVER: &str = "
import sys
from multiprocessing.managers import SyncManager
if __name__ == '__main__':
    m = SyncManager(('127.0.0.1', 0), authkey=sys.argv[1].encode()); m.start()
    print(m.address[1], flush=True)
    sys.stdin.read()
    m.shutdown()
";

fn our_server(key: AuthKey) -> mp::Result<()> {
    let builder = Manager::builder().python_address(Address::loopback()).authkey(key.clone());
    let manager = builder.start()?;
    let address = manager.python_address().expect("it has one").clone();
    let Address::Tcp(_, port) = &address else { unreachable!("a port of this host") };
    let ours = PythonManager::connect(address.clone(), key)?;
    let jobs: PythonQueue<String> = ours.queue()?;
    ours.publish("jobs", jobs.proxy())?;
    let status = Command::new("python3").args(["-c", CLIENT, &port.to_string(), KEY]).status()?;
    assert!(status.success());
    for _ in 0..2 {
        println!("put by Python: {}", jobs.get()?);
    }
    Ok(())
}

fn pythons_server(key: AuthKey) -> mp::Result<()> {
    let mut python = Command::new("python3");
    python.args(["-c", SERVER, KEY]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut server = python.spawn()?;
    let mut port = String::new();
    BufReader::new(server.stdout.as_mut().expect("a pipe")).read_line(&mut port)?;
    use_it(port.trim().parse()?, key)?;
    drop(server.stdin.take());
    println!("the server ended with {}", server.wait()?.code().unwrap_or(-1));
    Ok(())
}

fn use_it(port: u16, key: AuthKey) -> mp::Result<()> {
    let manager = PythonManager::connect(("127.0.0.1", port), key)?;
    let ages: PythonDict<String, u32> = manager.dict()?;
    ages.insert("Ada".to_owned(), 36)?;
    ages.insert("Bob".to_owned(), 7)?;
    let items: Vec<String> = ages.items()?.iter().map(|(name, age)| format!("{name} {age}")).collect();
    println!("kept by Python: {}", items.join(", "));
    match manager.namespace()?.get::<u32>("age") {
        Err(PythonError::Raised(error)) => println!("raised there: {}", error.name()),
        other => println!("not raised: {other:?}"),
    }
    Ok(())
}

pub(crate) fn main() -> mp::Result<()> {
    our_server(AuthKey::new(KEY))?;
    pythons_server(AuthKey::new(KEY))
}
