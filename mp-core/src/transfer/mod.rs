//! What can cross to another process, and how (Python: `multiprocessing.reduction`).
//!
//! ```text
//!  value ──pack──►  Message { bytes, handles }  ──unpack──►  value
//!                        │
//!                   parcel: one packet, or a memfd when long; descriptors beside it (SCM_RIGHTS)
//! ```
//!
//! Anything that is `Serialize + DeserializeOwned` crosses. A [`Handle`] (and every lock, queue, connection or
//! value made of one) crosses *within such a transfer only*: its descriptor goes beside the bytes. Serialised
//! anywhere else, into a file say, it is an error that says so.
//!
//! A function crosses as a distance from an anchor in the program's image, with the image's build id
//! ([`Code`]): both sides are the same program, and code never travels.

mod block;
mod bounds;
mod codec;
#[cfg(feature = "self-describing")]
mod described;
mod entry;
mod func;
mod function;
mod handle;
mod key;
mod message;
mod parcel;
#[doc(hidden)]
pub mod scratch;
mod stateful;
mod step;
mod tried;

pub use bounds::{Callable, Transferable, kind};
#[cfg(feature = "self-describing")]
pub use described::SelfDescribing;
pub(crate) use entry::__rust_begin_short_backtrace;
#[doc(hidden)]
pub use func::CallError;
pub use func::{Code, Target};
pub use function::Function;
pub use handle::Handle;
pub use key::KeyOf;
pub use parcel::{ParcelError, set_longest_message};
pub use stateful::{StateCall, Stateful, with_state};

/// For the crates of the family alone, and no promise: a message holds the descriptors of shared objects' memory, which
/// is not to be written to by any other way than its object.
#[doc(hidden)]
pub use block::{as_block, as_lone_block, from_block, is_block};
#[doc(hidden)]
pub use bounds::Captures;
#[doc(hidden)]
pub use entry::{Block, Calls, Resolved};
#[doc(hidden)]
pub use func::{CodeKey, StateType};
#[doc(hidden)]
pub use handle::{WeakHandle, attach, attach_part};
#[doc(hidden)]
pub use message::{
    Message, pack, pack_onto, pack_value, pack_value_onto, pack_value_with, unpack, unpack_front, unpack_with,
};
#[doc(hidden)]
pub use parcel::{Part, receive_parcel, receive_parts, receive_parts_or_leave, send_parcel, send_parts};
#[doc(hidden)]
pub use stateful::{Keep, call_state, drop_state, keep, set_state};
#[doc(hidden)]
pub use step::{is_packing_result, is_unpacking_arguments};
