//! `#[derive(Shareable)]`, the derive beside `mp_core::mem::Shareable`, and `#[shared]`, beside `mp_manager::Shared`.
//!
//! | file        | what                                                       |
//! |-------------|------------------------------------------------------------|
//! | `lib.rs`    | the macros, two of each, which differ in the path that they write |
//! | `expand.rs` | `Shareable`: a structure -> its checks and the `unsafe impl`, pure |
//! | `shared.rs` | `shared`: an `impl` block -> a proxy and the dispatch, pure |
//! | `method.rs` | an `impl` block, as far as `shared` must know it           |
//!
//! There are two of each, since a derive cannot know the name by which a user imports the trait: a crate that depends
//! on `mp` alone has no `mp_core` in scope. So mp-core re-exports the one that writes `::mp_core::mem`, and `mp` the
//! one that writes `::mp::base::mem`, each under the trait's own name.

#![deny(clippy::unwrap_used)]

mod expand;
mod method;
mod shared;

use expand::Root;
use proc_macro::TokenStream;
use quote::quote;
use syn::{DeriveInput, parse_macro_input};

/// Lets a structure of one's own lie in memory that processes share: in a `Value`, an `Array`.
///
/// ```
/// use mp_core::mem::Shareable;
///
/// #[derive(Clone, Copy, Shareable)]
/// #[repr(C)]
/// struct Reading {
///     at: u64,
///     degrees: f32,
///     sensor: u32,
/// }
///
/// #[derive(Clone, Copy, Shareable)]
/// #[repr(transparent)]
/// struct Celsius(f64);
///
/// #[derive(Clone, Copy, Shareable)]
/// #[repr(C)]
/// struct Complex<T: Shareable> {
///     re: T,
///     im: T,
/// }
///
/// fn in_shared_memory<T: Shareable>() {}
/// in_shared_memory::<Reading>();
/// in_shared_memory::<Celsius>();
/// in_shared_memory::<[Complex<f32>; 8]>();
/// ```
///
/// # What does not compile
///
/// Each field is `Shareable` itself, and the structure is `Copy`:
///
/// ```compile_fail,E0277
/// # use mp_core::mem::Shareable;
/// #[derive(Clone, Copy, Shareable)]
/// #[repr(C)]
/// struct Reading { values: &'static [f64] } // others have something else at this address
/// ```
/// ```compile_fail,E0277
/// # use mp_core::mem::Shareable;
/// #[derive(Shareable)]
/// #[repr(C)]
/// struct Reading { values: Vec<f64> } // as well, and it is not `Copy`
/// ```
/// ```compile_fail,E0277
/// # use mp_core::mem::Shareable;
/// #[derive(Clone, Copy, Shareable)]
/// #[repr(C)]
/// struct Reading { valid: bool } // others could write a 2 there
/// ```
/// ```compile_fail,E0277
/// # use mp_core::mem::Shareable;
/// #[derive(Shareable)]
/// #[repr(C)]
/// struct Reading { value: f64 } // not `Copy`
/// ```
///
/// The order of the fields is the written one, and there is nothing between them:
///
/// ```compile_fail
/// # use mp_core::mem::Shareable;
/// #[derive(Clone, Copy, Shareable)] // no `repr`
/// struct Reading { value: f64 }
/// ```
/// ```compile_fail,E0080
/// # use mp_core::mem::Shareable;
/// #[derive(Clone, Copy, Shareable)]
/// #[repr(C)]
/// struct Reading { sensor: u8, value: f64 } // seven bytes of padding
/// ```
/// ```compile_fail
/// # use mp_core::mem::Shareable;
/// #[derive(Clone, Copy, Shareable)]
/// #[repr(C)]
/// struct Pair<A: Shareable, B: Shareable> { a: A, b: B } // padding or not: it depends
/// ```
///
/// Every pattern of bits is a value of it, since others may write any:
///
/// ```compile_fail
/// # use mp_core::mem::Shareable;
/// #[derive(Clone, Copy, Shareable)]
/// #[repr(u8)]
/// enum State { Idle, Busy }
/// ```
/// ```compile_fail
/// # use mp_core::mem::Shareable;
/// #[derive(Clone, Copy, Shareable)]
/// #[repr(C)]
/// union Either { number: u32, bytes: [u8; 4] }
/// ```
///
/// A parameter that is a type has its bound:
///
/// ```compile_fail,E0277
/// # use mp_core::mem::Shareable;
/// #[derive(Clone, Copy, Shareable)]
/// #[repr(transparent)]
/// struct Wrapped<T>(T); // T: Shareable is missing
/// ```
///
/// # Under another name
/// If your `Cargo.toml` renames the crate, give its name: `#[shareable(crate = "its_name")]`.
#[proc_macro_derive(Shareable, attributes(shareable))]
pub fn shareable(input: TokenStream) -> TokenStream {
    derive(parse_macro_input!(input as DeriveInput), Root::Core)
}

/// As [`derive@Shareable`], for users of `mp`, which re-exports it as `mp::Shareable`.
#[proc_macro_derive(ShareableThroughMp, attributes(shareable))]
pub fn shareable_through_mp(input: TokenStream) -> TokenStream {
    derive(parse_macro_input!(input as DeriveInput), Root::Facade)
}

fn derive(input: DeriveInput, root: Root) -> TokenStream {
    expand::expand(&input, root).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Lets values of a type live in a manager: exposes the public methods of this `impl` block, by a generated proxy.
///
/// ```text
/// #[mp::shared]
/// impl Counter {
///     pub fn add(&mut self, n: u64) -> u64 { … }
/// }
/// // makes `CounterProxy`, with: pub fn add(&self, n: u64) -> Result<u64, ManagerError>
/// ```
///
/// `&self` methods of one object run side by side, a `&mut self` method alone: one that calls its own object again,
/// also through another one, waits for itself for ever. Functions without a receiver and private methods are not
/// exposed. Arguments and results are what serde can write and read back; a `&str` or slice argument may stand for an
/// owned one. One block of a type can be shared.
#[proc_macro_attribute]
pub fn shared(attributes: TokenStream, item: TokenStream) -> TokenStream {
    expand_shared(&attributes, item, &quote!(::mp_manager))
}

/// As [`macro@shared`], for users of the facade.
#[proc_macro_attribute]
pub fn shared_through_mp(attributes: TokenStream, item: TokenStream) -> TokenStream {
    expand_shared(&attributes, item, &quote!(::mp::managers))
}

fn expand_shared(
    attributes: &TokenStream,
    item: TokenStream,
    root: &proc_macro2::TokenStream,
) -> TokenStream {
    let item = item.into();
    let expanded = if attributes.is_empty() {
        shared::expand(&item, root)
    } else {
        Err(syn::Error::new(proc_macro2::Span::call_site(), "`shared` takes no arguments"))
    };
    // The block stays: its own errors are not hidden by this one.
    let code = expanded.unwrap_or_else(|error| {
        let refused = error.to_compile_error();
        quote!(#item #refused)
    });
    code.into()
}
