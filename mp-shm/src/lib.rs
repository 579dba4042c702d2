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
//! | the owner's process ends, in order or not             | gone             | gone                             |
//! | one who opened, received or inherited it drops it, ends, or is killed | gone | stays                        |
//!
//! # When a process dies
//! With its first block a process gets a *keeper*: one for the whole family, a process called `mp-keeper`, which waits
//! for the ends of those who own blocks and takes away what a killed one owned, within milliseconds. It takes nothing
//! away that was only opened, nothing that was told to [`persist`](SharedMemory::persist), and nothing that has
//! the name by now and is another file. It ends with the last owner, has nothing of the program's, and does not hear
//! Ctrl-C. (Python: the resource tracker.)
//!
//! | killed                                    | what becomes of its names                                     |
//! |-------------------------------------------|---------------------------------------------------------------|
//! | an owner                                  | the keeper takes them away                                    |
//! | the keeper                                | they stay; the owner's next block starts another keeper       |
//! | the keeper, then an owner; or all at once | they stay until any process of this user makes or opens a block here: it sweeps |
//!
//! So that this can be told, a process that owns blocks keeps a record of them in `/dev/shm`, under a name that
//! begins with `.mp-owner-`, as long as it lives. Where no keeper can be started (this library is part of a
//! [shared library](mp_core::StartError::NotTheProgram) of another program; no process is to be had) there are the
//! sweeps alone, and a warning in the [log](mp_core::get_logger).
//!
//! | file               | what                                                           |
//! |--------------------|----------------------------------------------------------------|
//! | `shared_memory.rs` | [`SharedMemory`]: the block and the way to its bytes           |
//! | `shareable_list.rs`| [`ShareableList`]: items of mixed types in a block             |
//! | `packing.rs`       | how these lie in memory, as CPython has them                   |
//! | `item.rs`          | [`Item`]: what they may be                                     |
//! | `owner.rs`         | who takes a name away, and when                                |
//! | `registration.rs`      | this process as an owner: its record, its line to the keeper   |
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
mod registration;
mod shareable_list;
mod shared_memory;
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
