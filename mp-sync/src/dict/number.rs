//! Integer: what can be added to in a dict.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The integers, for [`SharedDict::fetch_add`](super::SharedDict::fetch_add).
pub trait Integer: Serialize + DeserializeOwned + Copy + Default + sealed::Sealed {
    #[doc(hidden)]
    fn plus(self, other: Self) -> Option<Self>;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl sealed::Sealed for $type {}
        impl Integer for $type {
            fn plus(self, other: Self) -> Option<Self> {
                self.checked_add(other)
            }
        }
    )*};
}
integers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);
