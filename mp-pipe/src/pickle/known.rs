//! The few calls in a pickle whose results are values here. Up to protocol 3 there is no opcode for a set, in protocol
//! 2 none for bytes, and before protocol 5 none for a bytearray: CPython writes a call instead.
//!
//! ```text
//!  {1, 2}        builtins.set([1, 2])                     protocols 2, 3
//!  b"\xff"       _codecs.encode("ÿ", "latin1")            protocol 2
//!  bytearray()   builtins.bytearray(b"…"), …("…", "latin-1")   protocols 3 and 4, 2
//! ```
//!
//! A call that is not exactly one of these stays a call.

use super::graph::{Graph, Node, Shape, Slot};
use super::value::{Global, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// What came of each text that was to be encoded, by its address, and the text itself, so that no other one gets that
/// address. A pickle can name one long text any number of times, with two bytes each.
#[derive(Default)]
pub(super) struct Encoded(HashMap<*const u8, Encoding>);

struct Encoding {
    _text: Arc<str>,
    bytes: Option<Arc<[u8]>>,
}

/// What the call of a name with these arguments gives, if it is known: a value, or a node that is to be added.
pub(super) enum Known {
    Value(Value),
    Node(Node),
}

pub(super) fn call(name: &Global, args: &[Slot], graph: &Graph, encoded: &mut Encoded) -> Option<Known> {
    if name.is("_codecs", "encode") {
        let [Slot::Value(Value::Str(text)), Slot::Value(Value::Str(codec))] = args else { return None };
        return (&**codec == "latin1")
            .then(|| encoded.latin1(text))
            .flatten()
            .map(|bytes| Known::Value(Value::Bytes(bytes)));
    }
    if *name.module != *"builtins" {
        return None;
    }
    match (&*name.name, args) {
        ("set", []) => Some(Known::Node(Node::Open(Shape::Set, Vec::new()))),
        ("set", [of]) => has_elements(of, graph).then(|| one(Shape::SetOf, of)),
        ("frozenset", []) => Some(Known::Node(Node::Open(Shape::FrozenSet, Vec::new()))),
        ("frozenset", [of]) => has_elements(of, graph).then(|| one(Shape::FrozenSetOf, of)),
        ("bytes", []) => Some(Known::Value(Value::bytes(b""))),
        ("bytearray", []) => Some(Known::Value(Value::ByteArray([].into()))),
        ("bytearray", [Slot::Value(Value::Bytes(bytes))]) => {
            Some(Known::Value(Value::ByteArray(Arc::clone(bytes))))
        }
        ("bytearray", [Slot::Value(Value::Str(text)), Slot::Value(Value::Str(codec))])
            if &**codec == "latin-1" =>
        {
            encoded.latin1(text).map(|bytes| Known::Value(Value::ByteArray(bytes)))
        }
        _ => None,
    }
}

fn one(shape: Shape, of: &Slot) -> Known {
    Known::Node(Node::Open(shape, vec![of.clone()]))
}

fn has_elements(slot: &Slot, graph: &Graph) -> bool {
    use Shape::{FrozenSet, List, Set, Tuple};
    match slot {
        Slot::Value(value) => value.items().is_some(),
        Slot::Node(_) => {
            matches!(graph.node(slot), Some(Node::Open(List | Tuple | Set | FrozenSet, _)))
        }
    }
}

impl Encoded {
    /// `text.encode('latin-1')`; nothing where it has other characters.
    fn latin1(&mut self, text: &Arc<str>) -> Option<Arc<[u8]>> {
        let encoding = self.0.entry(text.as_ptr()).or_insert_with(|| {
            let bytes: Option<Vec<u8>> = text.chars().map(|char| u8::try_from(char).ok()).collect();
            Encoding { _text: Arc::clone(text), bytes: bytes.map(Arc::from) }
        });
        encoding.bytes.clone()
    }
}
