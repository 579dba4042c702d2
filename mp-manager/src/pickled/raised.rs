//! Raised: a Python exception that a call ends with.

use mp_pipe::pickle::{Object, Value};

/// An exception, as Python's class with its arguments.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Raised(pub(crate) Value);

impl Raised {
    pub(super) fn new(module: &str, class: &str, args: impl IntoIterator<Item = Value>) -> Raised {
        Raised(Object::call(module, class, args).into())
    }

    /// The line that its traceback would end with.
    pub(crate) fn line(&self) -> String {
        let args = match &self.0 {
            Value::Object(object) => &object.args[..],
            _ => &[],
        };
        let class = self.0.class().map_or("Exception", |class| &class.name);
        let args: Vec<String> = args
            .iter()
            .map(|arg| match arg {
                Value::Str(text) => text.to_string(),
                other => super::repr::repr(other),
            })
            .collect();
        format!("{class}: {}", args.join(", "))
    }

    fn builtin(class: &str, text: impl Into<String>) -> Raised {
        Raised::new("builtins", class, [Value::from(text.into())])
    }

    pub(super) fn attribute(text: impl Into<String>) -> Raised {
        Raised::builtin("AttributeError", text)
    }

    pub(super) fn index(text: &str) -> Raised {
        Raised::builtin("IndexError", text)
    }

    /// With the key itself, as a dict raises it.
    pub(super) fn key(key: Value) -> Raised {
        Raised::new("builtins", "KeyError", [key])
    }

    pub(super) fn memory(text: &str) -> Raised {
        Raised::builtin("MemoryError", text)
    }

    pub(super) fn os(errno: i32, text: &str) -> Raised {
        Raised::new("builtins", "OSError", [errno.into(), text.into()])
    }

    pub(super) fn overflow(text: impl Into<String>) -> Raised {
        Raised::builtin("OverflowError", text)
    }

    pub(super) fn runtime(text: &str) -> Raised {
        Raised::builtin("RuntimeError", text)
    }

    pub(super) fn stop_iteration() -> Raised {
        Raised::new("builtins", "StopIteration", [])
    }

    pub(super) fn type_error(text: impl Into<String>) -> Raised {
        Raised::builtin("TypeError", text)
    }

    pub(super) fn unhashable(value: &Value) -> Raised {
        Raised::type_error(format!("unhashable type: '{}'", value.kind()))
    }

    pub(super) fn unpickling(text: String) -> Raised {
        Raised::new("pickle", "UnpicklingError", [text.into()])
    }

    pub(super) fn value(text: impl Into<String>) -> Raised {
        Raised::builtin("ValueError", text)
    }
}
