//! Shared memory: mappings, and typed references into them.
//!
//! ```text
//!  memfd (sealed, anonymous) ──mmap──►  Mapping:  [ header | payload …………………… ]
//!        │                                             │          │
//!        └── its descriptor is sent (transfer)      checked    SharedRef<T>, SharedSlice<T>, Bytes
//! ```
//!
//! Each shared object is its own memfd; small ones of one process share pages (small.rs). The kernel's
//! count of descriptors and mappings is the reference count, so there is no name, no tracker and nothing to leave
//! behind. The size is sealed, so no process can take pages from under a mapping; pages are reserved before they
//! are touched, so running out of memory is an error of the call that makes the object.
//!
//! A mapping exists once in each process: attaching the same memfd again returns it, since the robust list
//! (sys/robust.rs) knows held locks by address.

mod bytes;
mod frozen;
mod loan;
pub(crate) mod mapping;
mod plain;
mod racy;
pub(crate) mod shared_ref;
pub(crate) mod small;
mod window;

pub use bytes::{Bytes, Writer};
pub use frozen::{Freezing, Frozen, attach_frozen, freeze_each};
pub use loan::{Loan, MovingLoan, loans};
pub use mapping::{Extent, Kind, Mapping};
/// The derive, beside the trait that it implements.
pub use mp_derive::Shareable;
pub use plain::{bytes_of, bytes_of_all, value_of};
pub use racy::{copy_in, copy_out};
pub use shared_ref::{Shareable, SharedRef, SharedSlice, Structure};
pub use window::Window;
