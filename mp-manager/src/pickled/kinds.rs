//! The types of objects that a Python program can make, under the names that `SyncManager` has for them.

use super::raised::Raised;
use mp_pipe::pickle::Value;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Array,
    Barrier,
    BoundedSemaphore,
    Condition,
    Dict,
    Event,
    Iterator,
    JoinableQueue,
    List,
    Lock,
    Namespace,
    Queue,
    RLock,
    Semaphore,
    Value,
}

impl Type {
    const MADE: [Type; 14] = [
        Type::Array,
        Type::Barrier,
        Type::BoundedSemaphore,
        Type::Condition,
        Type::Dict,
        Type::Event,
        Type::JoinableQueue,
        Type::List,
        Type::Lock,
        Type::Namespace,
        Type::Queue,
        Type::RLock,
        Type::Semaphore,
        Type::Value,
    ];

    /// The type that is made under a name. (Iterators are made by calls.)
    pub(super) fn named(name: &str) -> Result<Type, Raised> {
        Type::MADE.into_iter().find(|type_| type_.name() == name).ok_or_else(|| {
            let known: Vec<&str> = Type::MADE.iter().map(|type_| type_.name()).collect();
            Raised::key(
                format!("{name}: this server makes {}, and has nothing published so", known.join(", "))
                    .into(),
            )
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Type::Array => "Array",
            Type::Barrier => "Barrier",
            Type::BoundedSemaphore => "BoundedSemaphore",
            Type::Condition => "Condition",
            Type::Dict => "dict",
            Type::Event => "Event",
            Type::Iterator => "Iterator",
            Type::JoinableQueue => "JoinableQueue",
            Type::List => "list",
            Type::Lock => "Lock",
            Type::Namespace => "Namespace",
            Type::Queue => "Queue",
            Type::RLock => "RLock",
            Type::Semaphore => "Semaphore",
            Type::Value => "Value",
        }
    }

    /// The methods that may be called.
    pub(super) fn exposed(self) -> &'static [&'static str] {
        match self {
            Type::Array => &["__len__", "__getitem__", "__setitem__"],
            Type::Barrier => &["__getattribute__", "wait", "abort", "reset"],
            Type::Condition => &["acquire", "release", "wait", "notify", "notify_all"],
            Type::Dict => &[
                "__contains__",
                "__delitem__",
                "__getitem__",
                "__ior__",
                "__iter__",
                "__len__",
                "__or__",
                "__ror__",
                "__setitem__",
                "clear",
                "copy",
                "get",
                "items",
                "keys",
                "pop",
                "popitem",
                "setdefault",
                "update",
                "values",
            ],
            Type::Event => &["is_set", "set", "clear", "wait"],
            Type::Iterator => &["__next__", "close"],
            Type::List => &[
                "__add__",
                "__contains__",
                "__delitem__",
                "__getitem__",
                "__imul__",
                "__len__",
                "__mul__",
                "__reversed__",
                "__rmul__",
                "__setitem__",
                "append",
                "clear",
                "copy",
                "count",
                "extend",
                "index",
                "insert",
                "pop",
                "remove",
                "reverse",
                "sort",
            ],
            Type::Lock => &["acquire", "release", "locked"],
            Type::RLock | Type::BoundedSemaphore | Type::Semaphore => &["acquire", "release"],
            Type::Namespace => &["__getattribute__", "__setattr__", "__delattr__"],
            Type::Queue | Type::JoinableQueue => {
                &["empty", "full", "get", "get_nowait", "join", "put", "put_nowait", "qsize", "task_done"]
            }
            Type::Value => &["get", "set"],
        }
    }

    /// Whether that is called on an object of this type: also what each object answers.
    pub(super) fn answers(self, method: &str) -> bool {
        matches!(method, "#GETVALUE" | "__str__" | "__repr__") || self.exposed().contains(&method)
    }
}

/// What an object is to Python programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(super) type_: Type,
    /// How long its waits last at most, if the call says nothing else.
    pub(super) longest: Option<Duration>,
}

impl Typed {
    pub(crate) fn answers(self, method: &str) -> bool {
        self.type_.answers(method)
    }

    pub(crate) fn name(self) -> &'static str {
        self.type_.name()
    }

    /// The methods that may be called, as a Python program makes a proxy of them.
    pub(crate) fn exposed(self) -> Value {
        Value::tuple(self.type_.exposed().iter().map(|name| Value::from(*name)))
    }
}
