//! A dict, in the order of insertion.

use super::answered::{Answered, nothing, unknown};
use super::items::{Entry, Items};
use crate::object::Counts;
use crate::pickled::arguments::{Asked, UNNAMED};
use crate::pickled::compare::key;
use crate::pickled::held::{Held, elements};
use crate::pickled::raised::Raised;
use crate::pickled::repr;
use mp_pipe::pickle::Value;
use std::cell::RefCell;
use std::rc::Rc;

#[derive(Debug, Default)]
pub(crate) struct Dict(Rc<RefCell<Items>>);

impl Dict {
    pub(super) fn make(counts: &Counts, asked: &Asked) -> Result<Dict, Raised> {
        let dict = Dict::default();
        dict.update(counts, asked)?;
        Ok(dict)
    }

    pub(super) fn value(&self) -> Value {
        Value::dict(self.0.borrow().iter().map(|(key, value)| (key.clone(), value.clone())))
    }

    pub(super) fn repr(&self) -> String {
        let mut out = String::new();
        repr::dict(self.0.borrow().iter(), &mut out);
        out
    }

    pub(super) fn call(&mut self, counts: &Counts, asked: &Asked) -> Answered {
        let items = &mut *self.0.borrow_mut();
        let value = |value: Value| Ok(Held::new(counts, value));
        match &*asked.method {
            "__len__" => value(items.len().into()),
            "__contains__" => {
                let [name] = asked.exactly()?;
                value(items.get(&name)?.is_some().into())
            }
            "__getitem__" => {
                let [name] = asked.exactly()?;
                match items.get(&name)? {
                    Some(held) => value(held.value.clone()),
                    None => Err(Raised::key(name)),
                }
            }
            "get" => {
                let [name, otherwise] = asked.bind(1, [UNNAMED; 2])?;
                let found = items.get(&name.unwrap_or_default())?.map(|held| held.value.clone());
                value(found.or(otherwise).unwrap_or_default())
            }
            "__setitem__" => {
                let [name, value] = asked.exactly()?;
                items.insert(counts, name, value)?;
                nothing()
            }
            "__delitem__" => {
                let [name] = asked.exactly()?;
                match items.remove(&name)? {
                    Some(_) => nothing(),
                    None => Err(Raised::key(name)),
                }
            }
            "keys" => value(Value::list(items.iter().map(|(key, _)| key.clone()))),
            "values" => value(Value::list(items.iter().map(|(_, value)| value.clone()))),
            "items" => {
                let pair = |(key, value): (&Value, &Value)| Value::tuple([key.clone(), value.clone()]);
                value(Value::list(items.iter().map(pair)))
            }
            "copy" => value(Value::dict(items.iter().map(|(key, value)| (key.clone(), value.clone())))),
            "clear" => {
                let [] = asked.exactly()?;
                items.clear();
                nothing()
            }
            "pop" => pop(items, asked),
            "popitem" => {
                let [] = asked.exactly()?;
                match items.pop_last()? {
                    Some(Entry { key, value: popped }) => {
                        let value = Value::tuple([key.value.clone(), popped.value.clone()]);
                        // While both are still there, what they hold is.
                        Ok(Held::new(counts, value))
                    }
                    None => Err(Raised::key("popitem(): dictionary is empty".into())),
                }
            }
            "setdefault" => {
                let [name, otherwise] = asked.bind(1, [UNNAMED; 2])?;
                let name = name.unwrap_or_default();
                if items.get(&name)?.is_none() {
                    items.insert(counts, name.clone(), otherwise.unwrap_or_default())?;
                }
                value(items.get(&name)?.map(|held| held.value.clone()).unwrap_or_default())
            }
            "update" | "__ior__" => {
                let new = given(asked)?;
                new.into_iter().try_for_each(|(name, value)| items.insert(counts, name, value))?;
                nothing()
            }
            "__or__" | "__ror__" => {
                let own = items.iter().map(|(key, value)| (key.clone(), value.clone()));
                let (own, other) = (own.collect::<Vec<_>>(), given(asked)?);
                let (first, second) = if &*asked.method == "__or__" { (own, other) } else { (other, own) };
                let mut union = Items::default();
                first
                    .into_iter()
                    .chain(second)
                    .try_for_each(|(name, value)| union.insert(counts, name, value))?;
                value(Value::dict(union.iter().map(|(key, value)| (key.clone(), value.clone()))))
            }
            _ => unknown("dict", asked),
        }
    }

    /// What an iterator over it keeps.
    pub(super) fn iterated(&self, asked: &Asked) -> Result<Rc<RefCell<Items>>, Raised> {
        let [] = asked.exactly()?;
        Ok(Rc::clone(&self.0))
    }

    fn update(&self, counts: &Counts, asked: &Asked) -> Result<(), Raised> {
        let items = &mut *self.0.borrow_mut();
        given(asked)?.into_iter().try_for_each(|(name, value)| items.insert(counts, name, value))
    }
}

fn pop(items: &mut Items, asked: &Asked) -> Answered {
    let [name, otherwise] = asked.bind(1, [UNNAMED; 2])?;
    let name = name.unwrap_or_default();
    match (items.remove(&name)?, otherwise) {
        (Some(entry), _) => Ok(entry.value),
        (None, Some(otherwise)) => Ok(Held::plain(otherwise)),
        (None, None) => Err(Raised::key(name)),
    }
}

/// The entries of a dict, or pairs, and the keywords: what `dict` and `update` take. Every key is hashable.
fn given(asked: &Asked) -> Result<Vec<(Value, Value)>, Raised> {
    let mut entries = match &asked.positional[..] {
        [] => Vec::new(),
        [Value::Dict(entries)] => entries.to_vec(),
        [Value::Object(object)] if !object.entries.is_empty() => object.entries.to_vec(),
        [pairs] => elements(pairs)?.iter().enumerate().map(pair).collect::<Result<_, _>>()?,
        more => {
            return Err(Raised::type_error(format!("dict expected at most 1 argument, got {}", more.len())));
        }
    };
    entries.extend(asked.keywords.iter().map(|(name, value)| (Value::Str(name.clone()), value.clone())));
    // Nothing is changed by a call that is refused.
    entries.iter().try_for_each(|(name, _)| key(name).map(drop))?;
    Ok(entries)
}

fn pair((at, pair): (usize, &Value)) -> Result<(Value, Value), Raised> {
    match &elements(pair)?[..] {
        [name, value] => Ok((name.clone(), value.clone())),
        other => Err(Raised::value(format!(
            "dictionary update sequence element #{at} has length {}; 2 is required",
            other.len()
        ))),
    }
}
