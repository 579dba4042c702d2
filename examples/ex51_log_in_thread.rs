//! A thread writes a log while main goes on; its error comes back through join, and is not lost.
//!
//! Answers:  the template "Single threading"
//! Python:   Thread(target=logger, args=(result, fname, delay)).start(); print(result)
//! Run:      cargo run --example ex51_log_in_thread
//! Prints:
//!     3
//!     * logging is finished.
//!     the file holds "3\n"
//!     a folder that is not there: No such file or directory (os error 2)
//!
//! The course calls this "single threading"; there are two threads. `--bad-path`: main ends with that error, where
//! Python prints a traceback and exits with 0.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{JoinHandle, spawn};

/// Writes when the gate opens: a delay that no clock decides.
fn logger(result: i32, file: PathBuf, gate: mpsc::Receiver<()>) -> std::io::Result<()> {
    gate.recv().expect("main opens it");
    std::fs::write(file, format!("{result}\n"))?;
    println!("* logging is finished.");
    Ok(())
}

fn log(result: i32, file: &Path) -> (JoinHandle<std::io::Result<()>>, mpsc::Sender<()>) {
    let (open, gate) = mpsc::channel();
    let file = file.to_path_buf();
    (spawn(move || logger(result, file, gate)), open)
}

pub(crate) fn main() -> mp::Result<()> {
    let result = 1 + 2;
    let file = std::env::temp_dir().join(format!("ex51-{}.txt", std::process::id()));
    let nowhere = file.with_extension("").join("logger.txt");
    let bad_path = std::env::args().any(|argument| argument == "--bad-path");
    let (thread, gate) = log(result, if bad_path { &nowhere } else { &file });
    println!("{result}");
    gate.send(()).expect("the thread waits for it");
    thread.join().expect("it does not panic")?;
    println!("the file holds {:?}", std::fs::read_to_string(&file)?);
    std::fs::remove_file(&file)?;

    let (thread, gate) = log(result, &nowhere);
    gate.send(()).expect("the thread waits for it");
    let error = thread.join().expect("it does not panic").expect_err("there is no such folder");
    println!("a folder that is not there: {error}");
    Ok(())
}
