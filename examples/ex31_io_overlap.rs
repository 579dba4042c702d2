//! While one task waits for a device, another can compute: one core is enough for that.
//!
//! Answers:  "programs with waits for I/O"
//! Python:   blue reads from a disk between two computations; yellow computes
//! Run:      cargo run --example ex31_io_overlap
//! Prints:
//!     model, one after the other: 8 seconds
//!     model, overlapped on one core: 5 seconds
//!     one thread: blue asks, yellow 1, yellow 2, yellow 3, blue has the answer
//!
//! The real disk of the last line is a thread that answers after yellow's third step: a program that waits for its
//! disk before it does anything else would wait for ever.

use std::sync::mpsc;

/// One letter a second: the task computes (C) or waits (W).
const BLUE: &str = "CWWWC";
const YELLOW: &str = "CCC";

/// How many seconds one core needs. In each, every task that waits comes nearer to its answer, and one task computes.
fn seconds(mut tasks: Vec<&str>) -> u32 {
    let mut seconds = 0;
    while tasks.iter().any(|task| !task.is_empty()) {
        let mut core_is_free = true;
        for task in &mut tasks {
            if let Some(rest) = task.strip_prefix('W') {
                *task = rest;
            } else if let Some(rest) = task.strip_prefix('C').filter(|_| core_is_free) {
                (*task, core_is_free) = (rest, false);
            }
        }
        seconds += 1;
    }
    seconds
}

fn one_thread() -> Vec<String> {
    let (yellow_has_ended, disk_may_answer) = mpsc::channel();
    let (disk, answer) = mpsc::channel();
    let mut trace = vec!["blue asks".to_owned()];
    let disk = std::thread::spawn(move || disk_may_answer.recv().is_ok() && disk.send(()).is_ok());
    trace.extend((1..=3).map(|step| format!("yellow {step}")));
    yellow_has_ended.send(()).expect("the disk waits for it");
    answer.recv().expect("the disk answers");
    trace.push("blue has the answer".to_owned());
    assert!(disk.join().expect("it does not panic"));
    trace
}

pub(crate) fn main() -> mp::Result<()> {
    let (serial, overlapped) = (seconds(vec![BLUE]) + seconds(vec![YELLOW]), seconds(vec![BLUE, YELLOW]));
    println!("model, one after the other: {serial} seconds");
    println!("model, overlapped on one core: {overlapped} seconds");
    println!("one thread: {}", one_thread().join(", "));
    assert_eq!((serial, overlapped), (8, 5));
    Ok(())
}
