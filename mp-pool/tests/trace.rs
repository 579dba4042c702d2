//! The file of a trace: each task once, the intervals of one worker one after the other, deaths, whatever is killed.

use mp_pool::{Generated, NewPoolError, Pool, Retry, TaskError, TaskOptions, YieldError, Yielder};
use mp_testing::{Folder, kills, parent_in_role, role, while_killing};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

mp_testing::cases! {
    plain: [
        each_task_is_there_whichever_worker_is_killed,
        a_file_that_cannot_be_made_is_an_error,
        a_full_disk_ends_the_trace_alone,
    ]
    every_method: [
        each_task_is_there_once,
        a_killed_workers_task_ends_with_it,
        retries_and_what_is_tried_again_are_there,
        tasks_that_yield_are_there,
        a_killed_parent_leaves_an_open_array,
    ]
}

fn folder() -> Folder {
    Folder::new("mp-test-trace")
}

fn pool(processes: usize, path: &Path) -> Pool {
    Pool::builder().processes(processes).trace(path).build().unwrap()
}

fn square(x: u64) -> u64 {
    x * x
}

fn die_of(x: u64) -> u64 {
    if x == 7 {
        std::process::abort();
    }
    x
}

fn count_and_die_of(to: u64, results: Yielder<u64>) -> Result<(), YieldError> {
    (0..to).try_for_each(|x| results.yield_(x))?;
    die_of(to);
    Ok(())
}

/// A task as the file has it.
#[derive(Debug, Clone)]
struct Interval {
    name: String,
    pid: u64,
    at: f64,
    until: f64,
    call: u64,
    items: std::ops::Range<u64>,
    ended: Option<String>,
}

#[derive(Default)]
struct Read {
    intervals: Vec<Interval>,
    instants: Vec<(String, u64)>,
    names: HashMap<u64, String>,
}

impl Read {
    fn whole(path: &Path) -> Read {
        Read::of(&std::fs::read_to_string(path).unwrap())
    }

    fn of(text: &str) -> Read {
        let events: Vec<Value> = serde_json::from_str(text).unwrap();
        let mut read = Read::default();
        for event in &events {
            let (pid, args) = (event["pid"].as_u64().unwrap(), &event["args"]);
            assert_eq!(event["tid"].as_u64(), Some(pid));
            let name = event["name"].as_str().unwrap().to_owned();
            match event["ph"].as_str().unwrap() {
                "X" => {
                    let at = event["ts"].as_f64().unwrap();
                    let (call, first) = (args["call"].as_u64().unwrap(), args["item"].as_u64().unwrap());
                    read.intervals.push(Interval {
                        name,
                        pid,
                        at,
                        until: at + event["dur"].as_f64().unwrap(),
                        call,
                        items: first..first + args["items"].as_u64().unwrap_or(1),
                        ended: args["ended"].as_str().map(str::to_owned),
                    });
                }
                "i" => read.instants.push((name, pid)),
                "M" => drop(read.names.insert(pid, args["name"].as_str().unwrap().to_owned())),
                other => panic!("{other}"),
            }
        }
        read.check_order();
        read
    }

    /// One worker does one task after the other.
    fn check_order(&self) {
        let mut of_worker: BTreeMap<u64, Vec<&Interval>> = BTreeMap::new();
        self.intervals.iter().for_each(|interval| of_worker.entry(interval.pid).or_default().push(interval));
        for intervals in of_worker.values_mut() {
            intervals.sort_by(|a, b| (a.at, a.until).partial_cmp(&(b.at, b.until)).unwrap());
            for pair in intervals.windows(2) {
                // Times are sums of two decimal numbers.
                assert!(pair[0].until <= pair[1].at + 0.01, "{pair:?}");
            }
        }
        assert!(self.intervals.iter().all(|interval| self.names.contains_key(&interval.pid)));
    }

    /// The items of a call that ended well, and those whose worker died.
    fn of_call(&self, call: u64) -> (Vec<u64>, Vec<u64>) {
        let of = |ended: bool| {
            let is_so = |interval: &&Interval| interval.call == call && interval.ended.is_some() == ended;
            let mut items: Vec<u64> =
                self.intervals.iter().filter(is_so).flat_map(|interval| interval.items.clone()).collect();
            items.sort_unstable();
            items
        };
        (of(false), of(true))
    }

    fn instants(&self, name: &str) -> usize {
        self.instants.iter().filter(|(instant, _)| instant == name).count()
    }
}

fn each_task_is_there_once() {
    let folder = folder();
    let path = folder.path().join("trace.json");
    let pool = pool(2, &path);
    pool.map(square, 0..5000).unwrap();
    pool.map_in_chunks(square, 0..2000, Some(1)).unwrap().wait();
    assert_eq!(pool.imap(square, 0..500).unwrap().count(), 500);
    // Through a block of shared memory, and by message.
    for size in [1 << 20, 17 << 20] {
        assert_eq!(pool.apply(|bytes: Vec<u8>| bytes.len(), (vec![7; size],)).unwrap(), size);
    }
    let pids: Vec<u64> = pool.worker_pids().into_iter().map(u64::from).collect();
    pool.close();
    pool.join().unwrap();
    assert_eq!(pool.trace_error(), None);
    let read = Read::whole(&path);
    for (call, items) in [(0, 5000), (1, 2000), (2, 500), (3, 1), (4, 1)] {
        assert_eq!(read.of_call(call), ((0..items).collect(), vec![]), "call {call}");
    }
    assert!(read.intervals.iter().all(|interval| pids.contains(&interval.pid)));
    assert!(read.intervals.iter().filter(|of| of.call < 3).all(|of| of.name.ends_with("::square")));
    let mut names: Vec<&str> = read.names.values().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        (names, read.instants("start"), read.instants("death")),
        (vec!["PoolWorker-1", "PoolWorker-2"], 2, 0)
    );
}

fn a_killed_workers_task_ends_with_it() {
    let folder = folder();
    let path = folder.path().join("trace.json");
    let pool = pool(1, &path);
    for call in 0..2 {
        let results = match call {
            0 => pool.map_each(die_of, 0..20).unwrap(),
            _ => pool.map_in_chunks(die_of, 0..20, Some(1)).unwrap().get_each(),
        };
        assert!(matches!(results[7], Err(TaskError::WorkerDied { .. })));
    }
    pool.close();
    pool.join().unwrap();
    let read = Read::whole(&path);
    for call in 0..2 {
        assert_eq!(read.of_call(call), ((0..20).filter(|x| *x != 7).collect(), vec![7]), "call {call}");
    }
    let died = read.intervals.iter().find(|interval| interval.ended.is_some()).unwrap();
    assert!(died.ended.as_ref().unwrap().contains("was killed by signal 6 during the task"), "{died:?}");
    assert_eq!((read.instants("death"), read.instants("restart")), (2, 2));
}

fn retries_and_what_is_tried_again_are_there() {
    let folder = folder();
    let path = folder.path().join("trace.json");
    let pool = pool(1, &path);
    let retry = pool.with(TaskOptions::new().retry(Retry::new(2)));
    assert!(retry.apply(die_of, (7,)).is_err());
    pool.close();
    pool.join().unwrap();
    let read = Read::whole(&path);
    assert_eq!((read.of_call(0), read.instants("retry")), ((vec![], vec![0, 0, 0]), 2));
}

fn tasks_that_yield_are_there() {
    let folder = folder();
    let path = folder.path().join("trace.json");
    let pool = pool(2, &path);
    let mut ends: Vec<(u64, bool)> = Vec::new();
    for event in pool.generate(count_and_die_of, 0..40).unwrap() {
        if let Generated::End { item, outcome, .. } = event {
            ends.push((item, outcome.is_ok()));
        }
    }
    pool.map(square, 0..100).unwrap();
    pool.close();
    pool.join().unwrap();
    ends.sort_unstable();
    assert_eq!(ends, (0..40).map(|item| (item, item != 7)).collect::<Vec<_>>());
    let read = Read::whole(&path);
    assert_eq!(read.of_call(0), ((0..40).filter(|item| *item != 7).collect(), vec![7]));
    assert_eq!(read.of_call(1), ((0..100).collect(), vec![]));
    for (call, name) in [(0, "::count_and_die_of"), (1, "::square")] {
        let mut of_call = read.intervals.iter().filter(|of| of.call == call);
        assert!(of_call.all(|of| of.name.ends_with(name)), "{:?}", read.intervals);
    }
    assert_eq!(read.instants("death"), 1);
}

fn each_task_is_there_whichever_worker_is_killed() {
    let folder = folder();
    let path = folder.path().join("trace.json");
    let pool = pool(3, &path);
    let mut calls = Vec::new();
    let moment = Duration::from_micros(3000);
    while_killing(
        kills(40) as usize,
        moment,
        || pool.worker_pids(),
        || {
            calls.push(pool.map_each(square, 0..2000).unwrap());
            calls.push(pool.map_in_chunks(square, 0..500, Some(1)).unwrap().get_each());
        },
    );
    drop(pool);
    let read = Read::whole(&path);
    for (call, results) in (0..).zip(&calls) {
        let those = |died: bool| {
            let ends = (0..).zip(results).filter(|(_, result)| result.is_err() == died);
            ends.map(|(item, _)| item).collect::<Vec<u64>>()
        };
        assert_eq!(read.of_call(call), (those(false), those(true)), "call {call}");
    }
    let died = calls.iter().flatten().filter(|result| result.is_err()).count();
    println!("{} calls, {died} items died with their worker, {} deaths", calls.len(), read.instants("death"));
}

fn a_killed_parent_leaves_an_open_array() {
    if role().is_some() {
        let path = std::env::var_os("MP_TEST_TRACE").unwrap();
        let pool = pool(2, Path::new(&path));
        pool.map(square, 0..200_000).unwrap();
        pool.map_in_chunks(square, 0..50_000, Some(1)).unwrap().wait();
        println!("done");
        loop {
            pool.map(square, 0..1000).unwrap();
        }
    }
    let folder = folder();
    let path = folder.path().join("trace.json");
    let mut parent = parent_in_role("parent").env("MP_TEST_TRACE", &path).spawn().unwrap();
    let (mut says, mut line) = (BufReader::new(parent.stdout.take().unwrap()), String::new());
    says.read_line(&mut line).unwrap();
    assert_eq!(line, "done\n");
    parent.kill().unwrap();
    parent.wait().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.ends_with("]\n"));
    // The last line may be a part of one.
    let read = Read::of(&format!("{}]", &text[..text.rfind(",\n").unwrap()]));
    let (items, died) = read.of_call(0);
    assert!(!items.is_empty() && items.windows(2).all(|pair| pair[0] < pair[1]) && died.is_empty());
}

fn a_file_that_cannot_be_made_is_an_error() {
    let failed = Pool::builder().processes(1).trace("/nowhere/trace.json").build();
    let error = failed.err().unwrap();
    assert!(matches!(&error, NewPoolError::Trace { path, .. } if path == Path::new("/nowhere/trace.json")));
    assert!(error.to_string().contains("/nowhere/trace.json: "), "{error}");
}

fn a_full_disk_ends_the_trace_alone() {
    let pool = pool(1, Path::new("/dev/full"));
    assert_eq!(pool.map(square, 0..3).unwrap(), [0, 1, 4]);
    assert!(pool.trace_error().unwrap().contains("os error 28"));
}
