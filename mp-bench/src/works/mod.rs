//! The works, by the names that later runs are compared under.

mod plain;
mod w1;
mod w4;
mod w5;

use crate::Work;
use crate::python::Python;
use std::time::Instant;

pub(crate) fn all() -> Vec<Work> {
    let python = Python::start();
    let mut works = vec![w1::queue_64_bytes(&python), w4::lock_uncontended(&python)];
    works.extend(w5::start_and_join(&python));
    works
}

/// How many a second, when `count` took since `began`.
fn rate(count: u64, began: Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}
