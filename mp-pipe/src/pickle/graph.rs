//! What the machine builds, and how that becomes a value.
//!
//! A pickle makes its lists empty, gives them numbers, and fills them later, so that anything may be inside of
//! anything, itself included. So whatever has parts is a *node* here, which others name by its position, until the
//! pickle is read:
//!
//! ```text
//!  Open ──resolve──► Busy ──all parts are done──► Done(value, height, size)
//!                     └──met again──► Cyclic
//! ```
//!
//! No node owns another one, so nothing here recurses: not to build them, not to resolve them, not to drop them. A
//! value comes to be only from parts that are done, each node once however many have it as a part, and only while its
//! height and its size are within the limits. The size is counted as if nothing were shared, since a traversal of the
//! value visits that many.

use super::error::PickleError;
use super::value::{Made, Object, Value};
use std::sync::Arc;

/// How deep and how large a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many objects may be inside of each other; 500 unless set otherwise, which take less than half of the stack
    /// of a thread of Rust to print, in a program without optimisation. (CPython writes 200 to 1000, or more, by its
    /// version.)
    pub depth: usize,
    /// How many bytes of memory a value may take, counted as if nothing in it were shared; 1 GiB unless set otherwise.
    /// To read it may take up to three times as many.
    pub memory: usize,
}

impl Limits {
    /// These limits with another depth. What is deeper than 500 needs more stack, where it is dropped too, and is not
    /// written again by [`dumps`](super::dumps).
    pub fn with_depth(self, depth: usize) -> Limits {
        Limits { depth, ..self }
    }

    /// These limits with another size, in bytes.
    pub fn with_memory(self, memory: usize) -> Limits {
        Limits { memory, ..self }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { depth: 500, memory: 1 << 30 }
    }
}

/// What lies on the machine's stack: a value without parts, or the position of a node.
#[derive(Debug, Clone)]
pub(super) enum Slot {
    Value(Value),
    Node(usize),
}

/// What a node becomes, of its slots in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    List,
    Tuple,
    /// Of keys and values in turn.
    Dict,
    Set,
    FrozenSet,
    /// Of one slot: what is to become a set.
    SetOf,
    FrozenSetOf,
    /// Of what is called, its arguments, keyword arguments and state (if there are), items, entries in turn.
    Object {
        by_new: bool,
        kwargs: bool,
        state: bool,
        items: usize,
    },
}

#[derive(Debug)]
pub(super) enum Node {
    Open(Shape, Vec<Slot>),
    OpenObject(Box<Parts>),
    Busy,
    Done(Measured),
}

/// An object's parts while they come.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) by_new: bool,
    pub(super) callable: Slot,
    pub(super) args: Slot,
    pub(super) kwargs: Option<Slot>,
    pub(super) state: Option<Slot>,
    pub(super) items: Vec<Slot>,
    pub(super) entries: Vec<Slot>,
}

impl Parts {
    fn into_slots(self) -> (Shape, Vec<Slot>) {
        let Parts { by_new, callable, args, kwargs, state, items, entries } = self;
        let (with_kwargs, with_state, count) = (kwargs.is_some(), state.is_some(), items.len());
        let shape = Shape::Object { by_new, kwargs: with_kwargs, state: with_state, items: count };
        let front = [Some(callable), Some(args), kwargs, state];
        (shape, front.into_iter().flatten().chain(items).chain(entries).collect())
    }
}

/// A value that is done.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    value: Value,
    /// How many values are inside of each other in it.
    height: usize,
    /// Bytes of memory, if nothing in it were shared.
    size: usize,
}

/// What a value without parts takes.
fn size(value: &Value) -> usize {
    let apart = match value {
        Value::Str(text) => text.len(),
        Value::Surrogates(bytes) | Value::Bytes(bytes) | Value::ByteArray(bytes) => bytes.len(),
        Value::BigInt(int) => int.bits() as usize / 8,
        Value::Global(name) => name.module.len() + name.name.len(),
        _ => 0,
    };
    size_of::<Value>().saturating_add(apart)
}

/// A node whose parts are being resolved.
struct Frame {
    node: usize,
    shape: Shape,
    pending: std::vec::IntoIter<Slot>,
    values: Vec<Value>,
    height: usize,
    size: usize,
}

impl Frame {
    /// The next part that is a node; those before it are values and are taken.
    fn next_node(&mut self) -> Option<usize> {
        for slot in self.pending.by_ref() {
            match slot {
                Slot::Node(node) => return Some(node),
                Slot::Value(value) => {
                    self.size = self.size.saturating_add(size(&value));
                    self.values.push(value);
                }
            }
        }
        None
    }
}

pub(super) struct Graph {
    nodes: Vec<Node>,
    limits: Limits,
    /// Bytes that may still be taken.
    left: usize,
}

impl Graph {
    pub(super) fn new(limits: Limits) -> Graph {
        Graph { nodes: Vec::new(), limits, left: limits.memory }
    }

    /// Says that so many bytes of memory are being taken.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), PickleError> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| self.too_large())?;
        Ok(())
    }

    fn too_large(&self) -> PickleError {
        PickleError::TooLarge { limit: self.limits.memory }
    }

    pub(super) fn add(&mut self, node: Node) -> Result<Slot, PickleError> {
        let parts = match &node {
            Node::Open(_, slots) => size_of_val(&slots[..]),
            _ => size_of::<Parts>(),
        };
        self.spend(size_of::<Node>() + parts)?;
        self.nodes.push(node);
        Ok(Slot::Node(self.nodes.len() - 1))
    }

    pub(super) fn node(&self, slot: &Slot) -> Option<&Node> {
        match slot {
            Slot::Value(_) => None,
            Slot::Node(at) => self.nodes.get(*at),
        }
    }

    pub(super) fn node_mut(&mut self, slot: &Slot) -> Option<&mut Node> {
        match slot {
            Slot::Value(_) => None,
            Slot::Node(at) => self.nodes.get_mut(*at),
        }
    }

    /// The value of a slot, when nothing can be added to any node any more.
    pub(super) fn resolve(mut self, root: Slot) -> Result<Value, PickleError> {
        let root = match root {
            Slot::Value(value) => return Ok(value),
            Slot::Node(node) => node,
        };
        let mut frames: Vec<Frame> = Vec::new();
        let mut done = self.begin(root, &mut frames)?;
        loop {
            if let Some(Measured { value, height, size }) = done {
                let Some(frame) = frames.last_mut() else { return Ok(value) };
                frame.values.push(value);
                frame.height = frame.height.max(height);
                frame.size = frame.size.saturating_add(size);
            }
            done = match frames.last_mut().and_then(Frame::next_node) {
                Some(node) => self.begin(node, &mut frames)?,
                None => Some(self.finish(frames.pop().expect("what is not done has a frame"))?),
            };
        }
    }

    /// What a node is, if that is known; else its frame is put on top of the others.
    fn begin(&mut self, node: usize, frames: &mut Vec<Frame>) -> Result<Option<Measured>, PickleError> {
        let too_deep = PickleError::TooDeep { limit: self.limits.depth };
        let (shape, slots) = match std::mem::replace(&mut self.nodes[node], Node::Busy) {
            Node::Busy => return Err(PickleError::Cyclic),
            // Known without going on to the end; there are frames for no more than may be done.
            Node::Open(..) | Node::OpenObject(_) if frames.len() == self.limits.depth => {
                return Err(too_deep);
            }
            Node::Done(done) => {
                self.nodes[node] = Node::Done(done.clone());
                return Ok(Some(done));
            }
            Node::Open(shape, slots) => (shape, slots),
            Node::OpenObject(parts) => parts.into_slots(),
        };
        let values = Vec::with_capacity(slots.len());
        frames.push(Frame { node, shape, pending: slots.into_iter(), values, height: 0, size: 0 });
        Ok(None)
    }

    fn finish(&mut self, frame: Frame) -> Result<Measured, PickleError> {
        let size = frame.size.saturating_add(size_of::<Value>());
        if size > self.limits.memory {
            return Err(self.too_large());
        }
        let height = frame.height + 1;
        if height > self.limits.depth {
            return Err(PickleError::TooDeep { limit: self.limits.depth });
        }
        let done = Measured { value: value(frame.shape, frame.values), height, size };
        self.nodes[frame.node] = Node::Done(done.clone());
        Ok(done)
    }
}

fn value(shape: Shape, values: Vec<Value>) -> Value {
    match shape {
        Shape::List => Value::List(values.into()),
        Shape::Tuple => Value::Tuple(values.into()),
        Shape::Set => Value::Set(values.into()),
        Shape::FrozenSet => Value::FrozenSet(values.into()),
        Shape::Dict => Value::Dict(entries(values.into_iter())),
        Shape::SetOf => Value::Set(shared(values.into_iter().next())),
        Shape::FrozenSetOf => Value::FrozenSet(shared(values.into_iter().next())),
        Shape::Object { by_new, kwargs, state, items } => {
            let mut parts = values.into_iter();
            let callable = parts.next().unwrap_or_default();
            let args = shared(parts.next());
            let kwargs = match kwargs.then(|| parts.next()).flatten() {
                Some(Value::Dict(kwargs)) => kwargs,
                _ => Arc::default(),
            };
            let made = if by_new { Made::ByNew { kwargs } } else { Made::ByCall };
            let state = state.then(|| parts.next()).flatten();
            let items = parts.by_ref().take(items).collect();
            Value::from(Object { callable, made, args, items, entries: entries(parts), state })
        }
    }
}

/// The elements of a value that the machine took because it has some.
fn shared(value: Option<Value>) -> Arc<[Value]> {
    match value {
        Some(Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items)) => items,
        _ => Arc::default(),
    }
}

fn entries(mut flat: std::vec::IntoIter<Value>) -> Arc<[(Value, Value)]> {
    let mut entries = Vec::with_capacity(flat.len() / 2);
    while let (Some(key), Some(value)) = (flat.next(), flat.next()) {
        entries.push((key, value));
    }
    entries.into()
}
