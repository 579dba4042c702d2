//! What can be swept: one file for each type.

mod barrier;
mod condition;
mod dict;
mod event;
mod joinable;
mod line;
mod lock;
mod manager;
mod mutants;
mod owned_semaphore;
mod plain;
mod pool;
mod process;
mod queue;
mod ring;
mod rwlock;
mod semaphore;
mod tally;
mod value;

use crate::sweep::scene::Operation;

/// All operations, the hidden ones too.
pub(crate) fn all() -> Vec<Operation> {
    [
        lock::operations(),
        rwlock::operations(),
        semaphore::operations(),
        event::operations(),
        owned_semaphore::operations(),
        barrier::operations(),
        condition::operations(),
        value::operations(),
        dict::operations(),
        queue::operations(),
        joinable::operations(),
        pool::operations(),
        ring::operations(),
        manager::operations(),
        process::operations(),
        plain::operations(),
        mutants::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
