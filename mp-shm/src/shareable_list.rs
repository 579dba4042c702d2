//! ShareableList: a list of fixed length and mixed types in a named block.
//!
//! The format is CPython's (packing.rs), so either side may make, read and change a list.
//!
//! # When a process dies
//! In the middle of a `set`: the item is some of the old and some of the new one, or [`Corrupt`]. The other
//! items, and the length, are not touched by it.

use crate::error::{Corrupt, CreateListError, GetItemError, NoItem, OpenListError, SetItemError};
use crate::item::Item;
use crate::packing::{self, Layout, Packed, Shape};
use crate::shared_memory::SharedMemory;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// A list in a named block of memory, which processes share, this program's and CPython's. Its length is
/// fixed when it is made, and so is the room of each item; what an item is, and its type, may change.
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
/// Names and owners are those of the [block](SharedMemory) beneath, [`shm`](ShareableList::shm): the name
/// goes with its owner's last handle. Clones share the list, and so do copies sent to other processes.
///
/// There is no lock: who reads an item while it is changed may find half of it, and who reads and then writes
/// may lose another's change. Where that can happen, let a lock go with the list.
///
/// Python: `multiprocessing.shared_memory.ShareableList`. Indices count from the beginning only. There a zero byte
/// at the end of a text is lost, and texts beyond ASCII get too little room; lists made or changed here have
/// neither trouble when they are read here. (CPython takes zeros off the end of what it reads from them, too.)
#[derive(Clone)]
pub struct ShareableList {
    block: SharedMemory,
    layout: Arc<Layout>,
}

impl ShareableList {
    /// Makes a list in a block with a name made up for it.
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
    /// As [`create`](ShareableList::create).
    pub fn new<I: Into<Item>>(items: impl IntoIterator<Item = I>) -> Result<ShareableList, CreateListError> {
        ShareableList::make(items, SharedMemory::new)
    }

    /// Makes a list in a block of this name. Who opens it before the call has returned may find it empty.
    ///
    /// Python: `ShareableList(sequence, name=name)`.
    ///
    /// # Errors
    /// The block cannot be made, or an item is longer than ten million bytes. Nothing is left then.
    pub fn create<I: Into<Item>>(
        name: &str,
        items: impl IntoIterator<Item = I>,
    ) -> Result<ShareableList, CreateListError> {
        ShareableList::make(items, |size| SharedMemory::create(name, size))
    }

    fn make<I: Into<Item>>(
        items: impl IntoIterator<Item = I>,
        block: impl FnOnce(usize) -> Result<SharedMemory, crate::CreateError>,
    ) -> Result<ShareableList, CreateListError> {
        let items: Vec<Item> = items.into_iter().map(Into::into).collect();
        let (layout, bytes) =
            packing::pack(&items).map_err(|(index, source)| CreateListError::Item { index, source })?;
        let block = block(layout.size())?;
        let list = ShareableList { block, layout: Arc::new(layout) };
        // The length last: before it the list is empty, and not half there.
        let (length, rest) = bytes.split_at(size_of::<i64>());
        list.write(length.len(), rest);
        // ORDERING: Release: who sees the length, on a machine that keeps the order of loads, sees the rest.
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
    pub fn open(name: &str) -> Result<ShareableList, OpenListError> {
        Ok(ShareableList::within(SharedMemory::open(name)?)?)
    }

    /// The list in a block.
    ///
    /// # Errors
    /// [`Corrupt`]: what is there is no list.
    pub fn within(block: SharedMemory) -> Result<ShareableList, Corrupt> {
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
    /// There is no such item; or what is there is none.
    pub fn get(&self, index: usize) -> Result<Item, GetItemError> {
        Ok(self.item(self.checked(index)?)?)
    }

    /// Puts another item in its place, of any type that fits into its room: a number always does, and a text
    /// or bytes of [`room`](ShareableList::room) bytes.
    ///
    /// Python: `list[index] = item`.
    ///
    /// # Errors
    /// There is no such item, or the new one does not fit. Nothing is changed then.
    pub fn set(&self, index: usize, item: impl Into<Item>) -> Result<(), SetItemError> {
        let index = self.checked(index)?;
        let packed = Packed::of(&item.into(), self.layout.slot(index).len())?;
        self.write(self.layout.format(index).start, &packed.format);
        self.write(self.layout.code(index), &[packed.code]);
        self.write(self.layout.slot(index).start, &packed.slot);
        Ok(())
    }

    /// How many bytes a text may have in this place: at least 8. It does not change.
    ///
    /// # Errors
    /// There is no such item.
    pub fn room(&self, index: usize) -> Result<usize, NoItem> {
        Ok(self.layout.slot(self.checked(index)?).len())
    }

    /// How Python's `struct` packs an item: `q`, `d`, `5sx`.
    ///
    /// Python: `ShareableList.format`, of all items in a row.
    ///
    /// # Errors
    /// There is no such item; or its format is no text.
    pub fn format(&self, index: usize) -> Result<String, GetItemError> {
        let format = read(&self.block, self.layout.format(self.checked(index)?));
        let text = std::str::from_utf8(packing::without_zeros(&format));
        Ok(text.map_err(|_| Corrupt("a format is not text"))?.to_owned())
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
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Result<Item, Corrupt>> + '_ {
        (0..self.len()).map(|index| self.item(index))
    }

    /// Copies of all items. Python: `list(list)`.
    ///
    /// # Errors
    /// [`Corrupt`]: one of them is none.
    pub fn to_vec(&self) -> Result<Vec<Item>, Corrupt> {
        self.iter().collect()
    }

    /// How many items are equal to this one. Python: `ShareableList.count`.
    ///
    /// # Errors
    /// [`Corrupt`]: one of the items is none.
    pub fn count(&self, item: impl Into<Item>) -> Result<usize, Corrupt> {
        let wanted = item.into();
        self.iter().try_fold(0, |equal, item| Ok(equal + usize::from(item? == wanted)))
    }

    /// Where the first item equal to this one is; `None`: nowhere.
    ///
    /// Python: `ShareableList.index`, with a `ValueError` for nowhere.
    ///
    /// # Errors
    /// [`Corrupt`]: one of the items before it is none.
    #[doc(alias = "position")]
    pub fn index(&self, item: impl Into<Item>) -> Result<Option<usize>, Corrupt> {
        let wanted = item.into();
        for (index, item) in self.iter().enumerate() {
            if item? == wanted {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// The block that it lies in: its name, `close`, `unlink`, `persist`. Python: `ShareableList.shm`.
    pub fn shm(&self) -> &SharedMemory {
        &self.block
    }

    fn checked(&self, index: usize) -> Result<usize, NoItem> {
        if index < self.len() { Ok(index) } else { Err(NoItem { index, len: self.len() }) }
    }

    /// Of an index within the list. All that lies in memory is read once.
    fn item(&self, index: usize) -> Result<Item, Corrupt> {
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
