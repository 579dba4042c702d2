//! Named memory of a `SharedMemoryManager`: made here, and unlinked by it.

use super::PythonManager;
use super::error::PythonError;
use super::link::unexpected;
use mp_shm::{Item, ShareableList, SharedMemory};

/// Named memory of a server that is a `SharedMemoryManager`, or of this library. The block is made here. The server
/// unlinks its name when it is shut down, and so does the end of this process.
impl PythonManager {
    /// A new block of `size` zero bytes.
    ///
    /// # Errors
    /// [`PythonError::SharedMemory`]: it cannot be made. [`PythonError::Refused`]: the server is another kind of
    /// manager, or one of another host.
    ///
    /// Python: `SharedMemoryManager.SharedMemory(size)`.
    pub fn shared_memory(&self, size: usize) -> Result<SharedMemory, PythonError> {
        let block = SharedMemory::new(size)?;
        self.link.control("track_segment", [block.name().into()], [])?;
        // The name outlives the handles here.
        block.clone().close();
        Ok(block)
    }

    /// A new list of these items, in such a block.
    ///
    /// # Errors
    /// The errors of [`shared_memory`](PythonManager::shared_memory).
    ///
    /// Python: `SharedMemoryManager.ShareableList(sequence)`.
    pub fn shareable_list<I: Into<Item>>(
        &self,
        items: impl IntoIterator<Item = I>,
    ) -> Result<ShareableList, PythonError> {
        ShareableList::make(items, |size| self.shared_memory(size))
    }

    /// Unlinks the name of such a block.
    ///
    /// # Errors
    /// [`PythonError::Refused`]: the server has no such block.
    ///
    /// Python: the server's `release_segment`.
    pub fn release_memory(&self, name: &str) -> Result<(), PythonError> {
        self.link.control("release_segment", [name.into()], []).map(drop)
    }

    /// The names of the server's blocks. Python: the server's `list_segments`.
    pub fn memory_names(&self) -> Result<Vec<String>, PythonError> {
        let names = self.link.control("list_segments", [], [])?;
        let texts = names.items().unwrap_or_default().iter().map(|name| name.as_str().map(ToOwned::to_owned));
        texts.collect::<Option<_>>().ok_or_else(|| unexpected(names.kind()))
    }
}
