//! Value: a Python object as data.

use num_bigint::BigInt;
use std::fmt;
use std::sync::Arc;

/// A Python object, as far as it can be data here.
///
/// A clone is cheap and *the same object*: a list that is in a value twice is one list for Python, of which a change
/// is seen in both places. What must be two lists is made twice. (What `Arc::default()` gives is one in memory, and is
/// as many lists as there are places.)
///
/// Comparison is that of the enum: dicts and sets are equal if their elements are equal in the same order, `1` is not
/// `1.0`, and a NaN is not itself.
///
/// A value nested by hand much deeper than [`Limits::depth`](super::Limits::depth) can overflow the stack when it is
/// dropped, as any nested structure can; none that was read is that deep.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum Value {
    /// `None`.
    #[default]
    None,
    /// A `bool`.
    Bool(bool),
    /// An `int` of 64 bits. Whatever fits is read as this.
    Int(i64),
    /// An `int` that does not fit into [`Value::Int`].
    BigInt(Arc<BigInt>),
    /// A `float`: infinities, the sign of zero and the bits of a NaN included.
    Float(f64),
    /// A `str`.
    Str(Arc<str>),
    /// A `str` with lone surrogates, such as Python makes of file names that are no UTF-8: its bytes as of
    /// `encode('utf-8', 'surrogatepass')`.
    Surrogates(Arc<[u8]>),
    /// A `bytes`.
    Bytes(Arc<[u8]>),
    /// A `bytearray`.
    ByteArray(Arc<[u8]>),
    /// A `list`.
    List(Arc<[Value]>),
    /// A `tuple`.
    Tuple(Arc<[Value]>),
    /// A `dict`, in its order.
    Dict(Arc<[(Value, Value)]>),
    /// A `set`, in the order in which its elements came.
    Set(Arc<[Value]>),
    /// A `frozenset`, in the order in which its elements came.
    FrozenSet(Arc<[Value]>),
    /// A class, a function, or anything else that has a name in a module.
    Global(Arc<Global>),
    /// An object of a type that has no value here.
    Object(Arc<Object>),
}

/// What has a name in a module, by that name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Global {
    /// Its module: `datetime`, `builtins`.
    pub module: Arc<str>,
    /// Its name there, with dots for what is inside of a class: `date`, `Outer.Inner`.
    pub name: Arc<str>,
}

/// How Python would make an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Made {
    /// `callable(*args)`, as `__reduce__` says it.
    ByCall,
    /// `callable.__new__(callable, *args, **kwargs)`: what most classes do.
    ByNew {
        /// Keyword arguments, of which there are seldom any.
        kwargs: Arc<[(Value, Value)]>,
    },
}

/// An object of a type that has no value here: how Python would make it. Nothing of it is run.
///
/// Its parts in the order in which Python would use them; what is empty is left out.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Object {
    /// What would be called: a [`Value::Global`] nearly always; an object itself where that has no name.
    pub callable: Value,
    /// How.
    pub made: Made,
    /// With these arguments.
    pub args: Arc<[Value]>,
    /// What would be appended: the elements of a `deque`, or of a class derived from `list`.
    pub items: Arc<[Value]>,
    /// What would be set by key: the entries of an `OrderedDict`, or of a class derived from `dict`.
    pub entries: Arc<[(Value, Value)]>,
    /// What would be given to `__setstate__`, or become the object's attributes.
    pub state: Option<Value>,
}

impl Global {
    /// A name in a module.
    pub fn new(module: &str, name: &str) -> Global {
        Global { module: module.into(), name: name.into() }
    }

    /// Whether it is this name in this module.
    pub fn is(&self, module: &str, name: &str) -> bool {
        *self.module == *module && *self.name == *name
    }
}

/// As Python would write it: `datetime.date`.
impl fmt::Display for Global {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.module, self.name)
    }
}

impl Object {
    /// `module.name(*args)`: an exception for example, to be sent as Python's own class.
    ///
    /// ```
    /// use mp_pipe::pickle::{Object, Value};
    /// let missing = Value::from(Object::call("builtins", "KeyError", ["missing".into()]));
    /// assert_eq!(missing.class().unwrap().to_string(), "builtins.KeyError");
    /// ```
    pub fn call(module: &str, name: &str, args: impl IntoIterator<Item = Value>) -> Object {
        Object::of(Made::ByCall, Global::new(module, name), args)
    }

    /// A plain object of a class: made without its `__init__`, then given these attributes.
    pub fn with_state(module: &str, name: &str, state: Value) -> Object {
        Object {
            state: Some(state),
            ..Object::of(Made::ByNew { kwargs: Arc::default() }, Global::new(module, name), [])
        }
    }

    fn of(made: Made, class: Global, args: impl IntoIterator<Item = Value>) -> Object {
        Object {
            callable: Value::from(class),
            made,
            args: args.into_iter().collect(),
            items: Arc::default(),
            entries: Arc::default(),
            state: None,
        }
    }
}

impl Value {
    /// A `list` of these.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Value {
        Value::List(items.into_iter().collect())
    }

    /// A `tuple` of these.
    pub fn tuple(items: impl IntoIterator<Item = Value>) -> Value {
        Value::Tuple(items.into_iter().collect())
    }

    /// A `dict` of these.
    pub fn dict<K: Into<Value>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
        Value::Dict(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// A `set` of these.
    pub fn set(items: impl IntoIterator<Item = Value>) -> Value {
        Value::Set(items.into_iter().collect())
    }

    /// A `frozenset` of these.
    pub fn frozenset(items: impl IntoIterator<Item = Value>) -> Value {
        Value::FrozenSet(items.into_iter().collect())
    }

    /// A `bytes`. (A `Vec<u8>` is one too, by `into`.)
    pub fn bytes(bytes: &[u8]) -> Value {
        Value::Bytes(bytes.into())
    }

    /// The value of a `dict` under a key; `None` where there is none, or where this is no dict. It goes through the
    /// dict, whose keys are not hashed here.
    ///
    /// Python: `d[key]`.
    pub fn get(&self, key: impl Into<Value>) -> Option<&Value> {
        let Value::Dict(entries) = self else { return None };
        let key = key.into();
        // Of two equal keys, which no dict has, the later one holds, as it would in Python.
        entries.iter().rev().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// The elements of a `list`, `tuple`, `set` or `frozenset`.
    pub fn items(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) | Value::Tuple(items) | Value::Set(items) | Value::FrozenSet(items) => {
                Some(items)
            }
            _ => None,
        }
    }

    /// The class of an object that has no value here, or what this is the name of; `None` for all others.
    pub fn class(&self) -> Option<&Global> {
        match self {
            Value::Global(name) => Some(name),
            Value::Object(object) => match &object.callable {
                Value::Global(name) => Some(name),
                _ => None,
            },
            _ => None,
        }
    }

    /// Python's name for what this is: `int`, `frozenset`; `object` where no more is known.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::None => "NoneType",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::BigInt(_) => "int",
            Value::Float(_) => "float",
            Value::Str(_) | Value::Surrogates(_) => "str",
            Value::Bytes(_) => "bytes",
            Value::ByteArray(_) => "bytearray",
            Value::List(_) => "list",
            Value::Tuple(_) => "tuple",
            Value::Dict(_) => "dict",
            Value::Set(_) => "set",
            Value::FrozenSet(_) => "frozenset",
            Value::Global(_) | Value::Object(_) => "object",
        }
    }
}
