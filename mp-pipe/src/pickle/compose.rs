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

    /// Appends what lies on the stack from there on to what lies below it.
    pub(super) fn append(&mut self, from: usize) -> Done {
        self.fill(from, "it appends to an object that is not a list", |node| match node {
            Node::Open(Shape::List, items) => Some(items),
            Node::OpenObject(object) => Some(&mut object.items),
            _ => None,
        })
    }

    /// Takes what lies on the stack from there on for keys and values, in turn, of what lies below it.
    pub(super) fn set_items(&mut self, from: usize) -> Done {
        if !(self.stack.len() - from).is_multiple_of(2) {
            return Err(self.malformed("a key has no value"));
        }
        self.fill(from, "it sets entries of an object that is not a dict", |node| match node {
            Node::Open(Shape::Dict, entries) => Some(entries),
            Node::OpenObject(object) => Some(&mut object.entries),
            _ => None,
        })
    }

    pub(super) fn add_items(&mut self, from: usize) -> Done {
        self.fill(from, "it adds to an object that is not a set", |node| match node {
            Node::Open(Shape::Set, items) => Some(items),
            _ => None,
        })
    }

    fn fill(
        &mut self,
        from: usize,
        why_not: &'static str,
        place: fn(&mut Node) -> Option<&mut Vec<Slot>>,
    ) -> Done {
        let target = from.checked_sub(1).filter(|at| *at >= self.floor());
        let target = target.map(|at| &self.stack[at]).ok_or(self.malformed("the stack is empty"))?;
        self.graph.spend((self.stack.len() - from) * size_of::<Slot>())?;
        match self.graph.node_mut(target).and_then(place) {
            Some(place) => place.extend(self.stack.drain(from..)),
            None => return Err(self.malformed(why_not)),
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
            return Err(self.malformed("the stack is empty"));
        };
        let named = matches!(callable, Slot::Value(Value::Global(_)));
        if !named && !matches!(self.graph.node(&callable), Some(Node::OpenObject(_))) {
            return Err(self.malformed("it calls an object that cannot be called"));
        }
        let is_dict = |slot| matches!(self.graph.node(slot), Some(Node::Open(Shape::Dict, _)));
        if !self.is_tuple(&args) || !kwargs.as_ref().is_none_or(is_dict) {
            return Err(self.malformed("arguments are not a tuple or dict"));
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
            _ => return Err(self.malformed("it sets the state of a value that is not an object")),
        }
        Ok(())
    }
}
