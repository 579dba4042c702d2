//! A value from what Rust has, and what Rust has from a value.

use super::value::{Global, Object, Value};
use num_bigint::BigInt;
use std::sync::Arc;

/// One `From` for each type that is a variant's content, or fits into it.
macro_rules! from {
    ($($type:ty, $value:ident => $made:expr;)*) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Value {
                $made
            }
        })*
    };
}

from! {
    (), _nothing => Value::None;
    bool, truth => Value::Bool(truth);
    i8, int => Value::Int(int.into());
    u8, int => Value::Int(int.into());
    i16, int => Value::Int(int.into());
    u16, int => Value::Int(int.into());
    i32, int => Value::Int(int.into());
    u32, int => Value::Int(int.into());
    i64, int => Value::Int(int);
    u64, int => i64::try_from(int).map_or_else(|_| BigInt::from(int).into(), Value::Int);
    i128, int => i64::try_from(int).map_or_else(|_| BigInt::from(int).into(), Value::Int);
    u128, int => i64::try_from(int).map_or_else(|_| BigInt::from(int).into(), Value::Int);
    isize, int => Value::from(int as i64);
    usize, int => Value::from(int as u64);
    f32, float => Value::Float(float.into());
    f64, float => Value::Float(float);
    &str, text => Value::Str(text.into());
    String, text => Value::Str(text.into());
    &[u8], bytes => Value::Bytes(bytes.into());
    Vec<u8>, bytes => Value::Bytes(bytes.into());
    Global, name => Value::Global(Arc::new(name));
    Object, object => Value::Object(Arc::new(object));
}

impl From<BigInt> for Value {
    fn from(int: BigInt) -> Value {
        i64::try_from(&int).map_or_else(|_| Value::BigInt(Arc::new(int)), Value::Int)
    }
}

/// `None` becomes Python's.
impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::None, Into::into)
    }
}

/// What it is, where it is that.
impl Value {
    /// Whether it is `None`.
    pub fn is_none(&self) -> bool {
        matches!(self, Value::None)
    }

    /// A `bool`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// An `int` that fits 64 bits.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(int) => Some(*int),
            Value::BigInt(int) => i64::try_from(&**int).ok(),
            _ => None,
        }
    }

    /// An `int` of any size.
    pub fn to_bigint(&self) -> Option<BigInt> {
        match self {
            Value::Int(int) => Some(BigInt::from(*int)),
            Value::BigInt(int) => Some((**int).clone()),
            _ => None,
        }
    }

    /// A `float`.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Value::Float(float) => Some(*float),
            _ => None,
        }
    }

    /// A `str` without surrogates.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// A `bytes` or `bytearray`.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Bytes(bytes) | Value::ByteArray(bytes) => Some(bytes),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_int_is_big_only_where_64_bits_are_too_few() {
        assert_eq!(Value::from(BigInt::from(i64::MIN)), Value::Int(i64::MIN));
        assert_eq!(Value::from(i64::MAX as u64), Value::Int(i64::MAX));
        let beyond = i128::from(i64::MAX) + 1;
        for value in [Value::from(1_u64 << 63), Value::from(beyond), Value::from(BigInt::from(beyond))] {
            assert_eq!(value, Value::BigInt(Arc::new(BigInt::from(beyond))));
            assert_eq!((value.as_int(), value.to_bigint()), (None, Some(BigInt::from(beyond))));
        }
        // Made by hand, and still an int that fits.
        assert_eq!(Value::BigInt(Arc::new(BigInt::from(5))).as_int(), Some(5));
    }

    #[test]
    fn what_it_is_not_is_none() {
        let one = Value::from(1_u8);
        assert_eq!((one.as_bool(), one.as_float(), one.as_str(), one.as_bytes()), (None, None, None, None));
        assert!(Value::from(None::<u8>).is_none() && !one.is_none());
        assert_eq!(Value::bytes(b"x").as_bytes(), Some(&b"x"[..]));
    }
}
