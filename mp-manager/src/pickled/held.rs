//! Held: a value that an object of the server keeps, and the objects whose proxies are in it.

use super::numbers::number_of;
use super::raised::Raised;
use crate::object::{Counts, Kept};
use crate::protocol::ObjectId;
use mp_pipe::pickle::{BigInt, Value};

/// As long as it is there, so are the objects of the proxies in it.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(super) value: Value,
    objects: Vec<Kept>,
}

impl Held {
    /// Finds the proxies in the value.
    pub(super) fn new(counts: &Counts, value: Value) -> Held {
        let mut objects = Vec::new();
        visit(&value, &mut |object| objects.extend(Kept::new(counts, object)));
        Held { value, objects }
    }

    /// A value without proxies in it.
    pub(super) fn plain(value: impl Into<Value>) -> Held {
        Held { value: value.into(), objects: Vec::new() }
    }

    /// What keeps the objects of the proxies in it.
    pub(super) fn into_parts(self) -> (Value, Vec<Kept>) {
        (self.value, self.objects)
    }

    pub(super) fn ids(&self) -> Vec<ObjectId> {
        self.objects.iter().map(Kept::object).collect()
    }
}

impl From<Value> for Held {
    fn from(value: Value) -> Held {
        Held::plain(value)
    }
}

/// Visits the number of each token in a value: a proxy is pickled with its own.
fn visit(value: &Value, found: &mut impl FnMut(ObjectId)) {
    match value {
        Value::Object(object) => {
            if let Some(number) = number_of(value) {
                return found(number);
            }
            object
                .args
                .iter()
                .chain(object.items.iter())
                .chain(&object.state)
                .for_each(|part| visit(part, found));
            object.entries.iter().for_each(|(key, value)| {
                visit(key, found);
                visit(value, found);
            });
        }
        Value::Dict(entries) => entries.iter().for_each(|(key, value)| {
            visit(key, found);
            visit(value, found);
        }),
        other => other.items().unwrap_or_default().iter().for_each(|item| visit(item, found)),
    }
}

/// How much a value is, as if nothing in it were shared: its parts, and one for each sixteen bytes of text. What shows
/// or searches a value visits that much.
pub(super) fn weight(value: &Value) -> u64 {
    let parts = match value {
        Value::Str(text) => text.len() as u64 / BYTES,
        Value::Surrogates(bytes) | Value::Bytes(bytes) | Value::ByteArray(bytes) => {
            bytes.len() as u64 / BYTES
        }
        Value::BigInt(int) => int.bits() / (8 * BYTES),
        Value::Dict(entries) => entries.iter().map(|(key, value)| weight(key) + weight(value)).sum(),
        Value::Object(object) => {
            let parts = object.args.iter().chain(object.items.iter()).chain(&object.state).map(weight);
            let entries = object.entries.iter().map(|(key, value)| weight(key) + weight(value));
            parts.sum::<u64>() + entries.sum::<u64>()
        }
        other => other.items().unwrap_or_default().iter().map(weight).sum(),
    };
    1 + parts
}

/// As much as one part of a value.
const BYTES: u64 = 16;

/// The most elements that an iterable which is no container may have: what it has in memory bounds the others.
const MOST: u64 = 1 << 24;

/// The elements of what Python iterates over.
pub(super) fn elements(value: &Value) -> Result<Vec<Value>, Raised> {
    let bytes = |bytes: &[u8]| bytes.iter().map(|byte| Value::from(*byte)).collect();
    match value {
        Value::Dict(entries) => return Ok(entries.iter().map(|(key, _)| key.clone()).collect()),
        Value::Str(text) => return Ok(text.chars().map(|char| Value::from(char.to_string())).collect()),
        Value::Bytes(of) | Value::ByteArray(of) => return Ok(bytes(of)),
        Value::Object(object) => match value.class() {
            Some(class) if class.is("builtins", "range") => return range(&object.args),
            // The views of a dict are pickled as such a call.
            Some(class) if class.is("builtins", "list") && object.args.len() == 1 => {
                return elements(&object.args[0]);
            }
            _ if !object.items.is_empty() => return Ok(object.items.to_vec()),
            _ if !object.entries.is_empty() => {
                return Ok(object.entries.iter().map(|(key, _)| key.clone()).collect());
            }
            _ => {}
        },
        other => {
            if let Some(items) = other.items() {
                return Ok(items.to_vec());
            }
        }
    }
    let what = value.class().map_or_else(|| value.kind().to_owned(), ToString::to_string);
    Err(Raised::type_error(format!("'{what}' object is not iterable in this server: send a list")))
}

fn range(args: &[Value]) -> Result<Vec<Value>, Raised> {
    let [Value::Int(start), Value::Int(stop), Value::Int(step)] = args else {
        return Err(Raised::value("a range beyond 64 bits: send a list"));
    };
    let (start, stop, step) = (i128::from(*start), i128::from(*stop), i128::from(*step));
    let apart = if step > 0 { stop - start } else { start - stop };
    if step == 0 || apart <= 0 {
        return Ok(Vec::new());
    }
    let count = (apart as u128).div_ceil(step.unsigned_abs());
    if count > MOST.into() {
        return Err(Raised::memory("a range of more than 16,777,216 elements: send it in parts"));
    }
    Ok((0..count as i128).map(|at| Value::from(BigInt::from(start + at * step))).collect())
}
