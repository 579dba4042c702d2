//! ShareableList: a list of fixed length and mixed types in a named block.
//!
//! The format is CPython's (packing.rs), so either side may make, read and change a list.
//!
//! # When a process dies
//! In the middle of a `set`: the item is a mixture of the old and the new one, or [`ListError::Corrupt`]. The other
//! items and the length are unchanged.

use crate::error::{ListError, SharedMemoryError};
use crate::item::Item;
use crate::packing::{self, Layout, Packed, Shape};
use crate::shared_memory::SharedMemory;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// A list in a named block of memory, shared between processes of this program and of CPython. Its length and the
/// room of each item are fixed when it is made; the value and the type of an item may change.
///
/// ```
/// use mp_shm::{Item, ShareableList};
///
/// let list = ShareableList::new([Item::from(7), "hello".into(), 2.5.into(), Item::None])?;
/// list.set(0, "seven")?; // fits: eight bytes for a number, seven or less for a text beside its end
///
/// let same = ShareableList::open(list.shm().name())?; // in any process
/// assert_eq!(same.get(0)?, "seven".into());
/// assert_eq!(same.to_vec()?[1..], ["hello".into(), 2.5.into(), Item::None]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Name and owner are those of its [block](SharedMemory), [`shm`](ShareableList::shm): the name ends with its
/// owner's last handle. Clones share the list, and so do copies sent to other processes.
///
/// There is no lock. A read during a change may return half of it, and a read followed by a write may lose the
/// change of another process. Where that can happen, share a lock with the list.
///
/// Python: `multiprocessing.shared_memory.ShareableList`. Indices count from the beginning only. There a zero byte
/// at the end of a text is lost, and texts beyond ASCII get too little room. Lists made or changed here have
/// neither problem when they are read here. (CPython strips zeros at the end also from them.)
#[derive(Clone)]
pub struct ShareableList {
    block: SharedMemory,
    layout: Arc<Layout>,
}

impl ShareableList {
    /// Makes a list in a block with a random name.
    ///
    /// ```
    /// let squares = mp_shm::ShareableList::new((0..4_i64).map(|x| x * x))?;
    /// assert_eq!(squares.get(3)?, 9.into());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Python: `ShareableList(sequence)`.
    ///
    /// # Errors
    /// The errors of [`create`](ShareableList::create).
    pub fn new<I: Into<Item>>(
        items: impl IntoIterator<Item = I>,
    ) -> Result<ShareableList, SharedMemoryError> {
        ShareableList::make(items, SharedMemory::new)
    }

    /// Makes a list in a block of this name. A process that opens it before the call returns may find it empty.
    ///
    /// Python: `ShareableList(sequence, name=name)`.
    ///
    /// # Errors
    /// The block cannot be made, or an item is longer than ten million bytes. Nothing is left then.
    pub fn create<I: Into<Item>>(
        name: &str,
        items: impl IntoIterator<Item = I>,
    ) -> Result<ShareableList, SharedMemoryError> {
        ShareableList::make(items, |size| SharedMemory::create(name, size))
    }

    /// Makes a list in the block that `block` makes: a manager's, for example.
    #[doc(hidden)]
    pub fn make<E: From<SharedMemoryError>, I: Into<Item>>(
        items: impl IntoIterator<Item = I>,
        block: impl FnOnce(usize) -> Result<SharedMemory, E>,
    ) -> Result<ShareableList, E> {
        let items: Vec<Item> = items.into_iter().map(Into::into).collect();
        let (layout, bytes) = packing::pack(&items).map_err(SharedMemoryError::from)?;
        let block = block(layout.size())?;
        let list = ShareableList { block, layout: Arc::new(layout) };
        // The length is written last: before it the list is empty, and never half written.
        let (length, rest) = bytes.split_at(size_of::<i64>());
        list.write(length.len(), rest);
        // ORDERING: Release: a process that sees the length sees the rest, on a machine that keeps the order of loads.
        fence(Ordering::Release);
        list.write(0, length);
        Ok(list)
    }

    /// The list in the block that has this name, made by any process of the same user.
    ///
    /// Python: `ShareableList(name=name)`.
    ///
    /// # Errors
    /// There is no such block, or no list in it.
    pub fn open(name: &str) -> Result<ShareableList, SharedMemoryError> {
        Ok(ShareableList::within(SharedMemory::open(name)?)?)
    }

    /// The list in a block.
    ///
    /// # Errors
    /// [`ListError::Corrupt`]: what is there is no list.
    pub fn within(block: SharedMemory) -> Result<ShareableList, ListError> {
        let layout = Layout::read(block.len(), |range| read(&block, range))?;
        Ok(ShareableList { block, layout: Arc::new(layout) })
    }

    /// How many items it has. Python: `len(list)`.
    pub fn len(&self) -> usize {
        self.layout.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of an item. Python: `list[index]`.
    ///
    /// # Errors
    /// There is no such item, or its bytes are not a valid item.
    pub fn get(&self, index: usize) -> Result<Item, ListError> {
        self.item(self.checked(index)?)
    }

    /// Replaces an item by one of any type that fits into its room: a number always fits, and a text or bytes of up
    /// to [`room`](ShareableList::room) bytes.
    ///
    /// Python: `list[index] = item`.
    ///
    /// # Errors
    /// There is no such item, or the new one does not fit. Nothing is changed then.
    pub fn set(&self, index: usize, item: impl Into<Item>) -> Result<(), ListError> {
        let index = self.checked(index)?;
        let packed = Packed::of(index, &item.into(), self.layout.slot(index).len())?;
        self.write(self.layout.format(index).start, &packed.format);
        self.write(self.layout.code(index), &[packed.code]);
        self.write(self.layout.slot(index).start, &packed.slot);
        Ok(())
    }

    /// The most bytes that a text may have at this index: at least 8. It does not change.
    ///
    /// # Errors
    /// There is no such item.
    pub fn room(&self, index: usize) -> Result<usize, ListError> {
        Ok(self.layout.slot(self.checked(index)?).len())
    }

    /// The format of an item for Python's `struct`: `q`, `d`, `5sx`.
    ///
    /// Python: `ShareableList.format`, of all items in a row.
    ///
    /// # Errors
    /// There is no such item, or its format is not text.
    pub fn format(&self, index: usize) -> Result<String, ListError> {
        let format = read(&self.block, self.layout.format(self.checked(index)?));
        let text = std::str::from_utf8(packing::without_zeros(&format));
        Ok(text.map_err(|_| ListError::Corrupt("a format is not text"))?.to_owned())
    }

    /// A copy of each item in turn.
    ///
    /// ```
    /// let list = mp_shm::ShareableList::new(["a", "b"])?;
    /// for item in list.iter() {
    ///     println!("{:?}", item?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Python: `for item in list`.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Result<Item, ListError>> + '_ {
        (0..self.len()).map(|index| self.item(index))
    }

    /// Copies of all items. Python: `list(list)`.
    ///
    /// # Errors
    /// [`ListError::Corrupt`] if one of them is not valid.
    pub fn to_vec(&self) -> Result<Vec<Item>, ListError> {
        self.iter().collect()
    }

    /// The number of items equal to this one. Python: `ShareableList.count`.
    ///
    /// # Errors
    /// [`ListError::Corrupt`] if one of the items is not valid.
    pub fn count(&self, item: impl Into<Item>) -> Result<usize, ListError> {
        let wanted = item.into();
        self.iter().try_fold(0, |equal, item| Ok(equal + usize::from(item? == wanted)))
    }

    /// The index of the first item equal to this one, if there is one.
    ///
    /// Python: `ShareableList.index`, with a `ValueError` if there is none.
    ///
    /// # Errors
    /// [`ListError::Corrupt`] if one of the items before it is not valid.
    #[doc(alias = "position")]
    pub fn index(&self, item: impl Into<Item>) -> Result<Option<usize>, ListError> {
        let wanted = item.into();
        for (index, item) in self.iter().enumerate() {
            if item? == wanted {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// The list's block, with its name, `close`, `unlink` and `persist`. Python: `ShareableList.shm`.
    pub fn shm(&self) -> &SharedMemory {
        &self.block
    }

    fn checked(&self, index: usize) -> Result<usize, ListError> {
        if index < self.len() { Ok(index) } else { Err(ListError::Index { index, len: self.len() }) }
    }

    /// For an index within the list. Each byte is read from shared memory once.
    fn item(&self, index: usize) -> Result<Item, ListError> {
        let code = self.layout.code(index);
        let format = read(&self.block, self.layout.format(index));
        let code = read(&self.block, code..code + 1);
        let slot = self.layout.slot(index);
        let shape = Shape::of(&format, code[0], slot.len())?;
        shape.item(read(&self.block, slot.start..slot.start + shape.bytes()))
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        self.block.write(at, bytes).expect("the layout was checked to lie within the block");
    }
}

fn read(block: &SharedMemory, range: Range<usize>) -> Vec<u8> {
    let mut bytes = vec![0; range.len()];
    block.read(range.start, &mut bytes).expect("the layout was checked to lie within the block");
    bytes
}

impl fmt::Debug for ShareableList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShareableList").field("name", &self.block.name()).field("len", &self.len()).finish()
    }
}

/// Within a transfer only. The receiver does not own the name.
impl Serialize for ShareableList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.block.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ShareableList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ShareableList::within(SharedMemory::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
