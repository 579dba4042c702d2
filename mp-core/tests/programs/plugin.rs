//! A shared library with all of mp-core in it, for `tests/hook.rs` to load.
#![allow(unsafe_code, reason = "functions with a C name")]

use mp_core::{Process, StartError, StartMethod};

fn answer() -> u32 {
    42
}

/// Starts a child by the method of that number, and says what became of it: the child's value; 1 if the function
/// was refused, 2 if the program was, 3 for anything else.
// SAFETY: nothing else has this name.
#[unsafe(no_mangle)]
pub extern "C" fn mp_test_plugin_start(method: u32) -> u32 {
    let method = StartMethod::ALL[method as usize];
    match Process::new(answer, ()).method(method).start() {
        Ok(child) => child.join().unwrap_or(3),
        Err(StartError::Code(_)) => 1,
        Err(StartError::NotTheProgram) => 2,
        Err(_) => 3,
    }
}
