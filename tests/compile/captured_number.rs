//~ this function captures variables (or is a function pointer), so it cannot be called in another process: pass what it needs as arguments, or use Process::fork, which copies the whole process
use mp::Process;

fn main() -> mp::Result<()> {
    let k = 3;
    let child =
        Process::new(move |x: i32| x + k, (4,)).start()?; // HERE
    println!("{}", child.join()?);
    Ok(())
}
