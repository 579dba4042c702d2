//! The guides name what there is: each name in code in a table's column of ours is public, or an example, or a file.
//! (Their blocks of code are doc-tests of `mp::guide`.)

use std::collections::HashSet;
use std::fs;
use std::path::Path;

const GUIDES: [&str; 3] = ["coming-from-python", "deaths", "which"];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Every word in the lists of the public surface.
fn public() -> HashSet<String> {
    let crates =
        ["mp", "mp_core", "mp_manager", "mp_pipe", "mp_pool", "mp_queue", "mp_shm", "mp_sync", "mp_derive"];
    let lists = crates.map(|name| read(&format!("docs/surface/{name}.txt")));
    lists.iter().flat_map(|list| words(list)).map(str::to_owned).collect()
}

/// What stands in code between the bars of the columns from `first` to `last`, with its row.
fn code(guide: &str, columns: std::ops::RangeInclusive<usize>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for row in guide.lines().filter(|line| line.starts_with("| ")) {
        for cell in row.split(" | ").enumerate().filter(|(at, _)| columns.contains(at)).map(|(_, cell)| cell)
        {
            found.extend(cell.split('`').skip(1).step_by(2).map(|code| (code.to_owned(), row.to_owned())));
        }
    }
    found
}

/// Rust's own, and the system's.
const ELSEWHERE: &str = "std thread scope rayon Drop Debug Send Err Ok exit n signal _exit asyncio";

fn unknown(code: &[(String, String)], public: &HashSet<String>) -> Vec<String> {
    let elsewhere: HashSet<&str> = ELSEWHERE.split(' ').collect();
    let exists = |word: &str| {
        public.contains(word)
            || elsewhere.contains(word)
            || word.parse::<u32>().is_ok()
            || Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{word}.rs")).exists()
            || Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{word}.md")).exists()
    };
    let wrong = |(code, row): &(String, String)| {
        let missing: Vec<&str> =
            words(code).filter(|word| !exists(word) && *word != "docs" && *word != "md").collect();
        (!missing.is_empty()).then(|| format!("{missing:?} of `{code}` in: {row}"))
    };
    code.iter().filter_map(wrong).collect()
}

#[test]
fn every_name_of_ours_is_public() {
    let public = public();
    let [python, deaths, which] = GUIDES.map(|guide| read(&format!("docs/{guide}.md")));
    let ours = [code(&python, 1..=1), code(&deaths, 0..=2), code(&which, 2..=2)];
    assert!(
        ours[0].len() > 150 && ours[1].len() > 50 && ours[2].len() > 5,
        "{:?}",
        ours.map(|code| code.len())
    );
    for code in &ours {
        assert_eq!(unknown(code, &public), [""; 0]);
    }
    // And one that is not would be seen.
    let made_up = ("Queue::put_twice".to_owned(), "a row".to_owned());
    assert_eq!(unknown(&[made_up], &public).len(), 1);
}

#[test]
fn every_name_of_python_is_in_the_guide() {
    let guide = read("docs/coming-from-python.md");
    for name in [
        "Process",
        "Queue",
        "JoinableQueue",
        "SimpleQueue",
        "Pipe",
        "Lock",
        "RLock",
        "Semaphore",
        "BoundedSemaphore",
        "Condition",
        "Event",
        "Barrier",
        "Value",
        "Array",
        "RawValue",
        "RawArray",
        "Manager",
        "Pool",
        "active_children",
        "current_process",
        "parent_process",
        "cpu_count",
        "freeze_support",
        "get_logger",
        "log_to_stderr",
        "set_executable",
        "set_forkserver_preload",
        "get_context",
        "get_start_method",
        "set_start_method",
        "get_all_start_methods",
        "Listener",
        "Client",
        "SharedMemory",
        "ShareableList",
        "imap",
        "starmap",
        "map_async",
        "apply_async",
        "task_done",
        "qsize",
        "recv_bytes_into",
        "deliver_challenge",
        "notify_all",
        "wait_for",
        "terminate",
        "interrupt",
        "sentinel",
        "exitcode",
        "maxtasksperchild",
        "initializer",
        "synchronized",
    ] {
        assert!(words(&guide).any(|word| word == name), "{name}");
    }
}
