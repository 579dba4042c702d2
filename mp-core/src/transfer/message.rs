//! A value becomes bytes and handles, and back.

use super::codec;
use super::handle::{AnyHandle, Handle};
use super::tried::Tried;
use crate::error::CodecError;
use serde::de::DeserializeOwned;
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::any::type_name;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;

/// A value on its way: its bytes, and the descriptors it needs.
#[derive(Debug, Clone, Default)]
pub struct Message {
    /// The value in postcard's format; a handle is its position in `handles`.
    pub bytes: Vec<u8>,
    /// What travels beside the bytes.
    pub handles: Vec<Handle>,
}

/// A message inside another: what is passed on without being looked at. Within a transfer only, if it has handles.
impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut both = serializer.serialize_tuple(2)?;
        both.serialize_element(&self.bytes)?;
        both.serialize_element(&self.handles)?;
        both.end()
    }
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (bytes, handles) = <(Vec<u8>, Vec<AnyHandle>)>::deserialize(deserializer)?;
        Ok(Message { bytes, handles: handles.into_iter().map(|AnyHandle(handle)| handle).collect() })
    }
}

/// Whether the thread is packing, or unpacking, right now, and whether there may be handles. One byte, so that it is
/// read as it was written: a word of two bytes waits until both are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State(u8);

impl State {
    const OFF: State = State(0);
    const ON: State = State(1);
    /// Beside it. Most transfers look at this alone: a vector that moves through memory costs more than packing a
    /// number does.
    const ANY: u8 = 2;

    #[inline]
    fn is_on(self) -> bool {
        self.0 & State::ON.0 != 0
    }

    #[inline]
    fn has_any(self) -> bool {
        self.0 & State::ANY != 0
    }

    #[inline]
    fn with_any(self, any: bool) -> State {
        State(if any { self.0 | State::ANY } else { self.0 & !State::ANY })
    }
}

/// The handles of one direction. While it is off it has none, so most transfers move none.
struct Kept {
    handles: RefCell<Vec<Handle>>,
    /// Those of the transfers around this one.
    around: RefCell<Vec<Vec<Handle>>>,
}

impl Kept {
    const fn none() -> Kept {
        Kept { handles: RefCell::new(Vec::new()), around: RefCell::new(Vec::new()) }
    }
}

thread_local! {
    // Apart from the handles, and without a destructor: so they are reached without a call.
    static OUTGOING: Cell<State> = const { Cell::new(State::OFF) };
    static INCOMING: Cell<State> = const { Cell::new(State::OFF) };
    // Never dropped, so that exit handlers, which run after the thread's other locals are gone, can transfer too;
    // outside a transfer there is nothing in them to drop.
    static PACKED: ManuallyDrop<Kept> = const { ManuallyDrop::new(Kept::none()) };
    static UNPACKED: ManuallyDrop<Kept> = const { ManuallyDrop::new(Kept::none()) };
}

/// Values are packed here, or unpacked. A type for each, so that its locals are named where they are used.
trait Direction {
    fn state() -> State;
    fn set(state: State);
    fn with_kept<R>(work: impl FnOnce(&Kept) -> R) -> R;

    /// Has these handles; gives those that were there.
    fn replace(handles: Vec<Handle>) -> Vec<Handle> {
        Self::set(Self::state().with_any(!handles.is_empty()));
        Self::with_kept(|kept| std::mem::replace(&mut *kept.handles.borrow_mut(), handles))
    }
}

struct Outgoing;
struct Incoming;

impl Direction for Outgoing {
    #[inline(always)]
    fn state() -> State {
        OUTGOING.get()
    }

    #[inline(always)]
    fn set(state: State) {
        OUTGOING.set(state);
    }

    fn with_kept<R>(work: impl FnOnce(&Kept) -> R) -> R {
        PACKED.with(|kept| work(kept))
    }
}

impl Direction for Incoming {
    #[inline(always)]
    fn state() -> State {
        INCOMING.get()
    }

    #[inline(always)]
    fn set(state: State) {
        INCOMING.set(state);
    }

    fn with_kept<R>(work: impl FnOnce(&Kept) -> R) -> R {
        UNPACKED.with(|kept| work(kept))
    }
}

/// Puts back what was there before, also when a `Serialize` panics: transfers may nest.
struct Restore<D: Direction> {
    was_on: bool,
    /// Handles were kept, perhaps none.
    keeps: bool,
    direction: PhantomData<D>,
}

impl<D: Direction> Restore<D> {
    /// Takes the handles.
    #[inline]
    fn enter(handles: &mut Vec<Handle>) -> Restore<D> {
        let before = D::state();
        let keeps = before.has_any() || !handles.is_empty();
        if keeps {
            Self::keep_and_have(std::mem::take(handles));
        } else {
            D::set(State::ON);
        }
        Restore { was_on: before.is_on(), keeps, direction: PhantomData }
    }

    #[cold]
    fn keep_and_have(handles: Vec<Handle>) {
        D::set(State::ON);
        let before = D::replace(handles);
        D::with_kept(|kept| kept.around.borrow_mut().push(before));
    }

    /// Appends the handles that are there now.
    #[inline]
    fn take(&self, handles: &mut Vec<Handle>) {
        if D::state().has_any() {
            D::with_kept(|kept| handles.append(&mut kept.handles.borrow_mut()));
        }
    }

    #[cold]
    fn put_back(&self) {
        let before = D::with_kept(|kept| {
            let mut around = kept.around.borrow_mut();
            let before = if self.keeps { around.pop() } else { None };
            // A thread that ends drops none of this.
            around.shrink_to_fit();
            before
        });
        // Dropped when the direction is as it was: a handle's end may begin a transfer.
        drop(D::replace(before.unwrap_or_default()));
    }
}

impl<D: Direction> Drop for Restore<D> {
    #[inline]
    fn drop(&mut self) {
        let any = D::state().has_any();
        D::set(if self.was_on { State::ON } else { State::OFF }.with_any(any));
        if any || self.keeps {
            self.put_back();
        }
    }
}

/// Registers a handle with the message being packed, if there is one, and gives its position.
pub(super) fn to_outgoing(handle: &Handle) -> Option<u32> {
    if !Outgoing::state().is_on() {
        return None;
    }
    Outgoing::with_kept(|kept| {
        let mut handles = kept.handles.borrow_mut();
        let at = handles.iter().position(|other| other.is_same(handle)).unwrap_or_else(|| {
            handles.push(handle.clone());
            Outgoing::set(Outgoing::state().with_any(true));
            handles.len() - 1
        });
        Some(at as u32)
    })
}

/// The handle at a position of the message being unpacked: the outer `None` if there is no such message.
pub(super) fn from_incoming(index: u32) -> Option<Option<Handle>> {
    let handle = |kept: &Kept| kept.handles.borrow().get(index as usize).cloned();
    Incoming::state().is_on().then(|| Incoming::with_kept(handle))
}

/// Whether the thread is packing or unpacking a message.
pub(super) fn in_transfer() -> bool {
    Outgoing::state().is_on() || Incoming::state().is_on()
}

/// Turns a value into a message.
pub fn pack<T: Serialize + ?Sized>(value: &T) -> Result<Message, CodecError> {
    let mut bytes = Vec::new();
    let handles = pack_onto(value, &mut bytes)?;
    Ok(Message { bytes, handles })
}

/// Appends a value's bytes to a vector that may be used again, and gives its handles. On an error the vector is
/// as it was.
#[inline]
pub fn pack_onto<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) -> Result<Vec<Handle>, CodecError> {
    let mut handles = Vec::new();
    pack_with(value, bytes, &mut handles).map_err(|error| *error)?;
    Ok(handles)
}

/// The same, with the handles appended to a vector that has none.
#[inline]
fn pack_with<T: Serialize + ?Sized>(
    value: &T,
    bytes: &mut Vec<u8>,
    handles: &mut Vec<Handle>,
) -> Result<(), Box<CodecError>> {
    let scope = Restore::<Outgoing>::enter(&mut Vec::new());
    let before = bytes.len();
    match codec::encode_onto(value, bytes) {
        Ok(()) => {
            scope.take(handles);
            Ok(())
        }
        Err(reason) => {
            bytes.truncate(before);
            Err(cannot_serialize::<T>(&reason))
        }
    }
}

#[cold]
fn cannot_serialize<T: ?Sized>(reason: &dyn std::fmt::Display) -> Box<CodecError> {
    Box::new(CodecError::Serialize { type_name: type_name::<T>(), reason: reason.to_string() })
}

/// As [`pack`], for a value of a user's type: see [`pack_value_onto`].
pub fn pack_value<T: Serialize + DeserializeOwned>(value: &T) -> Result<Message, CodecError> {
    let mut bytes = Vec::new();
    let handles = pack_value_onto(value, &mut bytes)?;
    Ok(Message { bytes, handles })
}

/// As [`pack_onto`], for a value of a user's type. The first of its type that this process packs is read back, as far
/// as its first handle: a type that can only be read from a format that describes itself is refused here, since at the
/// receiver the value would be lost.
#[inline]
pub fn pack_value_onto<T: Serialize + DeserializeOwned>(
    value: &T,
    bytes: &mut Vec<u8>,
) -> Result<Vec<Handle>, CodecError> {
    let mut handles = Vec::new();
    pack_value_with(value, bytes, &mut handles).map_err(|error| *error)?;
    Ok(handles)
}

/// As [`pack_value_onto`], for many small values: the handles are appended to a vector that has none, and what comes
/// back is one word.
#[inline]
pub fn pack_value_with<T: Serialize + DeserializeOwned>(
    value: &T,
    bytes: &mut Vec<u8>,
    handles: &mut Vec<Handle>,
) -> Result<(), Box<CodecError>> {
    let before = bytes.len();
    pack_with(value, bytes, handles)?;
    let address = needs_description::<T> as fn(&[u8]) -> bool as usize;
    // Bytes of no length cannot hold what would have to be described.
    if bytes.len() > before && !TRIED.has(address) {
        if needs_description::<T>(&bytes[before..]) {
            bytes.truncate(before);
            handles.clear();
            return Err(cannot_serialize::<T>(&codec::Reason::NotDescribed));
        }
        TRIED.enter(address);
    }
    Ok(())
}

/// The types of which this process has packed a value.
static TRIED: Tried = Tried::new();

#[inline(never)]
fn needs_description<T: DeserializeOwned>(bytes: &[u8]) -> bool {
    // Not even clones of the handles: a copy that has one would hold it open, or say its farewell when it is dropped.
    let _scope = Restore::<Incoming>::enter(&mut Vec::new());
    codec::needs_description::<T>(bytes)
}

/// Turns a message back into a value. Every byte must be used; handles that the value did not ask for are
/// closed.
#[inline]
pub fn unpack<T: DeserializeOwned>(bytes: &[u8], mut handles: Vec<Handle>) -> Result<T, CodecError> {
    unpack_with(bytes, &mut handles).map_err(|error| *error)
}

/// As [`unpack`], for many small values: takes the handles out of a vector, and an error is one word.
#[inline]
pub fn unpack_with<T: DeserializeOwned>(
    bytes: &[u8],
    handles: &mut Vec<Handle>,
) -> Result<T, Box<CodecError>> {
    let _scope = Restore::<Incoming>::enter(handles);
    match codec::decode(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(cannot_decode_all::<T>(rest.len())),
        Err(reason) => Err(cannot_decode::<T>(&reason)),
    }
}

/// The value at the front of a message, whatever stands behind it: which call a request is of that cannot be decoded,
/// say.
#[doc(hidden)]
pub fn unpack_front<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let mut none = Vec::new();
    let _scope = Restore::<Incoming>::enter(&mut none);
    codec::decode(bytes).map(|(value, _)| value).map_err(|reason| *cannot_decode::<T>(&reason))
}

#[cold]
fn cannot_decode<T>(reason: &dyn std::fmt::Display) -> Box<CodecError> {
    Box::new(CodecError::Decode { type_name: type_name::<T>(), reason: reason.to_string() })
}

#[cold]
fn cannot_decode_all<T>(left: usize) -> Box<CodecError> {
    cannot_decode::<T>(&format!("{left} bytes are left over: {}", codec::OTHER_TYPE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::pipe;

    #[test]
    fn values_come_back() {
        let value = (1_u8, "two".to_owned(), vec![3.0_f64]);
        let message = pack(&value).unwrap();
        assert_eq!(unpack::<(u8, String, Vec<f64>)>(&message.bytes, message.handles).unwrap(), value);
    }

    #[test]
    fn a_block_of_bytes_has_the_format_of_a_sequence() {
        for length in [0, 1, 127, 128, 70_000] {
            let block: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let message = pack(&block).unwrap();
            assert_eq!(message.bytes, pack(&(&block,)).unwrap().bytes);
            assert_eq!(unpack::<(Vec<u8>,)>(&message.bytes, vec![]).unwrap(), (block.clone(),));
            assert_eq!(unpack::<Vec<u8>>(&message.bytes, vec![]).unwrap(), block);
        }
    }

    #[test]
    fn left_over_bytes_are_an_error() {
        let message = pack(&(1_u8, 2_u8)).unwrap();
        assert!(matches!(unpack::<u8>(&message.bytes, vec![]), Err(CodecError::Decode { .. })));
    }

    #[test]
    fn a_handle_sent_twice_is_one_descriptor() {
        let (read, _write) = pipe().unwrap();
        let handle = Handle::new(read);
        let message = pack(&(handle.clone(), handle)).unwrap();
        assert_eq!(message.handles.len(), 1);
        let (a, b): (Handle, Handle) = unpack(&message.bytes, message.handles).unwrap();
        assert!(a.is_same(&b));
    }

    #[test]
    fn a_handle_outside_a_transfer_says_what_to_do() {
        let (read, _write) = pipe().unwrap();
        let refused = codec::encode_onto(&Handle::new(read), &mut Vec::new()).unwrap_err();
        assert!(refused.to_string().contains("can only be sent to another process"), "{refused}");
    }

    #[test]
    fn the_first_value_of_a_type_is_read_back_before_it_is_sent() {
        #[derive(Serialize, Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u8),
        }
        let mut bytes = vec![7];
        let refused = pack_value_onto(&vec![Either::Number(1)], &mut bytes).unwrap_err().to_string();
        assert!(refused.contains("Either") && refused.contains("mp::SelfDescribing"), "{refused}");
        assert_eq!(bytes, [7]);
        // It stays refused.
        assert!(pack_value(&vec![Either::Number(1)]).is_err());
    }

    #[test]
    fn a_trial_takes_no_handle() {
        let (read, _write) = pipe().unwrap();
        let message = pack_value(&(Handle::new(read), 5_u8)).unwrap();
        let (_, five): (Handle, u8) = unpack(&message.bytes, message.handles).unwrap();
        assert_eq!(five, 5);
    }

    #[test]
    fn a_failing_serialize_leaves_the_buffer_as_it_was() {
        struct Never;
        impl Serialize for Never {
            fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("never"))
            }
        }
        let mut bytes = vec![7];
        assert!(pack_onto(&(1_u8, Never), &mut bytes).is_err());
        assert_eq!(bytes, [7]);
    }
}
