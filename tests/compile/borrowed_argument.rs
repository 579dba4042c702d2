//~ Callable<(&str,), _>
//~ Callable<(&'a T,), ReferenceCannotCrossUseAnOwnedValue<0>> for Func
use mp::Process;

fn work(name: &str) -> usize {
    name.len()
}

fn main() -> mp::Result<()> {
    let child =
        Process::new(work, ("bob",)).start()?; // HERE
    println!("{}", child.join()?);
    Ok(())
}
