//! Guides: for those who come from Python, on what to choose, and on what happens when a process dies.

/// How each part of Python's `multiprocessing` is called here, and what differs.
#[doc = include_str!("../docs/coming-from-python.md")]
pub mod coming_from_python {}

/// What to choose, and the figures that say so.
#[doc = include_str!("../docs/which.md")]
pub mod which {}

/// For each type: where a process died, what the others see, what is lost.
#[doc = include_str!("../docs/deaths.md")]
pub mod deaths {}
