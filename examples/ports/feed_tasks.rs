//! Four workers take functions and their arguments out of one queue and put results into another. Beside
//! `feed_tasks.py`.
//!
//! A function that travels is a `Function`; Python sends its name.

use mp::{Function, Process, Queue};

type Operation = Function<(i64, i64), i64>;
/// `None` ends a worker.
type Task = Option<(String, Operation, i64, i64)>;

const WORKERS: usize = 4;

fn mul(a: i64, b: i64) -> i64 {
    a * b
}

fn plus(a: i64, b: i64) -> i64 {
    a + b
}

fn work(tasks: Queue<Task>, results: Queue<String>) {
    while let Some((name, function, a, b)) = tasks.get().expect("an open queue") {
        let result = function.call((a, b)).expect("numbers travel");
        results.put(format!("{name}({a}, {b}) = {result}")).expect("an open queue");
    }
}

pub(crate) fn main() -> mp::Result<()> {
    let (tasks, results) = (Queue::new()?, Queue::new()?);
    let mut asked = 0;
    for i in 0..8 {
        tasks.put(Some(("mul".to_owned(), Function::new(mul)?, i, 7)))?;
        asked += 1;
    }
    let start = |_| Process::new(work, (tasks.clone(), results.clone())).start();
    let workers = (0..WORKERS).map(start).collect::<Result<Vec<_>, _>>()?;
    // More can be put in while they are at work.
    for i in 0..4 {
        tasks.put(Some(("plus".to_owned(), Function::new(plus)?, i, 8)))?;
        asked += 1;
    }
    let mut lines = (0..asked).map(|_| results.get()).collect::<Result<Vec<_>, _>>()?;
    lines.sort();
    lines.iter().for_each(|line| println!("{line}"));
    for _ in 0..WORKERS {
        tasks.put(None)?;
    }
    for worker in &workers {
        worker.join()?;
    }
    println!("{asked} tasks, {} workers have ended", workers.len());
    Ok(())
}
