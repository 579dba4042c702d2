//! The same coroutines as in `ex36_async_generators`, by `async` and `await`, on a library's executor.
//!
//! Answers:  "async, then with the library"
//! Python:   async def counter(name): ...; await asyncio.sleep(0); asyncio.gather(counter("A"), counter("B"))
//! Run:      cargo run --example ex37_async_library
//! Prints:
//!     A1 B1 A2 B2 A3 B3
//!     threads: 1
//!
//! The compiler makes the fields and the steps of ex36 out of `async fn`. The executor here is tokio's for one thread;
//! others run coroutines on many threads: that async has one thread is true of Python's `asyncio`, not of async.

use std::cell::RefCell;
use std::collections::HashSet;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::thread::ThreadId;
use tokio::task::LocalSet;

type Trace = Rc<RefCell<Vec<(String, ThreadId)>>>;

/// Goes to the end of the executor's row. (Tokio's own `yield_now` promises no order.)
async fn pause() {
    let mut first = true;
    let pending_once = |context: &mut Context<'_>| match std::mem::take(&mut first) {
        true => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
        false => Poll::Ready(()),
    };
    poll_fn(pending_once).await;
}

/// Counts to three, and pauses after each step.
async fn counter(name: char, trace: Trace) {
    for step in 1..=3 {
        trace.borrow_mut().push((format!("{name}{step}"), std::thread::current().id()));
        pause().await;
    }
}

pub(crate) fn main() -> mp::Result<()> {
    let trace = Trace::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let coroutines = LocalSet::new();
    for name in ['A', 'B'] {
        coroutines.spawn_local(counter(name, trace.clone()));
    }
    // Returns when all have ended.
    runtime.block_on(coroutines);
    let trace = trace.borrow();
    let steps: Vec<&str> = trace.iter().map(|(step, _)| step.as_str()).collect();
    let threads: HashSet<ThreadId> = trace.iter().map(|(_, thread)| *thread).collect();
    println!("{}", steps.join(" "));
    println!("threads: {}", threads.len());
    assert_eq!((steps.len(), threads.len()), (6, 1));
    Ok(())
}
