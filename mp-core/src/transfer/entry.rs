//! The trampolines of a function: they decode its arguments, call it, and encode its result.
//!
//! ```text
//!   Code ──resolve──► entries::<F, A> ──► one:   packed arguments ──► packed result, or a block
//!                                    └──► many:  the same again and again, in one loop that knows the types
//! ```
//!
//! # Safety
//! The one invariant: entries are those of a function, a value of whose type was there when its
//! [`Code`](super::Code) was made. That it is of size zero is checked here.
#![allow(unsafe_code)]

use super::block::{from_lone_block, into_block, is_block, is_lone_block};
use super::bounds::Captures;
use super::func::{CallError, Target, signature};
use super::handle::Handle;
use super::message::{pack_value_with, unpack_with};
use super::step::{InStep, Step};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::mem::MaybeUninit;

/// Bytes that go as they are. Before a call: the argument of a function of one `Vec<u8>`, in the place of packed ones.
/// After it: the `Vec<u8>` that the function gave, in the place of a packed one.
pub type Block = Option<Vec<u8>>;

/// What a function is called with, one call after the other, and what is done with what came of each.
#[doc(hidden)]
pub trait Calls<'a> {
    /// Begins a call: its packed arguments, which have no handles. `None`: there is none.
    fn begin(&mut self) -> Option<&'a [u8]>;
    /// A call is done: here are its packed result and its handles. Takes both away, and begins the next call. `None`:
    /// there is none, or what is left there cannot be taken.
    fn next(&mut self, result: &mut Vec<u8>, handles: &mut Vec<Handle>) -> Option<&'a [u8]>;
}

/// Packed arguments, the result to append to, handles (before the call the arguments', after it the result's), and
/// perhaps a place for a block. All of it goes in registers: what goes through memory is waited for.
type One = fn(&[u8], &mut Vec<u8>, &mut Vec<Handle>, Option<&mut Block>) -> Result<(), Box<CallError>>;
type Many = fn(&mut dyn Calls<'_>, &mut Vec<u8>, &mut Vec<Handle>) -> Result<(), Box<CallError>>;
/// What a [`Code`](super::Code) names: the entries of the function with this signature. `None`: it is not this one's.
pub(super) type Describe = fn(u64) -> Option<Resolved>;

/// A function that was looked up once and is called many times.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Resolved {
    one: One,
    many: Option<Many>,
    takes_block: bool,
}

impl Resolved {
    /// Calls the function with packed arguments, and appends the packed result. `handles` are the arguments' before the
    /// call, and the result's after it. After an error or a panic a part of the result may be there.
    #[inline]
    pub fn call_onto(
        &self,
        arguments: &[u8],
        result: &mut Vec<u8>,
        handles: &mut Vec<Handle>,
    ) -> Result<(), Box<CallError>> {
        (self.one)(arguments, result, handles, None)
    }

    /// The same, where bytes need not be packed: see [`Block`].
    #[inline]
    pub fn call_with_block(
        &self,
        arguments: &[u8],
        result: &mut Vec<u8>,
        handles: &mut Vec<Handle>,
        block: &mut Block,
    ) -> Result<(), Box<CallError>> {
        (self.one)(arguments, result, handles, Some(block))
    }

    /// Whether its argument may be a [`Block`].
    #[inline]
    pub fn takes_block(&self) -> bool {
        self.takes_block
    }

    /// Whether it can be [called many times](Resolved::call_many) in a row: not if its argument or its result is a
    /// block, which would be copied once more.
    #[inline]
    pub fn has_many(&self) -> bool {
        self.many.is_some()
    }

    /// Calls the function until there is no other call, or one fails: then a part of its result may be there. It may
    /// be called again, to go on behind that one.
    #[inline]
    pub fn call_many(
        &self,
        calls: &mut dyn Calls<'_>,
        result: &mut Vec<u8>,
        handles: &mut Vec<Handle>,
    ) -> Result<(), Box<CallError>> {
        self.many.map_or(Ok(()), |many| many(calls, result, handles))
    }
}

/// The entries of a function with arguments of this kind.
pub(super) fn entries<F, A>(of: u64) -> Option<Resolved>
where
    F: Target<A>,
    F::Output: Serialize + DeserializeOwned,
    A: DeserializeOwned,
{
    let takes_block = is_lone_block::<A>();
    let many = (!takes_block && !is_block::<F::Output>()).then_some(many::<F, A> as Many);
    // Two functions with equal code may share an address: asked once, before the first call.
    (of == signature::<F, A>()).then_some(Resolved { one: one::<F, A>, many, takes_block })
}

fn one<F, A>(
    arguments: &[u8],
    result: &mut Vec<u8>,
    handles: &mut Vec<Handle>,
    block: Option<&mut Block>,
) -> Result<(), Box<CallError>>
where
    F: Target<A>,
    F::Output: Serialize + DeserializeOwned,
    A: DeserializeOwned,
{
    let (given, block) = match block {
        Some(block) if block.is_some() => (block.take().and_then(from_lone_block::<A>), Some(block)),
        block => (None, block),
    };
    let arguments = match given {
        Some(arguments) => arguments,
        None => {
            let _step = block.is_some().then(|| InStep::begin(Step::Arguments));
            unpacked(arguments, handles)?
        }
    };
    let value = call::<F, A>(arguments);
    let Some(block) = block else { return pack(&value, result, handles) };
    if is_block::<F::Output>() {
        *block = into_block(value).ok();
        return Ok(());
    }
    let _step = InStep::begin(Step::Result);
    pack(&value, result, handles)
}

/// The arguments and results of these calls are a task's: what is packed goes to its caller, and nowhere else.
fn many<F, A>(
    calls: &mut dyn Calls<'_>,
    result: &mut Vec<u8>,
    handles: &mut Vec<Handle>,
) -> Result<(), Box<CallError>>
where
    F: Target<A>,
    F::Output: Serialize + DeserializeOwned,
    A: DeserializeOwned,
{
    let mut next = calls.begin();
    while let Some(arguments) = next {
        let arguments = {
            let _step = InStep::begin(Step::Arguments);
            unpacked(arguments, handles)?
        };
        {
            // Dropped before the call is done: a panic there is this call's.
            let value = call::<F, A>(arguments);
            let _step = InStep::begin(Step::Result);
            pack(&value, result, handles)?;
        }
        next = calls.next(result, handles);
    }
    Ok(())
}

#[inline]
fn unpacked<A: DeserializeOwned>(arguments: &[u8], handles: &mut Vec<Handle>) -> Result<A, Box<CallError>> {
    unpack_with(arguments, handles).map_err(|error| Box::new(CallError::Arguments(*error)))
}

#[inline]
fn pack<R: Serialize + DeserializeOwned>(
    value: &R,
    result: &mut Vec<u8>,
    handles: &mut Vec<Handle>,
) -> Result<(), Box<CallError>> {
    pack_value_with(value, result, handles).map_err(|error| Box::new(CallError::Output(*error)))
}

#[inline]
fn call<F: Target<A>, A>(arguments: A) -> F::Output {
    let () = Captures::<F>::NOTHING;
    // SAFETY: of size zero, as was just checked, so there is no byte to get wrong; a value of the type was there when
    // the code was made, so the type has values. A zero-sized token that a closure captured is made anew by this: the
    // one documented exception to "what is captured does not cross".
    let function = unsafe { MaybeUninit::<F>::zeroed().assume_init() };
    __rust_begin_short_backtrace(|| function.call(arguments))
}

/// Calls the program's function. The panic hooks of std and of this library print no frame from here on: they know its
/// name.
#[inline(never)]
pub(crate) fn __rust_begin_short_backtrace<T>(function: impl FnOnce() -> T) -> T {
    let value = function();
    // No tail call: the frame stays.
    std::hint::black_box(());
    value
}

#[cfg(test)]
mod tests {
    use super::super::{Code, pack, unpack};
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// What is left to call, and what came of each call; a list that is full takes no more.
    struct Listed<'a> {
        left: &'a [Vec<u8>],
        results: Vec<Vec<u8>>,
        room: usize,
    }

    impl<'a> Calls<'a> for Listed<'a> {
        fn begin(&mut self) -> Option<&'a [u8]> {
            let (first, left) = self.left.split_first()?;
            self.left = left;
            Some(first)
        }

        fn next(&mut self, result: &mut Vec<u8>, _: &mut Vec<Handle>) -> Option<&'a [u8]> {
            if self.results.len() == self.room {
                return None;
            }
            self.results.push(std::mem::take(result));
            self.begin()
        }
    }

    fn packed(items: impl IntoIterator<Item = u32>) -> Vec<Vec<u8>> {
        items.into_iter().map(|x| pack(&(x,)).unwrap().bytes).collect()
    }

    fn values(results: &[Vec<u8>]) -> Vec<u32> {
        results.iter().map(|bytes| unpack(bytes, vec![]).unwrap()).collect()
    }

    fn half(x: u32) -> u32 {
        assert!(x.is_multiple_of(2), "{x} is odd");
        x / 2
    }

    fn resolved<F: Target<(u32,), Output = u32>>(function: &F) -> Resolved {
        Code::of::<F, (u32,)>(function).unwrap().resolve().unwrap()
    }

    #[test]
    fn many_calls_go_on_behind_one_that_failed() {
        let items = [packed([2, 4]), vec![vec![0xFF]], packed([5, 6])].concat();
        let mut calls = Listed { left: &items, results: Vec::new(), room: usize::MAX };
        let (function, mut result, mut handles) = (resolved(&half), Vec::new(), Vec::new());
        let refused = function.call_many(&mut calls, &mut result, &mut handles).unwrap_err();
        assert!(matches!(*refused, CallError::Arguments(_)) && calls.left.len() == 2, "{refused}");
        let go_on = || function.call_many(&mut calls, &mut result, &mut handles);
        assert!(catch_unwind(AssertUnwindSafe(go_on)).is_err());
        function.call_many(&mut calls, &mut result, &mut handles).unwrap();
        assert_eq!(values(&calls.results), [1, 2, 3]);
    }

    #[test]
    fn a_result_that_is_not_taken_is_the_last_one() {
        let items = packed([2, 4, 6]);
        let mut calls = Listed { left: &items, results: Vec::new(), room: 1 };
        let mut result = Vec::new();
        resolved(&half).call_many(&mut calls, &mut result, &mut Vec::new()).unwrap();
        assert_eq!((values(&calls.results), values(&[result])), (vec![1], vec![2]));
        assert_eq!(calls.left.len(), 1);
    }

    #[test]
    fn bytes_are_not_packed_by_many() {
        let has_many = |code: Result<Code, _>| code.unwrap().resolve().unwrap().has_many();
        assert!(has_many(Code::of::<_, (u32,)>(&half)));
        assert!(!has_many(Code::of::<_, (Vec<u8>,)>(&|bytes: Vec<u8>| bytes.len())));
        assert!(!has_many(Code::of::<_, (u32,)>(&|x: u32| vec![0_u8; x as usize])));
    }
}
