//! Adding to a number that is packed.

use crate::protocol::{Failure, Number};
use mp_core::transfer::{pack, unpack};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The packed sum of two packed numbers.
pub(crate) fn sum(kind: Number, number: &[u8], by: &[u8]) -> Result<Vec<u8>, Failure> {
    match kind {
        Number::I8 => checked(number, by, i8::checked_add),
        Number::I16 => checked(number, by, i16::checked_add),
        Number::I32 => checked(number, by, i32::checked_add),
        Number::I64 => checked(number, by, i64::checked_add),
        Number::I128 => checked(number, by, i128::checked_add),
        Number::U8 => checked(number, by, u8::checked_add),
        Number::U16 => checked(number, by, u16::checked_add),
        Number::U32 => checked(number, by, u32::checked_add),
        Number::U64 => checked(number, by, u64::checked_add),
        Number::U128 => checked(number, by, u128::checked_add),
        Number::F32 => checked(number, by, |a: f32, b| Some(a + b)),
        Number::F64 => checked(number, by, |a: f64, b| Some(a + b)),
    }
}

fn checked<T: Serialize + DeserializeOwned>(
    number: &[u8],
    by: &[u8],
    add: impl FnOnce(T, T) -> Option<T>,
) -> Result<Vec<u8>, Failure> {
    let read = |bytes| unpack(bytes, Vec::new()).map_err(|error| Failure::Codec(error.to_string()));
    let sum = add(read(number)?, read(by)?).ok_or(Failure::Overflow)?;
    Ok(pack(&sum).map_err(|error| Failure::Codec(error.to_string()))?.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<T: Serialize>(number: T) -> Vec<u8> {
        pack(&number).unwrap().bytes
    }

    #[test]
    fn numbers_are_added_in_their_own_type() {
        assert_eq!(sum(Number::I64, &of(-300_i64), &of(299_i64)).unwrap(), of(-1_i64));
        assert_eq!(sum(Number::F64, &of(0.5_f64), &of(0.25_f64)).unwrap(), of(0.75_f64));
        assert_eq!(sum(Number::U8, &of(255_u8), &of(1_u8)), Err(Failure::Overflow));
        assert!(matches!(sum(Number::U64, &[], &of(1_u64)), Err(Failure::Codec(_))));
    }
}
