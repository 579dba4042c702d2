//! What each example must have done, counted from what it printed and from nothing it says of itself.

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
    fn after(&self, start: &str) -> &str {
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
fn numbers(text: &str) -> Vec<u64> {
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
    let [last_arrival, first_departure, leaders] = numbers(said.after("last"))[..] else { panic!() };
    assert!(last_arrival < first_departure);
    assert_eq!(leaders, 1);
    let arrival = |name: &str| said.after(name).rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    let (p1, p2) = (arrival("p1 - with barrier"), arrival("p2 - with barrier"));
    // Two steps lie between them: those who pass by while p1 waits. And p2 is the last.
    assert_eq!((p1 + 3, p1.max(p2)), (p2, last_arrival));
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
