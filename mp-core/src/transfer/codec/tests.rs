//! The format is postcard's, and a failure says why.

use super::{Reason, encode_onto, needs_description};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, Reason> {
    let mut bytes = Vec::new();
    encode_onto(value, &mut bytes).map(|()| bytes).map_err(|failure| *failure.0)
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), Reason> {
    super::decode(bytes).map_err(|failure| *failure.0)
}

fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    let bytes = encode(&value).unwrap();
    assert_eq!(bytes, postcard::to_stdvec(&value).unwrap(), "{value:?}");
    assert_eq!(decode::<T>(&bytes), Ok((value, &[][..])));
    // Cut anywhere, it is an error.
    for length in 0..bytes.len() {
        assert!(decode::<T>(&bytes[..length]).is_err(), "{length} bytes of {bytes:?}");
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    New(i64),
    Tuple(u8, String),
    Structure { a: Option<bool>, b: [u16; 2] },
}

#[test]
fn all_that_serde_knows_has_postcards_bytes() {
    for number in [0, 1, 63, 64, 127, 128, 1 << 20, i64::MAX] {
        same((number as i8, number as i16, number as i32, number, i128::from(number)));
        same((-number as i8, -number as i16, -number as i32, -number, -i128::from(number)));
        same((number as u8, number as u16, number as u32, number as u64, number as u128, number as usize));
    }
    same((u16::MAX, u32::MAX, u64::MAX, u128::MAX, (i16::MIN, i32::MIN, i64::MIN, i128::MIN)));
    same((1.5_f32, -0.0_f64, f64::INFINITY, 'é', '\u{10FFFF}', true, false));
    same((String::from("text"), (), Some(Some(())), None::<u8>, vec![vec![1_u32], vec![]]));
    same(BTreeMap::from([(1_u8, "one".to_owned()), (2, String::new())]));
    same(vec![Shape::Unit, Shape::New(-5), Shape::Tuple(7, "x".into())]);
    same((Shape::Structure { a: Some(true), b: [1, 500] }, std::time::Duration::from_nanos(5)));
    same(Ok::<u8, String>(3));
}

/// In one piece and byte by byte they are written alike, and each reads what the other has written.
#[test]
fn bytes_go_in_one_piece_wherever_they_stand() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Frame {
        bytes: Vec<u8>,
        more: Option<Vec<u8>>,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Wrapped(Vec<u8>);
    for length in [0, 1, 127, 128, 300] {
        let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
        same(bytes.clone());
        same((bytes.clone(), 7, Wrapped(bytes.clone())));
        same(vec![
            Frame { bytes: bytes.clone(), more: Some(bytes.clone()) },
            Frame { bytes: vec![], more: None },
        ]);
        same(BTreeMap::from([(bytes.clone(), bytes.clone())]));
        same((Ok::<_, String>(bytes.clone()), Err::<u8, _>(bytes)));
    }
    // As one piece: no byte is asked for alone, and a length without bytes is their end.
    assert_eq!(decode::<(Vec<u8>,)>(&[3, 1, 2]).err(), Some(Reason::End));
}

/// A seed that does more than to read bytes is asked, though it gives bytes.
#[test]
fn a_seed_of_ones_own_is_asked() {
    use serde::de::{Deserializer, SeqAccess, Visitor};
    struct Backwards;
    impl<'de> serde::de::DeserializeSeed<'de> for Backwards {
        type Value = Vec<u8>;
        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u8>, D::Error> {
            let mut bytes = Vec::<u8>::deserialize(deserializer)?;
            bytes.reverse();
            Ok(bytes)
        }
    }
    #[derive(Debug, PartialEq)]
    struct Pair(Vec<u8>, Vec<u8>);
    impl<'de> Deserialize<'de> for Pair {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pair, D::Error> {
            struct Both;
            impl<'de> Visitor<'de> for Both {
                type Value = Pair;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("two")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut two: A) -> Result<Pair, A::Error> {
                    let first = two.next_element_seed(Backwards)?.unwrap_or_default();
                    Ok(Pair(first, two.next_element()?.unwrap_or_default()))
                }
            }
            deserializer.deserialize_tuple(2, Both)
        }
    }
    let bytes = encode(&(vec![1_u8, 2], vec![3_u8, 4])).unwrap();
    assert_eq!(decode::<Pair>(&bytes), Ok((Pair(vec![2, 1], vec![3, 4]), &[][..])));
}

#[test]
fn bytes_that_are_no_such_value_say_which() {
    fn reason<T>(read: Result<(T, &[u8]), Reason>) -> Reason {
        read.err().unwrap()
    }
    let not = Reason::Not;
    assert_eq!(reason(decode::<bool>(&[2])), not("bool"));
    assert_eq!(reason(decode::<Option<u8>>(&[2, 0])), not("Option"));
    assert_eq!(reason(decode::<char>(&[2, b'a', b'b'])), not("char"));
    assert_eq!(reason(decode::<String>(&[1, 0xFF])), not("text in UTF-8"));
    assert_eq!(reason(decode::<u16>(&[0xFF, 0xFF, 0x04])), not("number of this size"));
    assert_eq!(reason(decode::<u64>(&[[0xFF; 9].as_slice(), &[2]].concat())), not("number of this size"));
    assert_eq!(reason(decode::<u128>(&[[0xFF; 18].as_slice(), &[4]].concat())), not("number of this size"));
    // A length that no memory has is an end, and takes no memory.
    assert_eq!(decode::<Vec<u8>>(&[[0xFF; 9].as_slice(), &[1]].concat()).err(), Some(Reason::End));
    assert_eq!(decode::<String>(&[[0xFF; 9].as_slice(), &[1]].concat()).err(), Some(Reason::End));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Left {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    out: Option<u8>,
    kept: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Variant {
    Case {
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        out: Vec<u8>,
    },
}

#[test]
fn a_field_that_is_left_out_is_refused_where_it_is_written() {
    let skipped = |structure, field| Err(Reason::Skipped { structure, field });
    assert_eq!(encode(&Left { out: None, kept: 1 }), skipped("Left", "out"));
    assert_eq!(encode(&Variant::Case { out: vec![] }), skipped("Case", "out"));
    same(Left { out: Some(1), kept: 2 });
    same(Variant::Case { out: vec![3] });
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    One { x: i32 },
}

#[derive(Debug, Serialize, Deserialize)]
struct Flat {
    a: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    One(u8),
}

#[test]
fn a_type_that_asks_what_comes_is_known_by_one_value() {
    fn needs<T: Serialize + DeserializeOwned>(value: &T) -> bool {
        needs_description::<T>(&encode(value).unwrap())
    }
    assert!(needs(&Untagged::Number(1)) && needs(&Untagged::Text("x".into())));
    assert!(needs(&vec![Tagged::One { x: 1 }]));
    assert!(needs(&(1, Some(Untagged::Number(1)))));
    assert!(!needs(&Shape::New(1)) && !needs(&Left { out: Some(1), kept: 1 }) && !needs(&()));
    assert!(matches!(encode(&Flat { a: 1, rest: BTreeMap::new() }), Err(Reason::UnknownLength)));
    let _ = needs(&Adjacent::One(1));
}

#[test]
fn what_a_values_own_code_says_is_the_reason() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(try_from = "i32", into = "i32")]
    struct Positive(i32);
    impl TryFrom<i32> for Positive {
        type Error = String;
        fn try_from(number: i32) -> Result<Self, String> {
            if number > 0 { Ok(Positive(number)) } else { Err(format!("{number} is not positive")) }
        }
    }
    impl From<Positive> for i32 {
        fn from(Positive(number): Positive) -> i32 {
            number
        }
    }
    impl Clone for Positive {
        fn clone(&self) -> Self {
            Positive(self.0)
        }
    }
    let bytes = encode(&vec![Positive(3), Positive(-3)]).unwrap();
    assert_eq!(decode::<Vec<Positive>>(&bytes), Err(Reason::Said("-3 is not positive".into())));
    // It is this value that is refused, and not the type.
    assert!(!needs_description::<Vec<Positive>>(&bytes));
}
