//! The ring in the model checker: every schedule with up to three preemptions, and with a thread killed
//! before each of its accesses.
//!
//! | file         | what                                                                          |
//! |--------------|-------------------------------------------------------------------------------|
//! | `world.rs`   | what a ring stands on here: words of a checker, segments of a few units       |
//! | `records.rs` | one record after the other, the room that is used again, the numbers' wrap    |
//! | `batches.rs` | records under one publish, records taken together                             |
//! | `growth.rs`  | hops to a larger segment and back, pages given back                           |
//! | `waits.rs`   | waiters for an item or for room, the end, wakes lost with a dead process      |
//! | `leaders.rs` | leaders and followers among the waiters                                        |
//! | `tasks.rs`   | records that are to be reported done                                          |
//! | `polls.rs`   | waiters for a descriptor                                                      |
//! | `mutants.rs` | worlds with a fault, in which a model must fail for its reason                |
//!
//! A lost wake is a deadlock, which loom reports. The bytes are cells that loom tracks, so a commit without
//! its ordering, or pages that are released in use, are data races that it sees. Models that take long stay
//! one or two preemptions behind, as is said beside them, and are walked further with `-- --ignored`.
//! `MP_LOOM_BOUND=4` walks all of them further; `-- --nocapture` shows the tables. Of more threads, crowd.rs.
//!
//! Left out: packets, which go through a socket; ../crowd.rs has them, without descriptors.

mod batches;
mod growth;
mod leaders;
pub(super) mod mutants;
mod polls;
mod records;
mod tasks;
mod waits;
pub(super) mod world;

/// Each model a test of its name, as `how name to bound;`; after `in_full`, one that is not run unless it is
/// asked for.
macro_rules! models {
    ($($how:ident $name:ident $(to $effort:expr)? $(, in_full $full:expr)?;)*) => {
        mod walk {
            use mp_model::thorough::bound;
            $($(
                #[test]
                fn $name() {
                    let report = mp_model::thorough::$how($effort, super::$name::<super::Sound>);
                    println!("{:<60} {report}", stringify!($name));
                }
            )?)*
        }

        mod in_full {
            #[allow(unused_imports, reason = "some files have none of these")]
            use mp_model::thorough::bound;
            $($(
                #[test]
                #[ignore = "takes minutes"]
                fn $name() {
                    let report = mp_model::thorough::$how($full, super::$name::<super::Sound>);
                    println!("{:<60} {report}", concat!(stringify!($name), " in full"));
                }
            )?)*
        }
    };
}
use models;
