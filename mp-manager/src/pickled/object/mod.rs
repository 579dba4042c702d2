//! The objects that hold values of Python: each call is one step, and none waits.

mod answered;
mod array;
mod cell;
mod dict;
mod items;
mod iterator;
mod list;
mod namespace;

use super::arguments::Asked;
use super::held::Held;
use super::kinds::Type;
use super::raised::Raised;
use crate::object::Counts;

/// See the module.
#[derive(Debug)]
pub(crate) enum Object {
    Array(array::Array),
    Cell(cell::Cell),
    Dict(dict::Dict),
    Iterator(iterator::Iterator),
    List(list::List),
    Namespace(namespace::Namespace),
}

/// What a call gives.
pub(crate) enum Answer {
    Value(Held),
    /// A new object, of which the caller gets a proxy.
    Object(Type, Object),
}

impl Object {
    /// A new object; `None` for a type whose objects are others.
    pub(super) fn make(counts: &Counts, type_: Type, asked: &Asked) -> Option<Result<Object, Raised>> {
        Some(match type_ {
            Type::Array => array::Array::make(asked).map(Object::Array),
            Type::Value => cell::Cell::make(counts, asked).map(Object::Cell),
            Type::Dict => dict::Dict::make(counts, asked).map(Object::Dict),
            Type::List => list::List::make(counts, asked).map(Object::List),
            Type::Namespace => namespace::Namespace::make(counts, asked).map(Object::Namespace),
            _ => return None,
        })
    }

    pub(crate) fn call(&mut self, counts: &Counts, asked: &Asked) -> Result<Answer, Raised> {
        let answered = match (self, &*asked.method) {
            (object, "#GETVALUE") => Ok(object.value(counts)),
            (object, "__str__" | "__repr__") => Ok(Held::plain(object.repr())),
            (Object::Dict(dict), "__iter__") => {
                let iterator = Object::Iterator(iterator::Iterator::new(dict.iterated(asked)?));
                return Ok(Answer::Object(Type::Iterator, iterator));
            }
            (Object::Array(array), _) => array.call(asked),
            (Object::Cell(cell), _) => cell.call(counts, asked),
            (Object::Dict(dict), _) => dict.call(counts, asked),
            (Object::Iterator(iterator), _) => iterator.call(counts, asked),
            (Object::List(list), _) => list.call(counts, asked),
            (Object::Namespace(namespace), _) => namespace.call(counts, asked),
        };
        answered.map(Answer::Value)
    }

    /// A copy of the whole.
    fn value(&self, counts: &Counts) -> Held {
        match self {
            Object::Array(array) => Held::plain(array.value()),
            Object::Cell(cell) => Held::new(counts, cell.object()),
            Object::Dict(dict) => Held::new(counts, dict.value()),
            Object::Iterator(iterator) => Held::new(counts, iterator.value()),
            Object::List(list) => Held::new(counts, list.value()),
            Object::Namespace(namespace) => Held::new(counts, namespace.value()),
        }
    }

    pub(crate) fn repr(&self) -> String {
        match self {
            Object::Array(array) => array.repr(),
            Object::Cell(cell) => cell.repr(),
            Object::Dict(dict) => dict.repr(),
            Object::Iterator(_) => "<dict_keyiterator object>".to_owned(),
            Object::List(list) => list.repr(),
            Object::Namespace(namespace) => namespace.repr(),
        }
    }
}
