//! CPython's own tests of managers, from the installed interpreter, with our server in the place of Python's.
//!
//! `cpython_suite.txt` lists those that pass, and those that are left out with the reason; `cpython_suite.py` puts the
//! server in place. A run takes the short ones, with the newest CPython that has its tests installed; with
//! `MP_CPYTHON_TESTS=all` it takes all of them with every CPython.

use mp_core::process::AuthKey;
use mp_manager::Manager;
use mp_pipe::Address;
use mp_testing::{Python, pythons};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

mp_testing::cases! { plain: [what_is_listed_passes, the_list_is_sorted_and_each_reason_is_there] }

const LIST: &str = include_str!("cpython_suite.txt");

/// The classes, each of which is run by itself: most of a test is waiting.
const CLASSES: [&str; 10] = [
    "WithManagerTestBarrier.*",
    "WithManagerTestCondition.*",
    "WithManagerTestContainers.*",
    "WithManagerTestEvent.*",
    "WithManagerTestLock.*",
    "WithManagerTestQueue.*",
    "WithManagerTestSemaphore.*",
    "WithManagerTest[MPR]*",
    "WithManagerTest[!BCELMPQRS]*",
    "TestSyncManagerTypes.*",
];

/// Those that take a second or two.
const SHORT: [&str; 4] = [
    "WithManagerTestContainers.*",
    "WithManagerTestLock.*",
    "WithManagerTestSemaphore.*",
    "TestSyncManagerTypes.*",
];

fn passing() -> BTreeSet<&'static str> {
    LIST.lines().filter_map(|line| line.strip_prefix("ok ")).collect()
}

fn left_out() -> impl Iterator<Item = (&'static str, &'static str)> {
    LIST.lines().filter_map(|line| line.strip_prefix("left out ")?.split_once(": "))
}

fn the_list_is_sorted_and_each_reason_is_there() {
    let lines = LIST.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let names: Vec<&str> = lines
        .map(|line| match line.strip_prefix("ok ") {
            Some(name) => name,
            None => {
                let (name, reason) =
                    line.strip_prefix("left out ").and_then(|line| line.split_once(": ")).unwrap();
                assert!(reason.len() > 10, "{line}");
                name
            }
        })
        .collect();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}

fn has_its_tests(python: &Python) -> bool {
    let mut command = Command::new(&python.program);
    let output = command.args(["-c", "import test._test_multiprocessing"]).output();
    output.is_ok_and(|output| output.status.success())
}

fn what_is_listed_passes() {
    let mut pythons: Vec<Python> = pythons((3, 8)).into_iter().filter(has_its_tests).collect();
    if pythons.is_empty() {
        mp_testing::not_here("there is no CPython with its tests here");
    }
    let all = std::env::var("MP_CPYTHON_TESTS").is_ok_and(|value| value == "all");
    let classes = if all { &CLASSES[..] } else { &SHORT[..] };
    if !all {
        pythons.drain(..pythons.len() - 1);
    }
    let (mut ran, mut wrong) = (BTreeSet::new(), Vec::new());
    for python in &pythons {
        let running = classes.iter().map(|class| {
            std::thread::spawn({
                let (python, class) = (python.clone(), *class);
                move || run(&python, class)
            })
        });
        let running: Vec<_> = running.collect();
        for outcome in running {
            for (word, name) in outcome.join().unwrap() {
                let listed = match &*word {
                    "ok" => passing().contains(&*name),
                    "left_out" => true,
                    "skipped" => !passing().contains(&*name) || left_out().any(|(other, _)| other == name),
                    _ => false,
                };
                if !listed {
                    wrong.push(format!("{word} {name} with {:?}", python.version));
                }
                ran.insert((word, name));
            }
        }
    }
    assert!(wrong.is_empty(), "otherwise than cpython_suite.txt says:\n{}", wrong.join("\n"));
    println!("{} tests with {} interpreters", ran.len(), pythons.len());
    let passed: BTreeSet<&str> =
        ran.iter().filter(|(word, _)| word == "ok").map(|(_, name)| &**name).collect();
    let missing: Vec<_> = passing().into_iter().filter(|name| all && !passed.contains(name)).collect();
    assert!(missing.is_empty() && !passed.is_empty(), "listed, and no test of any CPython here: {missing:?}");
}

/// What became of each test of a class, with a server of its own.
fn run(python: &Python, class: &str) -> Vec<(String, String)> {
    let class_name: String = class.chars().filter(char::is_ascii_alphabetic).collect();
    let native = format!("\0mp-manager-suite-{class_name}-{}", std::process::id());
    let builder = Manager::builder().address(&*native).python_address(Address::loopback());
    let key = AuthKey::new(*b"a key for this test alone");
    let manager = builder.authkey(key).start().unwrap();
    let Some(Address::Tcp(host, port)) = manager.python_address() else { panic!() };
    let mut command = Command::new(&python.program);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cpython_suite.py"));
    command.args([host, &port.to_string(), class]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let names: String = left_out().map(|(name, _)| format!("{name}\n")).collect();
    child.stdin.take().unwrap().write_all(names.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{python:?}: {class}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    let words = ["ok", "failed", "skipped", "left_out"];
    lines
        .filter(|(word, _)| words.contains(word))
        .map(|(word, name)| (word.to_owned(), name.to_owned()))
        .collect()
}
