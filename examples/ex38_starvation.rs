//! A coroutine that never pauses keeps all others from running; the operating system lets no thread do that.
//!
//! Answers:  "if one never pauses, no other can run"
//! Python:   async def greedy(): a loop without an await, beside another coroutine
//! Run:      cargo run --example ex38_starvation
//! Prints:
//!     coroutines that pause: G1 A1 G2 A2 G3 A3
//!     threads, and G never pauses: G begins, A1, A2, A3, G ends
//! As in course:
//!     coroutines, and G never pauses: G1 G2 G3 A1 A2 A3
//!
//! Where a switch happens shows what decides it: coroutines switch where they pause, threads anywhere.

use std::cell::RefCell;
use std::future::poll_fn;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

/// Gives way to the others once, if it pauses at all.
async fn pause(mut pauses: bool) {
    poll_fn(|_| if std::mem::take(&mut pauses) { Poll::Pending } else { Poll::Ready(()) }).await;
}

async fn count(name: char, pauses: bool, trace: &RefCell<Vec<String>>) {
    for step in 1..=3 {
        trace.borrow_mut().push(format!("{name}{step}"));
        pause(pauses).await;
    }
}

fn coroutines(greedy_pauses: bool) -> String {
    let trace = RefCell::default();
    let mut ready = vec![Box::pin(count('G', greedy_pauses, &trace)), Box::pin(count('A', true, &trace))];
    while !ready.is_empty() {
        ready.retain_mut(|next| next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    trace.take().join(" ")
}

/// The greedy thread computes, and never waits, until the other one has done its steps.
fn threads() -> String {
    let trace = Mutex::new(vec!["G begins".to_owned()]);
    let add = |step: String| trace.lock().unwrap().push(step);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| (1..=3).for_each(|step| add(format!("A{step}"))));
        while !other.is_finished() {}
    });
    add("G ends".to_owned());
    trace.into_inner().unwrap().join(", ")
}

pub(crate) fn main() -> mp::Result<()> {
    if std::env::args().any(|argument| argument == "--as-in-course") {
        println!("coroutines, and G never pauses: {}", coroutines(false));
    } else {
        println!("coroutines that pause: {}", coroutines(true));
        println!("threads, and G never pauses: {}", threads());
    }
    Ok(())
}
