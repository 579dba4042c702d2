//! The iterator over a dict's keys.

use super::answered::{Answered, nothing, unknown};
use super::items::Items;
use crate::object::Counts;
use crate::pickled::arguments::Asked;
use crate::pickled::held::Held;
use crate::pickled::raised::Raised;
use mp_pipe::pickle::Value;
use std::cell::RefCell;
use std::rc::Rc;

/// It keeps the items, not the dict: what is shared of that may be gone.
#[derive(Debug)]
pub(crate) struct Iterator {
    /// None once it has come to the end.
    items: Option<Rc<RefCell<Items>>>,
    next: usize,
    len: usize,
    moves: u64,
}

impl Iterator {
    pub(super) fn new(shared: Rc<RefCell<Items>>) -> Iterator {
        let (len, moves) = (shared.borrow().len(), shared.borrow().moves);
        Iterator { items: Some(shared), next: 0, len, moves }
    }

    pub(super) fn call(&mut self, counts: &Counts, asked: &Asked) -> Answered {
        match &*asked.method {
            "__next__" => {
                let [] = asked.exactly()?;
                Ok(Held::new(counts, self.advance()?))
            }
            "close" => {
                self.items = None;
                nothing()
            }
            _ => unknown("dict_keyiterator", asked),
        }
    }

    fn advance(&mut self) -> Result<Value, Raised> {
        let items = self.items.clone().ok_or_else(Raised::stop_iteration)?;
        let items = items.borrow();
        if (items.len(), items.moves) != (self.len, self.moves) {
            return Err(Raised::runtime("dictionary changed size during iteration"));
        }
        match items.next_key(self.next) {
            Some((key, next)) => {
                self.next = next;
                Ok(key)
            }
            None => {
                self.items = None;
                Err(Raised::stop_iteration())
            }
        }
    }

    /// What is left, as Python pickles such an iterator: the call of `iter` with a list.
    pub(super) fn value(&self) -> Value {
        let (mut left, mut at) = (Vec::new(), self.next);
        if let Some(items) = &self.items {
            while let Some((key, next)) = items.borrow().next_key(at) {
                left.push(key);
                at = next;
            }
        }
        mp_pipe::pickle::Object::call("builtins", "iter", [Value::list(left)]).into()
    }
}
