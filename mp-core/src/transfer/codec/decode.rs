//! Reading a value.

use super::super::block::{from_block, is_block};
use super::{Failure, Reason, text, varint};
use serde::Deserialize;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use std::any::type_name;
use std::marker::PhantomData;

/// Reads a value, and gives the bytes behind it.
#[inline]
pub(in crate::transfer) fn decode<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
) -> Result<(T, &'de [u8]), Failure> {
    let mut decoder = Decoder { rest: bytes, asked: false };
    let value = decoder.value(PhantomData::<T>)?;
    Ok((value, decoder.rest))
}

/// Whether reading a `T` from these bytes, which were written for one, asks the format what comes next. What else goes
/// wrong is not asked here: the value's own `Deserialize` may refuse one value and take the next.
pub(in crate::transfer) fn needs_description<T: DeserializeOwned>(bytes: &[u8]) -> bool {
    let mut decoder = Decoder { rest: bytes, asked: false };
    // The copy is not a value that the program made: a `Drop` of its own has nothing to undo. A long one is no leak to
    // afford.
    match decoder.value(PhantomData::<T>) {
        Ok(copy) if bytes.len() <= MOST_FORGOTTEN => std::mem::forget(copy),
        _ => {}
    }
    decoder.asked
}

/// Of a copy that is read to try its type, so many bytes are forgotten, once for a type.
const MOST_FORGOTTEN: usize = 4096;

#[cold]
#[inline(never)]
fn no_varint(rest: &[u8], bits: u32) -> Failure {
    let most = bits.div_ceil(7) as usize;
    let goes_on = rest.iter().take(most).all(|byte| *byte >= 0x80);
    if goes_on && rest.len() < most { Failure::end() } else { Failure::not("number of this size") }
}

struct Decoder<'de> {
    rest: &'de [u8],
    /// Whether it was asked what comes next.
    asked: bool,
}

/// Whether a seed reads a `Vec<u8>` and does nothing else. No other type has this one's name.
#[inline]
fn is_of_bytes<'de, S: DeserializeSeed<'de>>() -> bool {
    is_block::<S::Value>() && type_name::<S>() == type_name::<PhantomData<Vec<u8>>>()
}

impl<'de> Decoder<'de> {
    /// A value, wherever it stands: bytes in one piece, and all others as their type says.
    #[inline]
    fn value<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        if is_of_bytes::<S>()
            && let Some(value) = from_block(self.block()?.to_vec())
        {
            return Ok(value);
        }
        seed.deserialize(self)
    }

    #[inline]
    fn byte(&mut self) -> Result<u8, Failure> {
        let (&byte, rest) = self.rest.split_first().ok_or_else(Failure::end)?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    fn take(&mut self, count: usize) -> Result<&'de [u8], Failure> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(Failure::end)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Failure> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(Failure::end)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A number of at most `BITS` bits.
    #[inline]
    fn varint<const BITS: u32>(&mut self) -> Result<u64, Failure> {
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok((*byte).into());
        }
        // What is left stays in registers.
        let (value, length) = varint::of_several(self.rest);
        // Nothing longer than 64 bits comes from there.
        let fits = BITS == u64::BITS || length <= BITS.div_ceil(7) as usize && value >> (BITS - 1) <= 1;
        match self.rest.get(length..) {
            Some(rest) if fits && length > 0 => {
                self.rest = rest;
                Ok(value)
            }
            _ => Err(no_varint(self.rest, BITS)),
        }
    }

    fn long_varint(&mut self) -> Result<u128, Failure> {
        let mut value = 0;
        for at in 0..19 {
            let byte = self.byte()?;
            let part = u128::from(byte & 0x7F);
            if at == 18 && part > 3 {
                break;
            }
            value |= part << (7 * at);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Failure::not("number of this size"))
    }

    #[inline]
    fn signed<const BITS: u32>(&mut self) -> Result<i64, Failure> {
        let value = self.varint::<BITS>()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    #[inline]
    fn length(&mut self) -> Result<usize, Failure> {
        self.varint::<{ usize::BITS }>().map(|length| length as usize)
    }

    #[inline]
    fn block(&mut self) -> Result<&'de [u8], Failure> {
        let length = self.length()?;
        self.take(length)
    }

    #[inline]
    fn text(&mut self) -> Result<&'de str, Failure> {
        text::of(self.block()?).ok_or_else(|| Failure::not("text in UTF-8"))
    }

    #[cold]
    fn undescribed<T>(&mut self) -> Result<T, Failure> {
        self.asked = true;
        Err(Reason::NotDescribed.into())
    }
}

/// A number of the kind that is asked for, as it is read.
macro_rules! number {
    ($($name:ident $visit:ident |$decoder:ident| $read:expr;)*) => {$(
        #[inline]
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
            let $decoder = self;
            visitor.$visit($read)
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = Failure;

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }

    number! {
        deserialize_i8 visit_i8 |it| it.byte()? as i8;
        deserialize_i16 visit_i16 |it| it.signed::<16>()? as i16;
        deserialize_i32 visit_i32 |it| it.signed::<32>()? as i32;
        deserialize_i64 visit_i64 |it| it.signed::<64>()?;
        deserialize_u8 visit_u8 |it| it.byte()?;
        deserialize_u16 visit_u16 |it| it.varint::<16>()? as u16;
        deserialize_u32 visit_u32 |it| it.varint::<32>()? as u32;
        deserialize_u64 visit_u64 |it| it.varint::<64>()?;
        deserialize_u128 visit_u128 |it| it.long_varint()?;
        deserialize_f32 visit_f32 |it| f32::from_le_bytes(it.array()?);
        deserialize_f64 visit_f64 |it| f64::from_le_bytes(it.array()?);
        deserialize_str visit_borrowed_str |it| it.text()?;
        deserialize_string visit_borrowed_str |it| it.text()?;
        deserialize_bytes visit_borrowed_bytes |it| it.block()?;
        deserialize_byte_buf visit_borrowed_bytes |it| it.block()?;
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let value = self.long_varint()?;
        visitor.visit_i128((value >> 1) as i128 ^ -((value & 1) as i128))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Failure> {
        self.undescribed()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Failure> {
        self.undescribed()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Failure> {
        self.undescribed()
    }

    #[inline]
    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.byte()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            _ => Err(Failure::not("bool")),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let mut chars = self.text()?.chars();
        match (chars.next(), chars.next()) {
            (Some(one), None) => visitor.visit_char(one),
            _ => Err(Failure::not("char")),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        match self.byte()? {
            0 => visitor.visit_none(),
            1 => visitor.visit_some(self),
            _ => Err(Failure::not("Option")),
        }
    }

    #[inline]
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_newtype_struct(self)
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let left = self.length()?;
        visitor.visit_seq(Elements { decoder: self, left })
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Failure> {
        visitor.visit_seq(Elements { decoder: self, left: length })
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_tuple(length, visitor)
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Failure> {
        let left = self.length()?;
        visitor.visit_map(Elements { decoder: self, left })
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        visitor.visit_enum(self)
    }
}

/// The elements of a sequence, a tuple, a structure, or a map.
struct Elements<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Failure;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.decoder.value(seed).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = Failure;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Failure> {
        self.next_element_seed(seed)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Failure> {
        self.decoder.value(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> EnumAccess<'de> for &mut Decoder<'de> {
    type Error = Failure;
    type Variant = Self;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Failure> {
        let index = self.varint::<32>()? as u32;
        Ok((seed.deserialize(IntoDeserializer::<Failure>::into_deserializer(index))?, self))
    }
}

impl<'de> VariantAccess<'de> for &mut Decoder<'de> {
    type Error = Failure;

    #[inline]
    fn unit_variant(self) -> Result<(), Failure> {
        Ok(())
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Failure> {
        self.value(seed)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Failure> {
        self.deserialize_tuple(length, visitor)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Failure> {
        self.deserialize_tuple(fields.len(), visitor)
    }
}
