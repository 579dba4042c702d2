//! An `impl` block, as far as `#[shared]` must know it: the type, and of each function its name, receiver and types.

use proc_macro2::{TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Generics, Ident, Lifetime, Path, Result, Token, Type, Visibility, WhereClause};
use syn::{braced, parenthesized};

/// `impl Counter { … }`
pub(crate) struct Block {
    pub(crate) name: Ident,
    pub(crate) methods: Vec<Method>,
}

/// A public method with a receiver.
pub(crate) struct Method {
    pub(crate) docs: Vec<Attribute>,
    pub(crate) name: Ident,
    /// `&mut self`
    pub(crate) is_exclusive: bool,
    pub(crate) arguments: Vec<Argument>,
    /// Nothing: `()`.
    pub(crate) output: Option<Type>,
}

/// `name: Type`
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
}

const GENERIC: &str = "a generic type or method cannot be shared, since its proxy could not name the types: write a \
                       type of its own for each";
const OF_TRAIT: &str =
    "a trait's methods cannot be shared: write those that are to be called in an `impl` block of the type";
const BY_VALUE: &str =
    "a method that takes `self` would take the value out of the manager: take `&self` or `&mut self`";
const PATTERN: &str = "an argument of a shared method has a plain name: take the pattern apart in the body";
const MUTABLE: &str = "a `&mut` argument leads into the caller's process: return what the method changes";
const BORROWED: &str = "what is returned to another process is owned: return a `String`, a `Vec`, a clone";
const KIND: &str =
    "an `async`, `unsafe` or `extern` method cannot be shared: keep it private, and call it from another";

impl Parse for Block {
    fn parse(input: ParseStream<'_>) -> Result<Block> {
        input.call(Attribute::parse_outer)?;
        input.parse::<Token![impl]>()?;
        if input.peek(Token![<]) {
            return Err(input.error(GENERIC));
        }
        let path: Path = input.parse()?;
        if input.peek(Token![for]) {
            return Err(Error::new(path.span(), OF_TRAIT));
        }
        let last = path.segments.last().ok_or_else(|| input.error(GENERIC))?;
        if !last.arguments.is_none() {
            return Err(Error::new(last.span(), GENERIC));
        }
        let content;
        braced!(content in input);
        content.call(Attribute::parse_inner)?;
        let mut methods = Vec::new();
        while !content.is_empty() {
            methods.extend(item(&content)?);
        }
        Ok(Block { name: last.ident.clone(), methods })
    }
}

/// One item; a method, if it is to be exposed.
fn item(input: ParseStream<'_>) -> Result<Option<Method>> {
    let attributes = input.call(Attribute::parse_outer)?;
    let visibility: Visibility = input.parse()?;
    let is_public = !matches!(visibility, Visibility::Inherited);
    let is_const = input.peek(Token![const]) && input.peek2(Token![fn]);
    if is_const {
        input.parse::<Token![const]>()?;
    }
    let is_special = [input.peek(Token![async]), input.peek(Token![unsafe]), input.peek(Token![extern])];
    if is_special.contains(&true) && is_public {
        return Err(input.error(KIND));
    }
    if !input.peek(Token![fn]) {
        skip(input)?;
        return Ok(None);
    }
    input.parse::<Token![fn]>()?;
    let name: Ident = input.parse()?;
    let generics: Generics = input.parse()?;
    let content;
    parenthesized!(content in input);
    let receiver = receiver(&content)?;
    let exposed = is_public.then_some(()).and(receiver);
    let arguments = match exposed {
        Some(_) => arguments(&content)?,
        None => {
            content.parse::<TokenStream>()?;
            Vec::new()
        }
    };
    let output =
        if input.parse::<Option<Token![->]>>()?.is_some() { Some(input.parse::<Type>()?) } else { None };
    input.parse::<Option<WhereClause>>()?;
    let body;
    braced!(body in input);
    body.parse::<TokenStream>()?;
    let Some(receiver) = exposed else { return Ok(None) };
    let is_exclusive = match receiver {
        Receiver::Shared => false,
        Receiver::Exclusive => true,
        Receiver::Value => return Err(Error::new(name.span(), BY_VALUE)),
    };
    if !generics.params.is_empty() {
        return Err(Error::new(generics.span(), GENERIC));
    }
    if let Some(Type::Reference(borrowed)) = &output {
        return Err(Error::new(borrowed.span(), BORROWED));
    }
    let docs = attributes.into_iter().filter(|attribute| attribute.path().is_ident("doc")).collect();
    Ok(Some(Method { docs, name, is_exclusive, arguments, output }))
}

/// What is no function: to its end.
fn skip(input: ParseStream<'_>) -> Result<()> {
    while !input.is_empty() {
        let ends = match input.parse::<TokenTree>()? {
            TokenTree::Punct(punct) => punct.as_char() == ';',
            TokenTree::Group(group) => {
                group.delimiter() == proc_macro2::Delimiter::Brace && !input.peek(Token![;])
            }
            _ => false,
        };
        if ends {
            break;
        }
    }
    Ok(())
}

enum Receiver {
    Shared,
    Exclusive,
    Value,
}

/// The receiver, if there is one, and the comma behind it.
fn receiver(input: ParseStream<'_>) -> Result<Option<Receiver>> {
    let ahead = input.fork();
    let by_reference = ahead.parse::<Option<Token![&]>>()?.is_some();
    ahead.parse::<Option<Lifetime>>()?;
    let is_mutable = ahead.parse::<Option<Token![mut]>>()?.is_some();
    if !ahead.peek(Token![self]) {
        return Ok(None);
    }
    input.parse::<Option<Token![&]>>()?;
    input.parse::<Option<Lifetime>>()?;
    input.parse::<Option<Token![mut]>>()?;
    input.parse::<Token![self]>()?;
    if input.parse::<Option<Token![:]>>()?.is_some() {
        input.parse::<Type>()?;
        input.parse::<Option<Token![,]>>()?;
        return Ok(Some(Receiver::Value));
    }
    input.parse::<Option<Token![,]>>()?;
    Ok(Some(match (by_reference, is_mutable) {
        (true, false) => Receiver::Shared,
        (true, true) => Receiver::Exclusive,
        (false, _) => Receiver::Value,
    }))
}

fn arguments(input: ParseStream<'_>) -> Result<Vec<Argument>> {
    let all = Punctuated::<Argument, Token![,]>::parse_terminated(input)?;
    Ok(all.into_iter().collect())
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> Result<Argument> {
        input.call(Attribute::parse_outer)?;
        input.parse::<Option<Token![mut]>>()?;
        let name: Ident = input.parse().map_err(|error| Error::new(error.span(), PATTERN))?;
        input.parse::<Token![:]>().map_err(|error| Error::new(error.span(), PATTERN))?;
        let ty: Type = input.parse()?;
        match &ty {
            Type::Reference(reference) if reference.mutability.is_some() => {
                Err(Error::new(reference.span(), MUTABLE))
            }
            _ => Ok(Argument { name, ty }),
        }
    }
}
