//! SelfDescribing: a value in a format that has the names of its fields and the kinds of its parts.

use serde::de::{DeserializeOwned, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A value that crosses in a format that describes itself (CBOR), and so carries what the usual one cannot:
/// `serde_json::Value`, enums that are `#[serde(untagged)]` or internally tagged (`#[serde(tag)]`),
/// `#[serde(flatten)]`, fields that are left out (`#[serde(skip_serializing_if)]`, with `default`). It costs more time
/// and bytes.
///
/// Handles in the value (locks, queues, connections) cross as always. In this format, as in JSON, an option in an
/// option, or of `()`, is one option: `Some(None)` arrives as `None`.
///
/// ```
/// use mp_core::transfer::{SelfDescribing, pack_value, unpack};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// #[serde(untagged)]
/// enum Id { Number(i64), Name(String) }
///
/// assert!(pack_value(&Id::Number(7)).is_err());
/// let message = pack_value(&SelfDescribing(Id::Number(7)))?;
/// let SelfDescribing(back) = unpack::<SelfDescribing<Id>>(&message.bytes, message.handles)?;
/// assert_eq!(back, Id::Number(7));
/// # Ok::<(), mp_core::CodecError>(())
/// ```
///
/// Python has no counterpart: a pickle describes itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SelfDescribing<T>(pub T);

impl<T: Serialize> Serialize for SelfDescribing<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        ciborium::into_writer(&self.0, &mut bytes).map_err(|error| match error {
            ciborium::ser::Error::Value(reason) => S::Error::custom(reason),
            ciborium::ser::Error::Io(error) => S::Error::custom(error),
        })?;
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for SelfDescribing<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Described<T>(std::marker::PhantomData<T>);
        impl<T: DeserializeOwned> Visitor<'_> for Described<T> {
            type Value = SelfDescribing<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value in CBOR")
            }
            fn visit_bytes<E: serde::de::Error>(self, mut bytes: &[u8]) -> Result<SelfDescribing<T>, E> {
                let value = ciborium::from_reader(&mut bytes).map_err(|error| reason(&error))?;
                if bytes.is_empty() {
                    Ok(SelfDescribing(value))
                } else {
                    Err(E::custom(format!("{} bytes are left over", bytes.len())))
                }
            }
        }
        deserializer.deserialize_bytes(Described(std::marker::PhantomData))
    }
}

/// What the value's own code said, or the format.
fn reason<E: serde::de::Error>(error: &ciborium::de::Error<std::io::Error>) -> E {
    use ciborium::de::Error::{Io, RecursionLimitExceeded, Semantic, Syntax};
    match error {
        Semantic(_, reason) => E::custom(reason),
        Io(_) => E::custom("the bytes end within the value"),
        Syntax(at) => E::custom(format!("no CBOR at byte {at}")),
        RecursionLimitExceeded => E::custom("it is nested deeper than 256 levels"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::{Handle, pack_value, unpack};
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    fn there_and_back<T: Serialize + DeserializeOwned>(value: T) -> T {
        let message = pack_value(&SelfDescribing(value)).unwrap();
        let SelfDescribing(back) = unpack(&message.bytes, message.handles).unwrap();
        back
    }

    fn crosses<T: Serialize + DeserializeOwned + PartialEq + Debug + Clone>(value: T) {
        assert_eq!(there_and_back(value.clone()), value);
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(i64),
        Text(String),
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        One { x: i32 },
        Two { y: String },
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Flat {
        a: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, Untagged>,
        #[serde(skip_serializing_if = "Option::is_none", default)]
        out: Option<u8>,
        last: Option<u8>,
    }

    #[test]
    fn what_needs_a_description_crosses() {
        crosses(vec![Untagged::Number(-1), Untagged::Text("x".into())]);
        crosses(vec![Tagged::One { x: 1 }, Tagged::Two { y: "y".into() }]);
        let rest = BTreeMap::from([("k".to_owned(), Untagged::Number(2))]);
        crosses(Flat { a: 1, rest, out: None, last: Some(7) });
        crosses((u128::MAX, i128::MIN, f64::INFINITY, 'é', vec![1_u8], Some(2)));
        assert!(there_and_back(f64::NAN).is_nan());
    }

    #[test]
    fn handles_cross_within() {
        let (read, _write) = crate::sys::fd::pipe().unwrap();
        there_and_back(BTreeMap::from([("pipe", Handle::new(read))].map(|(key, it)| (key.to_owned(), it))));
    }

    #[test]
    fn a_refusal_says_why() {
        #[derive(Debug, Deserialize)]
        #[serde(try_from = "i32")]
        struct Never;
        impl TryFrom<i32> for Never {
            type Error = String;
            fn try_from(number: i32) -> Result<Self, String> {
                Err(format!("{number} is not wanted"))
            }
        }
        let message = pack_value(&SelfDescribing(5_i32)).unwrap();
        let refused = unpack::<SelfDescribing<Never>>(&message.bytes, vec![]).unwrap_err().to_string();
        assert!(refused.contains("5 is not wanted"), "{refused}");
        let cut = unpack::<SelfDescribing<String>>(&[1, 0x65], vec![]).unwrap_err().to_string();
        assert!(cut.contains("end within"), "{cut}");
    }
}
