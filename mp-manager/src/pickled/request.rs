//! Requests and replies as pickles.

use super::arguments::Asked;
use super::held::Held;
use super::numbers::id;
use super::raised::Raised;
use crate::protocol::ObjectId;
use mp_pipe::pickle::{Object, Value, dumps, loads};

/// What a Python program asks.
#[derive(Debug)]
pub(crate) struct Request {
    /// The object; none for a request of the server itself.
    pub(crate) object: Option<Value>,
    pub(crate) asked: Asked,
}

impl Request {
    /// Reads one. An error is what the program is told.
    pub(crate) fn read(bytes: &[u8]) -> Result<Request, Reply> {
        let value = loads(bytes).map_err(|error| {
            Reply::Raised(Raised::unpickling(format!(
                "the server cannot hold what is in this request: {error}"
            )))
        })?;
        let malformed =
            || Reply::Refused("ValueError: a request is (object, method, arguments, keywords)".to_owned());
        let Value::Tuple(parts) = &value else { return Err(malformed()) };
        let [object, method, args, kwds] = &parts[..] else { return Err(malformed()) };
        let asked = Asked::of(method, args, kwds).ok_or_else(malformed)?;
        Ok(Request { object: (!object.is_none()).then(|| object.clone()), asked })
    }
}

/// What it is answered.
#[derive(Debug)]
pub(crate) enum Reply {
    Returned(Held),
    Raised(Raised),
    /// Of a type, with its methods and number.
    Proxy(&'static str, Value, ObjectId),
    /// The text takes the place of Python's traceback.
    Refused(String),
}

impl Reply {
    /// As bytes; what cannot be written is answered with the reason.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (kind, payload) = match self {
            Reply::Returned(held) => ("#RETURN", held.value.clone()),
            Reply::Raised(raised) => ("#ERROR", raised.0.clone()),
            Reply::Proxy(type_, exposed, object) => {
                // The program knows the address.
                let state = Value::tuple([(*type_).into(), Value::None, id(*object)]);
                let token = Object::with_state("multiprocessing.managers", "Token", state).into();
                ("#PROXY", Value::tuple([exposed.clone(), token]))
            }
            Reply::Refused(text) => ("#TRACEBACK", format!("{text}\n").into()),
        };
        dumps(&Value::tuple([kind.into(), payload])).unwrap_or_else(|error| {
            let told = Value::tuple(["#UNSERIALIZABLE".into(), error.to_string().into()]);
            // Of two texts: this cannot fail, and an empty message ends the connection.
            dumps(&told).unwrap_or_default()
        })
    }
}
