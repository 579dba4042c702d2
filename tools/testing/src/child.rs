//! Asking children, by the default start method.

use mp_core::{Child, Process};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A child that asks `question`.
pub fn start<R: Serialize + DeserializeOwned>(question: impl Fn() -> R + Copy + Send + 'static) -> Child<R> {
    Process::new(question, ()).start().expect("nothing keeps this test from starting a child")
}

/// The answer of a child to `question`.
pub fn in_child<R: Serialize + DeserializeOwned>(question: impl Fn() -> R + Copy + Send + 'static) -> R {
    start(question).join().expect("a child answers")
}
