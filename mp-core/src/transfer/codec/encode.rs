//! Writing a value.

use super::super::block::as_block;
use super::{Failure, Reason, varint};
use serde::ser::{self, Serialize, Serializer};

/// Appends a value's bytes. On an error `bytes` may hold a part of them.
#[inline]
pub(in crate::transfer) fn encode_onto<T: Serialize + ?Sized>(
    value: &T,
    bytes: &mut Vec<u8>,
) -> Result<(), Failure> {
    Encoder { bytes }.value(value)
}

struct Encoder<'b> {
    bytes: &'b mut Vec<u8>,
}

impl Encoder<'_> {
    /// A value, wherever it stands: bytes in one piece, and all others as their type says.
    #[inline]
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        match as_block(value) {
            Some(block) => self.serialize_bytes(block),
            None => value.serialize(self),
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8) -> Result<(), Failure> {
        self.bytes.push(byte);
        Ok(())
    }

    #[inline]
    fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn varint(&mut self, value: u64) -> Result<(), Failure> {
        if value < 0x80 {
            self.bytes.push(value as u8);
        } else {
            self.varint_of_several(value);
        }
        Ok(())
    }

    /// Out of line, and without a result: most numbers are one byte, and their code stays small.
    #[inline(never)]
    fn varint_of_several(&mut self, value: u64) {
        if self.bytes.capacity() - self.bytes.len() < varint::MOST {
            return self.varint_in_more_memory(value);
        }
        // All bytes in one store, of which those that are meant stay.
        let (bytes, length) = varint::to_bytes(value);
        let end = self.bytes.len() + length;
        self.bytes.extend_from_slice(&bytes);
        self.bytes.truncate(end);
    }

    /// As [`varint_of_several`](Encoder::varint_of_several), which calls nothing else, so that it need not save
    /// registers.
    #[cold]
    #[inline(never)]
    fn varint_in_more_memory(&mut self, value: u64) {
        self.bytes.reserve(varint::MOST);
        self.varint_of_several(value);
    }

    #[inline]
    fn long_varint(&mut self, mut value: u128) -> Result<(), Failure> {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8)
    }

    #[inline]
    fn length(&mut self, length: Option<usize>) -> Result<(), Failure> {
        self.varint(length.ok_or(Reason::UnknownLength)? as u64)
    }
}

/// The sign goes to the lowest bit, so that small negative numbers are short.
#[inline]
fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

impl<'b> Serializer for &mut Encoder<'b> {
    type Ok = ();
    type Error = Failure;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Fields<Self>;
    type SerializeStructVariant = Fields<Self>;

    #[inline]
    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline]
    fn serialize_bool(self, value: bool) -> Result<(), Failure> {
        self.byte(value.into())
    }

    #[inline]
    fn serialize_i8(self, value: i8) -> Result<(), Failure> {
        self.byte(value as u8)
    }

    #[inline]
    fn serialize_i16(self, value: i16) -> Result<(), Failure> {
        self.varint(zigzag(value.into()))
    }

    #[inline]
    fn serialize_i32(self, value: i32) -> Result<(), Failure> {
        self.varint(zigzag(value.into()))
    }

    #[inline]
    fn serialize_i64(self, value: i64) -> Result<(), Failure> {
        self.varint(zigzag(value))
    }

    #[inline]
    fn serialize_i128(self, value: i128) -> Result<(), Failure> {
        self.long_varint((value << 1 ^ value >> 127) as u128)
    }

    #[inline]
    fn serialize_u8(self, value: u8) -> Result<(), Failure> {
        self.byte(value)
    }

    #[inline]
    fn serialize_u16(self, value: u16) -> Result<(), Failure> {
        self.varint(value.into())
    }

    #[inline]
    fn serialize_u32(self, value: u32) -> Result<(), Failure> {
        self.varint(value.into())
    }

    #[inline]
    fn serialize_u64(self, value: u64) -> Result<(), Failure> {
        self.varint(value)
    }

    #[inline]
    fn serialize_u128(self, value: u128) -> Result<(), Failure> {
        self.long_varint(value)
    }

    #[inline]
    fn serialize_f32(self, value: f32) -> Result<(), Failure> {
        self.raw(&value.to_bits().to_le_bytes())
    }

    #[inline]
    fn serialize_f64(self, value: f64) -> Result<(), Failure> {
        self.raw(&value.to_bits().to_le_bytes())
    }

    #[inline]
    fn serialize_char(self, value: char) -> Result<(), Failure> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Failure> {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Failure> {
        self.varint(value.len() as u64)?;
        self.raw(value)
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Failure> {
        self.byte(0)
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Failure> {
        self.byte(1)?;
        self.value(value)
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Failure> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Failure> {
        Ok(())
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), Failure> {
        self.varint(index.into())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        self.value(value)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        value: &T,
    ) -> Result<(), Failure> {
        self.varint(index.into())?;
        self.value(value)
    }

    #[inline]
    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Failure> {
        self.length(length)?;
        Ok(self)
    }

    #[inline]
    fn serialize_tuple(self, _length: usize) -> Result<Self, Failure> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_struct(self, _name: &'static str, _length: usize) -> Result<Self, Failure> {
        Ok(self)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self, Failure> {
        self.varint(index.into())?;
        Ok(self)
    }

    #[inline]
    fn serialize_map(self, length: Option<usize>) -> Result<Self, Failure> {
        self.length(length)?;
        Ok(self)
    }

    #[inline]
    fn serialize_struct(self, name: &'static str, _length: usize) -> Result<Fields<Self>, Failure> {
        Ok(Fields { encoder: self, structure: name })
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _name: &'static str,
        index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<Fields<Self>, Failure> {
        self.varint(index.into())?;
        Ok(Fields { encoder: self, structure: variant })
    }
}

/// The fields of one structure, whose name a refusal tells.
struct Fields<E> {
    encoder: E,
    structure: &'static str,
}

macro_rules! fields {
    ($($trait:ident)*) => {$(
        impl ser::$trait for Fields<&mut Encoder<'_>> {
            type Ok = ();
            type Error = Failure;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), Failure> {
                self.encoder.value(value)
            }

            /// The reader knows which fields there are by their order alone, so none can be left out.
            fn skip_field(&mut self, field: &'static str) -> Result<(), Failure> {
                Err(Reason::Skipped { structure: self.structure, field }.into())
            }

            #[inline]
            fn end(self) -> Result<(), Failure> {
                Ok(())
            }
        }
    )*};
}
fields!(SerializeStruct SerializeStructVariant);

macro_rules! elements {
    ($($trait:ident::$element:ident)*) => {$(
        impl ser::$trait for &mut Encoder<'_> {
            type Ok = ();
            type Error = Failure;

            #[inline]
            fn $element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
                (**self).value(value)
            }

            #[inline]
            fn end(self) -> Result<(), Failure> {
                Ok(())
            }
        }
    )*};
}
elements!(SerializeSeq::serialize_element SerializeTuple::serialize_element);
elements!(SerializeTupleStruct::serialize_field SerializeTupleVariant::serialize_field);

impl ser::SerializeMap for &mut Encoder<'_> {
    type Ok = ();
    type Error = Failure;

    #[inline]
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Failure> {
        (**self).value(key)
    }

    #[inline]
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        (**self).value(value)
    }

    #[inline]
    fn end(self) -> Result<(), Failure> {
        Ok(())
    }
}
