//! CachePadded: a value on cache lines of its own.

use std::ops::Deref;

/// A value on cache lines of its own (two, since lines are fetched in pairs), so that stores of one side do
/// not slow down loads of the other.
#[repr(C, align(128))]
#[derive(Debug, Default)]
pub(crate) struct CachePadded<T>(T);

impl<T> Deref for CachePadded<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
