//! Number: what the server can add to without knowing the type of a value.

use crate::protocol;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A number that the manager can add to in one step.
pub trait Number: Serialize + DeserializeOwned + Copy + Default {
    #[doc(hidden)]
    #[allow(private_interfaces, reason = "no other crate implements it")]
    const KIND: protocol::Number;
}

macro_rules! numbers {
    ($($type:ident $kind:ident),* $(,)?) => {$(
        impl Number for $type {
            #[allow(private_interfaces, reason = "no other crate implements it")]
            const KIND: protocol::Number = protocol::Number::$kind;
        }
    )*};
}
numbers! {
    i8 I8, i16 I16, i32 I32, i64 I64, i128 I128, u8 U8, u16 U16, u32 U32, u64 U64, u128 U128, f32 F32, f64 F64,
    // Packed as the 64-bit ones.
    isize I64, usize U64,
}
