//! The works, by the names that later runs are compared under.

mod crowd;
mod plain;
mod pthread;
mod w1;
mod w4;
mod w5;
mod w8;

use crate::Work;
use crate::python::Python;
use std::time::Instant;

pub(crate) fn all() -> Vec<Work> {
    let python = Python::start();
    let mut works = vec![w1::queue_64_bytes(&python)];
    works.extend(w4::all(&python));
    works.extend(w5::start_and_join(&python));
    works.extend(w8::all(&python));
    works
}

/// How many a second, when `count` took since `began`.
fn rate(count: u64, began: Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}

/// What an error says: a round that fails gives that.
fn text(error: impl ToString) -> String {
    error.to_string()
}
