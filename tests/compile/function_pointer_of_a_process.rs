//~ FunctionPointerIsAnAddressUseMpFunction> for F
use mp::Process;

fn same(x: i32) -> i32 {
    x
}

fn main() -> mp::Result<()> {
    let function: fn(i32) -> i32 = same;
    let child =
        Process::new(function, (1,)).start()?; // HERE
    println!("{}", child.join()?);
    Ok(())
}
