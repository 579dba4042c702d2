//! `#[shared]` on an `impl` block: the proxy and the dispatch, pure.
//!
//! ```text
//!  #[shared]                            impl Counter { … }                            as it was
//!  impl Counter {                       struct CounterProxy(ObjectProxy<Counter>)
//!      pub fn add(&mut self, n: u64) ──►  fn add(&self, n: u64) -> Result<…>          packs (n,), calls number 0
//!          -> u64 { … }                 impl Shared for Counter: number 0: unpacks (n,), calls add, packs the result
//!  }
//! ```

use crate::method::{Argument, Block, Method};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Result, Type, parse2};

/// `root` is the path of the crate that has the trait, as the user sees it.
pub(crate) fn expand(item: &TokenStream, root: &TokenStream) -> Result<TokenStream> {
    let Block { name, methods } = parse2(item.clone())?;
    let proxy = format_ident!("{name}Proxy");
    let numbered: Vec<(u32, &Method)> = (0..).zip(&methods).collect();
    let calls = numbered.iter().map(|(number, method)| call(*number, method, root));
    let arms = |is_exclusive: bool| {
        let of_kind = numbered.iter().filter(move |(_, method)| method.is_exclusive == is_exclusive);
        of_kind.map(|(number, method)| arm(*number, method, root)).collect::<TokenStream>()
    };
    let (shared, exclusive) = (arms(false), arms(true));
    let doc = format!(
        "A proxy of a [`{name}`] in a manager: each method is called there. Clones, and copies that travel to \
                       other processes, are of the same object."
    );
    Ok(quote! {
        #item

        #[doc = #doc]
        #[derive(Clone, Debug)]
        #[allow(missing_docs, unreachable_pub)]
        pub struct #proxy(#root::ObjectProxy<#name>);

        #[allow(missing_docs, unreachable_pub)]
        impl #proxy {
            #(#calls)*
        }

        impl ::core::convert::From<#root::ObjectProxy<#name>> for #proxy {
            fn from(proxy: #root::ObjectProxy<#name>) -> Self {
                #proxy(proxy)
            }
        }

        impl #root::__serde::Serialize for #proxy {
            fn serialize<S: #root::__serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                #root::__serde::Serialize::serialize(&self.0, serializer)
            }
        }

        impl<'de> #root::__serde::Deserialize<'de> for #proxy {
            fn deserialize<D: #root::__serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                #root::__serde::Deserialize::deserialize(deserializer).map(#proxy)
            }
        }

        impl #root::Shared for #name {
            type Proxy = #proxy;

            fn call_shared(
                &self,
                __method: u32,
                __arguments: #root::Arguments,
            ) -> ::core::result::Result<#root::Returned, #root::CallMethodError> {
                match __method {
                    #shared
                    __other => ::core::result::Result::Err(#root::CallMethodError::no_such_method(__other)),
                }
            }

            fn call_exclusive(
                &mut self,
                __method: u32,
                __arguments: #root::Arguments,
            ) -> ::core::result::Result<#root::Returned, #root::CallMethodError> {
                match __method {
                    #exclusive
                    __other => ::core::result::Result::Err(#root::CallMethodError::no_such_method(__other)),
                }
            }
        }
    })
}

/// The method of the proxy.
fn call(number: u32, method: &Method, root: &TokenStream) -> TokenStream {
    let Method { docs, name, is_exclusive, arguments, output } = method;
    let (names, types) = parts(arguments);
    let output = output.as_ref().map_or_else(|| quote!(()), |output| quote!(#output));
    let call = if *is_exclusive { quote!(call_exclusive) } else { quote!(call_shared) };
    quote! {
        #(#docs)*
        pub fn #name(&self #(, #names: #types)*) -> ::core::result::Result<#output, #root::ManagerError> {
            self.0.#call(#number, &(#(#names,)*))
        }
    }
}

/// The arm that calls the method of the value.
fn arm(number: u32, method: &Method, root: &TokenStream) -> TokenStream {
    let (name, (names, types)) = (&method.name, parts(&method.arguments));
    let owned = types.iter().map(|ty| match ty {
        Type::Reference(reference) => {
            let referent = &reference.elem;
            quote!(<#referent as ::std::borrow::ToOwned>::Owned)
        }
        ty => quote!(#ty),
    });
    let passed = names.iter().zip(&types).map(|(name, ty)| match ty {
        Type::Reference(_) => quote!(&#name),
        _ => quote!(#name),
    });
    quote! {
        #number => {
            let (#(#names,)*): (#(#owned,)*) = __arguments.read()?;
            #root::Returned::new(&Self::#name(self #(, #passed)*))
        }
    }
}

fn parts(arguments: &[Argument]) -> (Vec<&syn::Ident>, Vec<&Type>) {
    arguments.iter().map(|argument| (&argument.name, &argument.ty)).unzip()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(item: TokenStream) -> String {
        expand(&item, &quote!(::mp)).map_or_else(|error| error.to_string(), |code| code.to_string())
    }

    #[test]
    fn public_methods_are_exposed_and_no_others() {
        let code = expanded(quote! {
            impl Counter {
                const STEP: u64 = { 1 };
                pub fn new() -> Counter { Counter }
                pub fn add(&mut self, n: u64, why: &str) -> u64 { self.hidden(); n }
                pub(crate) fn get(&self) -> u64 { 0 }
                fn hidden<T: Into<u64>>(&self) {}
            }
        });
        assert!(
            code.contains("pub fn add (& self , n : u64 , why : & str) -> :: core :: result :: Result < u64"),
            "{code}"
        );
        assert!(
            code.contains("let (n , why ,) : (u64 , < str as :: std :: borrow :: ToOwned > :: Owned ,)"),
            "{code}"
        );
        assert!(code.contains("pub fn get (& self) ->"), "{code}");
        assert_eq!((code.matches("fn new").count(), code.matches("fn hidden").count()), (1, 1));
    }

    #[test]
    fn what_cannot_be_called_from_another_process_is_refused_in_words() {
        for (item, why) in [
            (
                quote!(
                    impl<T> Cell<T> {}
                ),
                "generic",
            ),
            (quote!(impl Clone for Counter {}), "trait's methods"),
            (quote!(impl Counter { pub fn end(self) {} }), "take the value out"),
            (quote!(impl Counter { pub fn end(self: Box<Self>) {} }), "take the value out"),
            (quote!(impl Counter { pub fn get(&self) -> &str { "" } }), "owned"),
            (quote!(impl Counter { pub fn fill(&self, into: &mut Vec<u8>) {} }), "caller's process"),
            (quote!(impl Counter { pub fn add(&self, (a, b): (u8, u8)) {} }), "plain name"),
            (quote!(impl Counter { pub fn add<T>(&self, by: T) {} }), "generic"),
            (quote!(impl Counter { pub async fn add(&self) {} }), "async"),
        ] {
            let said = expanded(item);
            assert!(said.contains(why), "{said}");
        }
    }
}
