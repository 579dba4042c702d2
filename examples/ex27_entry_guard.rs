//! No `if __name__ == '__main__'`: a child never enters `main`, and no left-over variable makes a program a child.
//!
//! Answers:  the line if __name__ == '__main__'
//! Python:   without the guard each child imports the module again, and starts children of its own
//! Run:      cargo run --example ex27_entry_guard
//! Prints:
//!     main runs
//!     the child's value: 42
//!     with a variable that is not its parent's: main runs

use mp::Process;
use std::process::{Command, Stdio};

fn answer() -> u32 {
    42
}

pub(crate) fn main() -> mp::Result<()> {
    // Printed once, whatever the start method: a child begins before this line and ends before it.
    println!("main runs");
    if std::env::var_os("STRAY").is_some() {
        return Ok(());
    }
    println!("the child's value: {}", Process::new(answer, ()).start()?.join()?);

    // A child knows its parent by a socket that this has made. What else the environment says is ignored.
    let program = std::env::current_exe()?;
    let mut stray = Command::new(program);
    stray.args(std::env::args_os().skip(1)).env("MP_RS_BOOT", "1000").env("STRAY", "").stdin(Stdio::null());
    let said = stray.output()?.stdout;
    println!("with a variable that is not its parent's: {}", String::from_utf8_lossy(&said).trim_end());
    Ok(())
}
