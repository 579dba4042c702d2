//! W7: a dict behind a server: calls a second of one client and of four, of a key of one byte and a number.
//!
//! Pinned, the clients run on the first CPU, and the server on the second (`.two`) or on the same one (`.one`).

mod fair;
mod memory;
mod redis;
mod shared;

use super::cpus;
use super::crowd::{Part, processes};
use super::measure::{need_cpus, text};
use crate::python::{Shared, ask};
use crate::work::{Peer, Work};
use mp_manager::{DictProxy, Manager};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Where the clients and the server run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    Free,
    Two,
    One,
}

/// What a client does all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Op {
    Get,
    Set,
    /// A hundred gets, sent together.
    GetHundred,
}

/// One of the works.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Plan {
    op: Op,
    clients: usize,
    place: Place,
}

const KEY: &str = "k";
const LASTS: Duration = Duration::from_millis(500);

pub(super) fn all(python: &Shared) -> Vec<Work> {
    let plan = |op, clients, place| Plan { op, clients, place };
    let mut works: Vec<Work> = [Place::Free, Place::Two, Place::One]
        .into_iter()
        .flat_map(|place| [plan(Op::Get, 1, place), plan(Op::Set, 1, place)])
        .chain([plan(Op::Get, 4, Place::Free), plan(Op::Set, 4, Place::Free)])
        .chain([plan(Op::GetHundred, 1, Place::Free)])
        .map(|plan| work(plan, python))
        .collect();
    works.extend(memory::all());
    works.extend(fair::all());
    works.extend(shared::all());
    works
}

impl Plan {
    fn metric(self) -> String {
        let op = match self.op {
            Op::Get => "get",
            Op::Set => "set",
            Op::GetHundred => "pipelined",
        };
        let place = match self.place {
            Place::Free => "",
            Place::Two => ".two",
            Place::One => ".one",
        };
        format!("W7.{op}.{}{place}", self.clients)
    }

    /// The number of the server's CPU.
    fn server(self) -> Option<usize> {
        match self.place {
            Place::Free => None,
            Place::Two => Some(1),
            Place::One => Some(0),
        }
    }

    fn pin_client(self) {
        if self.place != Place::Free {
            cpus::pin(0).expect("a client has the CPUs of the bench");
        }
    }

    /// Has so many clients call, and gives the calls a second of all together.
    fn run<C: Client + DeserializeOwned>(self, client: C) -> Result<f64, String> {
        need_cpus(self.server().map_or(1, |cpu| cpu + 1))?;
        let part = Calling { client, plan: self };
        Ok(processes(&vec![part; self.clients])?.gave.into_iter().sum())
    }
}

/// A client of some server, before it has connected.
trait Client: Serialize + Clone + Send + 'static {
    /// Connects, and gives what does the operation once.
    fn connect(self, op: Op) -> Box<dyn FnMut()>;
}

#[derive(Clone, Serialize, Deserialize)]
struct Calling<C> {
    client: C,
    plan: Plan,
}

impl<C: Client> Part for Calling<C> {
    /// Calls a second.
    type Gives = f64;

    fn play(self, start: impl FnOnce()) -> f64 {
        self.plan.pin_client();
        let mut call = self.client.connect(self.plan.op);
        call();
        start();
        let (began, mut rounds) = (Instant::now(), 0_u32);
        while began.elapsed() < LASTS {
            (0..8).for_each(|_| call());
            rounds += 8;
        }
        let each = if self.plan.op == Op::GetHundred { 100.0 } else { 1.0 };
        each * f64::from(rounds) / began.elapsed().as_secs_f64()
    }
}

impl Client for DictProxy<String, u64> {
    fn connect(self, op: Op) -> Box<dyn FnMut()> {
        let mut value = 0;
        match op {
            Op::Get => Box::new(move || assert!(self.get(KEY).expect("the manager serves").is_some())),
            Op::Set => Box::new(move || {
                value += 1;
                self.insert(KEY.to_owned(), value).expect("the manager serves");
            }),
            Op::GetHundred => Box::new(move || {
                let mut batch = self.batch();
                (0..100).for_each(|_| batch.get(KEY).expect("a key packs"));
                assert_eq!(batch.run().expect("the manager serves").len(), 100);
            }),
        }
    }
}

fn work(plan: Plan, python: &Shared) -> Work {
    let mut peers = vec![Peer::new("mp", move || ours(plan)), Peer::new("redis", move || redis::of(plan))];
    // It has no pipelines.
    if plan.op != Op::GetHundred {
        let (python, request) = (python.clone(), format!("{} {}", plan.metric(), LASTS.as_millis()));
        peers.push(Peer::new("CPython", move || {
            need_cpus(plan.server().map_or(1, |cpu| cpu + 1))?;
            ask(&python, &request)
        }));
    }
    Work { metric: plan.metric(), unit: "ops/s", rate: true, peers }
}

fn ours(plan: Plan) -> Result<f64, String> {
    // The server begins with the CPUs of the thread that starts it.
    let start = || Manager::start().map_err(text);
    let manager = plan.server().map_or_else(start, |number| cpus::on(number, start))?;
    let dict = manager.dict::<String, u64>().map_err(text)?;
    dict.insert(KEY.to_owned(), 0).map_err(text)?;
    plan.run(dict)
}
