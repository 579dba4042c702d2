//! How children end in a program that is built with `panic = "abort"`, for `tests/hook.rs` to run.

use mp_core::{Process, StartMethod};

fn returns() -> u32 {
    7
}

fn panics() -> u32 {
    panic!("no luck")
}

fn panics_in_a_thread() -> u32 {
    let _ = std::thread::spawn(|| panic!("no luck in a thread")).join();
    7
}

fn exits() -> u32 {
    std::process::exit(3)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for method in StartMethod::ALL {
        let child = Process::new(returns, ()).method(method).start()?;
        println!("{method} returns: {} {:?}", child.join()?, child.exitcode());
        let child = Process::new(panics, ()).method(method).start()?;
        println!("{method} panics: {} {:?}", child.join().unwrap_err(), child.exitcode());
        let child = Process::new(panics_in_a_thread, ()).method(method).start()?;
        println!("{method} panics in a thread: {} {:?}", child.join().unwrap_err(), child.exitcode());
        let child = Process::new(exits, ()).method(method).start()?;
        println!("{method} exits: {} {:?}", child.join().unwrap_err(), child.exitcode());
    }
    Ok(())
}
