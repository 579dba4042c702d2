//! Item: what a `ShareableList` can hold.

/// One item of a [`ShareableList`](crate::ShareableList), of the types that Python's list can hold.
///
/// ```
/// use mp_shm::Item;
///
/// let items: [Item; 5] = [7.into(), 2.5.into(), true.into(), "text".into(), Some(b"bytes").into()];
/// assert_eq!(items[3], Item::Str("text".to_owned()));
/// assert_eq!(Item::from(None::<i64>), Item::None);
/// ```
///
/// Two items are equal if they have one type and equal values: `Int(1)` is not equal to `Float(1.0)`; in Python
/// they are equal.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// Python: `int`, which can be larger there, but not in a list.
    Int(i64),
    /// Python: `float`.
    Float(f64),
    /// Python: `bool`.
    Bool(bool),
    /// Python: `str`.
    Str(String),
    /// Python: `bytes`.
    Bytes(Vec<u8>),
    /// Python: `None`.
    None,
}

macro_rules! from {
    ($($from:ty => |$value:ident| $item:expr),* $(,)?) => {$(
        impl From<$from> for Item {
            fn from($value: $from) -> Item {
                $item
            }
        }
    )*};
}
from! {
    i64 => |value| Item::Int(value),
    i32 => |value| Item::Int(value.into()),
    u32 => |value| Item::Int(value.into()),
    f64 => |value| Item::Float(value),
    bool => |value| Item::Bool(value),
    String => |value| Item::Str(value),
    &str => |value| Item::Str(value.to_owned()),
    Vec<u8> => |value| Item::Bytes(value),
    &[u8] => |value| Item::Bytes(value.to_vec()),
}

impl<const N: usize> From<&[u8; N]> for Item {
    fn from(value: &[u8; N]) -> Item {
        Item::Bytes(value.to_vec())
    }
}

impl<T: Into<Item>> From<Option<T>> for Item {
    fn from(value: Option<T>) -> Item {
        value.map_or(Item::None, Into::into)
    }
}
