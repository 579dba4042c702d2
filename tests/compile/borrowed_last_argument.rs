//~ Callable<(A, B, &'a T), ReferenceCannotCrossUseAnOwnedValue<2>> for Func
use mp::Pool;

fn work(times: u32, _: u8, name: &str) -> usize {
    name.len() * times as usize
}

fn main() -> mp::Result<()> {
    let pool = Pool::new(1)?;
    let length = pool
        .apply(work, (3, 4, "bob"))?; // HERE
    println!("{length}");
    Ok(())
}
