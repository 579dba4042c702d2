//! Objects' numbers as Python programs have them: as text, and in the tokens of proxies.

use crate::protocol::ObjectId;
use mp_pipe::pickle::Value;

/// An object's number as Python programs have it.
pub(crate) fn id(object: ObjectId) -> Value {
    format!("{object:x}").into()
}

/// As written by [`id`]: no other text is the same number.
pub(crate) fn number(text: &str) -> Option<ObjectId> {
    let number = ObjectId::from_str_radix(text, 16).ok()?;
    (format!("{number:x}") == text).then_some(number)
}

/// The object that a value names.
pub(crate) fn object_of(value: &Value) -> Option<ObjectId> {
    number(value.as_str()?)
}

/// The number in a token, which each proxy has; `None` if this is no token.
pub(super) fn number_of(value: &Value) -> Option<ObjectId> {
    let Value::Object(object) = value else { return None };
    if !value.class()?.is("multiprocessing.managers", "Token") {
        return None;
    }
    match object.state.as_ref()?.items()? {
        [_, _, Value::Str(text)] => number(text),
        _ => None,
    }
}

/// The number of the object that a pickled proxy is of.
pub(super) fn proxied(value: &Value) -> Option<ObjectId> {
    let Value::Object(object) = value else { return None };
    object.args.iter().find_map(number_of)
}
