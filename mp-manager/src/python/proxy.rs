//! PythonProxy: any object of a server, by the names of its methods.

use super::convert::{FromPython, wrong};
use super::error::PythonError;
use super::link::{Link, Returned, token_of};
use mp_core::sys::owning_process::OwningProcess;
use mp_pipe::Address;
use mp_pipe::pickle::{Global, Object, Value};
use std::fmt;
use std::sync::Arc;

/// A proxy of any object, whose methods are called by their names. Clones have one reference together, which is given
/// back when the last of them is dropped; that takes a connection, and waits for the server, as long as a connection
/// may take ([`connect_timeout`](crate::PythonManager::connect_timeout)).
///
/// A thread's calls use a connection of its own. A forked copy of a process calls by new connections, and gives nothing
/// back: the reference is its original's.
///
/// Put into an object of the same server (`Value::from(&proxy)`), it is a proxy for Python programs too.
///
/// Python: `BaseProxy`.
#[derive(Clone)]
pub struct PythonProxy(Arc<Held>);

struct Held {
    link: Arc<Link>,
    typeid: String,
    id: String,
    exposed: Value,
    owner: OwningProcess,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.owner.is_current() {
            self.link.give_back(&self.id);
        }
    }
}

impl PythonProxy {
    /// Takes over a reference.
    pub(super) fn new(link: Arc<Link>, typeid: String, id: String, exposed: Value) -> PythonProxy {
        PythonProxy(Arc::new(Held { link, typeid, id, exposed, owner: OwningProcess::current() }))
    }

    /// The proxy in a value that the server has sent: with a reference of its own.
    pub(super) fn adopt(link: &Arc<Link>, value: &Value) -> Result<PythonProxy, PythonError> {
        let token = match value {
            Value::Object(object)
                if value.class().is_some_and(|class| class.name.ends_with("RebuildProxy")) =>
            {
                object.args.get(1)
            }
            _ => None,
        };
        let Some((typeid, id)) = token.and_then(token_of) else { return Err(wrong::<PythonProxy>(value)) };
        link.control("incref", [id.as_str().into()], [])?;
        let mut proxy = PythonProxy::new(Arc::clone(link), typeid, id, Value::tuple([]));
        let exposed = link.control("get_methods", [proxy.token()], [])?;
        if let Some(held) = Arc::get_mut(&mut proxy.0) {
            held.exposed = exposed;
        }
        Ok(proxy)
    }

    /// Calls a method.
    ///
    /// # Errors
    /// [`PythonError::Raised`]: the method raised an exception. [`PythonError::Refused`]: there is no such method.
    /// [`PythonError::WrongType`]: the result is of another type. [`PythonError::Gone`]: the server has ended.
    ///
    /// Python: `proxy._callmethod(name, args)`.
    pub fn call<R: FromPython>(
        &self,
        method: &str,
        args: impl IntoIterator<Item = Value>,
    ) -> Result<R, PythonError> {
        self.call_with(method, args, [])
    }

    /// Calls a method with keyword arguments too.
    ///
    /// # Errors
    /// The errors of [`call`](PythonProxy::call).
    ///
    /// Python: `proxy._callmethod(name, args, kwds)`.
    pub fn call_with<'a, R: FromPython>(
        &self,
        method: &str,
        args: impl IntoIterator<Item = Value>,
        kwargs: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Result<R, PythonError> {
        let kwargs = kwargs.into_iter().map(|(name, value)| (Value::from(name), value));
        match self.0.link.call(&self.0.id, method, args, kwargs)? {
            Returned::Value(value) => R::from_python(value),
            // Its reference is given back.
            Returned::Proxy { exposed, typeid, id } => {
                let proxy = PythonProxy::new(Arc::clone(&self.0.link), typeid, id, exposed);
                Err(wrong::<R>(&Value::from(&proxy)))
            }
        }
    }

    /// Calls a method that gives a proxy: `__iter__` of a dict, for example.
    ///
    /// # Errors
    /// The errors of [`call`](PythonProxy::call).
    pub fn call_for_proxy(
        &self,
        method: &str,
        args: impl IntoIterator<Item = Value>,
    ) -> Result<PythonProxy, PythonError> {
        match self.0.link.call(&self.0.id, method, args, [])? {
            Returned::Value(value) => PythonProxy::adopt(&self.0.link, &value),
            Returned::Proxy { exposed, typeid, id } => {
                Ok(PythonProxy::new(Arc::clone(&self.0.link), typeid, id, exposed))
            }
        }
    }

    /// A copy of the whole object.
    ///
    /// # Errors
    /// The errors of [`call`](PythonProxy::call); most objects other than containers cannot be copied.
    ///
    /// Python: `proxy._getvalue()`.
    pub fn value<R: FromPython>(&self) -> Result<R, PythonError> {
        self.call("#GETVALUE", [])
    }

    /// The name of its type, as the server has it: `dict`, `Queue`.
    pub fn typeid(&self) -> &str {
        &self.0.typeid
    }

    /// The number that the server knows it by.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The methods that can be called.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.0.exposed.items().unwrap_or_default().iter().filter_map(Value::as_str)
    }

    fn token(&self) -> Value {
        let address = match &self.0.link.address {
            Address::Path(path) => path.to_string_lossy().as_ref().into(),
            Address::Abstract(name) => format!("\0{}", String::from_utf8_lossy(name)).into(),
            Address::Tcp(host, port) => Value::tuple([host.as_str().into(), (*port).into()]),
        };
        let state = Value::tuple([self.typeid().into(), address, self.id().into()]);
        Object::with_state("multiprocessing.managers", "Token", state).into()
    }
}

/// As Python pickles a proxy: each reader makes one of its own.
impl From<&PythonProxy> for Value {
    fn from(proxy: &PythonProxy) -> Value {
        let class = match proxy.typeid() {
            "list" => "ListProxy",
            "dict" => "DictProxy",
            "Namespace" => "NamespaceProxy",
            "Value" => "ValueProxy",
            "Array" => "ArrayProxy",
            "Lock" | "RLock" | "Semaphore" | "BoundedSemaphore" => "AcquirerProxy",
            "Condition" => "ConditionProxy",
            "Event" => "EventProxy",
            "Barrier" => "BarrierProxy",
            "Iterator" => "IteratorProxy",
            _ => "AutoProxy",
        };
        let more = if class == "AutoProxy" { Some(("exposed", proxy.0.exposed.clone())) } else { None };
        let class = Global::new("multiprocessing.managers", class).into();
        let args = [class, proxy.token(), "pickle".into(), Value::dict(more)];
        Object::call("multiprocessing.managers", "RebuildProxy", args).into()
    }
}

/// Shows what it is a proxy of: it does not ask the server.
impl fmt::Debug for PythonProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PythonProxy({} {})", self.0.typeid, self.0.id)
    }
}
