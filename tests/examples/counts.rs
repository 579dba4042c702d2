//! What each example must have done, counted from what it printed and from nothing it says of itself.

pub(crate) use super::pipelines::*;
use std::collections::{BTreeMap, BTreeSet};

/// One run's output.
pub(crate) struct Said {
    pub(crate) lines: Vec<String>,
    /// On standard error.
    pub(crate) complained: String,
    pub(crate) as_in_course: bool,
}

impl Said {
    /// What follows `start` in the one line that begins so.
    pub(crate) fn after(&self, start: &str) -> &str {
        let mut found = self.lines.iter().filter_map(|line| line.strip_prefix(start));
        match (found.next(), found.next()) {
            (Some(rest), None) => rest,
            _ => panic!("not one line that begins with {start:?} in {:?}", self.lines),
        }
    }

    fn at(&self, line: &str) -> usize {
        self.lines.iter().position(|other| other == line).unwrap_or_else(|| panic!("no line {line:?}"))
    }
}

/// The numbers in a text.
pub(crate) fn numbers(text: &str) -> Vec<u64> {
    text.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

pub(crate) fn ex01_create_processes(said: &Said) {
    let calls = said.lines.iter().filter_map(|line| line.strip_prefix("called in process "));
    let called: Vec<u32> = calls.map(|number| number.parse().unwrap()).collect();
    assert_eq!(called, [0, 1, 2, 3, 4]);
    assert_eq!(numbers(&said.lines[5]), [5, 5, 0]);
    assert_eq!(said.lines.len(), 6);
}

pub(crate) fn ex02_process_names(said: &Said) {
    let names: BTreeSet<&str> = said.lines.iter().filter_map(|line| line.strip_suffix(" starts")).collect();
    assert_eq!(names, BTreeSet::from(["Process-1", "Process-2", "foo_process"]));
    for name in names {
        assert!(said.at(&format!("{name} starts")) < said.at(&format!("{name} ends")));
    }
}

pub(crate) fn ex03_background_process(said: &Said) {
    assert!(said.at("main ends") < said.at("NO_background ends"));
    assert!(!said.lines.iter().any(|line| line.contains("background ends") && !line.starts_with("NO_")));
    let pid: u32 = said.complained.trim().rsplit(' ').next().unwrap().parse().unwrap();
    // Gone; by now its id may be that of some other program.
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    assert!(!program.ends_with("ex03_background_process"), "the daemon {pid} is there still");
}

pub(crate) fn ex03b_background_script(said: &Said) {
    assert!(said.at("main ends") < said.at("NO_background ends"));
    said.at("the file of the background process is still there");
    assert!(!said.lines.contains(&"background ends".to_owned()));
}

pub(crate) fn ex04_kill_process(said: &Said) {
    let states: Vec<(&str, bool)> = said.lines[..3]
        .iter()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(state, alive)| (state, alive.parse().unwrap()))
        .collect();
    assert_eq!(states, [("initial", false), ("started", true), ("stopped", false)]);
    let codes: Vec<i32> = said.lines[3..].iter().map(|line| line.parse().unwrap()).collect();
    // SIGTERM, SIGKILL, a return, an exit, a panic.
    assert_eq!(codes, [-15, -9, 0, 3, 101]);
    assert!(!said.lines.contains(&"function ends".to_owned()));
    assert!(said.complained.contains("a deliberate panic"));
}

pub(crate) fn ex05_process_trait(said: &Said) {
    let calls = said.lines.iter().filter_map(|line| line.strip_prefix("called run method in MyProcess-"));
    let called: BTreeSet<u32> = calls.map(|number| number.parse().unwrap()).collect();
    assert_eq!((called.len(), called.first(), called.last()), (5, Some(&1), Some(&5)));
    assert_eq!(numbers(said.after("the parent's field")), [7, 7, 8]);
}

pub(crate) fn ex06_queue(said: &Said) {
    if said.as_in_course {
        assert_eq!(numbers(said.after("consumed ")), [0, 5]);
        return;
    }
    assert_eq!(numbers(said.after("produced ")), [5, 5]);
    assert_eq!(numbers(said.after("[")), [12, 7, 42, 3, 99]);
}

pub(crate) fn ex07_pipe_chain(said: &Said) {
    let (end, items) = said.lines.split_last().unwrap();
    if said.as_in_course {
        assert!(items[0].ends_with(": timeout") && end.ends_with(": End"));
        return;
    }
    let squares: Vec<u64> = items.iter().map(|line| line.parse().unwrap()).collect();
    assert_eq!(squares, (0..10).map(|item| item * item).collect::<Vec<u64>>());
    assert_eq!(end, "End");
}

pub(crate) fn ex08_barrier_lock(said: &Said) {
    let [of_threads, of_processes] = ["threads: last", "last"].map(|start| numbers(said.after(start)));
    for met in [&of_threads, &of_processes] {
        let [last_arrival, first_departure, leaders] = met[..] else { panic!("{met:?}") };
        assert!(last_arrival < first_departure);
        assert_eq!(leaders, 1);
    }
    let arrival = |name: &str| said.after(name).rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    let (p1, p2) = (arrival("p1 - with barrier"), arrival("p2 - with barrier"));
    // Two steps lie between them: the processes that pass while p1 waits. And p2 is the last.
    assert_eq!((p1 + 3, p1.max(p2)), (p2, of_processes[0]));
    let line = |name: &str| said.lines.iter().position(|line| line.starts_with(name)).unwrap();
    assert!(line("p3").max(line("p4")) < line("p1"));
}

pub(crate) fn ex08b_barrier_script(said: &Said) {
    let ended: BTreeMap<&str, &str> = said.lines.iter().filter_map(|line| line.split_once(" - ")).collect();
    if said.as_in_course {
        assert_eq!(ended, BTreeMap::from([("p1", "broken"), ("p2", "broken")]));
        return;
    }
    assert_eq!(ended.keys().copied().collect::<String>(), "p1p2p3p4");
    assert_eq!(ended.values().filter(|end| **end == "met the other").count(), 2);
    assert_eq!(said.lines.len(), 4);
}

pub(crate) fn ex09_manager_dict(said: &Said) {
    if said.as_in_course {
        assert_eq!(numbers(said.after("counter ")), [1, 10]);
        return;
    }
    let pairs: Vec<(u64, u64)> = numbers(said.after("{")).chunks(2).map(|pair| (pair[0], pair[1])).collect();
    assert_eq!(pairs, (0..10).map(|key| (key, 2 * key)).collect::<Vec<_>>());
    assert_eq!(numbers(said.after("started ")), [10]);
    let counters = said.lines.iter().filter(|line| line.starts_with("counter "));
    assert_eq!(counters.flat_map(|line| numbers(line)).collect::<Vec<_>>(), [10, 10]);
}

pub(crate) fn ex10_pool_map(said: &Said) {
    let squares = numbers(said.after("Pool    : "));
    assert_eq!(squares, (0..100).map(|x| x * x).collect::<Vec<u64>>());
    assert_eq!(numbers(said.after("sum ")), [squares.iter().sum::<u64>()]);
    assert_eq!(squares.iter().sum::<u64>(), 328_350);
    assert_eq!(numbers(said.after("workers ")), [4]);
    assert_eq!(numbers(said.after("99 results")), [1, 37, 37]);
    assert_eq!(numbers(said.after("after join: ")), [0]);
    // Said once, by the process whose task it was.
    assert_eq!(said.complained.matches("no square of 37").count(), 1, "{}", said.complained);
}

pub(crate) fn ex11_isolation(said: &Said) {
    let ends: Vec<&str> = (0..4).map(|worker| said.after(&format!("worker {worker}: "))).collect();
    assert_eq!(ends, ["Killed(6)", "Panicked", "Done(4)", "Done(9)"]);
    let done = ends.iter().filter(|end| end.starts_with("Done")).count() as u64;
    assert_eq!(numbers(said.lines[4].as_str()), [done, ends.len() as u64]);
    assert!(said.after("the same abort in a thread").ends_with(" -6"));
    // Once by the worker that is a process, and once by the one that is a thread, if it came to it.
    assert!((1..=2).contains(&said.complained.matches("a deliberate panic").count()));
}

pub(crate) fn ex20_start_join_loop(said: &Said) {
    let serial: Vec<u32> = said.lines[..5].iter().map(|line| line.parse().unwrap()).collect();
    assert_eq!(serial, [0, 1, 2, 3, 4]);
    assert_eq!(numbers(said.after("join inside the loop")), [1]);
    let [set, most] = &said.lines[6..] else { panic!("{:?}", said.lines) };
    assert_eq!(numbers(set), [0, 1, 2, 3, 4]);
    assert_eq!(numbers(most), [5]);
}

pub(crate) fn ex21_worker_hello(said: &Said) {
    assert_eq!(said.lines, ["local hello", "Worker-1", "0"]);
}

pub(crate) fn ex23_pipe_two_children(said: &Said) {
    let lists: Vec<&String> = said.lines.iter().filter(|line| line.starts_with('[')).collect();
    assert_eq!(lists, [r#"[42, None, "hello", true]"#]);
    // By the second one to be started, and by no other.
    assert_eq!(numbers(said.after("printed by Process-")), [2]);
    assert_eq!(said.lines.len(), 2);
}

pub(crate) fn ex25_introspection(said: &Said) {
    let parents: BTreeMap<&str, &str> =
        said.lines.iter().filter_map(|line| line.split_once(", parent ")).collect();
    let expected = [("MainProcess", "None"), ("Process-1", "MainProcess"), ("Process-1:1", "Process-1")];
    assert_eq!(parents, BTreeMap::from(expected));
    let active = said.lines.iter().filter_map(|line| line.strip_prefix("active "));
    assert_eq!(active.collect::<Vec<_>>(), ["3", "0"]);
    let [online, usable] = numbers(&said.complained)[..] else { panic!("{}", said.complained) };
    assert!(0 < usable && usable <= online);
}

pub(crate) fn ex26_lifecycle(said: &Said) {
    let codes = said.lines.iter().filter_map(|line| line.split_once("exit code "));
    assert_eq!(codes.map(|(_, code)| code).collect::<Vec<_>>(), ["None", "-15", "-9"]);
    let lives: Vec<bool> = said.lines.iter().map(|line| line.contains("alive true")).collect();
    assert_eq!(lives.iter().filter(|alive| **alive).count(), 1);
    assert!(said.after("close while running: ").starts_with("refused"));
    assert_eq!(said.after("closed: "), "ok");
    assert_eq!(numbers(said.after("a daemon's child: ")), [49]);
    assert_eq!(numbers(&said.lines[8]), [1]);
}

pub(crate) fn ex27_entry_guard(said: &Said) {
    assert_eq!(said.lines.iter().filter(|line| *line == "main runs").count(), 1);
    assert_eq!(numbers(said.after("the child's value: ")), [42]);
    assert_eq!(said.after("with a variable that is not its parent's: "), "main runs");
    assert_eq!(said.lines.len(), 3);
    assert!(said.complained.is_empty(), "{}", said.complained);
}

pub(crate) fn ex54_killable(said: &Said) {
    assert_eq!(said.after("process in an endless loop: "), "alive true");
    assert_eq!(said.after("process: "), "Killed(9)");
    assert_eq!(said.after("thread: "), "stopped by flag");
}

pub(crate) fn ex24_lock_hello(said: &Said) {
    if said.as_in_course {
        assert!(numbers(said.after("without the lock, most at a time inside: "))[0] >= 2);
        return;
    }
    let hellos = said.lines.iter().filter_map(|line| line.strip_prefix("hello world "));
    let mut greeted: Vec<u32> = hellos.map(|number| number.parse().unwrap()).collect();
    greeted.sort_unstable();
    assert_eq!(greeted, Vec::from_iter(0..10));
    assert_eq!(said.after("most at a time inside: "), "1");
    assert!(said.after("abandoned: ").contains("died"));
    assert!(said.at("most at a time inside: 1") < said.at("then progress: true"));
    assert_eq!(said.lines.len(), 13);
}

pub(crate) fn ex32_lost_update(said: &Said) {
    let (what, total) = if said.as_in_course {
        ("both read before either writes", "1")
    } else {
        ("a lock around both steps", "2")
    };
    for kind in ["processes", "threads"] {
        assert_eq!(said.after(&format!("two {kind}, {what}: ")), total);
    }
    assert_eq!(said.lines.len(), 2);
}

pub(crate) fn ex33_switch_cost(said: &Said) {
    for kind in ["processes", "threads", "coroutines"] {
        assert_eq!(numbers(said.after(&format!("{kind}: "))), [1000, 1000]);
        // How long it took is told, and nothing is expected of it.
        let told = said.complained.lines().filter(|line| line.starts_with(&format!("{kind}: ")));
        assert_eq!(told.filter(|line| line.ends_with("s a switch")).count(), 1, "{}", said.complained);
    }
    assert_eq!(said.lines.len(), 3);
}

pub(crate) fn ex34_shared_or_not(said: &Said) {
    assert_eq!(numbers(said.after("filled by a thread: ")), [5]);
    assert_eq!(numbers(said.after("filled by a process: ")), [0, 5]);
    assert_eq!(numbers(said.after("in shared memory: ")), [0, 1, 2, 3, 4]);
    assert_eq!(numbers(said.after("in a manager: ")), [5]);
}

pub(crate) fn ex3a_async_per_process(said: &Said) {
    let [processes, coroutines, threads] = numbers(&said.lines[0])[..] else { panic!("{:?}", said.lines) };
    assert!(processes > 1 && coroutines > 1 && threads == 1);
    let all = processes * coroutines;
    assert_eq!(numbers(said.after("most requests in flight at a time: ")), [all]);
    assert_eq!(numbers(&said.lines[2]), [all, all]);
    assert!(numbers(&said.complained)[0] > 0);
}

pub(crate) fn ex3b_async_connections(said: &Said) {
    assert_eq!(numbers(said.after("quick child: ")), [3]);
    assert_eq!(said.after("slow child: "), "half now, half later");
    assert!(said.lines[2].ends_with(": true"));
    assert_eq!(numbers(said.after("threads: ")), [1]);
}

pub(crate) fn ex12_sum_table(said: &Said) {
    let mut rows = said.lines.iter().map(|line| numbers(line));
    for n in [1_000_000, 999_983] {
        for processes in [1, 2, 4, 8] {
            assert_eq!(rows.next().unwrap(), [n, processes, n, n * (n + 1) / 2]);
        }
    }
    assert_eq!(rows.next(), None);
}

pub(crate) fn ex14_shared_type(said: &Said) {
    let sum = 4 * 100;
    assert_eq!(numbers(said.after("4 processes put in 100 each: ")), [sum]);
    assert_eq!(numbers(said.after("taken out: ")), [150, sum - 150]);
    assert_eq!(numbers(said.after("still there: ")), [sum - 150]);
    assert_eq!(said.lines.len(), 5);
}

pub(crate) fn ex15_supervised_actor(said: &Said) {
    // Made again once, as its policy says, and then no more.
    let ends: Vec<&str> = said
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix("it died in the call, and there is a new one: "))
        .collect();
    assert_eq!(ends, ["true", "false"]);
    assert_eq!(numbers(said.after("other objects of the manager go on: ")), [2, 1]);
    assert_eq!(said.lines.len(), 6);
}

pub(crate) fn ex3c_await_tasks(said: &Said) {
    let sum: u64 = (0..10).map(|x| x * x).sum();
    assert_eq!(numbers(said.after("10 tasks awaited one by one: ")), [sum]);
    assert_eq!(numbers(said.after("the first of two to come: ")), [49]);
    assert_eq!(said.after("the other one was cancelled: "), "true");
    assert_eq!(said.after("a task that aborts: "), "killed by signal 6");
    assert_eq!(numbers(said.after("the executor goes on: ")), [81]);
}

pub(crate) fn ex53_fetch_images(said: &Said) {
    assert_eq!(said.lines.len(), 6);
    for (lines, threads) in said.lines.chunks(3).zip([1, 16]) {
        assert_eq!(numbers(&lines[0]), [threads, 62, threads]);
        let failed = [
            format!("{threads} threads: image 17 failed: 404"),
            format!("{threads} threads: image 41 failed: the connection was cut"),
        ];
        assert_eq!(lines[1..], failed);
    }
}

pub(crate) fn ex22_queue_objects(said: &Said) {
    assert_eq!(said.lines, ["[42, None, \"hello\"]", "decode error, then 7"]);
}

pub(crate) fn ex50_queue_add(said: &Said) {
    if said.as_in_course {
        assert_eq!(said.lines, ["4", "2 4 6 8"]);
        return;
    }
    assert_eq!(numbers(&said.lines[0]), [4]);
    for (line, number) in said.lines[1..5].iter().zip(1..) {
        assert_eq!(numbers(line), [number, 10 * number, 11 * number]);
    }
    assert_eq!(numbers(&said.lines[5]), [1 << 20]);
}

pub(crate) fn ex55_pump_vs_lock(said: &Said) {
    assert_eq!(said.after("4 processes, 250 each, by messages: "), "1000");
    assert_eq!(said.after("4 processes, 250 each, by a lock: "), "1000");
}

pub(crate) fn ex30_serial_parallel_model(said: &Said) {
    let traces = ["one core, one after the other: ", "one core, in turns: ", "two cores: "].map(|of| {
        let seconds: Vec<&str> = said.after(of).split(' ').collect();
        // Three seconds of each task, whatever the order.
        for task in ['A', 'B'] {
            assert_eq!(seconds.iter().filter(|second| second.contains(task)).count(), 3, "{of}{seconds:?}");
        }
        seconds.len() as u64
    });
    assert_eq!(traces, [6, 6, 3]);
    assert_eq!(numbers(said.after("seconds: ")), traces);
    assert_eq!(said.complained.matches("ns of a processor").count(), 2);
}

pub(crate) fn ex31_io_overlap(said: &Said) {
    assert_eq!(numbers(said.after("model, one after the other: ")), [8]);
    assert_eq!(numbers(said.after("model, overlapped on one core: ")), [5]);
    let events: Vec<&str> = said.after("one thread: ").split(", ").collect();
    let at = |event: &str| events.iter().position(|other| *other == event).unwrap();
    for step in ["yellow 1", "yellow 2", "yellow 3"] {
        assert!(at("blue asks") < at(step) && at(step) < at("blue has the answer"), "{events:?}");
    }
}

pub(crate) fn ex35_spawn_cost(said: &Said) {
    assert_eq!(numbers(said.after("Fork: ")), [9, 9, 9, 0]);
    assert_eq!(numbers(said.after("Spawn: ")), [9, 9, 0, 0]);
    assert_eq!(numbers(said.after("ForkServer: ")), [9, 9, 0, 0]);
    assert_eq!(numbers(said.after("threads: ")), [9, 9]);
    for start in ["Fork: ", "Spawn: ", "ForkServer: ", "threads: "] {
        assert_eq!(said.complained.lines().filter(|line| line.starts_with(start)).count(), 1);
    }
}

/// The two lessons print the same, byte for byte: this is both.
fn coroutines_in_turn(said: &Said) {
    let steps: Vec<&str> = said.lines[0].split(' ').collect();
    for (at, step) in steps.iter().enumerate() {
        assert_eq!(*step, format!("{}{}", ["A", "B"][at % 2], at / 2 + 1));
    }
    assert_eq!(steps.len(), 6);
    assert_eq!(numbers(said.after("threads: ")), [1]);
    assert_eq!(said.lines.len(), 2);
}

pub(crate) fn ex36_async_generators(said: &Said) {
    coroutines_in_turn(said);
}

pub(crate) fn ex37_async_library(said: &Said) {
    coroutines_in_turn(said);
}

pub(crate) fn ex38_starvation(said: &Said) {
    let place = |steps: &str, step: &str| steps.split([' ', ',']).position(|other| other == step).unwrap();
    if said.as_in_course {
        let steps = said.after("coroutines, and G never pauses: ");
        assert!(place(steps, "G3") < place(steps, "A1"), "{steps}");
        return;
    }
    let steps = said.after("coroutines that pause: ");
    assert!(place(steps, "G1") < place(steps, "A1") && place(steps, "A1") < place(steps, "G2"), "{steps}");
    let threads: Vec<&str> = said.after("threads, and G never pauses: ").split(", ").collect();
    assert_eq!((threads[0], threads[4]), ("G begins", "G ends"));
    assert_eq!(numbers(&threads[1..4].join(" ")), [1, 2, 3]);
}

fn cells(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

pub(crate) fn ex39_compare(said: &Said) {
    // Two spaces or more lie between two cells.
    let rows: Vec<Vec<&str>> = said.lines.iter().map(|line| cells(line)).collect();
    assert_eq!(rows[1], ["threads", "the system", "many"]);
    assert_eq!(rows[2], ["async", "the task", "1"]);
    assert_eq!(rows[3], ["processes", "the system", "many"]);
}

pub(crate) fn ex51_log_in_thread(said: &Said) {
    assert!(said.at("3") < said.at("* logging is finished."));
    assert_eq!(said.after("the file holds "), "\"3\\n\"");
    assert!(said.after("a folder that is not there: ").contains("No such file"));
}

pub(crate) fn ex52_log_two_threads(said: &Said) {
    assert!(said.at("3") < said.at("* logging 1 is finished."));
    assert!(said.at("* logging 1 is finished.") < said.at("* logging 2 is finished."));
    assert_eq!(numbers(&said.lines[3]), [1, 3, 2, 3]);
}

pub(crate) fn ex56_ticker(said: &Said) {
    let ticks = said.lines.iter().filter_map(|line| line.strip_prefix("tick ")).count();
    assert!(ticks >= 3);
    assert_eq!(numbers(said.after("the worker's result: ")), [(0..1000).sum::<u64>()]);
}
