//! The queues of this process: a handle that arrives again shares the mapping, the windows and the
//! descriptors of the handles that are here.
//!
//! # When a process dies
//! Nothing here is shared between processes. The lock is only tried: a fork beside other threads can leave
//! the child a lock that no thread releases. A handle then has its own descriptors, and works as well.

use crate::memory::RingMemory;
use crate::ring::Ring;
use mp_core::mem::Mapping;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

type Shared = Ring<RingMemory>;

/// By the address of the queue's mapping, of which a process has one.
static HERE: Mutex<Option<HashMap<usize, Weak<Shared>>>> = Mutex::new(None);

fn key(mapping: &Arc<Mapping>) -> usize {
    Arc::as_ptr(mapping).addr()
}

/// The state of the queue with this memory in this process.
pub(crate) fn find(mapping: &Arc<Mapping>) -> Option<Arc<Shared>> {
    let here = HERE.try_lock().ok()?;
    here.as_ref()?.get(&key(mapping))?.upgrade()
}

/// Registers a queue that is new in this process.
pub(crate) fn list(memory: RingMemory) -> Arc<Shared> {
    let key = key(memory.mapping());
    let shared = Arc::new(Ring::new(memory));
    if let Ok(mut here) = HERE.try_lock() {
        let here = here.get_or_insert_default();
        if here.len() == here.capacity() {
            here.retain(|_, queue| queue.strong_count() > 0);
        }
        here.insert(key, Arc::downgrade(&shared));
    }
    shared
}
