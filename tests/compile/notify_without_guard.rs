//~ a condition is notified and waited for by the guard of its lock, and not by itself
//~ the guard has this method
//~ `let mut guard = condition.acquire()?;` and then `guard.notify_all()` or `guard.wait()?`
use mp::Condition;

fn main() -> mp::Result<()> {
    let condition = Condition::new()?;
    let _guard = condition.acquire()?;
    condition.notify_all(); // HERE
    Ok(())
}
