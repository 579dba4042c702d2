//! A table that is made once and read by four processes, without a copy for each. Beside `shared_table.py`.

use mp::{Process, SharedMemory};

const ROWS: usize = 10_000;
const WORKERS: usize = 4;

/// Opens the table by its name, as any program can, and adds up each fourth number.
fn sum_up(name: String, first: usize) -> mp::Result<u64> {
    let table = SharedMemory::open(&name)?;
    let mut sum = 0;
    for row in (first..ROWS).step_by(WORKERS) {
        let mut number = [0; 8];
        table.read(8 * row, &mut number)?;
        sum += u64::from_ne_bytes(number);
    }
    Ok(sum)
}

pub(crate) fn main() -> mp::Result<()> {
    let table = SharedMemory::new(8 * ROWS)?;
    for row in 0..ROWS {
        table.write(8 * row, &(row * row).to_ne_bytes())?;
    }
    let start = |first| Process::new(sum_up, (table.name().to_owned(), first)).start();
    let workers = (0..WORKERS).map(start).collect::<Result<Vec<_>, _>>()?;
    let mut total = 0;
    for (number, worker) in workers.iter().enumerate() {
        let sum = worker.join()??;
        println!("worker {number}: {sum}");
        total += sum;
    }
    println!("{total} in {ROWS} rows; a loop says {}", (0..ROWS as u64).map(|row| row * row).sum::<u64>());
    // Its name goes with the handle, or with this process, however that ends.
    Ok(())
}
