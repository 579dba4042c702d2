//! A dict in shared memory, which its clients use themselves: beside the manager's, redis, and a `HashMap` under a
//! mutex between threads of one process.

use super::super::measure::text;
use super::super::processes::proportional_share;
use super::memory::{ENTRIES, entry, here};
use super::{Client, KEY, LASTS, Op, Place, Plan, ours, redis};
use crate::work::{Peer, Work};
use mp_sync::SharedDict;
use std::collections::HashMap;
use std::hint::black_box;
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::Instant;

pub(super) fn all() -> Vec<Work> {
    let plans = [(Op::Get, 1), (Op::Set, 1), (Op::Get, 4), (Op::Set, 4)];
    let mut works: Vec<Work> =
        plans.into_iter().map(|(op, clients)| work(Plan { op, clients, place: Place::Free })).collect();
    works.push(Work {
        metric: "W7.shared_dict.memory".to_owned(),
        unit: "MiB",
        rate: false,
        peers: vec![Peer::new("mp", shared), Peer::new("HashMap", here)],
    });
    works
}

fn work(plan: Plan) -> Work {
    let metric = plan.metric().replacen("W7", "W7.shared_dict", 1);
    let peers = vec![
        Peer::new("mp", move || {
            let dict = SharedDict::<String, u64>::new(1000, 1 << 20).map_err(text)?;
            dict.insert(KEY, &0).map_err(text)?;
            plan.run(dict)
        }),
        Peer::new("mp.manager", move || ours(plan)),
        Peer::new("redis", move || redis::of(plan)),
        Peer::new("HashMap", move || Ok(between_threads(plan))),
    ];
    Work { metric, unit: "ops/s", rate: true, peers }
}

impl Client for SharedDict<String, u64> {
    fn connect(self, op: Op) -> Box<dyn FnMut()> {
        let mut value = 0;
        match op {
            Op::Get => Box::new(move || assert!(self.get(KEY).expect("it is whole").is_some())),
            Op::Set => Box::new(move || {
                value += 1;
                self.insert(KEY, &value).expect("it has room");
            }),
            Op::GetHundred => unreachable!("there is no call to send together with others"),
        }
    }
}

/// Calls a second of all threads together.
fn between_threads(plan: Plan) -> f64 {
    let map = Mutex::new(HashMap::from([(KEY.to_owned(), 0_u64)]));
    let start = Barrier::new(plan.clients);
    let lock = || map.lock().unwrap_or_else(PoisonError::into_inner);
    let client = || {
        start.wait();
        let (began, mut rounds) = (Instant::now(), 0_u64);
        while began.elapsed() < LASTS {
            for _ in 0..8 {
                rounds += 1;
                match plan.op {
                    Op::Set => drop(black_box(lock().insert(black_box(KEY).to_owned(), rounds))),
                    _ => assert!(black_box(lock().get(black_box(KEY)).copied()).is_some()),
                }
            }
        }
        rounds as f64 / began.elapsed().as_secs_f64()
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.clients).map(|_| scope.spawn(client)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does nothing that panics")).sum()
    })
}

fn shared() -> Result<f64, String> {
    let before = proportional_share(std::process::id())?;
    let dict = SharedDict::<u64, u64>::new(ENTRIES as usize, 64 * ENTRIES as usize).map_err(text)?;
    dict.extend((0..ENTRIES).map(entry)).map_err(text)?;
    assert_eq!(dict.len().map_err(text)? as u64, ENTRIES);
    Ok(proportional_share(std::process::id())? - before)
}
