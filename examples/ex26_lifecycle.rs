//! The life of a process: what each call says at each moment, and what cannot be written at all.
//!
//! A second start, a join before the start and any use after `close` do not compile: `start` takes the process, and
//! gives the handle that has `join`; `close` takes the handle. The documentation of `Process::start` and
//! `Child::close` shows that.
//!
//! Answers:  section 2.1, the methods of Process
//! Python:   p.start(); p.is_alive(); p.terminate(); p.join(); p.exitcode; p.close()
//! Run:      cargo run --example ex26_lifecycle
//! Prints:
//!     not started: active 0
//!     started: alive true, exit code None
//!     close while running: refused, and given back
//!     terminated and joined: alive false, exit code -15
//!     killed and joined: alive false, exit code -9
//!     closed: ok
//!     a daemon's child: 49, and it is a daemon too
//!     a value that cannot be serialised: refused by put itself, and the next item arrives
//!     1 MB left in a queue: joined all the same

use mp::{Child, Event, Process, Queue};
use serde::{Deserialize, Serialize, Serializer};

fn stay(ready: Event) {
    ready.set();
    loop {
        std::thread::park();
    }
}

fn started() -> mp::Result<Child<()>> {
    let ready = Event::new()?;
    let child = Process::new(stay, (ready.clone(),)).start()?;
    ready.wait();
    Ok(child)
}

fn state(child: &Child<()>) -> String {
    let code = child.exitcode().map_or("None".to_owned(), |code| code.to_string());
    format!("alive {}, exit code {code}", child.is_alive())
}

/// Python forbids it: "daemonic processes are not allowed to have children".
fn start_a_child() -> (u32, bool) {
    let child = Process::new(|x: u32| x * x, (7,)).start().expect("a daemon may have children");
    (child.join().expect("a value"), child.daemon())
}

#[derive(Deserialize)]
enum Item {
    Secret,
    Word(String),
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Item::Secret => Err(serde::ser::Error::custom("a secret is not to be sent")),
            Item::Word(word) => serializer.serialize_newtype_variant("Item", 1, "Word", word),
        }
    }
}

fn fill(queue: Queue<Vec<u8>>) {
    queue.put(vec![7; 1 << 20]).expect("room for a megabyte");
}

pub(crate) fn main() -> mp::Result<()> {
    println!("not started: active {}", mp::active_children().len());
    let child = started()?;
    println!("started: {}", state(&child));
    let child = child.close().err().ok_or("a running process was closed")?.into_inner();
    println!("close while running: refused, and given back");
    // Just after terminate it may still be alive: join first.
    child.terminate()?;
    let _ = child.join();
    println!("terminated and joined: {}", state(&child));
    let child = started()?;
    child.kill()?;
    let _ = child.join();
    println!("killed and joined: {}", state(&child));
    println!("closed: {}", child.close().map(|()| "ok")?);
    let (value, daemon) = Process::new(start_a_child, ()).daemon().start()?.join()?;
    println!("a daemon's child: {value}, and it is {} too", if daemon { "a daemon" } else { "none" });

    let items = Queue::new()?;
    let refused = items.put(Item::Secret).is_err();
    items.put(Item::Word("after".to_owned()))?;
    let arrives = matches!(items.get()?, Item::Word(word) if word == "after");
    let outcome = if refused { "refused by put itself" } else { "taken" };
    let next = if arrives { "arrives" } else { "is lost" };
    println!("a value that cannot be serialised: {outcome}, and the next item {next}");

    let queue = Queue::new()?;
    Process::new(fill, (queue.clone(),)).start()?.join()?;
    println!("{} MB left in a queue: joined all the same", queue.get()?.len() >> 20);
    Ok(())
}
