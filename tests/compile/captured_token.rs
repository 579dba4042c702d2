//~ cannot be sent between threads safely
use mp::Process;
use std::marker::PhantomData;

/// Of no size, as a proof of something in this process is; it stays in the thread that has it.
#[derive(Clone, Copy)]
struct Ready(PhantomData<*const ()>);

impl Ready {
    fn first(self) -> u32 {
        42
    }
}

fn main() -> mp::Result<()> {
    let ready = Ready(PhantomData);
    let child =
        Process::new(move || ready.first(), ()).start()?; // HERE
    println!("{}", child.join()?);
    Ok(())
}
