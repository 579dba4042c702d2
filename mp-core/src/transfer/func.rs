//! A function that crosses: as a distance from an anchor in the image, for the same build only.
//!
//! ```text
//!  here:   entries::<F, A> - anchor ──►  Code { offset, build, signature }  ──►  anchor + offset: there
//! ```
//!
//! What is named is not the user's function but one made for it, `entries::<F, A>`, which gives its trampolines. It
//! compares the signature in the `Code` with its own, since two functions with equal code may share an address.
//!
//! # Safety
//! The one invariant: an address is called only if it was made by [`Code::of`] in a process of the same build:
//! the offset comes over a descriptor inherited from the family, the build id matches, and the address lies in
//! the image's code.
#![allow(unsafe_code)]

use super::bounds::Captures;
use super::entry::{Describe, Resolved, entries};
use super::handle::Handle;
use super::message::Message;
use crate::error::CodecError;
use crate::sys::image;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::any::{TypeId, type_name};

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
        let address = entries::<F, A> as Describe as usize;
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
        // SAFETY: made by `Code::of` in a process of this build (the invariant above), so a `Describe` is there.
        let describe = unsafe { std::mem::transmute::<usize, Describe>(address) };
        describe(self.signature).ok_or(CodecError::UnknownFunction.into())
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
        Ok(CodeKey { address: entries::<F, A> as Describe as usize, names })
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

pub(super) fn signature<F, A>() -> u64
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
