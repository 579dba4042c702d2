//! CPython's objects over a connection: what Python's `conn.send(obj)` writes and `conn.recv()` reads (Python:
//! `pickle`).
//!
//! ```text
//!  Python                                 here
//!  conn.send({"n": 1})   ── a frame ──►   connection.recv_pickle()  ──►  Value::Dict([("n", 1)])
//!  conn.recv()           ◄── a frame ──   connection.send_pickle(&Value::list([1.into(), 2.into()]))
//! ```
//!
//! ```
//! use mp_pipe::Connection;
//! use mp_pipe::pickle::{BigInt, Value};
//! use std::process::{Command, Stdio};
//!
//! const SCRIPT: &str = "
//! from multiprocessing.connection import Connection
//! conn = Connection(0)
//! numbers, scale = conn.recv()
//! conn.send({'sum': scale * sum(numbers), 'many': 10 ** 30})
//! ";
//! let (here, there) = mp_core::sys::socket::stream_pair()?;
//! # if Command::new("python3").arg("--version").output().is_err() { return Ok(()); }
//! let mut python = Command::new("python3").args(["-c", SCRIPT]).stdin(Stdio::from(there)).spawn()?;
//! let connection: Connection = Connection::from_fd(here);
//! connection.send_pickle(&Value::tuple([Value::list([1.into(), 2.into()]), 10.into()]))?;
//! let answer = connection.recv_pickle()?;
//! assert_eq!(answer.get("sum").and_then(Value::as_int), Some(30));
//! assert_eq!(answer.get("many"), Some(&Value::from(BigInt::from(10).pow(30))));
//! assert!(python.wait()?.success());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`loads`] reads the protocols 2 to 5, which are all that Python 3.8 and later send; [`dumps`] writes protocol 4,
//! which they all read. Both work on bytes alone, so that a pickle may also come from a file or a queue.
//!
//! | Python                           | [`Value`]                                                            |
//! |----------------------------------|----------------------------------------------------------------------|
//! | `None`, `bool`, `float`          | `None`, `Bool`, `Float` (every bit of it)                            |
//! | `int`                            | `Int`; `BigInt` where it does not fit 64 bits                        |
//! | `str`                            | `Str`; `Surrogates` where it has any, since no Rust text can         |
//! | `bytes`, `bytearray`             | `Bytes`, `ByteArray`                                                 |
//! | `list`, `tuple`                  | `List`, `Tuple`                                                      |
//! | `dict`, `set`, `frozenset`       | `Dict`, `Set`, `FrozenSet`, in the order in which the elements came  |
//! | a class, a function              | `Global`: its module and name                                        |
//! | anything else                    | `Object`: what would be called to make it, with which values         |
//!
//! # No code runs
//! CPython imports and calls whatever a pickle names. Here a name stays a name: an [`Object`] says what would be
//! called, and it is never called. It can be sent back or on, and arrives unchanged. For that reason **a value from an
//! untrusted peer must not be sent on to a Python process**, which would run what it names. A Rust program need not
//! trust its senders; a Python program trusts every process that can send to it.
//!
//! # Shared objects
//! An object that is in another one twice is one object here too: both places have the same `Arc`, and an `Arc` that is
//! in a value twice is one object for Python. A structure that contains itself is refused
//! ([`PickleError::Cyclic`]).
//!
//! # Bounds
//! Whatever bytes come, reading ends in a value or an error after a time that grows as their number, with no more
//! than 400 bytes of memory for each of them. [`Limits`] bounds the depth of a value, and its size counted as if
//! nothing in it were shared: so to go through it, to compare it and to print it is bounded too, although sixty bytes
//! of pickle can name a value with a billion elements.
//!
//! | file            | what                                                                     |
//! |-----------------|--------------------------------------------------------------------------|
//! | `value.rs`      | [`Value`], [`Global`], [`Object`]                                        |
//! | `convert.rs`    | a `Value` from what Rust has, and back                                   |
//! | `machine.rs`    | [`loads`]: the stack machine that a pickle is a program for              |
//! | `compose.rs`    | its opcodes for values with parts                                        |
//! | `memo.rs`       | what it remembers under numbers                                          |
//! | `known.rs`      | the few calls whose results are values here: sets, bytes                 |
//! | `python2.rs`    | what names of Python 2 in protocol 2 are today                          |
//! | `graph.rs`      | from what the machine has built to a `Value`: sharing, depth, size       |
//! | `write.rs`      | [`dumps`]                                                                |
//! | `opcode.rs`     | the opcodes' bytes; the text of a `str` on the wire                      |
//! | `over.rs`       | the calls of [`Connection`](crate::Connection)                           |
//! | `error.rs`      | [`PickleError`]                                                        |

mod compose;
mod convert;
mod error;
mod graph;
mod known;
mod machine;
mod memo;
mod opcode;
mod over;
mod python2;
mod value;
mod write;

pub use error::PickleError;
pub use graph::Limits;
pub use machine::{loads, loads_within};
pub use num_bigint::BigInt;
pub use value::{Global, Made, Object, Value};
pub use write::dumps;
