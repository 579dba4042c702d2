//! A structure -> its checks and the `unsafe impl`, pure.
//!
//! ```text
//!  #[derive(Shareable)]            const _: () = {
//!  #[repr(C)]                          fn every_field…::<u64>(); …::<f32>();     each field is Shareable
//!  struct Reading {          ──►       assert!(size of all == sum of sizes);     no padding
//!      at: u64, degrees: f32, …        unsafe impl Shareable for Reading {}      (Copy: the trait's bound)
//!  }                               };
//! ```
//!
//! What a derive can see is refused here, in words (enums, unions, a missing `repr`); what only the compiler
//! knows (traits, sizes) is left to it as code that does not compile.
//!
//! # Safety
//! The one invariant: an `unsafe impl` is written only beside checks that do not compile unless the structure
//! keeps the trait's contract: it is made of fields that do, and of nothing else.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Data, DataStruct, DeriveInput, Error, Expr, Fields, Meta, Path, Result, Type};

/// Under which crate the user finds the trait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// `mp_core`: at `mp_core::mem`.
    Core,
    /// `mp`: at `mp::base::mem`.
    Facade,
}

/// What `#[repr(...)]` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repr {
    Transparent,
    /// `C` alone.
    C,
    /// `C`, with an alignment of its own.
    Aligned,
}

pub(crate) fn expand(input: &DeriveInput, root: Root) -> Result<TokenStream> {
    let fields = match &input.data {
        Data::Struct(DataStruct { fields, .. }) => fields,
        Data::Enum(data) => return Err(Error::new(data.enum_token.span, ENUM)),
        Data::Union(data) => return Err(Error::new(data.union_token.span, UNION)),
    };
    let repr = repr(input)?;
    let padding = padding_check(input, fields, repr)?;
    let shareable = trait_path(input, root)?;
    let name = &input.ident;
    let (parameters, arguments, bounds) = input.generics.split_for_impl();
    let field_checks = fields.iter().map(|field| {
        let ty = &field.ty;
        quote_spanned!(ty.span()=> every_field_is_shareable::<#ty>();)
    });
    Ok(quote! {
        const _: () = {
            fn every_field_is_shareable<T: #shareable>() {}
            #[allow(dead_code)]
            fn checks #parameters () #bounds {
                #(#field_checks)*
            }
            #padding
            // SAFETY: every field is plain data of which each pattern of bits is a value, and they lie side
            // by side without padding: all of it is checked above.
            unsafe impl #parameters #shareable for #name #arguments #bounds {}
        };
    })
}

const ENUM: &str = "an enum cannot be shared, since another process could write a number that is none of \
                    its variants: share the number, and convert it after it was read";
const UNION: &str = "a union cannot be shared, since it may have bytes that belong to no field: share an \
                     array of bytes";
const NO_REPR: &str = "without #[repr(C)] or #[repr(transparent)] each build may order the fields in its own \
                       way: add one of the two";
const LIFETIME: &str = "a shared structure cannot have a lifetime, since its references point into one process \
                        only: use indices or owned arrays";
const DEPENDS: &str = "the padding of this structure depends on its type parameters, so it cannot be checked: \
                       make all fields of one type (or arrays of it) under #[repr(C)] alone, or write the \
                       types out";

fn repr(input: &DeriveInput) -> Result<Repr> {
    let mut words: Vec<String> = Vec::new();
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("repr")) {
        attribute.parse_nested_meta(|meta| {
            words.extend(meta.path.get_ident().map(ToString::to_string));
            // The number in `align(16)`.
            if meta.input.peek(syn::token::Paren) {
                let number;
                syn::parenthesized!(number in meta.input);
                number.parse::<Expr>()?;
            }
            Ok(())
        })?;
    }
    let says = |word: &str| words.iter().any(|other| other == word);
    match () {
        () if says("transparent") => Ok(Repr::Transparent),
        () if !says("C") => Err(Error::new(input.ident.span(), NO_REPR)),
        () if says("align") || says("packed") => Ok(Repr::Aligned),
        () => Ok(Repr::C),
    }
}

/// Code that does not compile if there is padding; nothing where there can be none.
fn padding_check(input: &DeriveInput, fields: &Fields, repr: Repr) -> Result<TokenStream> {
    if let Some(lifetime) = input.generics.lifetimes().next() {
        return Err(Error::new(lifetime.span(), LIFETIME));
    }
    if repr == Repr::Transparent {
        return Ok(TokenStream::new());
    }
    if input.generics.params.is_empty() {
        return Ok(size_check(input, fields));
    }
    let mut elements = fields.iter().map(|field| element(&field.ty).to_token_stream().to_string());
    let first = elements.next();
    let all_alike = elements.all(|other| Some(other) == first);
    if repr == Repr::C && all_alike {
        Ok(TokenStream::new())
    } else {
        Err(Error::new(input.generics.span(), DEPENDS))
    }
}

fn size_check(input: &DeriveInput, fields: &Fields) -> TokenStream {
    let name = &input.ident;
    let says = format!(
        "{name} has padding (bytes that belong to no field): order its fields by size, largest first, and \
         fill the rest with a field such as `_unused: [u8; 4]`"
    );
    let types = fields.iter().map(|field| &field.ty);
    // Without a `0 +` in front, of which lints would tell the user.
    let sum = if fields.is_empty() { quote!(0) } else { quote!(#(::core::mem::size_of::<#types>())+*) };
    quote_spanned! {name.span()=>
        const _: () = ::core::assert!(
            ::core::mem::size_of::<#name>() == #sum,
            #says
        );
    }
}

/// What an array, of arrays perhaps, is made of.
fn element(ty: &Type) -> &Type {
    match ty {
        Type::Array(array) => element(&array.elem),
        Type::Paren(inner) => element(&inner.elem),
        Type::Group(inner) => element(&inner.elem),
        other => other,
    }
}

/// Where the trait is: in the crate that re-exports the derive, or as `#[shareable(crate = "...")]` says.
fn trait_path(input: &DeriveInput, root: Root) -> Result<Path> {
    let mut renamed: Option<Path> = None;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("shareable")) {
        if let Meta::Path(path) = &attribute.meta {
            return Err(Error::new(path.span(), "name what to set: only crate = \"...\" can be set"));
        }
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("crate") {
                return Err(meta.error("only crate = \"...\" can be set"));
            }
            let text: syn::LitStr = meta.value()?.parse()?;
            renamed = Some(text.parse()?);
            Ok(())
        })?;
    }
    let trait_name = format_ident!("Shareable");
    let mut path: Path = match (renamed, root) {
        (Some(path), _) => path,
        (None, Root::Core) => syn::parse_quote!(::mp_core),
        (None, Root::Facade) => syn::parse_quote!(::mp),
    };
    if root == Root::Facade {
        path.segments.push(format_ident!("base").into());
    }
    path.segments.push(format_ident!("mem").into());
    path.segments.push(trait_name.into());
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn refused(input: DeriveInput) -> String {
        expand(&input, Root::Core).unwrap_err().to_string()
    }

    fn written(input: DeriveInput, root: Root) -> String {
        expand(&input, root).unwrap().to_string().replace(' ', "")
    }

    #[test]
    fn what_can_be_any_bits_is_refused_in_words() {
        assert_eq!(
            refused(parse_quote!(
                #[repr(u8)]
                enum State {
                    Idle,
                    Busy,
                }
            )),
            ENUM
        );
        assert_eq!(refused(parse_quote!(#[repr(C)] union Either { a: u32, b: f32 })), UNION);
        assert_eq!(
            refused(parse_quote!(
                #[repr(C)]
                struct Text<'a> {
                    text: &'a str,
                }
            )),
            LIFETIME
        );
    }

    #[test]
    fn an_order_of_ones_own_is_required() {
        assert_eq!(
            refused(parse_quote!(
                struct Reading {
                    value: f64,
                }
            )),
            NO_REPR
        );
        assert_eq!(
            refused(parse_quote!(
                #[repr(align(8))]
                struct Reading {
                    value: f64,
                }
            )),
            NO_REPR
        );
        for fine in [
            parse_quote!(
                #[repr(C)]
                struct Reading {
                    value: f64,
                }
            ),
            parse_quote!(
                #[repr(C, align(16))]
                struct Reading {
                    value: [f64; 2],
                }
            ),
            parse_quote!(
                #[repr(align(16))]
                #[repr(C)]
                struct Reading {
                    value: [f64; 2],
                }
            ),
            parse_quote!(
                #[repr(C, packed(2))]
                struct Reading(u8, f64);
            ),
            parse_quote!(
                #[repr(transparent)]
                struct Reading(f64);
            ),
        ] {
            assert!(expand(&fine, Root::Core).is_ok(), "{}", fine.to_token_stream());
        }
    }

    #[test]
    fn parameters_are_taken_where_padding_cannot_depend_on_them() {
        for fine in [
            parse_quote!(
                #[repr(C)]
                struct Complex<T: Shareable> {
                    re: T,
                    im: T,
                }
            ),
            parse_quote!(
                #[repr(C)]
                struct Row<const N: usize> {
                    low: [f64; N],
                    high: [[f64; 2]; 3],
                    last: f64,
                }
            ),
            parse_quote!(
                #[repr(transparent)]
                struct Wrapped<T: Shareable>(T);
            ),
        ] {
            let written = written(fine, Root::Core);
            assert!(!written.contains("size_of"), "{written}");
        }
        for wrong in [
            parse_quote!(
                #[repr(C)]
                struct Pair<A: Shareable, B: Shareable> {
                    a: A,
                    b: B,
                }
            ),
            parse_quote!(
                #[repr(C)]
                struct Row<const N: usize> {
                    bytes: [u8; N],
                    number: u64,
                }
            ),
            parse_quote!(
                #[repr(C, align(64))]
                struct Complex<T: Shareable> {
                    re: T,
                    im: T,
                }
            ),
        ] {
            assert_eq!(refused(wrong), DEPENDS);
        }
    }

    #[test]
    fn the_trait_is_looked_for_where_the_user_has_it() {
        let plain = || {
            parse_quote!(
                #[repr(C)]
                struct Reading {
                    value: f64,
                }
            )
        };
        let renamed = || {
            parse_quote!(
                #[repr(C)]
                #[shareable(crate = "other")]
                struct Reading {
                    value: f64,
                }
            )
        };
        let nested = parse_quote!(
            #[repr(C)]
            #[shareable(crate = "a::b")]
            struct Reading {
                value: f64,
            }
        );
        let of = |path: &str| format!("unsafeimpl{path}forReading{{}}");
        assert!(written(plain(), Root::Core).contains(&of("::mp_core::mem::Shareable")));
        assert!(written(plain(), Root::Facade).contains(&of("::mp::base::mem::Shareable")));
        assert!(written(renamed(), Root::Core).contains(&of("other::mem::Shareable")));
        assert!(written(renamed(), Root::Facade).contains(&of("other::base::mem::Shareable")));
        assert!(written(nested, Root::Core).contains(&of("a::b::mem::Shareable")));
        let unknown = parse_quote!(
            #[repr(C)]
            #[shareable(name = "x")]
            struct Reading {
                value: f64,
            }
        );
        assert_eq!(refused(unknown), "only crate = \"...\" can be set");
        assert!(
            refused(parse_quote!(
                #[repr(C)]
                #[shareable]
                struct Reading {
                    value: f64,
                }
            ))
            .contains("crate")
        );
    }
}
