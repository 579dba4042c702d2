//~ a `Point` cannot cross to another process
//~ derive `serde::Serialize` and `serde::Deserialize` for it
use mp::Pool;

struct Point {
    x: i32,
}

fn work(x: i32) -> Point {
    Point { x }
}

fn main() -> mp::Result<()> {
    let pool = Pool::new(1)?;
    let point = pool
        .apply(work, (1,))?; // HERE
    println!("{}", point.x);
    Ok(())
}
