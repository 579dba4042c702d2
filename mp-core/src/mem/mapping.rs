//! Mapping: the pages of one shared object in this process, made once, checked when attached.
//!
//! # Safety
//! The one invariant: the payload's addresses stay valid as long as the `Mapping` lives, and the header is
//! written before any other process can see the object, and never again.
#![allow(unsafe_code)]

use crate::error::MemError;
use crate::sys::memory::{self, PAGE, Pages};
use crate::sys::{image, inherited, namespace, robust};
use std::any::TypeId;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError, Weak};

/// The header in front of the payload, which is checked before the payload is used.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    magic: u64,
    layout: u32,
    /// Checksum of the rest, and of the build of the program that wrote it: see [`Header::sum`].
    sum: u32,
    kind: u64,
    payload: u64,
    /// The pid namespace, in which ids in lock words are valid. 0: it could not be determined.
    pid_namespace: u64,
}

const MAGIC: u64 = u64::from_le_bytes(*b"mp-rs\0\0\x01");
const LAYOUT: u32 = 2;
/// The payload begins a cache line (two, where lines are fetched in pairs) after the header.
const HEADER: usize = 128;

impl Header {
    /// Two builds may lay out the same types differently, so an object of one is not valid in the other.
    fn sum(&self) -> u32 {
        let mut sum = Fnv::default();
        let rest = (self.magic, self.layout, self.kind, self.payload, self.pid_namespace);
        (rest, image::build()).hash(&mut sum);
        (sum.0 ^ sum.0 >> 32) as u32
    }
}

/// The type of a shared object: a hash that is equal in every process of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(u64);

impl Kind {
    /// The kind of objects that hold a `T`. Two types of one name, for example inside of functions, are two kinds.
    pub fn of<T: ?Sized + 'static>() -> Kind {
        let mut hash = Fnv::default();
        TypeId::of::<T>().hash(&mut hash);
        Kind(hash.0)
    }

    pub(super) fn to_bits(self) -> u64 {
        self.0
    }

    /// The kind of objects that hold a `T` and items that are written as messages: the items' type counts by its
    /// name.
    pub fn of_items<T: ?Sized + 'static, Item: ?Sized>() -> Kind {
        let mut hash = Fnv(Kind::of::<T>().0);
        std::any::type_name::<Item>().hash(&mut hash);
        Kind(hash.0)
    }
}

/// FNV-1a: good enough for this, and equal in every process.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xCBF2_9CE4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The lengths of a sparse object's parts, in bytes of payload from its beginning.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// The whole payload.
    pub payload: usize,
    /// The part that each process maps at once; the rest is mapped by [`Window`](super::Window)s.
    pub mapped: usize,
    /// The part whose pages are reserved at once; the rest is reserved by [`reserve`](Mapping::reserve).
    pub reserved: usize,
}

/// The shared pages of one object.
#[derive(Debug)]
pub struct Mapping {
    /// Shared with the messages that carry it, so that sending needs no further descriptor.
    file: Arc<OwnedFd>,
    pages: Option<Pages>,
    file_bytes: usize,
    key: (u64, u64),
}

type Table = Mutex<Option<HashMap<(u64, u64), Weak<Mapping>>>>;
/// The mappings of this process, by device and inode.
static TABLE: Table = Mutex::new(None);
static LIVE: AtomicUsize = AtomicUsize::new(0);
const EVERYWHERE: Range<usize> = 0..usize::MAX;
/// Whether all addresses count as inherited from another pid namespace, because the table could not be read.
static UNSORTED: AtomicBool = AtomicBool::new(false);

/// Held over a fork beside other threads.
pub(crate) fn hold() -> impl Sized {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mapping {
    /// The alignment of a payload, in bytes.
    pub const ALIGNMENT: usize = HEADER;

    /// Makes an object with `payload` bytes of zeros, every page reserved. `name` is what process maps show.
    pub fn create(name: &str, kind: Kind, payload: usize) -> Result<Arc<Mapping>, MemError> {
        Mapping::create_sparse(name, kind, Extent { payload, mapped: payload, reserved: payload })
    }

    /// Makes an object of which only a part is mapped and reserved at once.
    pub fn create_sparse(name: &str, kind: Kind, extent: Extent) -> Result<Arc<Mapping>, MemError> {
        let Extent { payload, mapped, reserved } = extent;
        let too_large =
            || MemError::NoMemory { asked: payload as u64, available: memory::available_memory() };
        let bytes = payload.checked_add(HEADER).and_then(|bytes| bytes.checked_next_multiple_of(PAGE));
        let bytes = bytes.ok_or_else(too_large)?;
        if i64::try_from(bytes).is_err() {
            return Err(too_large());
        }
        let file = memory::sealed_file(name, bytes)?;
        memory::reserve(file.as_fd(), 0, memory::whole_pages(HEADER + reserved))?;
        let mapping = Mapping::map(file, memory::whole_pages(HEADER + mapped).min(bytes))?;
        let (payload, pid_namespace) = (payload as u64, namespace::own().unwrap_or(0));
        let blank = Header { magic: MAGIC, layout: LAYOUT, sum: 0, kind: kind.0, payload, pid_namespace };
        let header = Header { sum: blank.sum(), ..blank };
        // SAFETY: the pages begin with room for a header, reserved above; the file is not shared yet.
        unsafe { mapping.pages().base().cast::<Header>().write(header) };
        Ok(mapping.listed())
    }

    /// The object of a descriptor from another process. Everything that a peer could set wrongly is checked: seals,
    /// size, magic, layout, pid namespace, build, kind.
    pub fn attach(file: OwnedFd, kind: Kind, expected: &'static str) -> Result<Arc<Mapping>, MemError> {
        Mapping::attach_part(file, kind, expected, usize::MAX)
    }

    /// The same, of which at most the first `mapped` bytes of payload are mapped.
    pub fn attach_part(
        file: OwnedFd,
        kind: Kind,
        expected: &'static str,
        mapped: usize,
    ) -> Result<Arc<Mapping>, MemError> {
        let (device, inode, bytes) = memory::file_identity(file.as_fd())?;
        if let Some(mapping) = Mapping::find((device, inode)) {
            mapping.check(kind, expected)?;
            return Ok(mapping);
        }
        if !memory::is_sealed(file.as_fd()) {
            return Err(MemError::NotOurs("its size is not sealed"));
        }
        if bytes < PAGE as u64 {
            return Err(MemError::NotOurs("it is too short for a header"));
        }
        let mapped = mapped.saturating_add(HEADER + PAGE - 1) / PAGE * PAGE;
        let mapping = Mapping::map(file, mapped.min(bytes as usize))?;
        mapping.check(kind, expected)?;
        Ok(mapping.listed())
    }

    /// Whether every page was reserved, as [`create`](Mapping::create) does. A sparse file costs its maker nothing,
    /// whatever its size, so a message could claim any length.
    pub fn is_whole(&self) -> Result<(), MemError> {
        if memory::taken_bytes(self.file.as_fd())? < self.pages().bytes() as u64 {
            return Err(MemError::NotOurs("its memory was not reserved"));
        }
        Ok(())
    }

    /// Whether this is the descriptor of a shared object's memory, of any kind.
    pub(crate) fn is_object(file: BorrowedFd<'_>) -> bool {
        memory::is_sealed(file) && memory::begins_with(file, &MAGIC.to_ne_bytes())
    }

    fn map(file: OwnedFd, bytes: usize) -> Result<Mapping, MemError> {
        namespace::when_left(leave_all);
        // ORDERING: Relaxed: set just after a fork, with one thread.
        if UNSORTED.swap(false, Ordering::Relaxed) {
            let table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
            inherited::forbid_only(addresses(table.as_ref()));
        }
        let (device, inode, file_bytes) = memory::file_identity(file.as_fd())?;
        let pages = Pages::map_part(file.as_fd(), 0, bytes)?;
        let file_bytes = file_bytes as usize;
        // ORDERING: Relaxed: a count, and no more.
        LIVE.fetch_add(1, Ordering::Relaxed);
        Ok(Mapping { file: Arc::new(file), pages: Some(pages), file_bytes, key: (device, inode) })
    }

    fn check(&self, kind: Kind, expected: &'static str) -> Result<(), MemError> {
        // SAFETY: the pages begin with at least a page. A volatile read, since a peer could write there; only
        // this copy is looked at.
        let header = unsafe { self.pages().base().cast::<Header>().read_volatile() };
        if header.magic != MAGIC || header.layout != LAYOUT {
            return Err(MemError::NotOurs("its header is of another library or version"));
        }
        if header.payload > (self.file_bytes - HEADER) as u64 {
            return Err(MemError::NotOurs("its header names more bytes than it has"));
        }
        if header.sum != header.sum() {
            return Err(MemError::NotOurs("its header was damaged, or is of another build of this program"));
        }
        if header.pid_namespace != namespace::own().unwrap_or(0) {
            return Err(MemError::PidNamespace);
        }
        if header.kind != kind.0 {
            return Err(MemError::TypeMismatch { expected });
        }
        Ok(())
    }

    fn find(key: (u64, u64)) -> Option<Arc<Mapping>> {
        let table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        table.as_ref()?.get(&key)?.upgrade()
    }

    /// Adds the mapping to the table, or returns the one that another thread has added meanwhile.
    fn listed(self) -> Arc<Mapping> {
        let key = self.key;
        let mapping = Arc::new(self);
        let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        let table = table.get_or_insert_default();
        if let Some(other) = table.get(&key).and_then(Weak::upgrade) {
            return other;
        }
        table.insert(key, Arc::downgrade(&mapping));
        mapping
    }

    /// Reserves the pages of a part of the payload, so that no access to them can fail.
    pub fn reserve(&self, offset: usize, bytes: usize) -> Result<(), MemError> {
        memory::reserve(self.file.as_fd(), HEADER + offset, bytes)
    }

    /// Returns the whole pages within a part of the payload to the system; they read as zeros afterwards.
    pub fn punch(&self, offset: usize, bytes: usize) -> Result<(), MemError> {
        let (first, last) = (memory::whole_pages(HEADER + offset), (HEADER + offset + bytes) / PAGE * PAGE);
        if first < last {
            memory::punch(self.file.as_fd(), first, last - first)?;
        }
        Ok(())
    }

    /// If the process crashes, the kernel does not write these pages into a core dump: meanwhile others wait for the
    /// locks that it held.
    pub fn leave_out_of_core_dumps(&self) {
        self.pages().leave_out_of_core_dumps();
    }

    /// Bytes of the memory in front of the payload: what lies at `n` of the payload lies at this plus `n` of the
    /// pages.
    pub const fn header_bytes() -> usize {
        HEADER
    }

    /// Bytes in the file, header included.
    pub(super) fn file_bytes(&self) -> usize {
        self.file_bytes
    }

    /// Bytes of payload that are mapped, rounded up to what the pages hold.
    pub fn payload_bytes(&self) -> usize {
        self.pages().bytes() - HEADER
    }

    /// Address of `bytes` bytes at `offset` of the payload, if they lie within it.
    pub(super) fn address(&self, offset: usize, bytes: usize) -> Option<NonNull<u8>> {
        let end = offset.checked_add(bytes)?;
        if end > self.payload_bytes() {
            return None;
        }
        // SAFETY: within the pages, as was just checked.
        Some(unsafe { self.pages().base().add(HEADER + offset) })
    }

    /// The descriptor that carries the object to another process.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The same, for a message that may outlive the mapping.
    pub(crate) fn shared_file(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.file)
    }

    fn pages(&self) -> &Pages {
        self.pages.as_ref().expect("only drop takes the pages")
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = table.as_mut()
            && table.get(&self.key).is_some_and(|weak| weak.strong_count() == 0)
        {
            table.remove(&self.key);
        }
        drop(table);
        let Some(pages) = self.pages.take() else { return };
        // ORDERING: Relaxed: a count, and no more.
        LIVE.fetch_sub(1, Ordering::Relaxed);
        inherited::allow(&pages.addresses());
        if robust::any_held_in(pages.addresses()) {
            // A guard was leaked: the robust list still links into these pages, so they stay mapped.
            pages.leak();
        }
    }
}

/// The number of objects that this process has mapped.
pub(crate) fn live() -> usize {
    // ORDERING: Relaxed: a count, and no more.
    LIVE.load(Ordering::Relaxed)
}

/// In a child that was forked into another pid namespace: inherited objects belong to the old namespace.
fn leave_all() {
    if live() == 0 {
        return;
    }
    let inherited = match TABLE.try_lock() {
        Ok(table) => addresses(table.as_ref()),
        Err(TryLockError::Poisoned(table)) => addresses(table.into_inner().as_ref()),
        // Held over the fork. Nothing can be used before something new is mapped, which sorts it out.
        Err(TryLockError::WouldBlock) => {
            // ORDERING: Relaxed: one thread only, just after fork.
            UNSORTED.store(true, Ordering::Relaxed);
            Vec::from([EVERYWHERE])
        }
    };
    robust::forbid(inherited);
}

fn addresses(table: Option<&HashMap<(u64, u64), Weak<Mapping>>>) -> Vec<Range<usize>> {
    let mappings = table.into_iter().flat_map(HashMap::values).filter_map(Weak::upgrade);
    mappings.map(|mapping| mapping.pages().addresses()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make() -> Arc<Mapping> {
        Mapping::create("test", Kind::of::<u32>(), 100).unwrap()
    }

    #[test]
    fn attaching_again_gives_the_same_mapping() {
        let mapping = make();
        let copy = mapping.file().try_clone_to_owned().unwrap();
        let again = Mapping::attach(copy, Kind::of::<u32>(), "u32").unwrap();
        assert!(Arc::ptr_eq(&mapping, &again));
    }

    #[test]
    fn another_type_is_refused() {
        let copy = make().file().try_clone_to_owned().unwrap();
        let error = Mapping::attach(copy, Kind::of::<u64>(), "u64").unwrap_err();
        assert!(matches!(error, MemError::TypeMismatch { expected: "u64" }), "{error}");
    }

    #[test]
    fn a_foreign_file_is_refused() {
        let file = memory::sealed_file("foreign", PAGE).unwrap();
        assert!(matches!(Mapping::attach(file, Kind::of::<u32>(), "u32"), Err(MemError::NotOurs(_))));
        let (read, _write) = crate::sys::fd::pipe().unwrap();
        assert!(matches!(Mapping::attach(read, Kind::of::<u32>(), "u32"), Err(MemError::NotOurs(_))));
    }

    #[test]
    fn more_memory_than_there_is_is_an_error() {
        let error = Mapping::create("huge", Kind::of::<u32>(), 1 << 46).unwrap_err();
        assert!(matches!(error, MemError::NoMemory { .. }), "{error}");
        assert!(Mapping::create("huge", Kind::of::<u32>(), usize::MAX).is_err());
    }
}
