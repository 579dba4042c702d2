//! CPython's manager protocol, for Python programs that use the server's objects (Python: `multiprocessing.managers`).
//!
//! ```text
//!   a request of the server:      (None, 'create', ('dict',), {})   one for each connection, which then ends
//!   a call, once a connection has
//!   asked for 'accept_connection': ('7f3a…', 'get', ('key',), {})   any number, one after the other
//!   a reply:                      ('#RETURN', value)   ('#ERROR', exception)   ('#PROXY', (methods, token))
//!                                 ('#TRACEBACK', text)   ('#UNSERIALIZABLE', text)
//! ```
//! Each message is a pickle in a frame of `mp-pipe`. A pickle is data here: no class is imported, and what has no value
//! of its own is kept as it came, and goes out so. The objects that hold values (`object/`) are done in one step; a
//! call that may wait is one of the server's own objects' (`sync.rs`), so that it waits beside its object without a
//! thread.
//!
//! | file           | what                                                                     |
//! |----------------|--------------------------------------------------------------------------|
//! | `peers.rs`     | the connections, what each waits for, and its references to objects      |
//! | `kinds.rs`     | the types, their names and methods                                       |
//! | `numbers.rs`   | objects' numbers, as text and in tokens                                  |
//! | `object/`      | dict, list, Namespace, Value, Array, and the iterator over a dict        |
//! | `sync.rs`      | locks, semaphores, events, barriers, queues: as calls of our own         |
//! | `held.rs`      | a value, and the objects whose proxies are in it                         |
//! | `arguments.rs` | arguments bound to names                                                 |
//! | `places.rs`    | indices and slices                                                       |
//! | `compare.rs`   | equality, keys and order as Python has them                              |
//! | `repr.rs`      | `repr`                                                                   |
//! | `raised.rs`    | exceptions                                                               |
//!
//! The server's side of it is `server/python.rs`.
//!
//! # When a process dies
//! A *Python program*: its connections end, so its waiting calls are cancelled and its locks are free, and the next one
//! to acquire such a lock is told by an `OSError` with `EOWNERDEAD`. Over a local socket the server also watches the
//! process itself, and gives its references back; over TCP they stay, as in Python.

mod arguments;
mod compare;
mod held;
mod kinds;
mod numbers;
mod object;
mod peers;
mod places;
mod raised;
mod repr;
mod request;
mod sync;

pub(crate) use kinds::Typed;
pub(crate) use numbers::{id, number, object_of};
pub(crate) use object::{Answer, Object};
pub(crate) use peers::{Peers, Sent, Stage};
pub(crate) use repr::repr;
pub(crate) use request::{Reply, Request};
pub(crate) use sync::Step;

use crate::object::{Counts, Object as Own};
use crate::protocol::{Kind, ObjectId};
use arguments::Asked;
use held::Held;
use kinds::Type;
use raised::Raised;

/// The body of a new object.
pub(crate) enum Made {
    Values(Object),
    Own(Kind, Box<dyn Own>),
    /// A condition over a lock of the server.
    Over(ObjectId),
}

/// A new object of the type with this name.
pub(crate) fn make(counts: &Counts, typeid: &str, asked: &Asked) -> Result<(Typed, Made), Raised> {
    let type_ = Type::named(typeid)?;
    if let Some(lock) = sync::lock_of_condition(type_, asked)? {
        return Ok((typed(type_), Made::Over(lock)));
    }
    match Object::make(counts, type_, asked) {
        Some(made) => Ok((Typed { type_, longest: None }, Made::Values(made?))),
        None => {
            let (kind, own, longest) = sync::make(counts, type_, asked)?;
            Ok((Typed { type_, longest }, Made::Own(kind, own)))
        }
    }
}

/// An object made by a call.
pub(crate) fn typed(type_: Type) -> Typed {
    Typed { type_, longest: None }
}

/// A call on one of the server's own objects; or what each of them answers at once.
pub(crate) fn step(counts: &Counts, typed: Typed, asked: &Asked) -> Result<Result<Step, Held>, Raised> {
    match &*asked.method {
        "__str__" | "__repr__" => {
            Ok(Err(Held::plain(format!("<{} object of a server that is no Python program>", typed.name()))))
        }
        "#GETVALUE" => Err(Raised::type_error(format!("cannot pickle '{}' object", typed.name()))),
        _ => sync::step(counts, typed.type_, typed.longest, asked).map(Ok),
    }
}
