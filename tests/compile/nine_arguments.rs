//~ is no function that can be called in another process with these arguments
//~ not a function of these arguments
//~ arguments are a tuple of up to eight, as many as the function takes: `(a,)` is a tuple of one; what is more goes into a structure, or a tuple within the tuple
use mp::Process;

#[rustfmt::skip]
fn work(a: i32, b: i32, c: i32, d: i32, e: i32, f: i32, g: i32, h: i32, i: i32) -> i32 {
    a + b + c + d + e + f + g + h + i
}

fn main() -> mp::Result<()> {
    let child = Process::new(
        work, // HERE
        (1, 2, 3, 4, 5, 6, 7, 8, 9),
    )
    .start()?;
    println!("{}", child.join()?);
    Ok(())
}
