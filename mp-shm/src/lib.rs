//! Named shared memory (Python: `multiprocessing.shared_memory`).
//!
//! ```text
//!  create ──► /dev/shm/NAME ◄── open, by any process of the same user, CPython's among them
//!    │             │
//!  owner        unlink: the name is gone, the memory stays while it is mapped
//! ```
//!
//! Memory that only processes of one program share needs no name: data that they only read is [`share`]d, see also
//! `mp_core::mem`, and `Value` in mp-sync. A
//! name is for processes without a common ancestor that could pass a handle on. A name can be left behind, so it
//! has an owner: the process that made it.
//!
//! | what happens                                          | the mapping here | the name                         |
//! |-------------------------------------------------------|------------------|----------------------------------|
//! | [`unlink`](SharedMemory::unlink), by any process      | stays            | gone                             |
//! | the owner's last handle is dropped                    | gone             | gone                             |
//! | the owner calls [`close`](SharedMemory::close)        | gone             | stays until the owner's end      |
//! | the owner calls [`persist`](SharedMemory::persist)    | stays            | stays until it is unlinked       |
//! | the owner exits or is killed                          | gone             | gone                             |
//! | a process that opened, received or inherited it drops it, exits, or is killed | gone | stays                |
//!
//! # When a process dies
//! The first block of a process starts a *keeper*, one for the whole family: a process called `mp-keeper`. It waits
//! for the ends of the processes that own blocks, and unlinks the names of a killed one within milliseconds. It
//! does not unlink names that were only opened, names of blocks that [`persist`](SharedMemory::persist), or names
//! that belong to another file by now. It ends with the last owner, has no resources of the program, and ignores
//! Ctrl-C. (Python: the resource tracker.)
//!
//! | killed                                    | its names                                                     |
//! |-------------------------------------------|---------------------------------------------------------------|
//! | an owner                                  | are unlinked by the keeper                                    |
//! | the keeper                                | stay; the owner's next block starts another keeper            |
//! | the keeper, then an owner; or all at once | stay until any process of this user makes or opens a block: it sweeps |
//!
//! For this, a process that owns blocks keeps a register of them in `/dev/shm` while it lives, under a name that
//! begins with `.mp-owner-`. If no keeper can be started (this library is part of a
//! [shared library](mp_core::StartError::NotTheProgram) of another program, or no process can be made), only the
//! sweeps clean up, and the [log](mp_core::get_logger) has a warning.
//!
//! | file               | what                                                           |
//! |--------------------|----------------------------------------------------------------|
//! | `shared_memory.rs` | [`SharedMemory`]: the block and access to its bytes            |
//! | `shareable_list.rs`| [`ShareableList`]: items of mixed types in a block             |
//! | `shared_data.rs`   | [`SharedData`]: data without a name that no process can change |
//! | `packing.rs`       | the format of these lists, CPython's own                       |
//! | `item.rs`          | [`Item`]: the types of items                                   |
//! | `owner.rs`         | which process unlinks a name, and when                         |
//! | `owned_name.rs`    | a name that is owned without a mapping: a manager's            |
//! | `registration.rs`  | this process as an owner: its register, its line to the keeper |
//! | `register.rs`      | the register of a process's blocks; cleaning up after it       |
//! | `keeper.rs`        | the keeper's process, and how it is found                      |
//! | `sweep.rs`         | finding the registers of dead processes                        |
//! | `name.rs`          | names: checks, and random names                                |
//! | `error.rs`         | the errors of each call                                        |

#![deny(clippy::unwrap_used)]

mod error;
mod item;
mod keeper;
mod name;
mod owned_name;
mod owner;
mod packing;
mod register;
mod registration;
mod shareable_list;
mod shared_data;
mod shared_memory;
mod sweep;

pub use error::{ListError, SharedMemoryError};
pub use item::Item;
pub use owned_name::OwnedName;
pub use shareable_list::ShareableList;
pub use shared_data::{SharedData, share, share_each};
pub use shared_memory::SharedMemory;

/// What a user of this crate alone needs of the ground floor: processes, and the system's errors.
pub use mp_core::{MemError, OsError, OutOfRangeError, Process};

/// The README's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
