//! A list.

use super::answered::{Answered, nothing, unknown};
use crate::object::Counts;
use crate::pickled::arguments::{Asked, UNNAMED, index, is_true};
use crate::pickled::compare::{equal, sorted};
use crate::pickled::held::{Held, elements, weight};
use crate::pickled::places::{Place, at, within};
use crate::pickled::raised::Raised;
use crate::pickled::repr;
use mp_pipe::pickle::{Object, Value};

/// The most parts that multiplying may give: those of its elements too.
const MOST: u64 = 1 << 24;

#[derive(Debug, Default)]
pub(crate) struct List(Vec<Held>);

impl List {
    pub(super) fn make(counts: &Counts, asked: &Asked) -> Result<List, Raised> {
        let [values] = asked.bind(0, [UNNAMED])?;
        let mut list = List::default();
        if let Some(values) = values {
            list.extend(counts, &values)?;
        }
        Ok(list)
    }

    pub(super) fn value(&self) -> Value {
        Value::list(self.0.iter().map(|held| held.value.clone()))
    }

    pub(super) fn repr(&self) -> String {
        let mut out = String::new();
        repr::list(self.0.iter().map(|held| &held.value), &mut out);
        out
    }

    pub(super) fn call(&mut self, counts: &Counts, asked: &Asked) -> Answered {
        match &*asked.method {
            "__len__" => Ok(Held::plain(self.0.len())),
            "__contains__" => {
                let [value] = asked.exactly()?;
                Ok(Held::plain(self.0.iter().any(|held| equal(&held.value, &value))))
            }
            "__getitem__" => self.get(counts, asked),
            "__setitem__" => self.set(counts, asked),
            "__delitem__" => self.delete(asked),
            "__add__" => self.sum(counts, asked),
            "__mul__" | "__rmul__" => {
                let values = self.multiplied(asked)?;
                Ok(Held::new(counts, Value::list(values)))
            }
            "__imul__" => {
                let values = self.multiplied(asked)?;
                self.0 = values.into_iter().map(|value| Held::new(counts, value)).collect();
                nothing()
            }
            "__reversed__" => {
                let [] = asked.exactly()?;
                Ok(Held::new(counts, Object::call("builtins", "reversed", [self.value()]).into()))
            }
            "append" => {
                let [value] = asked.exactly()?;
                self.0.push(Held::new(counts, value));
                nothing()
            }
            "extend" => {
                let [values] = asked.exactly()?;
                self.extend(counts, &values)?;
                nothing()
            }
            "insert" => {
                let [before, value] = asked.exactly()?;
                let before = within(index(&before)?, self.0.len());
                self.0.insert(before, Held::new(counts, value));
                nothing()
            }
            "count" => {
                let [value] = asked.exactly()?;
                Ok(Held::plain(self.0.iter().filter(|held| equal(&held.value, &value)).count()))
            }
            "index" => self.index(asked),
            "pop" => self.pop(asked),
            "remove" => {
                let [value] = asked.exactly()?;
                let found = self.0.iter().position(|held| equal(&held.value, &value));
                self.0.remove(found.ok_or_else(|| Raised::value("list.remove(x): x not in list"))?);
                nothing()
            }
            "reverse" => {
                let [] = asked.exactly()?;
                self.0.reverse();
                nothing()
            }
            "sort" => self.sort(asked),
            "clear" => {
                let [] = asked.exactly()?;
                self.0.clear();
                nothing()
            }
            "copy" => {
                let [] = asked.exactly()?;
                Ok(Held::new(counts, self.value()))
            }
            _ => unknown("list", asked),
        }
    }

    fn extend(&mut self, counts: &Counts, values: &Value) -> Result<(), Raised> {
        self.0.extend(elements(values)?.into_iter().map(|value| Held::new(counts, value)));
        Ok(())
    }

    fn get(&self, counts: &Counts, asked: &Asked) -> Answered {
        let [subscript] = asked.exactly()?;
        let value = |at: usize| self.0[at].value.clone();
        Ok(Held::new(
            counts,
            match Place::of(&subscript, self.0.len(), "list")? {
                Place::At(at) => value(at),
                slice => Value::list(slice.all().into_iter().map(value)),
            },
        ))
    }

    fn set(&mut self, counts: &Counts, asked: &Asked) -> Answered {
        let [subscript, value] = asked.exactly()?;
        match Place::of(&subscript, self.0.len(), "list assignment")? {
            Place::At(at) => self.0[at] = Held::new(counts, value),
            Place::Slice { first, step: 1, count } => {
                let new = elements(&value)?.into_iter().map(|value| Held::new(counts, value));
                self.0.splice(first..first + count, new);
            }
            slice @ Place::Slice { count, .. } => {
                let new = elements(&value)?;
                if new.len() != count {
                    return Err(Raised::value(format!(
                        "attempt to assign sequence of size {} to extended slice of size {count}",
                        new.len()
                    )));
                }
                for (at, value) in slice.all().into_iter().zip(new) {
                    self.0[at] = Held::new(counts, value);
                }
            }
        }
        nothing()
    }

    fn delete(&mut self, asked: &Asked) -> Answered {
        let [subscript] = asked.exactly()?;
        let mut gone = Place::of(&subscript, self.0.len(), "list assignment")?.all();
        gone.sort_unstable();
        let (mut gone, mut at) = (gone.into_iter().peekable(), 0);
        self.0.retain(|_| {
            let is_gone = gone.next_if_eq(&at).is_some();
            at += 1;
            !is_gone
        });
        nothing()
    }

    fn sum(&self, counts: &Counts, asked: &Asked) -> Answered {
        let [other] = asked.exactly()?;
        let Value::List(other) = &other else {
            return Err(Raised::type_error(format!(
                "can only concatenate list (not \"{}\") to list",
                other.kind()
            )));
        };
        let own = self.0.iter().map(|held| held.value.clone());
        Ok(Held::new(counts, Value::list(own.chain(other.iter().cloned()))))
    }

    fn multiplied(&self, asked: &Asked) -> Result<Vec<Value>, Raised> {
        let [times] = asked.exactly()?;
        let times = usize::try_from(index(&times)?).unwrap_or(0);
        let weight: u64 = self.0.iter().map(|held| weight(&held.value)).sum();
        if times > 1 && weight.saturating_mul(times as u64) > MOST {
            return Err(Raised::memory(
                "a list of more than 16,777,216 parts, or 256 MiB, by multiplying: extend it",
            ));
        }
        // Nothing, however often, is to be done once.
        let times = if self.0.is_empty() { 0 } else { times };
        let own: Vec<Value> = self.0.iter().map(|held| held.value.clone()).collect();
        Ok(std::iter::repeat_n(own, times).flatten().collect())
    }

    fn index(&self, asked: &Asked) -> Answered {
        let [value, start, stop] = asked.bind(1, [UNNAMED; 3])?;
        let (value, len) = (value.unwrap_or_default(), self.0.len());
        let bound = |given: Option<Value>, otherwise| match given {
            Some(given) => index(&given).map(|at| within(at, len)),
            None => Ok(otherwise),
        };
        let (start, stop) = (bound(start, 0)?, bound(stop, len)?);
        let found = (start..stop).find(|at| equal(&self.0[*at].value, &value));
        match found {
            Some(at) => Ok(Held::plain(at)),
            None => Err(Raised::value(format!("{} is not in list", repr::repr(&value)))),
        }
    }

    fn pop(&mut self, asked: &Asked) -> Answered {
        let [place] = asked.bind(0, [UNNAMED])?;
        let place = place.map_or(Ok(-1), |place| index(&place))?;
        if self.0.is_empty() {
            return Err(Raised::index("pop from empty list"));
        }
        let place = at(place, self.0.len()).ok_or_else(|| Raised::index("pop index out of range"))?;
        Ok(self.0.remove(place))
    }

    fn sort(&mut self, asked: &Asked) -> Answered {
        if !asked.positional.is_empty() {
            return Err(Raised::type_error("sort() takes no positional arguments"));
        }
        let [key, reverse] = asked.bind(0, ["key", "reverse"])?;
        if !key.unwrap_or_default().is_none() {
            return Err(Raised::type_error("this server calls no Python function: sort without a key"));
        }
        let values: Vec<&Value> = self.0.iter().map(|held| &held.value).collect();
        let order = sorted(&values, reverse.is_some_and(|reverse| is_true(&reverse)))?;
        let mut old: Vec<Option<Held>> = std::mem::take(&mut self.0).into_iter().map(Some).collect();
        self.0 = order.into_iter().filter_map(|at| old[at].take()).collect();
        nothing()
    }
}
