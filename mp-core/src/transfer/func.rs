//! A function that crosses: as a distance from an anchor in the image, for the same build only.
//!
//! ```text
//!  here:   entry::<F, A> - anchor ──►  Code { offset, build, signature }  ──►  anchor + offset: there
//! ```
//!
//! What is named is not the user's function but a trampoline made for it, `entry::<F, A>`, which knows how to
//! decode the arguments and encode the result. It compares the signature in the `Code` with its own, since two
//! functions with equal code may share an address.
//!
//! # Safety
//! The one invariant: an address is called only if it was made by [`Code::of`] in a process of the same build:
//! the offset comes over a descriptor inherited from the family, the build id matches, and the address lies in
//! the image's code.
#![allow(unsafe_code)]

use super::block::{from_lone_block, into_block, is_block, is_lone_block};
use super::bounds::Captures;
use super::handle::Handle;
use super::message::{Message, pack_value_with, unpack_with};
use super::step::{InStep, Step};
use crate::error::CodecError;
use crate::sys::image;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::any::{TypeId, type_name};
use std::mem::MaybeUninit;

/// A function that takes its arguments as a tuple: `fn(A, B) -> R` is a `Target<(A, B), Output = R>`.
///
/// `fn` items and closures that capture nothing are, with up to eight arguments; no other type can be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function that can be called in another process with these arguments",
    label = "not a function of these arguments",
    note = "arguments are a tuple of up to eight, as many as the function takes: `(a,)` is a tuple of one; what \
            is more goes into a structure, or a tuple within the tuple"
)]
pub trait Target<A>: Copy + Send + 'static {
    /// What the function returns.
    type Output;
    /// Calls it.
    fn call(&self, arguments: A) -> Self::Output;
    /// The state of its process that it works on, besides its arguments.
    #[doc(hidden)]
    fn state() -> Option<StateType> {
        None
    }
    /// No other crate has a type that is made anew in another process.
    #[doc(hidden)]
    fn seal(_: Seal) {}
}

/// The type of a state that a function works on: see [`with_state`](super::with_state).
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct StateType {
    id: TypeId,
    name: &'static str,
}

impl StateType {
    /// The type itself.
    pub fn of<S: 'static>() -> StateType {
        StateType { id: TypeId::of::<S>(), name: type_name::<S>() }
    }

    /// Whether a function that works on such a state, or on none, can be called where there is another one, or none.
    ///
    /// # Errors
    /// [`CodecError::WantsState`].
    pub fn check(wanted: Option<StateType>, has: Option<StateType>) -> Result<(), CodecError> {
        match wanted {
            Some(wanted) if has != Some(wanted) => Err(CodecError::WantsState(wanted.name)),
            _ => Ok(()),
        }
    }
}

impl PartialEq for StateType {
    fn eq(&self, other: &StateType) -> bool {
        self.id == other.id
    }
}

mod sealed {
    /// Cannot be named outside, so that `Target` cannot be implemented there.
    #[derive(Debug)]
    pub struct Seal;
}
use sealed::Seal;

macro_rules! target {
    ($($name:ident),*) => {
        impl<Func, Out, $($name),*> Target<($($name,)*)> for Func
        where
            Func: Fn($($name),*) -> Out + Copy + Send + 'static,
        {
            type Output = Out;
            #[allow(non_snake_case, reason = "one name serves as type and as variable")]
            fn call(&self, ($($name,)*): ($($name,)*)) -> Out {
                self($($name),*)
            }
        }
    };
}
target!();
target!(A);
target!(A, B);
target!(A, B, C);
target!(A, B, C, D);
target!(A, B, C, D, E);
target!(A, B, C, D, E, F);
target!(A, B, C, D, E, F, G);
target!(A, B, C, D, E, F, G, H);

/// Which function to call: what travels in its stead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Code {
    offset: u64,
    build: u128,
    signature: u64,
}

/// The error of a call in another process that gave no value, short of its death.
#[doc(hidden)]
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The arguments could not be decoded there.
    #[error("the arguments of the function: {0}")]
    Arguments(#[source] CodecError),
    /// The result could not be encoded there.
    #[error("the result of the function: {0}")]
    Output(#[source] CodecError),
    /// There is no such function there.
    #[error(transparent)]
    Function(#[from] CodecError),
}

impl From<CallError> for CodecError {
    fn from(error: CallError) -> CodecError {
        match error {
            CallError::Arguments(error) | CallError::Output(error) | CallError::Function(error) => error,
        }
    }
}

/// Packed arguments, the result to append to, handles (before the call the arguments', after it the result's), and
/// perhaps a place for a block. All of it goes in registers: what goes through memory is waited for. No arguments ask
/// only whether the signature is this function's, and whether it takes a block: then the result is not empty.
type Entry = fn(
    &Code,
    Option<&[u8]>,
    &mut Vec<u8>,
    &mut Vec<Handle>,
    Option<&mut Block>,
) -> Result<(), Box<CallError>>;

/// Bytes that go as they are. Before a call: the argument of a function of one `Vec<u8>`, in the place of packed ones.
/// After it: the `Vec<u8>` that the function gave, in the place of a packed one.
pub type Block = Option<Vec<u8>>;

/// A function that was looked up once and is called many times.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Resolved {
    entry: Entry,
    takes_block: bool,
}

/// Which code it is of was compared when the function was looked up.
const COMPARED: Code = Code { offset: 0, build: 0, signature: 0 };

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
        (self.entry)(&COMPARED, Some(arguments), result, handles, None)
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
        (self.entry)(&COMPARED, Some(arguments), result, handles, Some(block))
    }

    /// Whether its argument may be a [`Block`].
    #[inline]
    pub fn takes_block(&self) -> bool {
        self.takes_block
    }
}

impl Code {
    /// The code of a function, whose type is all there is to it.
    ///
    /// A function that captures variables has no code that another program could call; it does not compile:
    ///
    /// ```compile_fail
    /// let local = 3;
    /// let code = mp_core::transfer::Code::of::<_, (i32,)>(&move |x: i32| x + local);
    /// ```
    pub fn of<F, A>(function: &F) -> Result<Code, CodecError>
    where
        F: Target<A>,
        F::Output: Serialize + DeserializeOwned,
        A: DeserializeOwned,
    {
        Code::with_state::<F, A>(function, None)
    }

    /// As [`of`](Code::of), for a process that has a state of this type.
    #[doc(hidden)]
    pub fn with_state<F, A>(_function: &F, state: Option<StateType>) -> Result<Code, CodecError>
    where
        F: Target<A>,
        F::Output: Serialize + DeserializeOwned,
        A: DeserializeOwned,
    {
        let () = Captures::<F>::NOTHING;
        StateType::check(F::state(), state)?;
        let address = entry::<F, A> as Entry as usize;
        if !image::is_code(address) {
            return Err(CodecError::OutsideImage(type_name::<F>()));
        }
        Ok(Code {
            offset: address.wrapping_sub(anchor as fn() as usize) as u64,
            build: build(),
            signature: signature::<F, A>(),
        })
    }

    /// Calls the function with packed arguments, and gives the packed result. A panic of the function goes on
    /// through. For the crates of the family alone, as what packs arguments is.
    #[doc(hidden)]
    pub fn call(&self, arguments: &[u8], mut handles: Vec<Handle>) -> Result<Message, CallError> {
        let mut bytes = Vec::new();
        self.resolve()?.call_onto(arguments, &mut bytes, &mut handles).map_err(|error| *error)?;
        Ok(Message { bytes, handles })
    }

    /// Looks the function up, for many calls.
    ///
    /// # Errors
    /// There is no such function here.
    #[doc(hidden)]
    pub fn resolve(&self) -> Result<Resolved, CallError> {
        let address = self.check()?;
        // SAFETY: made by `Code::of` in a process of this build (the invariant above), so an `Entry` is there.
        let entry = unsafe { std::mem::transmute::<usize, Entry>(address) };
        let mut takes_block = Vec::new();
        entry(self, None, &mut takes_block, &mut Vec::new(), None).map_err(|error| *error)?;
        Ok(Resolved { entry, takes_block: !takes_block.is_empty() })
    }

    /// Whether this program is of the same build and has code there: the address.
    pub(super) fn check(&self) -> Result<usize, CodecError> {
        if self.build != build() {
            return Err(CodecError::OtherBuild);
        }
        let address = (anchor as fn() as usize).wrapping_add(self.offset as usize);
        if image::is_code(address) { Ok(address) } else { Err(CodecError::UnknownFunction) }
    }

    #[cfg(test)]
    pub(super) fn of_another_build(self) -> Code {
        Code { build: self.build ^ 1, ..self }
    }
}

/// What tells the [`Code`]s of two functions apart, and is known without reading their names. Equal keys are of equal
/// codes; a code may have several keys.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeKey {
    address: usize,
    /// Where each name is, and its length.
    names: [(usize, usize); 3],
}

impl CodeKey {
    /// The key of a function, for a process that has a state of this type.
    ///
    /// # Errors
    /// The function works on another state.
    #[inline]
    pub fn of<F, A>(state: Option<StateType>) -> Result<CodeKey, CodecError>
    where
        F: Target<A>,
        F::Output: Serialize + DeserializeOwned,
        A: DeserializeOwned,
    {
        StateType::check(F::state(), state)?;
        let names = names::<F, A>().map(|name| (name.as_ptr() as usize, name.len()));
        Ok(CodeKey { address: entry::<F, A> as Entry as usize, names })
    }
}

/// The point that offsets are counted from.
#[inline(never)]
fn anchor() {
    std::hint::black_box(());
}

/// Which build of the program, and which copy of this crate in it: another version's anchor lies elsewhere.
fn build() -> u128 {
    image::build() ^ image::offset(anchor as fn() as usize) as u128
}

fn signature<F, A>() -> u64
where
    F: Target<A>,
{
    hash_of_names(&names::<F, A>())
}

#[inline]
fn names<F, A>() -> [&'static str; 3]
where
    F: Target<A>,
{
    [type_name::<F>(), type_name::<A>(), type_name::<F::Output>()]
}

pub(super) fn hash_of_names(names: &[&str]) -> u64 {
    names.iter().flat_map(|name| name.bytes().chain([0])).fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// The trampoline: one for each function and kind of arguments.
fn entry<F, A>(
    code: &Code,
    arguments: Option<&[u8]>,
    result: &mut Vec<u8>,
    handles: &mut Vec<Handle>,
    block: Option<&mut Block>,
) -> Result<(), Box<CallError>>
where
    F: Target<A>,
    F::Output: Serialize + DeserializeOwned,
    A: DeserializeOwned,
{
    let Some(arguments) = arguments else {
        // Two functions with equal code may share an address: asked once, before the first call.
        return if code.signature == signature::<F, A>() {
            result.extend(is_lone_block::<A>().then_some(1));
            Ok(())
        } else {
            Err(Box::new(CodecError::UnknownFunction.into()))
        };
    };
    let (given, block) = match block {
        Some(block) if block.is_some() => (block.take().and_then(from_lone_block::<A>), Some(block)),
        block => (None, block),
    };
    let arguments = match given {
        Some(arguments) => arguments,
        None => {
            let _step = block.is_some().then(|| InStep::begin(Step::Arguments));
            unpack_with::<A>(arguments, handles).map_err(|error| Box::new(CallError::Arguments(*error)))?
        }
    };
    // SAFETY: of size zero (checked where the code was made), so there is no byte to get wrong; a value of the
    // type was there when the code was made, so the type has values. A zero-sized token that a closure captured
    // is made anew by this: the one documented exception to "what is captured does not cross".
    let function = unsafe { MaybeUninit::<F>::zeroed().assume_init() };
    let value = __rust_begin_short_backtrace(|| function.call(arguments));
    let Some(block) = block else {
        return pack_value_with(&value, result, handles).map_err(|error| Box::new(CallError::Output(*error)));
    };
    if is_block::<F::Output>() {
        *block = into_block(value).ok();
        return Ok(());
    }
    let _step = InStep::begin(Step::Result);
    pack_value_with(&value, result, handles).map_err(|error| Box::new(CallError::Output(*error)))
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
    use super::*;
    use crate::transfer::{pack, unpack};

    fn add(a: u32, b: u32) -> u32 {
        a + b
    }

    #[test]
    fn a_function_is_called_by_its_code() {
        let code = Code::of::<_, (u32, u32)>(&add).unwrap();
        let arguments = pack(&(2_u32, 3_u32)).unwrap();
        let result = code.call(&arguments.bytes, vec![]).unwrap();
        assert_eq!(unpack::<u32>(&result.bytes, vec![]).unwrap(), 5);
    }

    #[test]
    fn a_wrong_build_or_signature_is_refused() {
        let code = Code::of::<_, (u32, u32)>(&add).unwrap();
        let other_build = code.of_another_build();
        assert!(matches!(other_build.call(&[], vec![]), Err(CallError::Function(CodecError::OtherBuild))));
        let other_signature = Code { signature: code.signature ^ 1, ..code };
        assert!(matches!(
            other_signature.call(&[], vec![]),
            Err(CallError::Function(CodecError::UnknownFunction))
        ));
    }

    #[test]
    fn wrong_arguments_are_an_error() {
        let code = Code::of::<_, (u32, u32)>(&add).unwrap();
        assert!(matches!(code.call(&[1], vec![]), Err(CallError::Arguments(_))));
    }
}
