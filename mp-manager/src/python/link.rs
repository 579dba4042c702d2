//! The way to a server, and what its replies mean.

use super::error::{PythonError, PythonException};
use mp_core::AuthKey;
use mp_core::sys::owning_process::OwningProcess;
use mp_core::word::Deadline;
use mp_pipe::pickle::Value;
use mp_pipe::{Address, Client, Connection, RecvError, SendError};
use std::cell::RefCell;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) address: Address,
    key: Option<AuthKey>,
    timeout: Duration,
}

/// What a call gives.
pub(super) enum Returned {
    Value(Value),
    /// A new object: its methods, type and number. The caller has a reference to it.
    Proxy {
        exposed: Value,
        typeid: String,
        id: String,
    },
}

struct OfThread {
    link: Weak<Link>,
    /// A forked copy must not speak on its parent's connection.
    owner: OwningProcess,
    connection: Connection,
}

thread_local! {
    static CONNECTIONS: RefCell<Vec<OfThread>> = const { RefCell::new(Vec::new()) };
}

/// `None`: this thread's locals are gone, since it ends; a call has a connection of its own then.
fn with_connections<T>(work: impl FnOnce(&mut Vec<OfThread>) -> T) -> Option<T> {
    CONNECTIONS.try_with(|all| work(&mut all.borrow_mut())).ok()
}

impl Link {
    pub(super) fn new(address: Address, key: Option<AuthKey>, timeout: Duration) -> Link {
        Link { address, key, timeout }
    }

    fn connect(&self) -> Result<Connection, PythonError> {
        let builder = Client::builder(&self.address).timeout(self.timeout);
        #[cfg(feature = "md5")]
        let builder = builder.cpython_and_md5();
        #[cfg(not(feature = "md5"))]
        let builder = builder.cpython();
        let builder = self.key.iter().fold(builder, |builder, key| builder.authkey(key.clone()));
        Ok(builder.connect()?)
    }

    /// A request of the server itself.
    pub(super) fn control(
        &self,
        method: &str,
        args: impl IntoIterator<Item = Value>,
        kwargs: impl IntoIterator<Item = (Value, Value)>,
    ) -> Result<Value, PythonError> {
        let request = request(Value::None, method, args, kwargs);
        match exchanged(&self.connect()?, &request)? {
            Returned::Value(value) => Ok(value),
            Returned::Proxy { .. } => Err(unexpected("a proxy")),
        }
    }

    /// Gives a reference back. A server that says nothing is not waited for longer than for a connection to it.
    pub(super) fn give_back(&self, id: &str) {
        let deadline = Deadline::after(self.timeout);
        let left = || deadline.map_or(self.timeout, Deadline::remaining);
        // A server that has ended counts nothing.
        let Ok(connection) = self.connect() else { return };
        let request = request(Value::None, "decref", [id.into()], []);
        if connection.send_pickle_timeout(&request, left()).is_ok() {
            // Once it is answered, the server counts one reference less.
            let _ = connection.recv_pickle_timeout(left());
        }
    }

    /// A call on an object, by this thread's connection.
    pub(super) fn call(
        self: &Arc<Link>,
        id: &str,
        method: &str,
        args: impl IntoIterator<Item = Value>,
        kwargs: impl IntoIterator<Item = (Value, Value)>,
    ) -> Result<Returned, PythonError> {
        let connection = self.of_this_thread()?;
        let returned = exchanged(&connection, &request(id.into(), method, args, kwargs));
        if matches!(returned, Err(PythonError::Gone | PythonError::NotAManager(_))) {
            self.forget();
        }
        returned
    }

    fn of_this_thread(self: &Arc<Link>) -> Result<Connection, PythonError> {
        let found = with_connections(|all| {
            // Those of links that are gone end.
            all.retain(|one| one.owner.is_current() && one.link.strong_count() > 0);
            all.iter().find(|one| one.link.as_ptr() == Arc::as_ptr(self)).map(|one| one.connection.clone())
        });
        if let Some(connection) = found.flatten() {
            return Ok(connection);
        }
        let connection = self.connect()?;
        let name = std::thread::current().name().unwrap_or("thread").to_owned();
        exchanged(&connection, &request(Value::None, "accept_connection", [name.into()], []))?;
        let (link, owner) = (Arc::downgrade(self), OwningProcess::current());
        with_connections(|all| all.push(OfThread { link, owner, connection: connection.clone() }));
        Ok(connection)
    }

    fn forget(self: &Arc<Link>) {
        with_connections(|all| all.retain(|one| one.link.as_ptr() != Arc::as_ptr(self)));
    }
}

fn request(
    object: Value,
    method: &str,
    args: impl IntoIterator<Item = Value>,
    kwargs: impl IntoIterator<Item = (Value, Value)>,
) -> Value {
    Value::tuple([object, method.into(), Value::tuple(args), Value::dict(kwargs)])
}

fn exchanged(connection: &Connection, request: &Value) -> Result<Returned, PythonError> {
    connection.send_pickle(request).map_err(|error| match error {
        SendError::Pickling(error) => PythonError::Pickling(error),
        _ => PythonError::Gone,
    })?;
    let reply = connection.recv_pickle().map_err(|error| match error {
        RecvError::Unpickling(error) => PythonError::Unpickling(error),
        _ => PythonError::Gone,
    })?;
    understood(reply)
}

fn understood(reply: Value) -> Result<Returned, PythonError> {
    let Some([Value::Str(kind), payload]) = reply.items() else { return Err(unexpected(reply.kind())) };
    let traceback = || payload.as_str().unwrap_or_default().to_owned();
    match &**kind {
        "#RETURN" => Ok(Returned::Value(view(payload).unwrap_or(payload).clone())),
        "#ERROR" => Err(PythonError::Raised(PythonException { object: payload.clone() })),
        "#TRACEBACK" => Err(PythonError::Refused { traceback: traceback() }),
        "#UNSERIALIZABLE" => Err(PythonError::Unserializable { traceback: traceback() }),
        "#PROXY" => proxy(payload).ok_or_else(|| unexpected("a proxy without a token")),
        other => Err(unexpected(other)),
    }
}

/// The list in what a view of a dict is pickled as: a call of `list`.
fn view(payload: &Value) -> Option<&Value> {
    let Value::Object(object) = payload else { return None };
    match &object.args[..] {
        [list @ Value::List(_)] if payload.class()?.is("builtins", "list") => Some(list),
        _ => None,
    }
}

fn proxy(payload: &Value) -> Option<Returned> {
    let [exposed, token] = payload.items()? else { return None };
    let (typeid, id) = token_of(token)?;
    Some(Returned::Proxy { exposed: exposed.clone(), typeid, id })
}

/// The type and number in a token.
pub(super) fn token_of(token: &Value) -> Option<(String, String)> {
    let Value::Object(object) = token else { return None };
    match object.state.as_ref()?.items()? {
        [Value::Str(typeid), _, Value::Str(id)] => Some((typeid.to_string(), id.to_string())),
        _ => None,
    }
}

pub(super) fn unexpected(what: &str) -> PythonError {
    PythonError::NotAManager(format!("unexpected reply: {what}"))
}
