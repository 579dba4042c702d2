//! An array of numbers of one type.

use super::answered::{Answered, nothing, unknown};
use crate::pickled::arguments::{Asked, int};
use crate::pickled::held::{Held, elements};
use crate::pickled::places::Place;
use crate::pickled::raised::Raised;
use crate::pickled::repr;
use mp_pipe::pickle::{BigInt, Object, Value};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct Array {
    typecode: Arc<str>,
    values: Vec<Value>,
}

impl Array {
    pub(super) fn make(asked: &Asked) -> Result<Array, Raised> {
        let [typecode, values, _lock] = asked.bind(2, ["typecode", "sequence", "lock"])?;
        let Some(Value::Str(typecode)) = typecode else {
            return Err(Raised::type_error("the typecode of an array must be a str"));
        };
        let values = elements(&values.unwrap_or_default())?;
        let values = values.into_iter().map(|value| converted(&typecode, value)).collect::<Result<_, _>>()?;
        // Also of an empty array.
        converted(&typecode, Value::Int(0))?;
        Ok(Array { typecode, values })
    }

    pub(super) fn call(&mut self, asked: &Asked) -> Answered {
        match &*asked.method {
            "__len__" => Ok(Held::plain(self.values.len())),
            "__getitem__" => {
                let [subscript] = asked.exactly()?;
                let value = |at: usize| self.values[at].clone();
                Ok(Held::plain(match Place::of(&subscript, self.values.len(), "array")? {
                    Place::At(at) => value(at),
                    slice => self.of(slice.all().into_iter().map(value)),
                }))
            }
            "__setitem__" => {
                let [subscript, value] = asked.exactly()?;
                match Place::of(&subscript, self.values.len(), "array assignment")? {
                    Place::At(at) => self.values[at] = converted(&self.typecode, value)?,
                    Place::Slice { .. } => {
                        return Err(Raised::type_error(
                            "this server sets single elements of an array, no slices",
                        ));
                    }
                }
                nothing()
            }
            _ => unknown("array.array", asked),
        }
    }

    fn of(&self, values: impl Iterator<Item = Value>) -> Value {
        Object::call("array", "array", [Value::Str(self.typecode.clone()), Value::list(values)]).into()
    }

    /// Python's own array.
    pub(super) fn value(&self) -> Value {
        self.of(self.values.iter().cloned())
    }

    pub(super) fn repr(&self) -> String {
        let mut out = format!("array('{}'", self.typecode);
        if !self.values.is_empty() {
            out.push_str(", ");
            repr::list(self.values.iter(), &mut out);
        }
        out + ")"
    }
}

/// As the array of such a type has it.
fn converted(typecode: &str, value: Value) -> Result<Value, Raised> {
    let bits = match typecode {
        "b" | "B" => 8,
        "h" | "H" => 16,
        "i" | "I" => 32,
        "l" | "L" | "q" | "Q" => 64,
        "f" | "d" => return float(typecode, &value),
        _ => {
            return Err(Raised::value(
                "bad typecode for this server (must be b, B, h, H, i, I, l, L, q, Q, f or d)",
            ));
        }
    };
    let number = int(&value).ok_or_else(|| {
        Raised::type_error(format!("'{}' object cannot be interpreted as an integer", value.kind()))
    })?;
    let one = BigInt::from(1);
    let (least, most) = if typecode.chars().all(char::is_lowercase) {
        let half: BigInt = &one << (bits - 1);
        (-&half, half - one)
    } else {
        (BigInt::from(0), (&one << bits) - one)
    };
    if number < least || number > most {
        return Err(Raised::overflow(format!(
            "{number} does not fit into an element of typecode '{typecode}'"
        )));
    }
    Ok(number.into())
}

fn float(typecode: &str, value: &Value) -> Result<Value, Raised> {
    let float = match value {
        Value::Float(float) => *float,
        other => match int(other) {
            Some(number) => number.to_string().parse().unwrap_or(f64::INFINITY),
            None => return Err(Raised::type_error(format!("must be real number, not {}", other.kind()))),
        },
    };
    Ok(Value::Float(if typecode == "f" { f64::from(float as f32) } else { float }))
}
