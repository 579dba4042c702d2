//~ multiple `impl`s satisfying `fn(i32) -> i32: Callable<(i32,), _>` found
//~ FunctionPointerIsAnAddressUseMpFunction> for F
use mp::Pool;

fn same(x: i32) -> i32 {
    x
}

fn negative(x: i32) -> i32 {
    -x
}

fn main() -> mp::Result<()> {
    let pool = Pool::new(2)?;
    let function = if std::env::args().count() > 1 { same } else { negative };
    let all =
        pool.map(function, 0..5)?; // HERE
    println!("{all:?}");
    Ok(())
}
