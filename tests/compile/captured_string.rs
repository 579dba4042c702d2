//~ to implement `Target<(usize,)>`
use mp::Process;

fn main() -> mp::Result<()> {
    let name = String::from("bob");
    let child = Process::new(
        move |x: usize| x + name.len(), // HERE
        (4,),
    )
    .start()?;
    println!("{}", child.join()?);
    Ok(())
}
