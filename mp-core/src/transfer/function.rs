//! Function: a function of this program as a value that crosses.
//!
//! ```text
//!   Function::new(f)  ──►  its Code, and a hash of its types  ──►  checked where it arrives  ──►  call(arguments)
//! ```

use super::bounds::{Callable, Captures};
use super::func::{Code, Target, hash_of_names};
use super::message::{in_transfer, pack, unpack};
use crate::error::CodecError;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use std::any::type_name;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

/// A function of this program as a value: an argument, a result, an item of a queue, a part of a structure. It is
/// called in whatever process it has arrived in. `A` is the tuple of its arguments, `R` what it returns.
///
/// A `fn` pointer is an address, which means nothing in another process; this is the way to pass a function on.
///
/// ```no_run
/// use mp_core::Process;
/// use mp_core::transfer::Function;
///
/// fn mul(a: i32, b: i32) -> i32 {
///     a * b
/// }
///
/// fn calculate(function: Function<(i32, i32), i32>, a: i32, b: i32) -> i32 {
///     function.call((a, b)).unwrap()
/// }
///
/// let child = Process::new(calculate, (Function::new(mul)?, 6, 7)).start()?;
/// assert_eq!(child.join()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It crosses within a transfer only, between processes of one program: another build of it, or a `Function` of other
/// types, is an error where it arrives. Each call packs the arguments and the result, as a call in another process
/// does.
///
/// Python: a function passed as an argument, which is pickled by its name.
pub struct Function<A, R> {
    code: Code,
    types: PhantomData<fn(A) -> R>,
}

impl<A, R> Function<A, R>
where
    A: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
{
    /// A `fn` item, or a closure that captures nothing, as a value.
    ///
    /// ```compile_fail
    /// let local = 3;
    /// let function = mp_core::transfer::Function::new(move |x: i32| x + local);
    /// ```
    ///
    /// # Errors
    /// [`CodecError::OutsideImage`]: it is part of a loaded library, and not of the program.
    pub fn new<F, Kind>(function: F) -> Result<Function<A, R>, CodecError>
    where
        F: Target<A, Output = R> + Callable<A, Kind>,
    {
        let () = Captures::<F>::NOTHING;
        Ok(Function { code: Code::of::<F, A>(&function)?, types: PhantomData })
    }

    /// Calls it, here. A panic of the function goes on through.
    ///
    /// # Errors
    /// The arguments or the result cannot be packed and read back.
    pub fn call(&self, arguments: A) -> Result<R, CodecError> {
        let packed = pack(&arguments)?;
        let result = self.code.call(&packed.bytes, packed.handles)?;
        unpack(&result.bytes, result.handles)
    }
}

/// What both sides must agree on, besides the build.
fn types<A, R>() -> u64 {
    hash_of_names(&[type_name::<A>(), type_name::<R>()])
}

const OUTSIDE: &str = "a Function can only be sent to another process of this program: as an argument or result of a \
                       process, through a queue or a connection";

/// Within a transfer only.
impl<A, R> Serialize for Function<A, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !in_transfer() {
            return Err(ser::Error::custom(OUTSIDE));
        }
        (self.code, types::<A, R>()).serialize(serializer)
    }
}

impl<'de, A, R> Deserialize<'de> for Function<A, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (code, sent) = <(Code, u64)>::deserialize(deserializer)?;
        if !in_transfer() {
            return Err(de::Error::custom(OUTSIDE));
        }
        if sent != types::<A, R>() {
            let expected = type_name::<Self>();
            return Err(de::Error::custom(format!(
                "the function is not a {expected}: send and receive the same type"
            )));
        }
        code.check().map_err(de::Error::custom)?;
        Ok(Function { code, types: PhantomData })
    }
}

// By hand: derived ones would ask the same of `A` and `R`.
impl<A, R> Clone for Function<A, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, R> Copy for Function<A, R> {}

impl<A, R> PartialEq for Function<A, R> {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl<A, R> Eq for Function<A, R> {}

impl<A, R> Hash for Function<A, R> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.code.hash(state);
    }
}

impl<A, R> fmt::Debug for Function<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(type_name::<Self>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(a: u32, b: u32) -> u32 {
        a + b
    }

    type Add = Function<(u32, u32), u32>;

    #[test]
    fn it_is_called_where_it_arrives() {
        let message = pack(&vec![Add::new(add).unwrap(); 2]).unwrap();
        let arrived: Vec<Add> = unpack(&message.bytes, vec![]).unwrap();
        assert_eq!(arrived[0], Add::new(add).unwrap());
        assert_eq!(arrived[1].call((2, 3)).unwrap(), 5);
    }

    #[test]
    fn other_types_and_another_build_are_refused() {
        let add = Add::new(add).unwrap();
        let message = pack(&add).unwrap();
        assert!(unpack::<Function<(u32, u32), u64>>(&message.bytes, vec![]).is_err());
        assert!(unpack::<Function<(u32, i32), u32>>(&message.bytes, vec![]).is_err());
        let other_build = pack(&(add.code.of_another_build(), types::<(u32, u32), u32>())).unwrap();
        assert!(unpack::<Add>(&other_build.bytes, vec![]).is_err());
    }

    #[test]
    fn it_is_not_written_anywhere_else() {
        assert!(postcard::to_stdvec(&Add::new(add).unwrap()).is_err());
        let message = pack(&Add::new(add).unwrap()).unwrap();
        assert!(postcard::from_bytes::<Add>(&message.bytes).is_err());
    }
}
