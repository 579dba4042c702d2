//! What a worker does: orders in, one after the other; a report for each item.
//!
//! Before it begins an item it writes which one into shared memory. So the pool knows, however the worker ends,
//! which one item that end is to be laid to: the one begun and not reported.

use crate::dispatch::Marks;
use crate::error::Failure;
use crate::task::{Chunk, Order, READY, Report, mark};
use mp_core::mem::SharedRef;
use mp_core::process::{At, CaughtError, call_caught};
use mp_core::sys::signal;
use mp_core::transfer::{Code, Message};
use mp_queue::Queue;
use serde::{Deserialize, Serialize};
use std::sync::atomic::Ordering;

/// What a worker is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Kit {
    /// Which of the marks is this worker's.
    pub(crate) slot: u32,
    pub(crate) orders: Queue<Order>,
    pub(crate) reports: Queue<Report>,
    pub(crate) marks: SharedRef<Marks>,
    pub(crate) initializer: Option<(Code, Message)>,
    /// The worker ends after this many items, and is replaced.
    pub(crate) most_tasks: Option<u32>,
}

/// The worker's whole life.
pub(crate) fn work(kit: Kit) {
    // Ctrl-C reaches the whole foreground group; what becomes of the pool is for its owner to say.
    signal::ignore_interrupts();
    if let Some((code, arguments)) = &kit.initializer
        && let Err(failure) = call(code, arguments.clone())
    {
        let reason = match failure {
            Failure::Panicked { message, location } => {
                format!("the initializer panicked{}: {message}", At(&location))
            }
            Failure::Failed(reason) => format!("the initializer could not be called: {reason}"),
        };
        let _ = kit.reports.put(Report::NotReady { reason });
        return;
    }
    set_mark(&kit, READY);
    let mut left = kit.most_tasks.map_or(u64::MAX, u64::from);
    for order in kit.orders.iter() {
        match order {
            Ok(Order::Run(chunk)) => {
                left = left.saturating_sub(chunk.items.len() as u64);
                if !run(&kit, chunk) || left == 0 {
                    return;
                }
            }
            Ok(Order::Stop) => return,
            Err(error) => {
                // Handles that cannot be opened leave the order in the queue, so this worker would get it again for
                // ever: the pool fails the order, and gives the others to another worker.
                let _ = kit.reports.put(Report::Unreadable { worker: kit.slot, reason: error.to_string() });
                return;
            }
        }
    }
}

fn set_mark(kit: &Kit, mark: u64) {
    // ORDERING: Release, pairs with the Acquire in `Dispatch::mark_of`: a mark is read when its writer is dead.
    kit.marks[kit.slot as usize].store(mark, Ordering::Release);
}

/// Runs a chunk; `false` if nobody takes the reports any more.
fn run(kit: &Kit, chunk: Chunk) -> bool {
    for (index, arguments) in chunk.items {
        set_mark(kit, mark(chunk.id, index));
        let outcome = call(&chunk.code, arguments);
        if !report(kit, chunk.id, index, outcome) {
            return false;
        }
    }
    true
}

fn call(code: &Code, arguments: Message) -> Result<Message, Failure> {
    call_caught(code, arguments).map_err(|error| match error {
        CaughtError::Panicked { message, location } => Failure::Panicked { message, location },
        CaughtError::Call(error) => Failure::Failed(error.to_string()),
    })
}

fn report(kit: &Kit, chunk: u32, index: u32, outcome: Result<Message, Failure>) -> bool {
    let Err(refused) = kit.reports.put(Report::Done { chunk, index, outcome }) else { return true };
    // A value that fits no queue is that task's failure.
    let outcome = Err(Failure::Failed(format!("result: {}", refused.reason)));
    kit.reports.put(Report::Done { chunk, index, outcome }).is_ok()
}
