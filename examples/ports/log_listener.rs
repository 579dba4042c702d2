//! Workers send what they log to one process, which alone writes the file. Beside `log_listener.py`.
//!
//! The listener ends when the last worker is gone: a counted queue has an end. Python needs a `None` for that.

use mp::{Process, Producer, Queue};
use std::path::PathBuf;

fn listen(records: Queue<(String, String)>, file: PathBuf) -> usize {
    let line = |(level, text)| format!("{level:<7} {text}");
    // Until the last producer is gone, whether it ended or was killed.
    let mut lines: Vec<String> = records.iter().map(|record| record.map(line).expect("a record")).collect();
    // They come in any order.
    lines.sort();
    std::fs::write(file, lines.join("\n") + "\n").expect("a file can be written there");
    lines.len()
}

fn work(number: u32, log: Producer<(String, String)>) {
    let record = |level: &str, text: String| log.put((level.to_owned(), text)).expect("a listener");
    record("INFO", format!("worker {number} begins"));
    if number == 2 {
        record("WARNING", format!("worker {number} found nothing to do"));
    }
    record("INFO", format!("worker {number} ends"));
}

pub(crate) fn main() -> mp::Result<()> {
    let file = std::env::temp_dir().join(format!("ports-log-{}.txt", std::process::id()));
    let (log, records) = Queue::counted()?;
    let start = |number| Process::new(work, (number, log.clone())).start();
    let workers = (1..=3).map(start).collect::<Result<Vec<_>, _>>()?;
    // Then no copy of this producer comes to the listener by a fork, and it sees the last worker go.
    drop(log);
    let listener = Process::new(listen, (records, file.clone())).start()?;
    for worker in &workers {
        worker.join()?;
    }
    let lines = listener.join()?;
    print!("{}", std::fs::read_to_string(&file)?);
    println!("{lines} lines by {} workers", workers.len());
    std::fs::remove_file(file)?;
    Ok(())
}
