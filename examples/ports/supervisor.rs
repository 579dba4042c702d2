//! A supervisor waits for its workers all at once and starts again those that crashed. Beside `supervisor.py`.

use mp::{Child, JoinError, Process, Waitable, wait};
use std::collections::BTreeMap;

const WORKERS: u32 = 4;

/// Worker n crashes n times before it does its work.
fn work(number: u32, attempt: u32) -> u32 {
    if attempt <= number {
        std::process::exit(40 + attempt as i32);
    }
    100 * number
}

pub(crate) fn main() -> mp::Result<()> {
    let start = |number, attempt| Process::new(work, (number, attempt)).name(format!("worker-{number}")).start();
    let mut running: Vec<(u32, u32, Child<u32>)> = Vec::new();
    for number in 0..WORKERS {
        running.push((number, 1, start(number, 1)?));
    }
    let mut stories: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    while !running.is_empty() {
        let ended = wait(&running.iter().map(|(.., child)| child as &dyn Waitable).collect::<Vec<_>>())?;
        // From the last on, so that the places of the others stay.
        for at in ended.into_iter().rev() {
            let (number, attempt, child) = running.swap_remove(at);
            let story = stories.entry(number).or_default();
            match child.join() {
                Ok(result) => story.push(format!("result {result}")),
                Err(JoinError::Exited(code)) => {
                    story.push(format!("crash {code}"));
                    running.push((number, attempt + 1, start(number, attempt + 1)?));
                }
                Err(other) => return Err(other.into()),
            }
        }
    }
    for (number, story) in &stories {
        println!("worker-{number}: {}", story.join(", "));
    }
    println!("{} workers, {} starts", stories.len(), stories.values().map(Vec::len).sum::<usize>());
    Ok(())
}
