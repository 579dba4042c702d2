//~ a `!` cannot cross to another process
//~ what a function returns to another process is written and read by serde
//~ a function that never returns (`-> !`) is declared without a result instead
use mp::Process;

fn work() -> ! {
    loop {
        std::thread::park();
    }
}

fn main() -> mp::Result<()> {
    let child = Process::new(
        work, // HERE
        (),
    )
    .start()?;
    Ok(child.kill()?)
}
