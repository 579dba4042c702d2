//! The machine's opcodes for values with parts: what is put together, filled, made by a call, given a state.

use super::graph::{Node, Parts, Shape, Slot};
use super::known::{self, Known};
use super::machine::{Done, Machine};
use super::value::Value;

impl Machine<'_> {
    pub(super) fn short_tuple(&mut self, count: usize) -> Done {
        let slots = self.pop_many(count)?;
        self.add(Shape::Tuple, slots)
    }

    pub(super) fn append(&mut self, slots: Vec<Slot>) -> Done {
        self.graph.spend(size_of_val(&slots[..]))?;
        let target = self.top()?.clone();
        match self.graph.node_mut(&target) {
            Some(Node::Open(Shape::List, items)) => items.extend(slots),
            Some(Node::OpenObject(object)) => object.items.extend(slots),
            _ => return Err(self.malformed("appends to what is no list")),
        }
        Ok(())
    }

    pub(super) fn set_items(&mut self, slots: Vec<Slot>) -> Done {
        self.graph.spend(size_of_val(&slots[..]))?;
        if !slots.len().is_multiple_of(2) {
            return Err(self.malformed("a key without a value"));
        }
        let target = self.top()?.clone();
        match self.graph.node_mut(&target) {
            Some(Node::Open(Shape::Dict, entries)) => entries.extend(slots),
            Some(Node::OpenObject(object)) => object.entries.extend(slots),
            _ => return Err(self.malformed("sets entries of what is no dict")),
        }
        Ok(())
    }

    pub(super) fn add_items(&mut self, slots: Vec<Slot>) -> Done {
        self.graph.spend(size_of_val(&slots[..]))?;
        let target = self.top()?.clone();
        match self.graph.node_mut(&target) {
            Some(Node::Open(Shape::Set, items)) => items.extend(slots),
            _ => return Err(self.malformed("adds to what is no set")),
        }
        Ok(())
    }

    pub(super) fn reduce(&mut self) -> Done {
        let slots = self.pop_many(2)?;
        let args = match self.graph.node(&slots[1]) {
            Some(Node::Open(Shape::Tuple, args)) => &args[..],
            _ => &[],
        };
        let known = match &slots[0] {
            Slot::Value(Value::Global(name)) if self.is_tuple(&slots[1]) => {
                known::call(name, args, &self.graph, &mut self.encoded)
            }
            _ => None,
        };
        match known {
            Some(Known::Value(value)) => self.value(value),
            Some(Known::Node(node)) => self.graph.add(node).and_then(|slot| self.push(slot)),
            None => self.object(false, slots),
        }
    }

    fn is_tuple(&self, slot: &Slot) -> bool {
        matches!(slot, Slot::Value(Value::Tuple(_)))
            || matches!(self.graph.node(slot), Some(Node::Open(Shape::Tuple, _)))
    }

    /// Of what is called, its arguments, and its keyword arguments if they are there.
    pub(super) fn object(&mut self, by_new: bool, slots: Vec<Slot>) -> Done {
        let mut slots = slots.into_iter();
        let (Some(callable), Some(args), kwargs) = (slots.next(), slots.next(), slots.next()) else {
            return Err(self.malformed("nothing on the stack"));
        };
        let named = matches!(callable, Slot::Value(Value::Global(_)));
        if !named && !matches!(self.graph.node(&callable), Some(Node::OpenObject(_))) {
            return Err(self.malformed("calls what cannot be called"));
        }
        let is_dict = |slot| matches!(self.graph.node(slot), Some(Node::Open(Shape::Dict, _)));
        if !self.is_tuple(&args) || !kwargs.as_ref().is_none_or(is_dict) {
            return Err(self.malformed("arguments that are no tuple or dict"));
        }
        let parts =
            Parts { by_new, callable, args, kwargs, state: None, items: Vec::new(), entries: Vec::new() };
        let slot = self.graph.add(Node::OpenObject(Box::new(parts)))?;
        self.push(slot)
    }

    pub(super) fn build(&mut self) -> Done {
        let state = self.pop()?;
        let target = self.top()?.clone();
        match self.graph.node_mut(&target) {
            Some(Node::OpenObject(object)) if object.state.is_none() => object.state = Some(state),
            Some(Node::OpenObject(_)) => return Err(self.unsupported("a second state of an object")),
            _ => return Err(self.malformed("the state of what is no object")),
        }
        Ok(())
    }
}
