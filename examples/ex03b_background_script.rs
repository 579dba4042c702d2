//! A killed daemon cleans nothing up: the file that it would have removed is still there.
//!
//! Answers:  the script 3ejecutar_proceso_segundo_plano.py
//! Python:   3ejecutar_proceso_segundo_plano.py
//! Run:      cargo run --example ex03b_background_script
//! Prints:
//!     main ends
//!     NO_background ends
//!     the file of the background process is still there

use mp::{Event, Process, Receiver, Sender, pipe_simplex};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

fn background(file: PathBuf, started: Event, _alive: Sender<()>) {
    fs::write(&file, "in use").unwrap();
    started.set();
    std::thread::sleep(Duration::from_secs(3600));
    fs::remove_file(&file).unwrap();
    println!("background ends");
}

fn no_background(file: PathBuf, daemon_alive: Receiver<()>) {
    assert!(daemon_alive.recv().is_err());
    println!("NO_background ends");
    // Python would leave it to another program to remove it.
    fs::remove_file(&file).unwrap();
    println!("the file of the background process is still there");
}

pub(crate) fn main() -> mp::Result<()> {
    let file = std::env::temp_dir().join(format!("ex03b-{}", std::process::id()));
    let started = Event::new()?;
    let (daemon_alive, alive) = pipe_simplex()?;
    Process::new(background, (file.clone(), started.clone(), alive)).daemon().start()?;
    started.wait();
    Process::new(no_background, (file, daemon_alive)).start()?;
    println!("main ends");
    Ok(())
}
