//! An async program awaits tasks of worker processes: one that is killed is an error, and the others arrive.
//!
//! Answers:  "async: one thread, many waits"
//! Python:   await loop.run_in_executor(ProcessPoolExecutor(2), square, x)
//! Run:      cargo run --example ex3c_await_tasks
//! Prints:
//!     10 tasks awaited one by one: 285
//!     the first of two to come: 49
//!     the other one was cancelled: true
//!     a task that aborts: killed by signal 6
//!     the executor goes on: 81
//!
//! A future of an executor is a `std::future::Future`: any runtime awaits it, and the library has none.

use mp::futures::Future;
use mp::{Ended, ProcessPoolExecutor, TaskError};
use tokio::runtime;

fn square(x: u64) -> u64 {
    x * x
}

fn wait_for_ever() -> u64 {
    loop {
        std::thread::park();
    }
}

fn abort() -> u64 {
    std::process::abort()
}

/// The value of the first, if it is there before the second. (A program has `tokio::select!` or `futures::select`.)
async fn first_of(first: &mut Future<u64>, second: &mut Future<u64>) -> Result<u64, TaskError> {
    std::future::poll_fn(|context| match std::pin::Pin::new(&mut *first).poll(context) {
        std::task::Poll::Pending => std::pin::Pin::new(&mut *second).poll(context),
        ready => ready,
    })
    .await
}

async fn work(executor: ProcessPoolExecutor) -> mp::Result<()> {
    let futures = (0..10).map(|x| executor.submit(square, (x,))).collect::<Result<Vec<_>, _>>()?;
    let mut sum = 0;
    for future in futures {
        sum += future.await?;
    }
    println!("10 tasks awaited one by one: {sum}");

    let (mut slow, mut quick) = (executor.submit(wait_for_ever, ())?, executor.submit(square, (7,))?);
    let first = first_of(&mut slow, &mut quick).await?;
    println!("the first of two to come: {first}");
    slow.kill();
    println!("the other one was cancelled: {}", slow.await == Err(TaskError::Cancelled));

    match executor.submit(abort, ())?.await {
        Err(TaskError::WorkerDied { how: Some(Ended::Signaled(signal)), .. }) => {
            println!("a task that aborts: killed by signal {signal}");
        }
        other => return Err(mp::Error::new(format!("no death, but {other:?}"))),
    }
    println!("the executor goes on: {}", executor.submit(square, (9,))?.await?);
    assert_eq!((sum, first), (285, 49));
    Ok(())
}

pub(crate) fn main() -> mp::Result<()> {
    let runtime = runtime::Builder::new_current_thread().build()?;
    runtime.block_on(work(ProcessPoolExecutor::new(2)?))
}
