//! dumps(): a value as a pickle of protocol 4, which every CPython since 3.4 reads.
//!
//! A part that is in the value twice is written once, and fetched from the memo where it comes again. What only its
//! place holds (an `Arc` with one owner) cannot come again and is not put there; what is held outside of the value too
//! may be, for a byte more. There are no frames: they tell a reader of files how much to read, and one of bytes
//! nothing.

use super::error::PickleError;
use super::graph::Limits;
use super::opcode::*;
use super::value::{Made, Object, Value};
use num_bigint::BigInt;
use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;

/// How many elements are added at once, as CPython does it: its reader has them all on its stack.
const BATCH: usize = 1000;

/// A value as a pickle of protocol 4.
///
/// # Errors
/// [`PickleError`]: deeper than 500 values inside of each other, or nothing that Python could read.
///
/// ```
/// use mp_pipe::pickle::{self, Value};
/// let shared = Value::list([1.into()]);
/// let pickled = pickle::dumps(&Value::tuple([shared.clone(), shared]))?;
/// assert_eq!(pickled, b"\x80\x04]\x94K\x01ah\0\x86.");
/// # Ok::<(), pickle::PickleError>(())
/// ```
///
/// Python: `pickle.dumps`.
pub fn dumps(value: &Value) -> Result<Vec<u8>, PickleError> {
    let mut writer = Writer { out: vec![PROTO, 4], memo: HashMap::new(), depth: 0, hashed: false };
    writer.value(value).map_err(|error| *error)?;
    writer.out.push(STOP);
    Ok(writer.out)
}

/// Boxed: without optimisation each `?` has room for an error on the stack, once for each level of a deep value.
type Done = Result<(), Box<PickleError>>;

/// One object of Python: a list and a set may have the same elements in memory.
type Identity = (*const u8, Discriminant<Value>);

struct Writer {
    out: Vec<u8>,
    memo: HashMap<Identity, u32>,
    depth: usize,
    /// Whether what is being written has to be hashable.
    hashed: bool,
}

/// The address of a value that may be shared; `None` for a value without identity.
///
/// An empty list, dict, set or bytearray is an object of its own, which can grow, wherever it is; but all that were
/// made with `Arc::default()` are one in memory, and have no identity. What is empty and cannot grow needs none.
fn shared_address(value: &Value) -> Option<*const u8> {
    fn of<T>(arc: &Arc<[T]>) -> Option<*const u8> {
        (Arc::strong_count(arc) > 1 && !arc.is_empty()).then(|| arc.as_ptr().cast())
    }
    fn of_what_can_grow<T>(arc: &Arc<[T]>) -> Option<*const u8> {
        let is_default = || arc.is_empty() && arc.as_ptr() == Arc::<[T]>::default().as_ptr();
        (Arc::strong_count(arc) > 1 && !is_default()).then(|| arc.as_ptr().cast())
    }
    match value {
        Value::Str(text) => (Arc::strong_count(text) > 1 && !text.is_empty()).then(|| text.as_ptr()),
        Value::Surrogates(bytes) | Value::Bytes(bytes) => of(bytes),
        Value::Tuple(items) | Value::FrozenSet(items) => of(items),
        Value::ByteArray(bytes) => of_what_can_grow(bytes),
        Value::List(items) | Value::Set(items) => of_what_can_grow(items),
        Value::Dict(entries) => of_what_can_grow(entries),
        Value::Global(name) => (Arc::strong_count(name) > 1).then(|| Arc::as_ptr(name).cast()),
        Value::Object(object) => (Arc::strong_count(object) > 1).then(|| Arc::as_ptr(object).cast()),
        Value::BigInt(int) => (Arc::strong_count(int) > 1).then(|| Arc::as_ptr(int).cast()),
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => None,
    }
}

impl Writer {
    fn value(&mut self, value: &Value) -> Done {
        if self.hashed
            && matches!(value, Value::List(_) | Value::Dict(_) | Value::Set(_) | Value::ByteArray(_))
        {
            return Err(PickleError::Unhashable { kind: value.kind() }.into());
        }
        let identity = shared_address(value).map(|address| (address, discriminant(value)));
        if let Some(number) = identity.and_then(|identity| self.memo.get(&identity)) {
            match u8::try_from(*number) {
                Ok(number) => self.out.extend([BINGET, number]),
                Err(_) => {
                    self.out.push(LONG_BINGET);
                    self.out.extend(number.to_le_bytes());
                }
            }
            return Ok(());
        }
        self.deeper(has_parts(value))?;
        self.new_value(value, identity)?;
        self.depth -= 1;
        Ok(())
    }

    /// Goes a level down. What has no parts may be inside of the deepest that has.
    fn deeper(&mut self, has_parts: bool) -> Done {
        self.depth += 1;
        let most = Limits::default().depth;
        if self.depth > most && has_parts {
            return Err(PickleError::TooDeep { limit: most }.into());
        }
        Ok(())
    }

    fn new_value(&mut self, value: &Value, identity: Option<Identity>) -> Done {
        match value {
            Value::Tuple(items) => self.tuple(items)?,
            Value::FrozenSet(items) => {
                self.out.push(MARK);
                for item in items.iter() {
                    self.key(item)?;
                }
                self.out.push(FROZENSET);
            }
            // These come to be before their parts do, and are remembered at once.
            Value::List(items) => {
                self.out.push(EMPTY_LIST);
                self.remember(identity);
                return self.append(items);
            }
            Value::Dict(entries) => {
                self.out.push(EMPTY_DICT);
                self.remember(identity);
                return self.set_items(entries);
            }
            Value::Set(items) => {
                self.out.push(EMPTY_SET);
                self.remember(identity);
                return self.batches(items, None, ADDITEMS, Writer::key);
            }
            Value::Object(object) => return self.object(object, identity),
            _ => self.without_parts(value)?,
        }
        self.remember(identity);
        Ok(())
    }

    /// Apart from what calls itself: its places on the stack are not there once for each level.
    #[inline(never)]
    fn without_parts(&mut self, value: &Value) -> Done {
        match value {
            Value::None => self.out.push(NONE),
            Value::Bool(truth) => self.out.push(if *truth { NEWTRUE } else { NEWFALSE }),
            Value::Int(int) => self.int(*int),
            Value::BigInt(int) => self.big_int(int)?,
            Value::Float(float) => {
                self.out.push(BINFLOAT);
                self.out.extend(float.to_be_bytes());
            }
            Value::Str(text) => self.text(text.as_bytes()),
            Value::Surrogates(bytes) => match text(bytes) {
                Text::Bad => return Err(PickleError::BadText.into()),
                _ => self.text(bytes),
            },
            Value::Bytes(bytes) => self.counted(bytes, SHORT_BINBYTES, BINBYTES, BINBYTES8),
            Value::ByteArray(bytes) => {
                self.name("builtins", "bytearray");
                if bytes.is_empty() {
                    self.out.push(EMPTY_TUPLE);
                } else {
                    self.counted(bytes, SHORT_BINBYTES, BINBYTES, BINBYTES8);
                    self.out.push(TUPLE1);
                }
                self.out.push(REDUCE);
            }
            Value::Global(global) => self.name(&global.module, &global.name),
            has_parts_itself => debug_assert!(has_parts(has_parts_itself), "new_value writes it"),
        }
        Ok(())
    }

    /// Puts what was just written under the next number, if it may come again.
    fn remember(&mut self, identity: Option<Identity>) {
        if let Some(identity) = identity {
            self.memo.insert(identity, self.memo.len() as u32);
            self.out.push(MEMOIZE);
        }
    }

    fn int(&mut self, int: i64) {
        if let Ok(int) = u8::try_from(int) {
            self.out.extend([BININT1, int]);
        } else if let Ok(int) = u16::try_from(int) {
            self.out.push(BININT2);
            self.out.extend(int.to_le_bytes());
        } else if let Ok(int) = i32::try_from(int) {
            self.out.push(BININT);
            self.out.extend(int.to_le_bytes());
        } else {
            // The bits that differ from the sign, and one for the sign.
            let bits = i64::BITS - (int ^ (int >> 63)).leading_zeros() + 1;
            let count = bits.div_ceil(8) as u8;
            self.out.extend([LONG1, count]);
            self.out.extend(&int.to_le_bytes()[..usize::from(count)]);
        }
    }

    fn big_int(&mut self, int: &BigInt) -> Done {
        let bytes = int.to_signed_bytes_le();
        if let Ok(count) = u8::try_from(bytes.len()) {
            self.out.extend([LONG1, count]);
        } else {
            let too_long = PickleError::IntTooLong { bytes: bytes.len() };
            let count = i32::try_from(bytes.len()).map_err(|_| Box::new(too_long))?;
            self.out.push(LONG4);
            self.out.extend(count.to_le_bytes());
        }
        self.out.extend(bytes);
        Ok(())
    }

    fn text(&mut self, bytes: &[u8]) {
        self.counted(bytes, SHORT_BINUNICODE, BINUNICODE, BINUNICODE8);
    }

    fn counted(&mut self, bytes: &[u8], short: u8, usual: u8, long: u8) {
        if let Ok(count) = u8::try_from(bytes.len()) {
            self.out.extend([short, count]);
        } else if let Ok(count) = u32::try_from(bytes.len()) {
            self.out.push(usual);
            self.out.extend(count.to_le_bytes());
        } else {
            self.out.push(long);
            self.out.extend((bytes.len() as u64).to_le_bytes());
        }
        self.out.extend_from_slice(bytes);
    }

    fn name(&mut self, module: &str, name: &str) {
        self.text(module.as_bytes());
        self.text(name.as_bytes());
        self.out.push(STACK_GLOBAL);
    }

    /// A key, or an element of a set.
    fn key(&mut self, value: &Value) -> Done {
        let hashed = std::mem::replace(&mut self.hashed, true);
        self.value(value)?;
        self.hashed = hashed;
        Ok(())
    }

    fn values(&mut self, values: &[Value]) -> Done {
        for value in values {
            self.value(value)?;
        }
        Ok(())
    }

    fn tuple(&mut self, items: &[Value]) -> Done {
        match items.len() {
            0 => self.out.push(EMPTY_TUPLE),
            count @ 1..=3 => {
                self.values(items)?;
                self.out.push(TUPLE1 + count as u8 - 1);
            }
            _ => {
                self.out.push(MARK);
                self.values(items)?;
                self.out.push(TUPLE);
            }
        }
        Ok(())
    }

    fn append(&mut self, items: &[Value]) -> Done {
        self.batches(items, Some(APPEND), APPENDS, Writer::value)
    }

    fn set_items(&mut self, entries: &[(Value, Value)]) -> Done {
        self.batches(entries, Some(SETITEM), SETITEMS, |writer, (key, value)| {
            writer.key(key)?;
            writer.value(value)
        })
    }

    /// Adds elements by an opcode for many, or by one for a single element where there is one.
    fn batches<T>(
        &mut self,
        items: &[T],
        for_one: Option<u8>,
        for_many: u8,
        write: fn(&mut Writer, &T) -> Done,
    ) -> Done {
        for batch in items.chunks(BATCH) {
            let opcode = for_one.filter(|_| batch.len() == 1);
            if opcode.is_none() {
                self.out.push(MARK);
            }
            for item in batch {
                write(self, item)?;
            }
            self.out.push(opcode.unwrap_or(for_many));
        }
        Ok(())
    }

    fn object(&mut self, object: &Object, identity: Option<Identity>) -> Done {
        // An object is hashed as its class says, whatever its parts are.
        let hashed = std::mem::replace(&mut self.hashed, false);
        match &object.callable {
            Value::Global(_) | Value::Object(_) => self.value(&object.callable)?,
            other => return Err(PickleError::NotCallable { kind: other.kind() }.into()),
        }
        self.args(&object.args)?;
        match &object.made {
            Made::ByCall => self.out.push(REDUCE),
            Made::ByNew { kwargs } if kwargs.is_empty() => self.out.push(NEWOBJ),
            Made::ByNew { kwargs } => {
                self.value(&Value::Dict(Arc::clone(kwargs)))?;
                self.out.push(NEWOBJ_EX);
            }
        }
        self.remember(identity);
        self.append(&object.items)?;
        self.set_items(&object.entries)?;
        if let Some(state) = &object.state {
            self.value(state)?;
            self.out.push(BUILD);
        }
        self.hashed = hashed;
        Ok(())
    }

    /// Arguments, which may be a tuple that stands elsewhere too.
    fn args(&mut self, args: &Arc<[Value]>) -> Done {
        if Arc::strong_count(args) > 1 {
            self.value(&Value::Tuple(Arc::clone(args)))
        } else {
            // A level as any tuple, as loads() counts it.
            self.deeper(!args.is_empty())?;
            self.tuple(args)?;
            self.depth -= 1;
            Ok(())
        }
    }
}

fn has_parts(value: &Value) -> bool {
    matches!(
        value,
        Value::List(_)
            | Value::Tuple(_)
            | Value::Dict(_)
            | Value::Set(_)
            | Value::FrozenSet(_)
            | Value::Object(_)
    )
}
