//! The arguments of a call, bound to names as Python binds them.

use super::numbers::{number_of, object_of};
use super::raised::Raised;
use crate::protocol::ObjectId;
use mp_pipe::pickle::{BigInt, Value};
use std::sync::Arc;
use std::time::Duration;

/// What a request calls.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(super) method: Arc<str>,
    pub(super) positional: Vec<Value>,
    pub(super) keywords: Vec<(Arc<str>, Value)>,
}

/// An argument that cannot be given by name.
pub(super) const UNNAMED: &str = "";

impl Asked {
    /// From the parts of a request. `None`: they are not a method, a tuple and a dict of names.
    pub(super) fn of(method: &Value, args: &Value, kwds: &Value) -> Option<Asked> {
        let (Value::Str(method), Value::Tuple(args) | Value::List(args), Value::Dict(kwds)) =
            (method, args, kwds)
        else {
            return None;
        };
        let named = |(name, value): &(Value, Value)| match name {
            Value::Str(name) => Some((Arc::clone(name), value.clone())),
            _ => None,
        };
        Some(Asked {
            method: Arc::clone(method),
            positional: args.to_vec(),
            keywords: kwds.iter().map(named).collect::<Option<_>>()?,
        })
    }

    /// One argument for each of these names, of which so many must be given.
    pub(super) fn bind<const N: usize>(
        &self,
        least: usize,
        names: [&str; N],
    ) -> Result<[Option<Value>; N], Raised> {
        let wrong = |what: String| Raised::type_error(format!("{}() {what}", self.method));
        let given = self.positional.len();
        if given > N {
            return Err(wrong(format!("takes at most {N} arguments ({given} given)")));
        }
        let mut bound = std::array::from_fn(|at| self.positional.get(at).cloned());
        for (name, value) in &self.keywords {
            match names.iter().position(|known| **known == **name && *known != UNNAMED) {
                Some(at) if bound[at].is_none() => bound[at] = Some(value.clone()),
                Some(_) => return Err(wrong(format!("got multiple values for argument '{name}'"))),
                None => return Err(wrong(format!("got an unexpected keyword argument '{name}'"))),
            }
        }
        match bound.iter().take(least).position(Option::is_none) {
            Some(missing) => Err(wrong(format!("misses argument {}", missing + 1))),
            None => Ok(bound),
        }
    }

    pub(crate) fn method(&self) -> &str {
        &self.method
    }

    /// An argument that is a `str`.
    pub(crate) fn text(&self, at: usize) -> Option<&str> {
        self.positional.get(at)?.as_str()
    }

    /// The object that the first argument names: by its number, or by a token.
    pub(crate) fn object(&self) -> Option<ObjectId> {
        let first = self.positional.first()?;
        object_of(first).or_else(|| number_of(first))
    }

    /// The first argument, and the others as those of a call of that name.
    pub(crate) fn split(&self) -> Option<(Arc<str>, Asked)> {
        let (Value::Str(first), rest) = self.positional.split_first()? else { return None };
        let (method, keywords) = (Arc::clone(first), self.keywords.clone());
        Some((Arc::clone(first), Asked { method, positional: rest.to_vec(), keywords }))
    }

    /// As many arguments as that, without names.
    pub(super) fn exactly<const N: usize>(&self) -> Result<[Value; N], Raised> {
        let bound = self.bind(N, [UNNAMED; N])?;
        Ok(bound.map(Option::unwrap_or_default))
    }
}

/// An `int`, or a `bool`, which is one.
pub(super) fn int(value: &Value) -> Option<BigInt> {
    match value {
        Value::Bool(truth) => Some(BigInt::from(u8::from(*truth))),
        other => other.to_bigint(),
    }
}

/// An index, or a count: beyond 64 bits it is as good as the largest.
pub(super) fn index(value: &Value) -> Result<i64, Raised> {
    match value {
        Value::Bool(truth) => Ok((*truth).into()),
        Value::Int(int) => Ok(*int),
        Value::BigInt(int) if **int < BigInt::from(0) => Ok(i64::MIN),
        Value::BigInt(_) => Ok(i64::MAX),
        other => {
            Err(Raised::type_error(format!("'{}' object cannot be interpreted as an integer", other.kind())))
        }
    }
}

/// Whether Python takes it for true.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::None => false,
        Value::Bool(truth) => *truth,
        Value::Int(int) => *int != 0,
        Value::Float(float) => *float != 0.0,
        Value::Str(text) => !text.is_empty(),
        Value::Bytes(bytes) | Value::ByteArray(bytes) => !bytes.is_empty(),
        Value::Dict(entries) => !entries.is_empty(),
        other => other.items().is_none_or(|items| !items.is_empty()),
    }
}

/// A time in seconds; what is negative is no time at all.
pub(super) fn seconds(value: &Value) -> Result<Duration, Raised> {
    let seconds = match value {
        Value::Float(float) => *float,
        other => index(other)? as f64,
    };
    if seconds.is_nan() {
        return Err(Raised::value("Invalid value NaN (not a number)"));
    }
    // Longer than a clock counts is for ever.
    Ok(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}
