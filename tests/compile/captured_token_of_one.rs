//~ the trait bound `Ready: Copy` is not satisfied
use mp::Process;

/// Of no size, and there is one of it.
struct Ready(());

impl Ready {
    fn first(&self) -> u32 {
        let Ready(()) = self;
        42
    }
}

fn main() -> mp::Result<()> {
    let ready = Ready(());
    let child =
        Process::new(move || ready.first(), ()).start()?; // HERE
    println!("{}", child.join()?);
    Ok(())
}
