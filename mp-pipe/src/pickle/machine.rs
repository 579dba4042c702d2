//! loads(): a pickle is a program for a machine with a stack, a memo and no jumps; this is the machine.
//!
//! ```text
//!  {"n": (1, 2)}    }  "n"  1  2  TUPLE2  s  .
//!  stack            {}  {} "n"  {} "n" 1 2  {} "n" (1, 2)  {"n": (1, 2)}
//!
//!  a mark remembers a height of the stack; what ends the mark (t, e, u …) takes all above it
//! ```
//!
//! What CPython imports and calls is put together as data instead: see `graph.rs` for what lies on the stack,
//! `known.rs` for the calls that CPython writes where it lacks an opcode.
//!
//! A length that is announced is held against the bytes that are there before anything is taken for it. Each step takes
//! a bounded amount of memory besides, and all that is taken counts towards [`Limits::memory`].

use super::error::PickleError;
use super::graph::{Graph, Limits, Node, Shape, Slot};
use super::known::Encoded;
use super::memo::Memo;
use super::opcode::*;
use super::python2;
use super::value::{Global, Value};
use num_bigint::BigInt;
use std::sync::Arc;

/// Reads a pickle of protocol 2 to 5, within the default [`Limits`].
///
/// # Errors
/// [`PickleError`]; also for bytes behind the pickle's end, which Python's `loads` ignores.
///
/// ```
/// use mp_pipe::pickle::{self, Value};
/// // pickle.dumps(('one', 1), 3)
/// let pickled = b"\x80\x03X\x03\0\0\0oneq\0K\x01\x86q\x01.";
/// assert_eq!(pickle::loads(pickled)?, Value::tuple(["one".into(), 1.into()]));
/// assert!(pickle::loads(&pickled[..9]).is_err());
/// # Ok::<(), pickle::PickleError>(())
/// ```
///
/// Python: `pickle.loads`.
pub fn loads(pickle: &[u8]) -> Result<Value, PickleError> {
    loads_within(pickle, Limits::default())
}

/// Reads a pickle within other limits.
///
/// # Errors
/// As [`loads`].
pub fn loads_within(pickle: &[u8], limits: Limits) -> Result<Value, PickleError> {
    Machine::new(pickle, limits).run()
}

/// What an `Arc` takes besides its content.
const COUNTS: usize = 2 * size_of::<usize>();

pub(super) type Done = Result<(), PickleError>;

pub(super) struct Machine<'a> {
    pickle: &'a [u8],
    at: usize,
    /// Where the opcode is that is being followed.
    opcode_at: usize,
    protocol: u8,
    pub(super) stack: Vec<Slot>,
    marks: Vec<usize>,
    memo: Memo,
    pub(super) graph: Graph,
    pub(super) encoded: Encoded,
    empty_tuple: Value,
}

impl<'a> Machine<'a> {
    fn new(pickle: &'a [u8], limits: Limits) -> Machine<'a> {
        Machine {
            pickle,
            at: 0,
            opcode_at: 0,
            protocol: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: Memo::default(),
            graph: Graph::new(limits),
            encoded: Encoded::default(),
            empty_tuple: Value::tuple([]),
        }
    }

    fn run(mut self) -> Result<Value, PickleError> {
        loop {
            self.opcode_at = self.at;
            let [opcode] = self.array()?;
            if opcode == STOP {
                break;
            }
            self.step(opcode)?;
        }
        if self.at < self.pickle.len() {
            self.opcode_at = self.at;
            return Err(self.malformed("bytes follow its end"));
        }
        let root = self.pop()?;
        self.graph.resolve(root)
    }

    fn step(&mut self, opcode: u8) -> Done {
        match opcode {
            MARK => self.mark(),
            POP | POP_MARK => self.discard(opcode),
            DUP => self.top().cloned().and_then(|slot| self.push(slot)),
            PROTO => self.protocol(),
            FRAME => self.frame(),
            BINPUT | LONG_BINPUT | MEMOIZE => self.put(opcode),
            BINGET | LONG_BINGET => self.get(opcode),
            NONE => self.value(Value::None),
            NEWTRUE => self.value(Value::Bool(true)),
            NEWFALSE => self.value(Value::Bool(false)),
            BININT | BININT1 | BININT2 | LONG1 | LONG4 => self.int(opcode),
            BINFLOAT => self.array().and_then(|bytes| self.value(Value::Float(f64::from_be_bytes(bytes)))),
            SHORT_BINUNICODE | BINUNICODE | BINUNICODE8 => self.text(opcode),
            SHORT_BINSTRING | BINSTRING => self.old_text(opcode),
            SHORT_BINBYTES | BINBYTES | BINBYTES8 | BYTEARRAY8 => self.bytes(opcode),
            EMPTY_TUPLE => self.value(self.empty_tuple.clone()),
            EMPTY_LIST => self.add(Shape::List, Vec::new()),
            EMPTY_DICT => self.add(Shape::Dict, Vec::new()),
            EMPTY_SET => self.add(Shape::Set, Vec::new()),
            TUPLE1 | TUPLE2 | TUPLE3 => self.short_tuple(usize::from(opcode - TUPLE1) + 1),
            TUPLE => self.since_mark().and_then(|slots| self.add(Shape::Tuple, slots)),
            FROZENSET => self.since_mark().and_then(|slots| self.add(Shape::FrozenSet, slots)),
            APPEND => self.last(1).and_then(|from| self.append(from)),
            APPENDS => self.end_mark().and_then(|from| self.append(from)),
            SETITEM => self.last(2).and_then(|from| self.set_items(from)),
            SETITEMS => self.end_mark().and_then(|from| self.set_items(from)),
            ADDITEMS => self.end_mark().and_then(|from| self.add_items(from)),
            GLOBAL => self.global(),
            STACK_GLOBAL => self.stack_global(),
            REDUCE => self.reduce(),
            NEWOBJ => self.pop_many(2).and_then(|slots| self.object(true, slots)),
            NEWOBJ_EX => self.pop_many(3).and_then(|slots| self.object(true, slots)),
            BUILD => self.build(),
            other => Err(self.unsupported(match other {
                PERSID | BINPERSID => "a reference to an object outside of it",
                EXT1 | EXT2 | EXT4 => "a number of copyreg's extension registry",
                NEXT_BUFFER | READONLY_BUFFER => "a buffer outside of it",
                old if OLD.contains(&old) => "an opcode of protocol 0 or 1",
                _ => return Err(self.malformed("no such opcode")),
            })),
        }
    }

    pub(super) fn malformed(&self, why: &'static str) -> PickleError {
        PickleError::Malformed { at: self.opcode_at, why }
    }

    pub(super) fn unsupported(&self, what: &'static str) -> PickleError {
        PickleError::Unsupported { at: self.opcode_at, what }
    }
}

/// The bytes.
impl<'a> Machine<'a> {
    fn take(&mut self, count: u64) -> Result<&'a [u8], PickleError> {
        let rest = &self.pickle[self.at..];
        let bytes = usize::try_from(count).ok().and_then(|count| rest.get(..count));
        let bytes = bytes.ok_or(PickleError::Truncated { length: self.pickle.len() })?;
        self.at += bytes.len();
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let bytes = self.take(N as u64)?;
        Ok(std::array::from_fn(|at| bytes[at]))
    }

    fn number(&mut self, width: u64) -> Result<u64, PickleError> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Bytes behind their number, which has so many bytes itself.
    fn counted(&mut self, width: u64) -> Result<&'a [u8], PickleError> {
        let count = self.number(width)?;
        let bytes = self.take(count)?;
        self.graph.spend(COUNTS + bytes.len())?;
        Ok(bytes)
    }

    fn line(&mut self) -> Result<Value, PickleError> {
        let rest = &self.pickle[self.at..];
        let end = rest.iter().position(|byte| *byte == b'\n');
        let line = &rest[..end.ok_or(PickleError::Truncated { length: self.pickle.len() })?];
        self.at += line.len() + 1;
        self.graph.spend(COUNTS + line.len())?;
        self.str(line)
    }

    fn str(&self, bytes: &[u8]) -> Result<Value, PickleError> {
        match text(bytes) {
            Text::Plain(text) => Ok(Value::Str(text.into())),
            Text::Surrogates => Ok(Value::Surrogates(bytes.into())),
            Text::Bad => Err(self.malformed("a text is not UTF-8")),
        }
    }

    fn protocol(&mut self) -> Done {
        match self.array()? {
            [protocol @ 0..=5] => {
                self.protocol = protocol;
                Ok(())
            }
            _ => Err(self.unsupported("a protocol later than 5")),
        }
    }

    /// A frame says how much a file would have to be read; here it is all there, or it is cut off.
    fn frame(&mut self) -> Done {
        let inside = self.number(8)?;
        let there = (self.pickle.len() - self.at) as u64;
        let cut = PickleError::Truncated { length: self.pickle.len() };
        if inside <= there { Ok(()) } else { Err(cut) }
    }
}

/// The stack and the memo.
impl Machine<'_> {
    pub(super) fn push(&mut self, slot: Slot) -> Done {
        self.graph.spend(size_of::<Slot>())?;
        self.stack.push(slot);
        Ok(())
    }

    pub(super) fn value(&mut self, value: Value) -> Done {
        self.push(Slot::Value(value))
    }

    pub(super) fn add(&mut self, shape: Shape, slots: Vec<Slot>) -> Done {
        let slot = self.graph.add(Node::Open(shape, slots))?;
        self.push(slot)
    }

    /// What lies above the last mark is all that can be taken.
    pub(super) fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    pub(super) fn top(&self) -> Result<&Slot, PickleError> {
        self.stack[self.floor()..].last().ok_or(self.malformed("the stack is empty"))
    }

    pub(super) fn pop(&mut self) -> Result<Slot, PickleError> {
        self.top()?;
        self.stack.pop().ok_or(self.malformed("the stack is empty"))
    }

    /// Where the last so many begin.
    fn last(&self, count: usize) -> Result<usize, PickleError> {
        let from = self.stack.len().checked_sub(count).filter(|from| *from >= self.floor());
        from.ok_or(self.malformed("the stack is empty"))
    }

    pub(super) fn pop_many(&mut self, count: usize) -> Result<Vec<Slot>, PickleError> {
        let from = self.last(count)?;
        Ok(self.stack.drain(from..).collect())
    }

    fn mark(&mut self) -> Done {
        self.graph.spend(size_of::<usize>())?;
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// Where what lies above the last mark begins; the mark is gone.
    fn end_mark(&mut self) -> Result<usize, PickleError> {
        self.marks.pop().ok_or(self.malformed("no mark"))
    }

    fn since_mark(&mut self) -> Result<Vec<Slot>, PickleError> {
        let mark = self.end_mark()?;
        Ok(self.stack.drain(mark..).collect())
    }

    /// CPython takes back what it meant to build when it has found it built in the meantime, which is so for what
    /// contains itself; and the result of a call that was made for its effect, which cannot be left out in silence.
    fn discard(&mut self, opcode: u8) -> Done {
        let slots = if opcode == POP && self.stack.len() > self.floor() {
            self.pop_many(1)?
        } else {
            self.since_mark()?
        };
        let object = |slot: &Slot| matches!(self.graph.node(slot), Some(Node::OpenObject(_)));
        if slots.iter().any(object) { Err(self.unsupported("a call for its effect")) } else { Ok(()) }
    }

    fn put(&mut self, opcode: u8) -> Done {
        let number = match opcode {
            BINPUT => Some(self.number(1)?),
            LONG_BINPUT => Some(self.number(4)?),
            _ => None,
        };
        let slot = self.top()?.clone();
        match number {
            Some(number) => {
                self.graph.spend(2 * size_of::<Slot>())?;
                self.memo.put(number as u32, slot);
            }
            None => {
                self.graph.spend(size_of::<Slot>())?;
                self.memo.put_next(slot);
            }
        }
        Ok(())
    }

    fn get(&mut self, opcode: u8) -> Done {
        let number = self.number(if opcode == BINGET { 1 } else { 4 })?;
        match self.memo.get(number as u32).cloned() {
            Some(slot) => self.push(slot),
            None => Err(self.malformed("nothing has this number")),
        }
    }
}

/// Values without parts.
impl Machine<'_> {
    fn int(&mut self, opcode: u8) -> Done {
        let value = match opcode {
            BININT => Value::from(i32::from_le_bytes(self.array()?)),
            BININT1 => Value::from(self.number(1)?),
            BININT2 => Value::from(self.number(2)?),
            LONG1 => long(self.counted(1)?),
            _ => {
                let length = i32::from_le_bytes(self.array()?);
                let length = u64::try_from(length).map_err(|_| self.malformed("a negative length"))?;
                self.graph.spend(length.min(self.pickle.len() as u64) as usize)?;
                long(self.take(length)?)
            }
        };
        self.value(value)
    }

    fn text(&mut self, opcode: u8) -> Done {
        let bytes = self.counted(match opcode {
            SHORT_BINUNICODE => 1,
            BINUNICODE => 4,
            _ => 8,
        })?;
        let text = self.str(bytes)?;
        self.value(text)
    }

    /// What Python 2 calls `str`: ASCII only, as CPython reads it unless told otherwise.
    fn old_text(&mut self, opcode: u8) -> Done {
        let bytes = self.counted(if opcode == SHORT_BINSTRING { 1 } else { 4 })?;
        match std::str::from_utf8(bytes) {
            Ok(text) if text.is_ascii() => self.value(Value::from(text)),
            _ => Err(self.unsupported("a str of Python 2 that is not ASCII")),
        }
    }

    fn bytes(&mut self, opcode: u8) -> Done {
        let bytes = self.counted(match opcode {
            SHORT_BINBYTES => 1,
            BINBYTES => 4,
            _ => 8,
        })?;
        self.value(match opcode {
            BYTEARRAY8 => Value::ByteArray(bytes.into()),
            _ => Value::Bytes(bytes.into()),
        })
    }

    /// Module and name, a line each; in protocol 2 those of Python 2.
    fn global(&mut self) -> Done {
        let (module, name) = (self.line()?, self.line()?);
        let (Value::Str(module), Value::Str(name)) = (module, name) else {
            return Err(self.malformed("a name has surrogates"));
        };
        let changed = if self.protocol < 3 { python2::today(&module, &name) } else { None };
        let global = match changed {
            Some((module, name)) => Global::new(module, name),
            None => Global { module, name },
        };
        self.graph.spend(COUNTS + size_of::<Global>())?;
        self.value(Value::from(global))
    }

    fn stack_global(&mut self) -> Done {
        match &self.pop_many(2)?[..] {
            [Slot::Value(Value::Str(module)), Slot::Value(Value::Str(name))] => {
                let global = Global { module: Arc::clone(module), name: Arc::clone(name) };
                self.graph.spend(COUNTS + size_of::<Global>())?;
                self.value(Value::from(global))
            }
            _ => Err(self.malformed("a name is not text")),
        }
    }
}

/// An int from its bytes in two's complement, the low ones first.
fn long(bytes: &[u8]) -> Value {
    if bytes.len() <= 8 {
        let sign = if bytes.last().is_some_and(|high| high & 0x80 != 0) { 0xff } else { 0 };
        return Value::Int(i64::from_le_bytes(std::array::from_fn(|at| *bytes.get(at).unwrap_or(&sign))));
    }
    Value::from(BigInt::from_signed_bytes_le(bytes))
}
