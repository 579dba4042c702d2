//! Two threads write while main goes on; join makes the caller wait, and nothing else.
//!
//! Answers:  the template "Multi threading"
//! Python:   thd1.start(); thd2.start(); print(result); thd1.join(); thd2.join()
//! Run:      cargo run --example ex52_log_two_threads
//! Prints:
//!     3
//!     * logging 1 is finished.
//!     * logging 2 is finished.
//!     file 1 holds "3\n", file 2 holds "3\n"
//!
//! The course has delays of 3 and 5 seconds; here the first thread waits for main's line, and the second for the
//! first: the same order on any machine. Join does not "make all threads end at the same time".

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{JoinHandle, spawn};

struct Logger {
    number: u32,
    file: PathBuf,
    /// What has to be done before.
    before: Receiver<()>,
    done: Sender<()>,
}

impl Logger {
    fn start(self, result: i32) -> JoinHandle<std::io::Result<()>> {
        spawn(move || {
            self.before.recv().expect("what is before is done");
            std::fs::write(&self.file, format!("{result}\n"))?;
            println!("* logging {} is finished.", self.number);
            // The last one has no successor.
            let _ = self.done.send(());
            Ok(())
        })
    }
}

pub(crate) fn main() -> mp::Result<()> {
    let result = 1 + 2;
    let file = |number| std::env::temp_dir().join(format!("ex52-{}-{number}.txt", std::process::id()));
    let ((printed, first), (done, second), (last, _)) = (channel(), channel(), channel());
    let threads = [
        Logger { number: 1, file: file(1), before: first, done }.start(result),
        Logger { number: 2, file: file(2), before: second, done: last }.start(result),
    ];
    println!("{result}");
    printed.send(()).expect("the first thread waits for it");
    for thread in threads {
        thread.join().expect("it does not panic")?;
    }
    let [one, two] = [1, 2].map(|number| std::fs::read_to_string(file(number)));
    println!("file 1 holds {:?}, file 2 holds {:?}", one?, two?);
    std::fs::remove_file(file(1))?;
    std::fs::remove_file(file(2))?;
    Ok(())
}
