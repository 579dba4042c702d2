//! Named shared memory (Python: `multiprocessing.shared_memory`).
//!
//! ```text
//!  create ──► /dev/shm/NAME ◄── open, by any process of the same user, CPython's among them
//!    │             │
//!  owner        unlink: the name is gone, the memory stays for those who have it mapped
//! ```
//!
//! Memory that only processes of one program share needs no name: see `mp_core::mem`, and `Value` in mp-sync. A name
//! is for those who have no common ancestor that could pass a handle on. A name can be left behind, so somebody has
//! to own it: the process that made it.
//!
//! | what happens                                          | the mapping here | the name                         |
//! |-------------------------------------------------------|------------------|----------------------------------|
//! | [`unlink`](SharedMemory::unlink), by anybody          | stays            | gone                             |
//! | the owner's last handle is dropped                    | gone             | gone                             |
//! | the owner calls [`close`](SharedMemory::close)        | gone             | stays until the owner's end      |
//! | the owner calls [`persist`](SharedMemory::persist)    | stays            | stays until somebody unlinks it  |
//! | the owner's process ends in order                     | gone             | gone                             |
//! | one who opened, received or inherited it ends or drops it | gone         | stays                            |
//!
//! An owner that is killed leaves the name behind.
//!
//! | file               | what                                                           |
//! |--------------------|----------------------------------------------------------------|
//! | `shared_memory.rs` | [`SharedMemory`]: the block and the way to its bytes           |
//! | `shareable_list.rs`| [`ShareableList`]: items of mixed types in a block             |
//! | `packing.rs`       | how these lie in memory, as CPython has them                   |
//! | `item.rs`          | [`Item`]: what they may be                                     |
//! | `owner.rs`         | who takes a name away, and when                                |
//! | `standing.rs`      | this process as an owner: its record, its line to the keeper   |
//! | `register.rs`      | the record of what a process owns; working it off              |
//! | `keeper.rs`        | the keeper's life, and how it is found                         |
//! | `sweep.rs`         | finding the records of the dead                                |
//! | `name.rs`          | what a name may be; making one up                              |
//! | `error.rs`         | the errors of each call                                        |

mod error;
mod item;
mod keeper;
mod name;
mod owner;
mod packing;
mod register;
mod shareable_list;
mod shared_memory;
mod standing;
mod sweep;

pub use error::{
    Corrupt, CreateError, CreateListError, GetItemError, InvalidName, Misfit, NoItem, OpenError,
    OpenListError, OutOfRange, SetItemError, UnlinkError,
};
pub use item::Item;
pub use shareable_list::ShareableList;
pub use shared_memory::SharedMemory;

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
