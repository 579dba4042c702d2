//! Looking at processes from outside, through `/proc`; at names, and at source files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The descriptors that a process has open, as `number -> target`, sorted.
pub fn open_descriptors(pid: u32) -> Vec<(u32, String)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let mut open: Vec<(u32, String)> = entries
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = fs::read_link(entry.path()).ok()?;
            Some((number, target.to_string_lossy().into_owned()))
        })
        .collect();
    open.sort();
    open
}

/// What a process is called in process lists; nothing if there is none.
pub fn process_name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned()
}

/// The names under `/dev/shm`, sorted.
pub fn shared_memory_names() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/dev/shm") else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Whether there is such a name under `/dev/shm`.
pub fn shared_memory_exists(name: &str) -> bool {
    shared_memory_names().iter().any(|other| other == name)
}

/// Waits until a name under `/dev/shm` is unlinked, by a process that is at work.
pub fn wait_until_gone(name: &str) {
    while shared_memory_exists(name) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How the names begin that this library makes up, and its tests.
const OURS: [&str; 3] = ["psm_", ".mp-owner-", "mp-"];

/// Waits until every name under `/dev/shm` is gone that is there now, was not there `before`, and could be ours. Those
/// of other programs that use the library come and go; one that the case has left stays, and the case hangs.
pub fn no_new_shared_memory(before: &[String]) {
    let is_new = |name: &String| OURS.iter().any(|start| name.starts_with(start)) && !before.contains(name);
    let new: Vec<String> = shared_memory_names().into_iter().filter(is_new).collect();
    while shared_memory_names().iter().any(|name| new.contains(name)) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Every source file in a folder and in those below it, but for what cargo has built.
pub fn sources_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of this repository") {
        let path = entry.expect("it stays there").path();
        if path.is_dir() && !path.ends_with("target") {
            found.extend(sources_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// What a process, or a thread, does, by the system's letter: `S` it sleeps, `T` it is stopped, `R` it runs, `Z` it has
/// ended. `None`: there is none.
pub fn state(id: u32) -> Option<char> {
    state_and_parent(id).map(|(state, _)| state)
}

fn state_and_parent(id: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before it may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// All processes that descend from `root`, nearest first, with their state letters.
pub fn descendants(root: u32) -> Vec<(u32, char)> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        match state_and_parent(pid) {
            // `X`: its parent has reaped it, and the kernel is taking its entry away.
            None | Some(('X', _)) => {}
            Some((state, parent)) => all.push((pid, parent, state)),
        }
    }
    let mut found = vec![(root, '?')];
    let mut at = 0;
    while at < found.len() {
        let above = found[at].0;
        found.extend(
            all.iter().filter(|(_, parent, _)| *parent == above).map(|(pid, _, state)| (*pid, *state)),
        );
        at += 1;
    }
    found.split_off(1)
}

/// One line on what a process is doing: its name, its state, and what each thread waits for.
pub(crate) fn describe(pid: u32) -> String {
    let read = |file: String| fs::read_to_string(file).unwrap_or_default().trim().to_owned();
    let name = process_name(pid);
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let waits: Vec<String> = threads
        .map(|thread| {
            let folder = thread.path().display().to_string();
            let call = read(format!("{folder}/syscall"));
            let call = call.split_whitespace().next().unwrap_or("?").to_owned();
            format!(
                "{} waits in {} (system call {call})",
                thread.file_name().display(),
                read(format!("{folder}/wchan"))
            )
        })
        .collect();
    format!("  {pid} {name}: {}", waits.join("; "))
}
