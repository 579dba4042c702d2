//! What Python's list holds as it comes: here the types that may come are said.

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Serialize, Deserialize)]
pub(crate) enum Object {
    Int(i64),
    None,
    Text(String),
    Bool(bool),
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::Int(number) => number.fmt(f),
            Object::None => f.write_str("None"),
            Object::Text(text) => text.fmt(f),
            Object::Bool(truth) => truth.fmt(f),
        }
    }
}
