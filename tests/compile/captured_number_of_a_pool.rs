//~ this function captures variables (or is a function pointer), so it cannot be called in another process
use mp::Pool;

fn main() -> mp::Result<()> {
    let k = 3;
    let pool = Pool::new(2)?;
    let all =
        pool.map(move |x: i32| x + k, 0..5)?; // HERE
    println!("{all:?}");
    Ok(())
}
