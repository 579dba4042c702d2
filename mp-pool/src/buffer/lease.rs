//! What the caller has lent of its arena: a lease returns its block when the last buffer of it is dropped.
//!
//! ```text
//!   Pool::buffer ──► Lease ──┬── BufferMut, Buffer and its clones
//!                            ├── the batch, and then the slot, whose task reads it
//!   a slot's room ─► Lease ──┴── the results of the slot, until they are read and dropped
//! ```

use crate::arena::Block;
use crate::lent::Returned;
use mp_core::mem::{Bytes, MovingLoan};
use mp_core::transfer::is_packing_result;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;

/// A block of the arena. Its bytes are these, of those of the pool's memory.
pub(crate) struct Lease {
    pub(super) bytes: Bytes,
    /// Where the first of the pool's bytes lies in the mapping's payload.
    pub(super) base: usize,
    pub(super) at: usize,
    pub(super) len: usize,
    block: Block,
    returned: Arc<Returned>,
}

/// Those that one task's arguments need.
pub(crate) type Leases = Arc<Vec<Arc<Lease>>>;

impl Lease {
    /// A block that counts as lent.
    pub(crate) fn new(
        (bytes, base): (Bytes, usize),
        at: usize,
        len: usize,
        block: Block,
        returned: &Arc<Returned>,
    ) -> Arc<Lease> {
        Arc::new(Lease { bytes, base, at, len, block, returned: Arc::clone(returned) })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Not in a forked copy: its original may have given the bytes to another buffer.
    fn has(&self, at: usize, len: usize) -> bool {
        let within = at >= self.at && len <= self.len && at - self.at <= self.len - len;
        within && self.returned.is_here()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.returned.push(self.block);
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({}, {})", self.at, self.len)
    }
}

/// What buffers in a slot's results may lie in.
#[derive(Debug)]
pub(crate) struct Lending {
    held: Vec<Held>,
    /// Bytes of the slot's room that they take.
    pub(crate) room: usize,
}

/// A part of the pool's bytes.
#[derive(Debug)]
enum Held {
    Leased(Arc<Lease>),
    /// Too much is lent: a copy.
    Copied {
        at: usize,
        bytes: Vec<u8>,
    },
}

/// Where a buffer of a result lies.
pub(super) enum Lies {
    In(Arc<Lease>),
    Copied(Vec<u8>),
}

impl Lending {
    pub(crate) fn of(leases: Option<&Leases>) -> Lending {
        let held = leases.into_iter().flat_map(|leases| leases.iter().cloned()).map(Held::Leased);
        Lending { held: held.collect(), room: 0 }
    }

    pub(crate) fn push(&mut self, lease: Arc<Lease>) {
        self.room += lease.len;
        self.held.push(Held::Leased(lease));
    }

    pub(crate) fn push_copy(&mut self, at: usize, bytes: Vec<u8>) {
        self.room += bytes.len();
        self.held.push(Held::Copied { at, bytes });
    }

    pub(crate) fn leases(&self) -> impl Iterator<Item = Arc<Lease>> {
        self.held.iter().filter_map(|held| match held {
            Held::Leased(lease) => Some(Arc::clone(lease)),
            Held::Copied { .. } => None,
        })
    }

    fn find(&self, at: usize, len: usize) -> Option<Lies> {
        self.held.iter().find_map(|held| match held {
            Held::Leased(lease) => lease.has(at, len).then(|| Lies::In(Arc::clone(lease))),
            Held::Copied { at: begin, bytes } => {
                let from = at.checked_sub(*begin)?;
                Some(Lies::Copied(bytes.get(from..from.checked_add(len)?)?.to_vec()))
            }
        })
    }
}

/// For which pool this thread packs arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Nothing,
    /// The address of what its blocks return to.
    For(usize),
    Elsewhere,
}

thread_local! {
    static PACKING: Cell<Packing> = const { Cell::new(Packing::Nothing) };
    // Never dropped, so that a thread's destructors and exit handlers can send and receive buffers, too; outside of a
    // call there is nothing in them to drop.
    static PACKED: ManuallyDrop<RefCell<Vec<Arc<Lease>>>> = const { ManuallyDrop::new(RefCell::new(Vec::new())) };
    static DECODING: ManuallyDrop<RefCell<Option<Arc<Lending>>>> = const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Puts back what was there before, also when a `Serialize` panics.
struct Restore(Packing, Vec<Arc<Lease>>);

impl Drop for Restore {
    fn drop(&mut self) {
        PACKING.set(self.0);
        PACKED.with(|packed| packed.replace(std::mem::take(&mut self.1)));
    }
}

/// Packs arguments for the pool whose blocks return there, or for one whose workers are elsewhere. Gives the leases
/// that they need.
#[inline]
pub(crate) fn packing<R>(returned: Option<&Arc<Returned>>, pack: impl FnOnce() -> R) -> (R, Option<Leases>) {
    // No process has to look for what it has none of.
    if !MovingLoan::any() && returned.is_some() { (pack(), None) } else { packing_some(returned, pack) }
}

#[cold]
fn packing_some<R>(returned: Option<&Arc<Returned>>, pack: impl FnOnce() -> R) -> (R, Option<Leases>) {
    let to = returned.map_or(Packing::Elsewhere, |returned| Packing::For(Arc::as_ptr(returned).addr()));
    let _restore = Restore(PACKING.replace(to), PACKED.with(|packed| packed.take()));
    let packed = pack();
    let leases = PACKED.with(|packed| packed.take());
    (packed, (!leases.is_empty()).then(|| Arc::new(leases)))
}

/// Decodes results that may have buffers in what is lent.
pub(crate) fn decoding<R>(lending: &Arc<Lending>, decode: impl FnOnce() -> R) -> R {
    struct Before(Option<Arc<Lending>>);
    impl Drop for Before {
        fn drop(&mut self) {
            DECODING.with(|decoding| decoding.replace(self.0.take()));
        }
    }
    let _before = Before(DECODING.with(|decoding| decoding.replace(Some(Arc::clone(lending)))));
    decode()
}

/// Whether a buffer of this lease is packed as its place. It is kept with the task then.
pub(super) fn packs(lease: &Arc<Lease>) -> bool {
    let is_its_pool = PACKING.get() == Packing::For(Arc::as_ptr(&lease.returned).addr());
    if is_its_pool {
        PACKED.with(|packed| packed.borrow_mut().push(Arc::clone(lease)));
    }
    is_its_pool
}

/// Whether this thread packs arguments for a pool, or a result of its task.
pub(super) fn is_packing() -> bool {
    PACKING.get() != Packing::Nothing || is_packing_result()
}

/// Whether what is packed leaves this host.
pub(super) fn packs_for_elsewhere() -> bool {
    PACKING.get() == Packing::Elsewhere
}

/// Where so many bytes lie that a result names, if this thread decodes one.
pub(super) fn lies(at: usize, len: usize) -> Option<Lies> {
    DECODING.with(|lending| lending.borrow().as_ref()?.find(at, len))
}
