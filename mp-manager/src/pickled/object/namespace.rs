//! A namespace: attributes by name.

use super::answered::{Answered, nothing, unknown};
use super::items::Items;
use crate::object::Counts;
use crate::pickled::arguments::Asked;
use crate::pickled::held::Held;
use crate::pickled::raised::Raised;
use crate::pickled::repr::repr;
use mp_pipe::pickle::{Object, Value};

#[derive(Debug, Default)]
pub(crate) struct Namespace(Items);

impl Namespace {
    pub(super) fn make(counts: &Counts, asked: &Asked) -> Result<Namespace, Raised> {
        if !asked.positional.is_empty() {
            return Err(Raised::type_error("Namespace() takes keyword arguments only"));
        }
        let mut namespace = Namespace::default();
        for (name, value) in &asked.keywords {
            namespace.0.insert(counts, Value::Str(name.clone()), value.clone())?;
        }
        Ok(namespace)
    }

    pub(super) fn call(&mut self, counts: &Counts, asked: &Asked) -> Answered {
        match &*asked.method {
            "__getattribute__" => {
                let [name] = asked.exactly()?;
                match self.0.get(named(&name)?)? {
                    Some(held) => Ok(Held::new(counts, held.value.clone())),
                    None => Err(missing(&name)),
                }
            }
            "__setattr__" => {
                let [name, value] = asked.exactly()?;
                self.0.insert(counts, named(&name)?.clone(), value)?;
                nothing()
            }
            "__delattr__" => {
                let [name] = asked.exactly()?;
                match self.0.remove(named(&name)?)? {
                    Some(_) => nothing(),
                    None => Err(missing(&name)),
                }
            }
            _ => unknown("Namespace", asked),
        }
    }

    /// The object itself: Python's class, with its attributes.
    pub(super) fn value(&self) -> Value {
        let attributes = self.0.iter().map(|(name, value)| (name.clone(), value.clone()));
        Object::with_state("multiprocessing.managers", "Namespace", Value::dict(attributes)).into()
    }

    pub(super) fn repr(&self) -> String {
        let visible = self.0.iter().filter_map(|(name, value)| {
            let name = name.as_str().filter(|name| !name.starts_with('_'))?;
            Some(format!("{name}={}", repr(value)))
        });
        let mut visible: Vec<String> = visible.collect();
        visible.sort_unstable();
        format!("Namespace({})", visible.join(", "))
    }
}

fn named(name: &Value) -> Result<&Value, Raised> {
    match name {
        Value::Str(_) => Ok(name),
        other => Err(Raised::type_error(format!("attribute name must be string, not '{}'", other.kind()))),
    }
}

fn missing(name: &Value) -> Raised {
    Raised::attribute(format!("'Namespace' object has no attribute {}", repr(name)))
}
