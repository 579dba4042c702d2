//! Named memory that lives as long as the manager.

use super::Manager;
use crate::error::ManagerError;
use crate::protocol::{Reply, Request};
use crate::proxy::unexpected;
use mp_shm::{Item, ShareableList, SharedMemory, SharedMemoryError};

/// Named memory that lives as long as the manager, for processes of this and of other programs. Its bytes are read and
/// written directly, without the manager.
///
/// The name is the server's. It is unlinked when the manager is shut down, and also when the server, or the process
/// that has started it, is killed: within milliseconds then, by the keeper of `mp-shm`. No other process's end does it,
/// neither that of the one that asked for the block. [`SharedMemory::unlink`] and
/// [`release_memory`](Manager::release_memory) end a name before. What is mapped stays mapped.
///
/// Python: `SharedMemoryManager`.
impl Manager {
    /// A new block of `size` zero bytes with a random name. All of its memory is reserved.
    ///
    /// # Errors
    /// [`ManagerError::SharedMemory`]: the size is zero, there is not that much memory, or this process cannot open it:
    /// it has connected from another host. [`ManagerError::MemoryLimit`]: it has connected by an address, and such
    /// clients have made as much as they may. [`ManagerError::Os`]: the system refused.
    ///
    /// Python: `SharedMemoryManager.SharedMemory(size)`.
    #[doc(alias = "SharedMemory")]
    #[doc(alias = "SharedMemoryManager")]
    pub fn shared_memory(&self, size: usize) -> Result<SharedMemory, ManagerError> {
        if size == 0 {
            return Err(SharedMemoryError::NoSize.into());
        }
        let name = match self.client()?.call(Request::MakeMemory { size: size as u64 })? {
            Reply::Text(name) => name,
            other => return Err(unexpected(&other)),
        };
        SharedMemory::open(&name).map_err(|error| {
            // A manager that has ended keeps nothing.
            let _ = self.release_memory(&name);
            error.into()
        })
    }

    /// A new list of these items, in such a block.
    ///
    /// # Errors
    /// The errors of [`shared_memory`](Manager::shared_memory); an item is longer than ten million bytes.
    ///
    /// Python: `SharedMemoryManager.ShareableList(sequence)`.
    #[doc(alias = "ShareableList")]
    pub fn shareable_list<I: Into<Item>>(
        &self,
        items: impl IntoIterator<Item = I>,
    ) -> Result<ShareableList, ManagerError> {
        ShareableList::make(items, |size| self.shared_memory(size))
    }

    /// Unlinks the name of a block or list of this manager, before the manager's end; whether it was there.
    ///
    /// Python: the server's `release_segment`.
    pub fn release_memory(&self, name: &str) -> Result<bool, ManagerError> {
        match self.client()?.call(Request::ReleaseMemory { name: name.to_owned() })? {
            Reply::Flag(was_there) => Ok(was_there),
            other => Err(unexpected(&other)),
        }
    }

    /// The names of this manager's blocks and lists, in the order of their letters.
    ///
    /// Python: the server's `list_segments`.
    pub fn memory_names(&self) -> Result<Vec<String>, ManagerError> {
        match self.client()?.call(Request::ListMemory)? {
            Reply::Texts(names) => Ok(names),
            other => Err(unexpected(&other)),
        }
    }
}
