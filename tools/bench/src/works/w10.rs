//! W10: 64 bytes there and back, where the side that waits for the answer waits for many other connections, too, all
//! of them idle. Both sides are on one CPU, so that waking one costs the same each time.
//!
//! The other ends of the idle ones are held by a third process: so each has one descriptor for each connection, and
//! not two.

use super::cpus::pin;
use super::crowd::{Part, processes};
use super::measure::{nanoseconds_since, text};
use super::peers::{Pace, pythons_times};
use super::w3::Times;
use crate::python::Shared;
use crate::work::{Peer, Work};
use mp_core::{Process, StartMethod, Waitable};
use mp_pipe::{Connection, Receiver, WaitSet, pipe, pipe_simplex, wait};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

const BYTES: usize = 64;

pub(super) fn all(python: &Shared) -> Vec<Work> {
    vec![wake_up(python, "W10.wait.10", 10), wake_up(python, "W10.wait.10000", 10_000)]
}

fn wake_up(python: &Shared, metric: &'static str, connections: usize) -> Work {
    Work {
        metric: metric.to_owned(),
        unit: "us",
        rate: false,
        peers: vec![
            peer("mp", connections, Waiter::Set),
            peer("mp.list", connections, Waiter::List),
            peer("epoll", connections, Waiter::Epoll),
            peer("poll", connections, Waiter::Poll),
            pythons_times(python, metric, 10),
        ],
    }
}

/// By what one waits.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Waiter {
    /// Our set, made once.
    Set,
    /// Our `wait`, which takes a list each time.
    List,
    /// The system's set, made once.
    Epoll,
    /// The system's call, which takes a list each time.
    Poll,
}

fn peer(name: &'static str, connections: usize, waiter: Waiter) -> Peer {
    let mut pace = Pace::new(10);
    Peer::of_several(name, move || {
        let once = |times| measure(waiter, connections, times);
        let times = pace.round(once, |times| 1e6 / times.p50)?;
        Ok(times.figures())
    })
}

fn measure(waiter: Waiter, connections: usize, times: u64) -> Result<Times, String> {
    let (here, there) = pipe().map_err(text)?;
    let asks = Side { by: Some((waiter, connections)), connection: here, times };
    let answers = Side { by: None, connection: there, times };
    let (times, less) = processes(&[asks, answers])?.measured()??;
    static SAID: AtomicBool = AtomicBool::new(false);
    // ORDERING: Relaxed: one thread.
    if let Some(less) = less.filter(|_| !SAID.swap(true, Ordering::Relaxed)) {
        eprintln!("only {less} connections instead of {connections}: no more files may be open");
    }
    Ok(times)
}

/// A client that waits for its answer among others, or a server that answers.
#[derive(Clone, Serialize, Deserialize)]
struct Side {
    by: Option<(Waiter, usize)>,
    connection: Connection,
    times: u64,
}

/// The times, and how many connections there were, if they were fewer.
type Measured = Result<(Times, Option<usize>), String>;

impl Part for Side {
    type Gives = Option<Measured>;

    fn play(self, start: impl FnOnce()) -> Option<Measured> {
        pin(0).expect("one CPU may be used");
        match self.by {
            Some((waiter, connections)) => Some(self.ask(waiter, connections, start)),
            None => {
                start();
                self.answer();
                None
            }
        }
    }
}

/// Round trips before those that count.
const WARMING: u64 = 5;

impl Side {
    fn answer(&self) {
        let mut buffer = [0; BYTES];
        for _ in 0..WARMING + self.times {
            self.connection.recv_bytes_into(&mut buffer).expect("a client asks");
            self.connection.send_bytes(&buffer).expect("a client waits for it");
        }
    }

    fn ask(&self, waiter: Waiter, connections: usize, start: impl FnOnce()) -> Measured {
        // Without the end that is held elsewhere no connection would be idle.
        let (idle, holder) = idle(connections - 1)?;
        let less = (idle.len() + 1 < connections).then_some(idle.len() + 1);
        let mut all = idle;
        all.push(self.connection.clone());
        let active = all.len() - 1;
        start();
        let times = match waiter {
            Waiter::Set => {
                let mut set = WaitSet::new().map_err(text)?;
                for (key, connection) in all.iter().enumerate() {
                    set.add(key, connection.clone()).map_err(text)?;
                }
                self.round_trips(active, || set.wait().map_err(text))
            }
            Waiter::List => {
                let list: Vec<&dyn Waitable> = all.iter().map(|connection| connection as _).collect();
                self.round_trips(active, || wait(&list).map_err(text))
            }
            Waiter::Epoll => {
                let set = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(text)?;
                for (key, connection) in all.iter().enumerate() {
                    set.add(connection, EpollEvent::new(EpollFlags::EPOLLIN, key as u64)).map_err(text)?;
                }
                let mut ready = [EpollEvent::empty(); 64];
                self.round_trips(active, || {
                    let count = set.wait(&mut ready, EpollTimeout::NONE).map_err(text)?;
                    Ok(ready[..count].iter().map(|event| event.data() as usize).collect())
                })
            }
            Waiter::Poll => {
                let flagged = |connection| PollFd::new(Connection::as_fd(connection), PollFlags::POLLIN);
                let mut list: Vec<_> = all.iter().map(flagged).collect();
                self.round_trips(active, || {
                    poll(&mut list, PollTimeout::NONE).map_err(text)?;
                    Ok((0..list.len()).filter(|at| list[*at].any() == Some(true)).collect())
                })
            }
        };
        drop(all);
        holder.join().map_err(text)?;
        Ok((times?, less))
    }

    fn round_trips(
        &self,
        active: usize,
        mut wait: impl FnMut() -> Result<Vec<usize>, String>,
    ) -> Result<Times, String> {
        let mut buffer = [7; BYTES];
        let once = |_| {
            let began = Instant::now();
            self.connection.send_bytes(&buffer).map_err(text)?;
            let ready = wait()?;
            self.connection.recv_bytes_into(&mut buffer).map_err(text)?;
            let took = nanoseconds_since(began);
            assert_eq!(ready, [active], "all others are idle");
            Ok(took)
        };
        let all = (0..WARMING + self.times).map(once).collect::<Result<Vec<u32>, String>>()?;
        Ok(Times::of(all[WARMING as usize..].to_vec()))
    }
}

/// Descriptors for everything else.
const OTHERS: u64 = 400;
/// Connections that are handed over at once: as many as a message of one call carries.
const BATCH: usize = 250;

/// So many connections on which nothing ever comes, or as many as may be open here; and the process that has their
/// other ends, which ends with the last of them.
fn idle(count: usize) -> Result<(Vec<Connection>, mp_core::Child<()>), String> {
    let count = count.min(open_more_files()?.saturating_sub(OTHERS) as usize);
    let (theirs, sender) = pipe_simplex().map_err(text)?;
    let holder = Process::new(hold, (theirs,)).method(StartMethod::ForkServer).start().map_err(text)?;
    let mut ours = Vec::with_capacity(count);
    while ours.len() < count {
        let mut batch = Vec::new();
        for _ in 0..BATCH.min(count - ours.len()) {
            let (here, there) = pipe().map_err(text)?;
            ours.push(here);
            batch.push(there);
        }
        sender.send(&batch).map_err(text)?;
    }
    Ok((ours, holder))
}

fn hold(batches: Receiver<Vec<Connection>>) {
    open_more_files().expect("it was possible where they come from");
    let mut held = Vec::new();
    while let Ok(batch) = batches.recv() {
        held.extend(batch);
    }
    // None of them hears anything but the end.
    held.iter().for_each(|connection| assert!(connection.recv_bytes().is_err()));
}

/// Lets this process open as many files as it ever may; gives how many that is.
fn open_more_files() -> Result<u64, String> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).map_err(text)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).map_err(text)?;
    Ok(most)
}
