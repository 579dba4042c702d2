//! The sweep over a few operations whose points are few, or over a few of their points: all is well with them. A lock
//! without an owner fails, and a child that is not tied to its parent. The whole sweep is `just sweep`.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::process::{Command, Output};

fn sweep(arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mp-sweep"));
    command.args(arguments.split_whitespace()).output().unwrap()
}

/// `operation mode points stuck lost torn timer`, of each row.
fn rows(output: &Output) -> Vec<(String, String, [u64; 5])> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("operation\tmode\tpoints\tstuck\tlost\ttorn\ttimer\tworst_ms"));
    let row = |line: &str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let numbers: Vec<u64> = columns[2..7].iter().map(|number| number.parse().unwrap()).collect();
        columns[7].parse::<f64>().unwrap();
        (columns[0].to_owned(), columns[1].to_owned(), numbers.try_into().unwrap())
    };
    lines.map(row).collect()
}

/// Nothing is stuck, lost or torn at any point of these, and each of them has at least so many points.
fn is_well(arguments: &str, expected: &[(&str, &str, u64)]) {
    let output = sweep(&format!("{arguments} --tsv"));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stdout));
    let rows = rows(&output);
    let names: Vec<(&str, &str)> = rows.iter().map(|(name, mode, _)| (&**name, &**mode)).collect();
    assert_eq!(names, expected.iter().map(|(name, mode, _)| (*name, *mode)).collect::<Vec<_>>());
    for ((name, mode, [points, stuck, lost, torn, _]), (.., least)) in rows.iter().zip(expected) {
        assert!(points >= least, "{name} {mode} has {points} points");
        assert_eq!([stuck, lost, torn], [&0; 3], "{name} {mode}: {told}");
    }
}

/// A process is stuck after some points of this one, and after others not. What is reported of it.
fn is_stuck_at_some(operation: &str, arguments: &str) -> String {
    let output = sweep(&format!("{operation} {arguments} --tsv"));
    assert_eq!(output.status.code(), Some(1));
    let rows = rows(&output);
    let [(name, _, [points, stuck, ..])] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(name, operation);
    assert!(*stuck > 0 && stuck < points, "{stuck} of {points}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn nothing_is_hurt_by_a_death_at_any_instruction() {
    is_well(
        "semaphore.acquire event.clear",
        &[("semaphore.acquire", "kill", 30), ("event.clear", "kill", 20)],
    );
}

#[test]
fn a_sleeper_goes_on_though_its_waker_died() {
    is_well(
        "semaphore.release.asleep event.set.asleep --every 7",
        &[("semaphore.release.asleep", "kill/7", 7), ("event.set.asleep", "kill/7", 7)],
    );
}

#[test]
fn nothing_is_hurt_by_the_death_of_a_managers_client() {
    is_well(
        "manager.put manager.get --every 2999",
        &[("manager.put", "kill/2999", 3), ("manager.get", "kill/2999", 3)],
    );
}

#[test]
fn nothing_is_hurt_by_the_death_of_a_lock_holder() {
    is_well(
        "lock.release lock.release.asleep value.update --every 41",
        &[
            ("lock.release", "kill/41", 10),
            ("lock.release.asleep", "kill/41", 10),
            ("value.update", "kill/41", 10),
        ],
    );
    is_well(
        "queue.put queue.put.asleep --every 997",
        &[("queue.put", "kill/997", 5), ("queue.put.asleep", "kill/997", 5)],
    );
}

#[test]
fn nothing_is_hurt_by_the_death_of_a_dicts_user() {
    is_well(
        "dict.insert.grow dict.replace --every 9999",
        &[("dict.insert.grow", "kill/9999", 2), ("dict.replace", "kill/9999", 2)],
    );
    is_well("dict.update --barge --every 14999", &[("dict.update", "barge/14999", 2)]);
}

#[test]
fn nothing_is_hurt_by_a_death_in_any_form_of_a_queue() {
    let names = [
        "queue.get.full",
        "queue.put_many.asleep",
        "queue.get_many",
        "queue.put.grow",
        "queue.get.leave",
        "queue.handles.put",
        "queue.handles.get.empty",
        "queue.poll.put",
        "queue.poll.get.empty",
        "fixed.put.asleep",
        "fixed.get",
        "joinable.get",
        "joinable.task_done",
        "joinable.join.lost",
    ];
    is_well(&format!("{} --every 2999", names.join(" ")), &names.map(|name| (name, "kill/2999", 2)));
}

#[test]
fn each_item_of_a_pool_has_one_end_whichever_worker_dies() {
    is_well("pool.take pool.steal --every 61", &[("pool.take", "kill/61", 3), ("pool.steal", "kill/61", 3)]);
    is_well(
        "pool.begin pool.done pool.chunk --every 2999",
        &[("pool.begin", "kill/2999", 3), ("pool.done", "kill/2999", 3), ("pool.chunk", "kill/2999", 3)],
    );
    is_well(
        "pool.steal --stop --barge --pass --every 101",
        &[("pool.steal", "stop/101", 2), ("pool.steal", "barge/101", 2), ("pool.steal", "pass/101", 2)],
    );
    is_well("pool.take --twice --every 101", &[("pool.take", "twice/101", 3)]);
}

#[test]
fn others_do_the_items_of_a_run_whatever_becomes_of_its_worker() {
    is_well(
        "pool.run pool.run.steal --stop --every 24989",
        &[("pool.run", "stop/24989", 4), ("pool.run.steal", "stop/24989", 1)],
    );
    is_well(
        "pool.run.steal --stop --barge --pass --every 997",
        &[
            ("pool.run.steal", "stop/997", 2),
            ("pool.run.steal", "barge/997", 2),
            ("pool.run.steal", "pass/997", 2),
        ],
    );
}

#[test]
fn each_value_of_a_task_that_yields_comes_once_whichever_worker_dies() {
    for mode in ["kill", "stop", "barge", "pass"] {
        let row = format!("{mode}/7993");
        let flag = if mode == "kill" { String::new() } else { format!("--{mode}") };
        is_well(
            &format!("pool.ring pool.ring.asleep {flag} --every 7993"),
            &[("pool.ring", &row, 5), ("pool.ring.asleep", &row, 5)],
        );
    }
}

#[test]
fn a_worker_that_begins_before_it_says_so_is_caught() {
    is_well("mutant.pool --every 1999", &[("mutant.pool", "kill/1999", 3)]);
    let told = is_caught("mutant.pool.begin_late --every 997");
    assert!(told.contains("item 0 was begun 2 times"), "{told}");
}

#[test]
fn nothing_is_hurt_if_others_act_or_wait_meanwhile() {
    is_well(
        "lock.release.asleep barrier.wait.last --every 211 --barge --stop",
        &[
            ("lock.release.asleep", "barge/211", 3),
            ("barrier.wait.last", "barge/211", 5),
            ("lock.release.asleep", "stop/211", 3),
            ("barrier.wait.last", "stop/211", 5),
        ],
    );
}

#[test]
fn no_process_of_a_family_is_left_behind_whichever_dies() {
    is_well(
        "process --every call",
        &[
            ("process.start.fork", "kill/call", 8),
            ("process.start.spawn", "kill/call", 12),
            ("process.start.forkserver", "kill/call", 40),
            ("process.join.fork", "kill/call", 6),
            ("process.join.spawn", "kill/call", 6),
            ("process.join.forkserver", "kill/call", 6),
            ("process.life.fork", "kill/call", 6),
            ("process.life.spawn", "kill/call", 8),
            ("process.life.forkserver", "kill/call", 8),
            ("process.exit.fork", "kill/call", 6),
            ("process.exit.spawn", "kill/call", 6),
            ("process.exit.forkserver", "kill/call", 8),
            ("process.template", "kill/call", 30),
        ],
    );
    is_well("process.exit.fork --every 499", &[("process.exit.fork", "kill/499", 7)]);
}

#[test]
fn a_process_stopped_at_its_start_or_end_goes_on() {
    is_well(
        "process.start.fork process.exit.forkserver process.template --every call --stop",
        &[
            ("process.start.fork", "stop/call", 8),
            ("process.exit.forkserver", "stop/call", 8),
            ("process.template", "stop/call", 30),
        ],
    );
}

#[test]
fn a_child_that_is_not_tied_to_its_parent_is_left_behind() {
    // Not at the points before there is a child.
    let told = is_stuck_at_some("plain.start", "--every call");
    assert!(told.contains("stuck: left behind: ") && told.contains("(Process-1)"), "{told}");
}

#[test]
fn a_victim_goes_on_beside_a_third_party() {
    is_well(
        "lock.release semaphore.release value.update queue.put queue.get --pass --every 797",
        &[
            ("lock.release", "pass/797", 2),
            ("semaphore.release", "pass/797", 1),
            ("value.update", "pass/797", 3),
            ("queue.put", "pass/797", 10),
            ("queue.get", "pass/797", 8),
        ],
    );
    is_well(
        "event.wait owned.acquire rwlock.write condition.notify fixed.put --pass --every 1999",
        &[
            ("rwlock.write", "pass/1999", 5),
            ("event.wait", "pass/1999", 2),
            ("owned.acquire", "pass/1999", 2),
            ("condition.notify", "pass/1999", 2),
            ("fixed.put", "pass/1999", 2),
        ],
    );
}

#[test]
fn nothing_is_hurt_by_two_deaths() {
    is_well(
        "lock.release semaphore.release event.wait owned.acquire condition.notify value.update --twice --every 1499",
        &[
            ("lock.release", "twice/1499", 2),
            ("semaphore.release", "twice/1499", 2),
            ("event.wait", "twice/1499", 2),
            ("owned.acquire", "twice/1499", 10),
            ("condition.notify", "twice/1499", 5),
            ("value.update", "twice/1499", 5),
        ],
    );
    is_well(
        "queue.put queue.get fixed.put fixed.get --twice --every 4999",
        &[
            ("queue.put", "twice/4999", 4),
            ("queue.get", "twice/4999", 4),
            ("fixed.put", "twice/4999", 2),
            ("fixed.get", "twice/4999", 2),
        ],
    );
}

/// What a sweep with these arguments says of a mutant, which it must find bad at some points, and not at all of them.
fn is_caught(arguments: &str) -> String {
    let output = sweep(&format!("{arguments} --tsv"));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments} is not caught: {told}");
    let [(_, _, [points, stuck, lost, torn, _])] = &rows(&output)[..] else { panic!("{told}") };
    assert!(stuck + lost + torn < *points, "{told}");
    told
}

#[test]
fn a_lock_that_is_free_while_it_is_on_its_holders_list_is_caught() {
    is_well("mutant.lock --pass --every 101", &[("mutant.lock", "pass/101", 10)]);
    is_well("mutant.lock --twice --every 401", &[("mutant.lock", "twice/401", 9)]);
    let name = "mutant.lock.free_before_delist";
    // No death alone shows it.
    is_well(&format!("{name} --barge --every 101"), &[(name, "barge/101", 10)]);
    let told = is_caught(&format!("{name} --pass --every 101"));
    assert!(told.contains("the memory of a held lock was overwritten"), "{told}");
}

#[test]
fn a_recovery_that_cannot_bear_a_death_is_caught() {
    is_well("mutant.journal --twice --every 199", &[("mutant.journal", "twice/199", 20)]);
    let name = "mutant.journal.clear_before";
    is_well(&format!("{name} --every 31"), &[(name, "kill/31", 10)]);
    is_well(&format!("{name} --barge --every 31"), &[(name, "barge/31", 10)]);
    let told = is_caught(&format!("{name} --twice --every 67"));
    assert!(told.contains("after the roll back"), "{told}");
}

#[test]
fn a_process_has_no_third_party() {
    let output = sweep("process.join.fork --barge");
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.starts_with("process.join.fork has no --barge"), "{told}");
}

#[test]
fn a_lock_without_an_owner_is_stuck() {
    let told = is_stuck_at_some("plain.lock", "");
    assert!(told.contains("plain.lock kill, after "), "{told}");
}

#[test]
fn what_it_does_not_know_is_an_error() {
    assert_eq!(sweep("lok.acquire").status.code(), Some(2));
    let list = String::from_utf8(sweep("--list").stdout).unwrap();
    assert!(list.lines().any(|name| name == "lock.release.asleep"), "{list}");
    assert!(!list.contains("plain."), "{list}");
}
