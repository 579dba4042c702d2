//! FromPython: Rust's values from Python's.

use super::error::PythonError;
use mp_pipe::pickle::{BigInt, Value};
use std::any::type_name;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// What can be made of a Python value. (The other way is `Into<Value>`.)
pub trait FromPython: Sized {
    /// Makes it.
    ///
    /// # Errors
    /// [`PythonError::WrongType`]: it is something else.
    fn from_python(value: Value) -> Result<Self, PythonError>;
}

pub(super) fn wrong<T>(value: &Value) -> PythonError {
    let found = value.class().map_or_else(|| value.kind().to_owned(), ToString::to_string);
    PythonError::WrongType { expected: type_name::<T>(), found }
}

impl FromPython for Value {
    fn from_python(value: Value) -> Result<Value, PythonError> {
        Ok(value)
    }
}

impl FromPython for () {
    fn from_python(value: Value) -> Result<(), PythonError> {
        if value.is_none() { Ok(()) } else { Err(wrong::<()>(&value)) }
    }
}

impl FromPython for bool {
    fn from_python(value: Value) -> Result<bool, PythonError> {
        value.as_bool().ok_or_else(|| wrong::<bool>(&value))
    }
}

macro_rules! ints {
    ($($int:ty)*) => {
        $(impl FromPython for $int {
            fn from_python(value: Value) -> Result<$int, PythonError> {
                let int = value.to_bigint().and_then(|int| <$int>::try_from(&int).ok());
                int.ok_or_else(|| wrong::<$int>(&value))
            }
        })*
    };
}

ints!(i8 u8 i16 u16 i32 u32 i64 u64 i128 u128 isize usize);

impl FromPython for BigInt {
    fn from_python(value: Value) -> Result<BigInt, PythonError> {
        value.to_bigint().ok_or_else(|| wrong::<BigInt>(&value))
    }
}

impl FromPython for f64 {
    fn from_python(value: Value) -> Result<f64, PythonError> {
        value.as_float().ok_or_else(|| wrong::<f64>(&value))
    }
}

impl FromPython for String {
    fn from_python(value: Value) -> Result<String, PythonError> {
        value.as_str().map(ToOwned::to_owned).ok_or_else(|| wrong::<String>(&value))
    }
}

/// Of `None`: none.
impl<T: FromPython> FromPython for Option<T> {
    fn from_python(value: Value) -> Result<Option<T>, PythonError> {
        if value.is_none() { Ok(None) } else { T::from_python(value).map(Some) }
    }
}

/// Of a list, tuple, set or frozenset; of bytes, if the elements are numbers.
impl<T: FromPython> FromPython for Vec<T> {
    fn from_python(value: Value) -> Result<Vec<T>, PythonError> {
        if let Some(bytes) = value.as_bytes() {
            return bytes.iter().map(|byte| T::from_python(Value::from(*byte))).collect();
        }
        let items = value.items().ok_or_else(|| wrong::<Vec<T>>(&value))?;
        items.iter().cloned().map(T::from_python).collect()
    }
}

macro_rules! tuples {
    ($(($($part:ident $value:ident),*))*) => {
        $(impl<$($part: FromPython),*> FromPython for ($($part,)*) {
            fn from_python(value: Value) -> Result<Self, PythonError> {
                match &value {
                    Value::Tuple(items) | Value::List(items) => match &items[..] {
                        [$($value),*] => Ok(($($part::from_python($value.clone())?,)*)),
                        _ => Err(wrong::<Self>(&value)),
                    },
                    _ => Err(wrong::<Self>(&value)),
                }
            }
        })*
    };
}

tuples!((A a) (A a, B b) (A a, B b, C c) (A a, B b, C c, D d));

fn entries<K: FromPython, V: FromPython, M: FromIterator<(K, V)>>(value: &Value) -> Result<M, PythonError> {
    let Value::Dict(entries) = value else { return Err(wrong::<M>(value)) };
    entries
        .iter()
        .map(|(key, value)| Ok((K::from_python(key.clone())?, V::from_python(value.clone())?)))
        .collect()
}

impl<K: FromPython + Eq + Hash, V: FromPython> FromPython for HashMap<K, V> {
    fn from_python(value: Value) -> Result<Self, PythonError> {
        entries(&value)
    }
}

impl<K: FromPython + Ord, V: FromPython> FromPython for BTreeMap<K, V> {
    fn from_python(value: Value) -> Result<Self, PythonError> {
        entries(&value)
    }
}
