//! Compiles: each form that the others get wrong.
use mp::{AtomicBool, Condition, Function, Pool, Process, Transferable, Value};

fn length(text: String) -> usize {
    text.len()
}

fn two(a: i32, (b, c): (i32, i32)) -> i32 {
    a + b + c
}

/// A program's own function over any function and arguments.
fn start<F, A>(function: F, arguments: A) -> mp::Result<mp::Child<F::Output>>
where
    F: mp::Target<A>,
    F::Output: Transferable,
    A: Transferable,
{
    Ok(Process::new(function, arguments).start()?)
}

fn over_tuples<T: Transferable + 'static>(pool: &Pool, item: T) -> mp::Result<T> {
    fn same<T>(item: T) -> T {
        item
    }
    Ok(pool.apply(same::<T>, (item,))?)
}

fn main() -> mp::Result<()> {
    Process::new(length, ("text".to_owned(),)).start()?.join()?;
    Process::new(length, ("text".into(),)).start()?.join()?;
    Process::new(two, (1, (2, 3))).start()?.join()?;
    Process::new(|a, b, c, d, e, f, g, h: i32| a + b + c + d + e + f + g + h, (1, 2, 3, 4, 5, 6, 7, 8)).start()?;
    start(|x: u64| x + 1, (1,))?.join()?;
    let pool = Pool::new(1)?;
    pool.map(|x| x + 1, 0..5)?;
    pool.starmap(two, vec![(1, (2, 3))])?;
    over_tuples(&pool, "text".to_owned())?;
    let function = Function::new(two)?;
    Process::new(|function: Function<(i32, (i32, i32)), i32>| function.call((1, (2, 3))).unwrap(), (function,));
    Value::new(0_u8)?.set(1);
    AtomicBool::new(false)?;
    let condition = Condition::new()?;
    condition.acquire()?.notify_all();
    Ok(())
}
