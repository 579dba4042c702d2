//~ a `bool` cannot lie in memory that other processes map
//~ not `Shareable`
//~ for a `bool` there is `AtomicBool`, or a `u8`
use mp::Value;

fn main() -> mp::Result<()> {
    let flag = Value::new(
        false, // HERE
    )?;
    flag.set(true);
    Ok(())
}
