//! A task of an executor of threads that has begun, and what lets it end.

use mp_pool::ThreadPoolExecutor;
use mp_pool::futures::Future;
use std::sync::mpsc;

pub(crate) fn begun(executor: &ThreadPoolExecutor) -> (Future<()>, mpsc::Sender<()>) {
    let (open, gate) = mpsc::channel::<()>();
    let running = executor.submit(move || gate.recv().unwrap(), ()).unwrap();
    while !running.running() {
        std::thread::yield_now();
    }
    (running, open)
}
