//! Two tasks of three seconds each: only a second core makes them end sooner, taking turns does not.
//!
//! Answers:  "programs without waits for I/O"
//! Python:   two functions that compute, one after the other, in turns, on two cores
//! Run:      cargo run --example ex30_serial_parallel_model
//! Prints:
//!     one core, one after the other: A A A B B B
//!     one core, in turns: A B A B A B
//!     two cores: AB AB AB
//!     seconds: 6 6 3
//!
//! The seconds are those of a model, so they are the same on every machine. What two real threads take of a processor
//! is on standard error: together the same, however many cores there are.

/// What runs in each second of the model. The tasks wait in a row; each core runs the first ones of it for a second.
fn schedule(cores: usize, in_turns: bool) -> Vec<String> {
    let mut row = vec![('A', 3), ('B', 3)];
    let mut seconds = Vec::new();
    while !row.is_empty() {
        let running = cores.min(row.len());
        seconds.push(row[..running].iter().map(|(name, _)| *name).collect());
        row[..running].iter_mut().for_each(|(_, left)| *left -= 1);
        row.retain(|(_, left)| *left > 0);
        if in_turns && running < row.len() {
            row.rotate_left(running);
        }
    }
    seconds
}

/// Computes; returns the nanoseconds that the kernel counts for this thread, if it counts them.
fn compute() -> Option<u64> {
    std::hint::black_box((0..2_000_000_u64).fold(0, |sum: u64, x| sum.wrapping_mul(31).wrapping_add(x)));
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    counted.split(' ').next()?.parse().ok()
}

pub(crate) fn main() -> mp::Result<()> {
    let (serial, in_turns, parallel) = (schedule(1, false), schedule(1, true), schedule(2, false));
    println!("one core, one after the other: {}", serial.join(" "));
    println!("one core, in turns: {}", in_turns.join(" "));
    println!("two cores: {}", parallel.join(" "));
    println!("seconds: {} {} {}", serial.len(), in_turns.len(), parallel.len());
    assert_eq!((serial.len(), in_turns.len(), parallel.len()), (6, 6, 3));

    let threads = [std::thread::spawn(compute), std::thread::spawn(compute)];
    for (thread, name) in threads.into_iter().zip(["A", "B"]) {
        eprintln!("thread {name}: {:?} ns of a processor", thread.join().expect("it does not panic"));
    }
    Ok(())
}
