//! A value with the code of its type, which says nothing here, as in Python.

use super::answered::{Answered, nothing, unknown};
use crate::object::Counts;
use crate::pickled::arguments::Asked;
use crate::pickled::held::Held;
use crate::pickled::raised::Raised;
use crate::pickled::repr::repr;
use mp_pipe::pickle::{Object, Value};

#[derive(Debug)]
pub(crate) struct Cell {
    typecode: Value,
    held: Held,
}

impl Cell {
    pub(super) fn make(counts: &Counts, asked: &Asked) -> Result<Cell, Raised> {
        let [typecode, value, _lock] = asked.bind(2, ["typecode", "value", "lock"])?;
        let held = Held::new(counts, value.unwrap_or_default());
        Ok(Cell { typecode: typecode.unwrap_or_default(), held })
    }

    pub(super) fn call(&mut self, counts: &Counts, asked: &Asked) -> Answered {
        match &*asked.method {
            "get" => {
                let [] = asked.exactly()?;
                Ok(Held::new(counts, self.held.value.clone()))
            }
            "set" => {
                let [value] = asked.exactly()?;
                self.held = Held::new(counts, value);
                nothing()
            }
            _ => unknown("Value", asked),
        }
    }

    /// The object itself: Python's class, with its attributes.
    pub(super) fn object(&self) -> Value {
        let attributes = [("_typecode", self.typecode.clone()), ("_value", self.held.value.clone())];
        Object::with_state("multiprocessing.managers", "Value", Value::dict(attributes)).into()
    }

    pub(super) fn repr(&self) -> String {
        format!("Value({}, {})", repr(&self.typecode), repr(&self.held.value))
    }
}
