//! No `if __name__ == '__main__'`: a child never comes to `main`, and if it cannot be a child it ends with one line.
//!
//! Python:   without the guard each child imports the module again, and starts children of its own
//! Run:      cargo run --example ex27_entry_guard
//! Prints:
//!     main runs
//!     the child's value: 42
//!     a child without a parent: exit code 70, main did not run
//!     it says: mp-core: this program was started as a child process, but its boot descriptor is not open

use mp::Process;
use std::process::{Command, Stdio};

fn answer() -> u32 {
    42
}

pub(crate) fn main() -> mp::Result<()> {
    // Printed once, whatever the start method: a child begins before this line and ends before it.
    println!("main runs");
    println!("the child's value: {}", Process::new(answer, ()).start()?.join()?);

    // A child whose parent does not answer. If it went on to main, each child would start the program anew: a fork bomb.
    let program = std::env::current_exe()?;
    let orphan = Command::new(program).env("MP_RS_BOOT", "1000").stdin(Stdio::null()).output()?;
    let ran = if orphan.stdout.is_empty() { "main did not run" } else { "main ran" };
    println!("a child without a parent: exit code {}, {ran}", orphan.status.code().unwrap_or(-1));
    println!("it says: {}", String::from_utf8_lossy(&orphan.stderr).trim_end());
    Ok(())
}
