//! What a worker's task reads and fills of the pool's memory: its arguments' buffers, and parts of its slot's room.
//!
//! ```text
//!   slot's room:  records of results ─►  …  ◄─ buffers, from the end │ low
//! ```
//!
//! The worker writes `low`, where the lowest of these buffers begins, into the last bytes of the room, and sets a bit
//! beside the number of bytes written, if a result names one. A task that keeps a buffer beyond its end keeps the
//! memory of its slot from being used again: the worker says so on the board before the slot is done.
//!
//! # When a process dies
//! The worker: the caller takes the slot back, and its block with it. What it kept is free then, too.

use crate::lent::LONG;
use crate::memory::Memory;
use mp_core::mem::{Bytes, Mapping};
use mp_core::transfer::{is_packing_result, is_unpacking_arguments};
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// In the number of bytes written: results name buffers.
pub(crate) const LENDS: u32 = 1 << 31;
/// At the end of a room of at least [`LONG`] bytes: where the lowest buffer begins.
pub(crate) const TAIL: usize = 16;
/// What is left for the record of the result that names the buffer.
const RECORD: usize = 512;

/// The memory of one slot that its worker has.
pub(crate) struct TaskMemory {
    pub(super) bytes: Bytes,
    /// Where the first of the pool's bytes lies in the mapping's payload.
    pub(super) base: usize,
    /// Records end before this.
    floor: AtomicUsize,
    /// Buffers begin here.
    low: AtomicUsize,
    /// They end here, where the caller finds `low`, if the room is long enough for buffers.
    top: usize,
    has_tail: bool,
    /// A result has named one.
    lends: AtomicBool,
}

impl TaskMemory {
    /// So many of the pool's bytes from `at` on are for its results.
    fn new(memory: &Memory, at: usize, room: usize) -> Arc<TaskMemory> {
        let (bytes, base) = memory.bytes_and_base();
        let has_tail = room >= LONG;
        let top = if has_tail { at + room - TAIL } else { at };
        let (floor, low) = (AtomicUsize::new(at), AtomicUsize::new(top));
        Arc::new(TaskMemory { bytes, base, floor, low, top, has_tail, lends: AtomicBool::new(false) })
    }

    /// Records end there now.
    fn raise_floor(&self, at: usize) {
        // ORDERING: Relaxed, here and below: numbers by themselves, of this process.
        self.floor.store(at, Ordering::Relaxed);
    }

    fn low(&self) -> usize {
        // ORDERING: as above.
        self.low.load(Ordering::Relaxed)
    }

    fn lends(&self) -> bool {
        // ORDERING: as above.
        self.lends.load(Ordering::Relaxed)
    }

    /// A part of so many bytes; `None`: there is no room.
    pub(super) fn take(&self, bytes: usize) -> Option<usize> {
        // ORDERING: as above.
        let floor = self.floor.load(Ordering::Relaxed) + RECORD;
        let below = |low: usize| {
            let at = low.checked_sub(bytes)? / Mapping::ALIGNMENT * Mapping::ALIGNMENT;
            (at >= floor).then_some(at)
        };
        let before = self.low.fetch_update(Ordering::Relaxed, Ordering::Relaxed, below).ok()?;
        below(before)
    }
}

thread_local! {
    // Never dropped: the destructors of a thread's other locals may make buffers. A worker that ends has no task.
    static TASK: ManuallyDrop<RefCell<Option<Arc<TaskMemory>>>> = const { ManuallyDrop::new(RefCell::new(None)) };
    /// Bytes of buffers for which there was no room.
    static WANTED: Cell<usize> = const { Cell::new(0) };
}

/// The results of this worker's tasks leave this host.
static LEAVES: AtomicBool = AtomicBool::new(false);

/// This process's results leave this host.
pub(crate) fn leave_this_host() {
    // ORDERING: Relaxed: set before there is a task.
    LEAVES.store(true, Ordering::Relaxed);
}

pub(super) fn leaves_this_host() -> bool {
    // ORDERING: as above.
    LEAVES.load(Ordering::Relaxed)
}

/// The memory of the task that this thread runs.
pub(super) fn current() -> Option<Arc<TaskMemory>> {
    TASK.with(|task| task.borrow().clone())
}

/// The same, if what is unpacked is that task's arguments: nothing else that it reads names a place.
pub(super) fn of_arguments() -> Option<Arc<TaskMemory>> {
    if is_unpacking_arguments() { current() } else { None }
}

/// Whether what is packed is the result of the task that has this memory. It names it then.
pub(super) fn names(memory: &Arc<TaskMemory>) -> bool {
    let is_result = is_packing_result()
        && TASK.with(|task| task.borrow().as_ref().is_some_and(|task| Arc::ptr_eq(task, memory)));
    if is_result {
        // ORDERING: Relaxed: read by this thread.
        memory.lends.store(true, Ordering::Relaxed);
    }
    is_result
}

/// There was no room for so many bytes.
pub(super) fn want(bytes: usize) {
    WANTED.set(WANTED.get().saturating_add(bytes));
}

/// For how many bytes there was none since this was last asked.
pub(crate) fn take_wanted() -> usize {
    WANTED.take()
}

/// What a worker has of the memory of its tasks.
#[derive(Default)]
pub(crate) struct OfTasks {
    now: Option<Arc<TaskMemory>>,
    /// Of earlier slots, of which something is left in this process.
    kept: Vec<Arc<TaskMemory>>,
    /// So it says on the board.
    says_kept: bool,
}

impl OfTasks {
    /// A slot begins whose results go between these two. `lends`: its arguments have buffers. Gives how much of the
    /// room is for records.
    #[inline]
    pub(crate) fn begin(&mut self, memory: &Memory, at: usize, room: usize, lends: bool) -> usize {
        if room < LONG && !lends || leaves_this_host() {
            return room;
        }
        let task = TaskMemory::new(memory, at, room);
        TASK.with(|now| now.replace(Some(Arc::clone(&task))));
        self.now = Some(task);
        if room < LONG { room } else { room - TAIL }
    }

    /// Of so many bytes for records, those in front of the buffers that the task has taken. It takes no more of them:
    /// its function has returned, and its result is packed.
    #[inline]
    pub(crate) fn left_for_record(&self, at: usize, left: usize) -> usize {
        match &self.now {
            Some(task) if task.has_tail => left.min(task.low().saturating_sub(at)),
            _ => left,
        }
    }

    /// An item is done, and its record ends at `at`. Gives what goes beside the number of bytes written.
    #[inline]
    pub(crate) fn end_item(&self, memory: &Memory, at: usize) -> u32 {
        let Some(task) = &self.now else { return 0 };
        task.raise_floor(at);
        if !task.lends() {
            return 0;
        }
        if task.has_tail {
            memory.bytes.write(task.top, &(task.low() as u32).to_le_bytes());
        }
        LENDS
    }

    /// The slot is about to be done.
    #[inline]
    pub(crate) fn end(&mut self, memory: &Memory, worker: u32) {
        if let Some(task) = self.now.take() {
            TASK.with(|now| now.replace(None));
            self.kept.push(task);
        }
        if !self.kept.is_empty() || self.says_kept {
            self.look_at_kept(memory, worker);
        }
    }

    fn look_at_kept(&mut self, memory: &Memory, worker: u32) {
        self.kept.retain_mut(|task| Arc::get_mut(task).is_none());
        let keeps = !self.kept.is_empty();
        if keeps != self.says_kept {
            self.says_kept = keeps;
            memory.board.say_keeps(worker, keeps);
        }
    }
}
