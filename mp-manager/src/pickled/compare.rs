//! Equality, hashing and order of values, as Python has them: `1 == 1.0 == True`.
//!
//! An object of a class that has no value here is equal to another one if both would be made in the same way. Its class
//! may say otherwise in Python, which the server cannot ask.

use super::raised::Raised;
use mp_pipe::pickle::{BigInt, Value, dumps};
use num_bigint::ToBigInt;
use std::cmp::Ordering;

/// What is equal for equal keys, and for those only.
pub(super) type Key = Box<[u8]>;

/// The key that a value is in a dict.
pub(super) fn key(value: &Value) -> Result<Key, Raised> {
    let mut out = Vec::new();
    write(value, &mut out)?;
    Ok(out.into())
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), Raised> {
    match value {
        Value::None => out.push(b'N'),
        Value::Bool(truth) => int(i64::from(*truth), out),
        Value::Int(number) => int(*number, out),
        Value::BigInt(number) => big_int(number, out),
        Value::Float(float) => match whole(*float) {
            Some(number) => big_int(&number, out),
            None => counted(b'F', &float.to_bits().to_le_bytes(), out),
        },
        Value::Str(text) => counted(b'S', text.as_bytes(), out),
        Value::Surrogates(bytes) => counted(b'S', bytes, out),
        Value::Bytes(bytes) => counted(b'B', bytes, out),
        Value::Tuple(items) => {
            counted(b'T', &(items.len() as u64).to_le_bytes(), out);
            items.iter().try_for_each(|item| write(item, out))?;
        }
        Value::FrozenSet(items) => {
            let mut keys = items.iter().map(key).collect::<Result<Vec<_>, _>>()?;
            keys.sort_unstable();
            counted(b'Z', &(keys.len() as u64).to_le_bytes(), out);
            keys.iter().for_each(|key| out.extend(key));
        }
        Value::Global(_) | Value::Object(_) => {
            let pickle = dumps(value).map_err(|error| Raised::type_error(error.to_string()))?;
            counted(b'O', &pickle, out);
        }
        other => return Err(Raised::unhashable(other)),
    }
    Ok(())
}

fn counted(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend((bytes.len() as u64).to_le_bytes());
    out.extend(bytes);
}

fn int(number: i64, out: &mut Vec<u8>) {
    out.push(b'I');
    out.extend(number.to_le_bytes());
}

fn big_int(number: &BigInt, out: &mut Vec<u8>) {
    match i64::try_from(number) {
        Ok(number) => int(number, out),
        Err(_) => counted(b'J', &number.to_signed_bytes_le(), out),
    }
}

/// The int that a float is equal to.
fn whole(float: f64) -> Option<BigInt> {
    (float.fract() == 0.0).then(|| float.to_bigint()).flatten()
}

enum Number {
    Int(BigInt),
    Float(f64),
}

fn number(value: &Value) -> Option<Number> {
    match value {
        Value::Float(float) => Some(Number::Float(*float)),
        other => super::arguments::int(other).map(Number::Int),
    }
}

/// `None`: one of them is not a number to Python (a NaN).
fn order_of_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => Some(a.cmp(b)),
        (Number::Float(a), Number::Float(b)) => a.partial_cmp(b),
        (Number::Float(_), Number::Int(_)) => order_of_numbers(b, a).map(Ordering::reverse),
        (Number::Int(a), Number::Float(b)) => match b.trunc().to_bigint() {
            Some(whole) => Some(a.cmp(&whole).then_with(|| 0.0_f64.total_cmp(&(b - b.trunc() + 0.0)))),
            // Infinite.
            None => 0.0_f64.partial_cmp(b),
        },
    }
}

/// Python: `a == b`.
pub(super) fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Bytes(a) | Value::ByteArray(a), Value::Bytes(b) | Value::ByteArray(b)) => a == b,
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(a, b))
        }
        (Value::Dict(a), Value::Dict(b)) => a.len() == b.len() && same_entries(a, b),
        (Value::Set(a) | Value::FrozenSet(a), Value::Set(b) | Value::FrozenSet(b)) => {
            let keys = |items: &[Value]| {
                let mut keys: Vec<_> = items.iter().map(|item| key(item).ok()).collect();
                keys.sort_unstable();
                keys
            };
            a.len() == b.len() && keys(a) == keys(b)
        }
        _ => match (number(a), number(b)) {
            (Some(a), Some(b)) => order_of_numbers(&a, &b) == Some(Ordering::Equal),
            _ => a == b,
        },
    }
}

fn same_entries(a: &[(Value, Value)], b: &[(Value, Value)]) -> bool {
    let by_key: std::collections::HashMap<_, _> =
        b.iter().map(|(name, value)| (key(name).ok(), value)).collect();
    a.iter().all(|(name, value)| by_key.get(&key(name).ok()).is_some_and(|other| equal(value, other)))
}

/// Whether `a < b`, as a sort asks.
pub(super) fn less(a: &Value, b: &Value) -> Result<bool, Raised> {
    let text = |value: &Value| match value {
        Value::Str(text) => Some(text.as_bytes().to_vec()),
        Value::Surrogates(bytes) => Some(bytes.to_vec()),
        _ => None,
    };
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => return Ok(a < b),
        (Value::Str(a), Value::Str(b)) => return Ok(a < b),
        (Value::Bytes(a) | Value::ByteArray(a), Value::Bytes(b) | Value::ByteArray(b)) => return Ok(a < b),
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            return match a.iter().zip(b.iter()).find(|(a, b)| !equal(a, b)) {
                Some((a, b)) => less(a, b),
                None => Ok(a.len() < b.len()),
            };
        }
        _ => {}
    }
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return Ok(order_of_numbers(&a, &b) == Some(Ordering::Less));
    }
    // The bytes of UTF-8, also with surrogates, are in the order of the code points.
    if let (Some(a), Some(b)) = (text(a), text(b)) {
        return Ok(a < b);
    }
    let (a, b) = (a.kind(), b.kind());
    Err(Raised::type_error(format!("'<' not supported between instances of '{a}' and '{b}'")))
}

/// The positions of these values in their order. It is Python's sort: stable, and whatever `less` says, it ends.
pub(super) fn sorted(values: &[&Value], reverse: bool) -> Result<Vec<usize>, Raised> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    if reverse {
        order.reverse();
    }
    let (mut width, mut from) = (1, order.clone());
    while width < order.len() {
        from.clone_from(&order);
        for start in (0..order.len()).step_by(2 * width) {
            let middle = (start + width).min(order.len());
            let end = (start + 2 * width).min(order.len());
            let (mut left, mut right) = (start, middle);
            for place in &mut order[start..end] {
                let takes_right =
                    left == middle || right < end && less(values[from[right]], values[from[left]])?;
                let next = if takes_right { &mut right } else { &mut left };
                *place = from[*next];
                *next += 1;
            }
        }
        width *= 2;
    }
    if reverse {
        order.reverse();
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp_pipe::pickle::Object;

    fn big(exponent: u32) -> Value {
        BigInt::from(10).pow(exponent).into()
    }

    #[test]
    fn equal_keys_are_those_that_python_finds_equal() {
        let same = [
            (Value::from(1), Value::from(1.0)),
            (Value::from(1), Value::from(true)),
            (Value::from(0), Value::from(-0.0)),
            (big(22), Value::from(1e22)),
            (Value::tuple([1.into(), "a".into()]), Value::tuple([true.into(), "a".into()])),
            (Value::frozenset([1.into(), 2.into()]), Value::frozenset([2.0.into(), 1.into()])),
        ];
        for (a, b) in same {
            assert!(key(&a) == key(&b) && equal(&a, &b), "{a:?} {b:?}");
        }
        let other = [
            (Value::from(1), Value::from("1")),
            (Value::from("a"), Value::bytes(b"a")),
            (Value::from(0.5), Value::from(0)),
            (big(23), Value::from(1e23)),
            (Value::from(i64::MAX), Value::from(i64::MAX as f64)),
            (Value::None, Value::from(false)),
            (Value::tuple([]), Value::frozenset([])),
            (
                Value::tuple([Value::tuple([1.into()]), 2.into()]),
                Value::tuple([Value::tuple([1.into(), 2.into()])]),
            ),
            (Object::call("m", "C", [1.into()]).into(), Object::call("m", "C", [2.into()]).into()),
        ];
        for (a, b) in other {
            assert!(key(&a) != key(&b) && !equal(&a, &b), "{a:?} {b:?}");
        }
        for value in [Value::list([]), Value::tuple([Value::set([])])] {
            assert!(key(&value).is_err());
        }
        assert!(equal(
            &Value::dict([(1, 2.into()), (3, 4.into())]),
            &Value::dict([(3.0, 4.into()), (1.0, 2.into())])
        ));
        assert!(!equal(&f64::NAN.into(), &f64::NAN.into()));
    }

    #[test]
    fn a_sort_is_stable_and_ends_whatever_it_is_told() {
        let values: Vec<Value> =
            vec![2.into(), 1.0.into(), 1.into(), big(30), f64::INFINITY.into(), 0.5.into()];
        let by = |reverse| sorted(&values.iter().collect::<Vec<_>>(), reverse);
        assert_eq!(by(false), Ok(vec![5, 1, 2, 0, 3, 4]));
        assert_eq!(by(true), Ok(vec![4, 3, 0, 1, 2, 5]));
        let mixed = [Value::from(1), "a".into()];
        assert!(sorted(&[&mixed[0], &mixed[1]], false).is_err());
        let nans: Vec<Value> =
            (0..100).map(|n| if n % 3 == 0 { f64::NAN } else { f64::from(n % 7) }.into()).collect();
        let mut all = sorted(&nans.iter().collect::<Vec<_>>(), false).unwrap();
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }
}
