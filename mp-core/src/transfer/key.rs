//! KeyOf: by what a key can be looked up.

use serde::Serialize;

/// What stands for a key of type `K` in a lookup: the key itself, a `str` for a `String`, a slice for a `Vec`.
///
/// It packs to the same bytes as the key, which `std::borrow::Borrow` does not promise.
pub trait KeyOf<K>: Serialize {}

impl<K: Serialize> KeyOf<K> for K {}
impl KeyOf<String> for str {}
impl<T: Serialize> KeyOf<Vec<T>> for [T] {}
