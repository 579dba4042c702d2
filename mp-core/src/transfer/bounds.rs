//! What the compiler says of functions and values that cannot cross, at the line that passes them.
//!
//! | cannot cross                     | refused by          | by `cargo check` too                                  |
//! |----------------------------------|---------------------|-------------------------------------------------------|
//! | a result without serde, `-> !`   | [`Transferable`]    | yes                                                   |
//! | a function pointer               | [`Callable`]        | yes                                                   |
//! | a reference among the arguments  | [`Callable`]        | yes                                                   |
//! | a closure that captures a value  | [`Captures`]        | no: the size of a type is known when it is built     |
//!
//! No bound of stable Rust says "is no function pointer" or "is no reference". But a call whose `Kind` could be one of
//! two is refused, with the names of both: so each kind that cannot cross has an `impl` beside the one for all.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;

/// A value that crosses to another process: whatever serde can write and read back. It is implemented for all of these.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` cannot cross to another process",
    label = "what a function returns to another process is written and read by serde",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it, and for each type in it; a function that never \
            returns (`-> !`) is declared without a result instead",
    note = "most error types of libraries have neither, these crates' included: return `mp::Result`, which `?` makes of \
            them, or the error's text"
)]
pub trait Transferable: Serialize + DeserializeOwned {}

// Else the compiler names serde's traits and the innermost type alone, in two long errors without the notes above.
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> Transferable for T {}

/// A function that can be called in another process with arguments `A`: a `fn` item or a closure that captures nothing,
/// whose arguments are owned. `Kind` is found by the compiler, and is [`Function`](kind::Function) for these. It
/// cannot be found for a function pointer, which is an address of this process (`mp::Function` crosses), or if an
/// argument is a reference, which leads into this process (`String` crosses, and `&str` does not).
#[diagnostic::on_unimplemented(message = "`{Self}` cannot be called in another process")]
pub trait Callable<A, Kind> {}

/// What a function and its arguments are, for [`Callable`]: the compiler prints these names.
pub mod kind {
    /// What crosses.
    #[derive(Debug)]
    pub struct Function;
    /// What does not: pass a `fn` item or a [`Function`](crate::transfer::Function).
    #[derive(Debug)]
    pub struct FunctionPointerIsAnAddressUseMpFunction;
    /// What does not: pass what it refers to, as a `String` or a `Vec`.
    #[derive(Debug)]
    pub struct ReferenceCannotCrossUseAnOwnedValue<const AT: usize>;
}

impl<F, A> Callable<A, kind::Function> for F {}
impl<F: fmt::Pointer, A> Callable<A, kind::FunctionPointerIsAnAddressUseMpFunction> for F {}

/// For each number of arguments, and each place among them.
macro_rules! references {
    ($($at:literal: ($($before:ident,)*) ($($behind:ident,)*);)*) => {$(
        impl<'a, Func, T: ?Sized, $($before,)* $($behind,)*>
            Callable<($($before,)* &'a T, $($behind,)*), kind::ReferenceCannotCrossUseAnOwnedValue<$at>> for Func
        {
        }
    )*};
}
references! {
    0: () ();
    0: () (B,); 1: (A,) ();
    0: () (B, C,); 1: (A,) (C,); 2: (A, B,) ();
    0: () (B, C, D,); 1: (A,) (C, D,); 2: (A, B,) (D,); 3: (A, B, C,) ();
    0: () (B, C, D, E,); 1: (A,) (C, D, E,); 2: (A, B,) (D, E,); 3: (A, B, C,) (E,); 4: (A, B, C, D,) ();
    0: () (B, C, D, E, F,); 1: (A,) (C, D, E, F,); 2: (A, B,) (D, E, F,); 3: (A, B, C,) (E, F,);
    4: (A, B, C, D,) (F,); 5: (A, B, C, D, E,) ();
    0: () (B, C, D, E, F, G,); 1: (A,) (C, D, E, F, G,); 2: (A, B,) (D, E, F, G,); 3: (A, B, C,) (E, F, G,);
    4: (A, B, C, D,) (F, G,); 5: (A, B, C, D, E,) (G,); 6: (A, B, C, D, E, F,) ();
    0: () (B, C, D, E, F, G, H,); 1: (A,) (C, D, E, F, G, H,); 2: (A, B,) (D, E, F, G, H,);
    3: (A, B, C,) (E, F, G, H,); 4: (A, B, C, D,) (F, G, H,); 5: (A, B, C, D, E,) (G, H,);
    6: (A, B, C, D, E, F,) (H,); 7: (A, B, C, D, E, F, G,) ();
}

/// Refuses, where it is built, a function that is more than its type: named in each function that a program calls with
/// one, so that the compiler names the line of the call.
#[doc(hidden)]
#[derive(Debug)]
pub struct Captures<F>(PhantomData<F>);

impl<F> Captures<F> {
    /// No value to name; not to be built for any other function.
    pub const NOTHING: () = refuse_captures(size_of::<F>());
}

#[track_caller]
const fn refuse_captures(size: usize) {
    assert!(
        size == 0,
        "this function captures variables (or is a function pointer), so it cannot be called in another process: \
         pass what it needs as arguments, or use Process::fork, which copies the whole process"
    );
}
